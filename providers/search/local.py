"""Search in a folder of documents on this machine."""

from __future__ import annotations

import asyncio
from pathlib import Path

from providers.corpus import Corpus, CorpusHit, IndexProgress, IndexReport, OpenCorpora, corpus_folder
from providers.search.base import Found, SearchOptions
from schemas.errors import SearchError
from schemas.search import SearchQuery, SearchResult
from schemas.settings import Settings
from schemas.usage import Usage


class LocalSearch:
    """Searches the configured corpus, or a folder inside it. Time range and location do not apply to a folder."""

    name = "local"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._corpora = OpenCorpora(settings)
        self._slots = asyncio.Semaphore(settings.search_concurrency)
        self._indexings: dict[Path, asyncio.Task[IndexReport]] = {}
        self._progress: dict[Path, IndexProgress] = {}

    async def search(self, query: SearchQuery, options: SearchOptions) -> Found:
        """The documents that fit best, each with its best passage. A corpus that was never indexed is indexed first.

        Raises `InvalidRequest` for a folder outside the configured one, `CorpusError` when there is no corpus or it holds
        nothing to read, `SearchError` when the time is over (a first indexing goes on meanwhile).
        """
        folder = corpus_folder(self._settings, options.corpus)
        if options.only_hostnames:
            # Files have no host name, so none of them is on the list.
            return Found([])
        corpus = await self._corpora.get(folder)
        try:
            hits = await asyncio.wait_for(self._hits(folder, corpus, query, options.max_results), options.timeout_seconds)
        except asyncio.TimeoutError as error:
            raise SearchError(self._too_late(folder, options.timeout_seconds)) from error
        results = [
            SearchResult(
                url=hit.url,
                title=hit.title,
                snippet=hit.snippet,
                query=query.text,
                source=self.name,
                published=hit.published,
                score=hit.score,
            )
            for hit in hits
        ]
        return Found(results, Usage(searches=1))

    async def close(self) -> None:
        """Stop indexing and close the indexes."""
        for task in self._indexings.values():
            task.cancel()
        await asyncio.gather(*self._indexings.values(), return_exceptions=True)
        self._corpora.close()

    async def _hits(self, folder: Path, corpus: Corpus, query: SearchQuery, limit: int) -> list[CorpusHit]:
        await self._indexed(folder, corpus)
        async with self._slots:
            return await corpus.search(query.text, limit, query.language_code)

    async def _indexed(self, folder: Path, corpus: Corpus) -> None:
        """Wait until the folder has been indexed once. Searches at the same time wait for the same indexing."""
        if folder not in self._indexings:
            if await corpus.is_indexed():
                return
            if folder not in self._indexings:
                self._indexings[folder] = asyncio.create_task(corpus.index(lambda progress: self._progress.update({folder: progress})))
        task = self._indexings[folder]
        try:
            await asyncio.shield(task)
        finally:
            if task.done():
                # Success is known from the index itself; a failure is tried again by the next search.
                self._indexings.pop(folder, None)

    def _too_late(self, folder: Path, seconds: float) -> str:
        if folder not in self._indexings:
            return f"local: the search took longer than {seconds:g} seconds"
        progress = self._progress.get(folder)
        state = f" ({progress.done} of {progress.total} files)" if progress and progress.total else ""
        return f"local: the corpus is being indexed for the first time{state}; try again, or run `deepsearch index` beforehand"
