"""The corpora that a process has opened, each once."""

from __future__ import annotations

import asyncio
from pathlib import Path

from providers.corpus.access import corpus_folder
from providers.corpus.base import Corpus
from providers.corpus.corpus import open_corpus
from providers.embedding import create_embedding
from schemas.errors import CorpusError
from schemas.settings import Settings


class OpenCorpora:
    """Opens corpora when they are first asked for, in the shared database when there is one, and keeps them open."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._shared = SharedCorpora(settings) if settings.deepsearch_corpus_url is not None else None
        self._corpora: dict[Path | None, Corpus] = {}

    async def get(self, requested: str = "") -> Corpus:
        """The corpus that a request names, or the configured one. Raises as `corpus_folder` and `open_corpus` do."""
        folder = corpus_folder(self._settings, requested)
        if folder not in self._corpora:
            if self._shared is not None:
                self._corpora[folder] = self._shared.get(folder)
            elif folder is not None:
                home, most = self._settings.deepsearch_home, self._settings.max_page_bytes
                self._corpora[folder] = await asyncio.to_thread(open_corpus, folder, home, max_file_bytes=most)
        return self._corpora[folder]

    async def close(self) -> None:
        """Close their indexes."""
        for corpus in self._corpora.values():
            await corpus.close()
        if self._shared is not None:
            await self._shared.close()


class SharedCorpora:
    """The database of DEEPSEARCH_CORPUS_URL and the embedding provider, which the corpora in it have in common."""

    def __init__(self, settings: Settings) -> None:
        """Raises `ConfigurationError` when the URL cannot be read."""
        if settings.deepsearch_corpus_url is None:
            raise CorpusError("there is no shared corpus; set DEEPSEARCH_CORPUS_URL", field="DEEPSEARCH_CORPUS_URL")
        # Imported here, as a process without a shared corpus needs none of it.
        from providers.corpus.database import Database  # noqa: PLC0415

        self._settings = settings
        self._database = Database(settings.deepsearch_corpus_url.get_secret_value())
        self._embedding = create_embedding(settings)

    def get(self, folder: Path | None) -> Corpus:
        """The documents of `folder`, None for all."""
        from providers.corpus.shared import SharedCorpus  # noqa: PLC0415

        home, most = self._settings.deepsearch_home, self._settings.max_page_bytes
        return SharedCorpus(self._database, folder, self._embedding, home=home, max_file_bytes=most)

    async def close(self) -> None:
        """Close the connections."""
        await self._database.close()
        if self._embedding is not None:
            await self._embedding.close()
