"""Jina search: the web, by POST to JINA_SEARCH_URL."""

from __future__ import annotations

from typing import Any

from providers.http import Endpoint, authorization, count_field, create_client, post_json
from providers.search.base import Found, SearchOptions
from providers.search.google import google_payload
from providers.search.limits import search_rate, search_upstream
from providers.search.results import search_result
from providers.upstream import Rate
from schemas.errors import SearchError
from schemas.search import SearchQuery, SearchResult
from schemas.settings import Settings
from schemas.usage import Usage

_NOTHING_FOUND = 422
"""Jina's status for a query without results (and for a query it cannot use)."""
_RATE = Rate(100, 60.0)
"""Searches with a key, by the rate limits that Jina publishes with its reader and search (https://jina.ai/reader)."""
_MOST_BYTES = 10_000_000
_LONGEST_SECONDS = 180  # the service's own ceiling for X-Timeout


class JinaSearch:
    """Answers queries from Jina's search service, or from any server that speaks its wire format.

    Understands both of its answers: `{data: [{title, description, url, ...}]}` and `{results: [{title, snippet, url}],
    meta: {credits}}`.
    """

    name = "jina"

    def __init__(self, settings: Settings) -> None:
        self._with_content = settings.jina_fetch_content
        self._per_query = settings.jina_search_per_keyword
        self._most_bytes = settings.max_page_bytes if self._with_content else _MOST_BYTES
        # Without being told otherwise it delivers page contents, which cost many times as much and take as long as reading.
        form = {"X-Md-Link-Style": "discarded", "X-Retain-Images": "none"} if self._with_content else {"X-Respond-With": "no-content"}
        headers = {**form, **authorization(settings.jina_api_key, "JINA_API_KEY")}
        self._endpoint = Endpoint(
            url=settings.jina_search_url,
            service="Jina search",
            key_setting="JINA_API_KEY",
            error=SearchError,
            headers=headers,
            failed_usage=Usage(searches=1),
            answers=frozenset({_NOTHING_FOUND}),
            upstream=search_upstream(settings, search_rate(settings, _RATE if settings.jina_api_key else None)),
        )
        self._client = create_client()

    async def search(self, query: SearchQuery, options: SearchOptions) -> Found:
        """As the contract in `base.py` says. With JINA_SEARCH_PER_KEYWORD there may be more results than asked for."""
        wanted = self._per_query or options.max_results
        answer = await post_json(
            self._client,
            self._endpoint,
            google_payload(query, options) | {"num": wanted},
            timeout_seconds=options.timeout_seconds,
            max_bytes=self._most_bytes,
            headers=self._patience(options.timeout_seconds),
        )
        items = answer.get("data")
        if not isinstance(items, list):
            items = answer.get("results")
        if not isinstance(items, list):
            message = self._endpoint.said(answer.get("readableMessage") or answer.get("message"))
            if answer.get("code") != _NOTHING_FOUND:
                raise await self._endpoint.malformed("neither `data` nor `results` is a list")
            if "no search results" not in message.lower():
                raise self._endpoint.fails(f"refused the query: {message}")
            items = []
        results = [result for item in items if isinstance(item, dict) and (result := _result(item, query.text)).url]
        usage = Usage(searches=1, provider_tokens=_tokens(answer, items))
        return Found(results[:wanted], usage)

    async def close(self) -> None:
        """Close connections."""
        await self._client.aclose()

    def _patience(self, seconds: float) -> dict[str, str]:
        """How long it may collect page contents: a little less than we wait, so that it answers with those it has by then."""
        return {"X-Timeout": str(max(1, min(int(seconds) - 1, _LONGEST_SECONDS)))} if self._with_content else {}


def _result(item: dict[str, Any], query: str) -> SearchResult:
    return search_result(
        JinaSearch.name,
        query,
        url=item.get("url"),
        title=item.get("title"),
        snippet=item.get("description") or item.get("snippet"),
        published=item.get("date") or item.get("publishedTime"),
        content=item.get("content"),
    )


def _tokens(answer: dict[str, Any], items: list[Any]) -> int:
    """What the search cost: the total where one is given (charged also for a search without contents), else the items' sum."""
    meta = answer.get("meta")
    if isinstance(meta, dict):
        usage = meta.get("usage")
        total = usage.get("tokens") if isinstance(usage, dict) else meta.get("credits")
        if total is not None:
            return count_field(total)
    usages = [item.get("usage") for item in items if isinstance(item, dict)]
    return count_field(sum(count_field(usage.get("tokens")) for usage in usages if isinstance(usage, dict)))
