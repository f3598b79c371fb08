"""Documents made ready for search: a folder's own index before a question is asked in this process, a shared corpus when it is told to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from providers.corpus import IndexProgress, IndexReport, SharedCorpora, open_corpus
from providers.corpus.files import checked_folder
from schemas.settings import Settings


async def index_folder(folder: Path, settings: Settings, progress: Callable[[IndexProgress], None] | None = None) -> IndexReport:
    """Index what has changed in `folder`, in the shared corpus when there is one. `progress` may be called from another thread.

    Raises `CorpusError`.
    """
    if settings.deepsearch_corpus_url is not None:
        shared = SharedCorpora(settings)
        try:
            return await shared.get(checked_folder(folder)).index(progress)
        finally:
            await shared.close()
    corpus = open_corpus(folder, settings.deepsearch_home, max_file_bytes=settings.max_page_bytes)
    try:
        return await corpus.index(progress)
    finally:
        await corpus.close()


def is_indexed_by_asking(settings: Settings) -> bool:
    """Whether a question first brings the index of its documents up to date: no question writes into a corpus that others share."""
    return settings.deepsearch_corpus_url is None


def corpus_of(requested: str, settings: Settings) -> Path | None:
    """The folder that a question asked in this process searches: the one it names, else the configured one; None: no documents."""
    folder = Path(requested) if requested else settings.deepsearch_corpus
    return folder.expanduser().resolve() if folder is not None else None


def with_corpus(settings: Settings, folder: Path) -> Settings:
    """`settings` for a process whose owner chose `folder`; without it a request may name only what is configured."""
    return settings.model_copy(update={"deepsearch_corpus": folder})
