"""Jina search: the web, by POST to JINA_SEARCH_URL."""

from __future__ import annotations

from typing import Any

from providers.http import Endpoint, authorization, count_field, create_client, post_json, text_field
from providers.search.base import Found, SearchOptions
from providers.search.google import google_payload
from providers.search.results import search_result
from schemas.errors import SearchError
from schemas.search import SearchQuery, SearchResult
from schemas.settings import Settings
from schemas.usage import Usage

_NOTHING_FOUND = 422
"""Jina's status for a query without results (and for a query it cannot use)."""


class JinaSearch:
    """Answers queries from Jina's search service, or from any server that speaks its wire format.

    Understands both of its answers: `{data: [{title, description, url, ...}]}` and `{results: [{title, snippet, url}],
    meta: {credits}}`.
    """

    name = "jina"

    def __init__(self, settings: Settings) -> None:
        # Titles and snippets only: with page contents a search costs ten times as much and takes as long as reading.
        headers = {"X-Respond-With": "no-content", **authorization(settings.jina_api_key, "JINA_API_KEY")}
        self._endpoint = Endpoint(
            url=settings.jina_search_url,
            service="Jina search",
            key_setting="JINA_API_KEY",
            error=SearchError,
            headers=headers,
            failed_usage=Usage(searches=1),
            answers=frozenset({_NOTHING_FOUND}),
        )
        self._client = create_client()

    async def search(self, query: SearchQuery, options: SearchOptions) -> Found:
        """As the contract in `base.py` says."""
        answer = await post_json(self._client, self._endpoint, google_payload(query, options), timeout_seconds=options.timeout_seconds)
        items = answer.get("data")
        if not isinstance(items, list):
            items = answer.get("results")
        if not isinstance(items, list):
            message = text_field(answer.get("readableMessage") or answer.get("message"), 200)
            if answer.get("code") != _NOTHING_FOUND:
                raise self._endpoint.fails("sent a malformed body: neither `data` nor `results` is a list")
            if "no search results" not in message.lower():
                raise self._endpoint.fails(f"refused the query: {' '.join(message.split())}")
            items = []
        results = [result for item in items if isinstance(item, dict) and (result := _result(item, query.text)).url]
        usage = Usage(searches=1, provider_tokens=_tokens(answer, items))
        return Found(results[: options.max_results], usage)

    async def close(self) -> None:
        """Close connections."""
        await self._client.aclose()


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
