"""Serper: Google's results, by POST to SERPER_SEARCH_URL."""

from __future__ import annotations

from typing import Any

from providers.http import Endpoint, create_client, post_json, required_key
from providers.search.base import Found, SearchOptions
from providers.search.google import google_payload
from providers.search.limits import search_rate, search_upstream
from providers.search.results import search_result
from providers.upstream import Rate
from schemas.errors import SearchError
from schemas.search import SearchQuery, SearchResult
from schemas.settings import Settings
from schemas.usage import Usage

_KEY_HEADER = "X-API-KEY"
_RATE = Rate(50, 1.0)
"""Of the smallest paid plan, by Serper's price list (https://serper.dev); a limit that is reached says so with status 429."""


class SerperSearch:
    """Answers queries from Serper: the answer box and the knowledge graph, where they name a page, then the organic results."""

    name = "serper"

    def __init__(self, settings: Settings) -> None:
        """Raises `ConfigurationError` without a key."""
        self._endpoint = Endpoint(
            url=settings.serper_search_url,
            service="Serper",
            key_setting="SERPER_API_KEY",
            error=SearchError,
            headers={_KEY_HEADER: required_key(settings.serper_api_key, "SERPER_API_KEY")},
            failed_usage=Usage(searches=1),
            key_header=_KEY_HEADER,
            upstream=search_upstream(settings, search_rate(settings, _RATE)),
        )
        self._client = create_client()

    async def search(self, query: SearchQuery, options: SearchOptions) -> Found:
        """As the contract in `base.py` says."""
        payload = google_payload(query, options) | {"autocorrect": False}
        answer = await post_json(self._client, self._endpoint, payload, timeout_seconds=options.timeout_seconds)
        # Only an answer that repeats the parameters of its search may leave out the list.
        organic = answer.get("organic", [] if "searchParameters" in answer else None)
        if not isinstance(organic, list):
            raise await self._endpoint.malformed("`organic` is not a list")
        items = [answer.get("answerBox"), answer.get("knowledgeGraph"), *organic]
        results = [result for item in items if isinstance(item, dict) and (result := _result(item, query.text)).url]
        return Found(results[: options.max_results], Usage(searches=1))

    async def close(self) -> None:
        """Close connections."""
        await self._client.aclose()


def _result(item: dict[str, Any], query: str) -> SearchResult:
    """The answer box says `answer` for `snippet`; the knowledge graph takes its `description` from `descriptionLink`."""
    return search_result(
        SerperSearch.name,
        query,
        url=item.get("link") or item.get("descriptionLink") or item.get("website"),
        title=item.get("title"),
        snippet=item.get("snippet") or item.get("answer") or item.get("description"),
        published=item.get("date"),
    )
