"""Search in documents: a folder on this machine, or the corpus that a cluster shares."""

from __future__ import annotations

import asyncio

from providers.corpus import Corpus, CorpusHits, IndexProgress, IndexReport, OpenCorpora
from providers.search.base import Found, SearchOptions
from schemas.errors import SearchError, UpstreamError
from schemas.search import SearchQuery, SearchResult
from schemas.settings import Settings
from schemas.usage import Usage


class LocalSearch:
    """Searches the configured corpus, or a folder inside it. Time range and location do not apply to a folder."""

    name = "local"

    def __init__(self, settings: Settings) -> None:
        self._corpora = OpenCorpora(settings)
        self._slots = asyncio.Semaphore(settings.search_concurrency)
        self._indexings: dict[Corpus, asyncio.Task[IndexReport]] = {}
        self._progress: dict[Corpus, IndexProgress] = {}

    async def search(self, query: SearchQuery, options: SearchOptions) -> Found:
        """The documents that fit best, each with its best passage. A corpus that was never indexed is indexed first.

        Raises `InvalidRequest` for a folder outside the configured one, `CorpusError` when there is no corpus or it holds
        nothing to read, `SearchError` when the time is over (a first indexing goes on meanwhile) or the shared corpus is out of reach.
        """
        corpus = await self._corpora.get(options.corpus)
        if options.only_hostnames:
            # Files have no host name, so none of them is on the list.
            return Found([])
        try:
            found = await asyncio.wait_for(self._found(corpus, query, options.max_results), options.timeout_seconds)
        except asyncio.TimeoutError as error:
            raise SearchError(self._too_late(corpus, options.timeout_seconds)) from error
        except UpstreamError as error:
            raise SearchError(f"local: {error.message}", usage=error.usage) from error
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
            for hit in found.hits
        ]
        return Found(results, Usage(searches=1) + found.usage)

    async def close(self) -> None:
        """Stop indexing and close the indexes."""
        for task in self._indexings.values():
            task.cancel()
        await asyncio.gather(*self._indexings.values(), return_exceptions=True)
        await self._corpora.close()

    async def _found(self, corpus: Corpus, query: SearchQuery, limit: int) -> CorpusHits:
        await self._indexed(corpus)
        async with self._slots:
            return await corpus.search(query.text, limit, query.language_code)

    async def _indexed(self, corpus: Corpus) -> None:
        """Wait until the folder has been indexed once. Searches at the same time wait for the same indexing."""
        if corpus not in self._indexings:
            if await corpus.is_indexed():
                return
            if corpus not in self._indexings:
                self._indexings[corpus] = asyncio.create_task(corpus.index(lambda progress: self._progress.update({corpus: progress})))
        task = self._indexings[corpus]
        try:
            await asyncio.shield(task)
        finally:
            if task.done():
                # Success is known from the index itself; a failure is tried again by the next search.
                self._indexings.pop(corpus, None)

    def _too_late(self, corpus: Corpus, seconds: float) -> str:
        if corpus not in self._indexings:
            return f"local: the search took longer than {seconds:g} seconds"
        progress = self._progress.get(corpus)
        state = f" ({progress.done} of {progress.total} files)" if progress and progress.total else ""
        return f"local: the corpus is being indexed for the first time{state}; try again, or run `deepsearch index` beforehand"
