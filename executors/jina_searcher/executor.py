"""The JinaSearcher Executor: queries in, results out."""

import asyncio
from typing import Any, Optional

from jina import Executor, requests

from providers.hostnames import hostnames
from providers.search import SearchOptions, create_search
from schemas.errors import InvalidRequest
from schemas.search import SearchRequest, SearchResponse
from schemas.settings import Settings, get_settings

_MOST_QUERIES = 20
_MOST_RESULTS = 100


class JinaSearcher(Executor):
    """Searches with the configured providers."""

    def __init__(self, settings: Optional[Settings] = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._settings = settings or get_settings()
        self._search = create_search(self._settings)

    @requests(on="/search")
    async def search(self, doc: SearchRequest, **kwargs: Any) -> SearchResponse:
        """Results of all queries, and what happened to each."""
        if not 1 <= len(doc.queries) <= _MOST_QUERIES or not all(query.text.strip() for query in doc.queries):
            raise InvalidRequest(f"queries: give 1 to {_MOST_QUERIES} queries, none of them empty", field="queries")
        if not 1 <= doc.max_results <= _MOST_RESULTS:
            raise InvalidRequest(f"max_results must be between 1 and {_MOST_RESULTS}", field="max_results")
        if not doc.timeout_seconds > 0:
            raise InvalidRequest("timeout_seconds must be more than 0", field="timeout_seconds")
        options = SearchOptions(
            max_results=doc.max_results,
            timeout_seconds=min(doc.timeout_seconds, self._settings.search_timeout_seconds),
            only_hostnames=hostnames(doc.only_hostnames, "only_hostnames"),
            corpus=doc.corpus,
        )
        bad = hostnames(doc.bad_hostnames, "bad_hostnames")
        return await self._search.search(doc.queries, options, provider=doc.provider, bad_hostnames=bad, tokens=doc.allowance.tokens)

    def close(self) -> "asyncio.Task[None]":
        """Start closing connections; jina does not wait for it, others await what is returned."""
        return asyncio.get_running_loop().create_task(self._search.close())
