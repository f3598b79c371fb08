"""The corpora that a process has opened, each once."""

from __future__ import annotations

import asyncio
from pathlib import Path

from providers.corpus.corpus import Corpus, open_corpus
from schemas.settings import Settings


class OpenCorpora:
    """Opens corpora when they are first asked for and keeps them open."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._corpora: dict[Path, Corpus] = {}

    async def get(self, folder: Path) -> Corpus:
        """The corpus of `folder`. Raises `CorpusError` as `open_corpus` does."""
        if folder not in self._corpora:
            home, most = self._settings.deepsearch_home, self._settings.max_page_bytes
            self._corpora[folder] = await asyncio.to_thread(open_corpus, folder, home, max_file_bytes=most)
        return self._corpora[folder]

    def close(self) -> None:
        """Close their indexes."""
        for corpus in self._corpora.values():
            corpus.close()
