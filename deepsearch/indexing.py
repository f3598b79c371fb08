"""Documents made ready for search before a question is asked in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from providers.corpus import IndexProgress, IndexReport, open_corpus
from schemas.settings import Settings


async def index_folder(folder: Path, settings: Settings, progress: Callable[[IndexProgress], None] | None = None) -> IndexReport:
    """Index what has changed in `folder`. `progress` is called from another thread. Raises `CorpusError`."""
    corpus = open_corpus(folder, settings.deepsearch_home, max_file_bytes=settings.max_page_bytes)
    try:
        return await corpus.index(progress)
    finally:
        corpus.close()


def corpus_of(requested: str, settings: Settings) -> Path | None:
    """The folder that a question asked in this process searches: the one it names, else the configured one; None: no documents."""
    folder = Path(requested) if requested else settings.deepsearch_corpus
    return folder.expanduser().resolve() if folder is not None else None


def with_corpus(settings: Settings, folder: Path) -> Settings:
    """`settings` for a process whose owner chose `folder`; without it a request may name only what is configured."""
    return settings.model_copy(update={"deepsearch_corpus": folder})
