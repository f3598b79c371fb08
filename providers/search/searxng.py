"""SearXNG: a metasearch engine that anyone can run, by GET from SEARXNG_URL."""

from __future__ import annotations

from math import isfinite
from typing import Any

from providers.http import Endpoint, create_client, get_json
from providers.search.base import Found, SearchOptions
from providers.search.limits import search_rate, search_upstream
from providers.search.query_text import near, on_hostnames
from providers.search.results import search_result
from schemas.errors import ConfigurationError, SearchError
from schemas.search import SearchQuery, SearchResult
from schemas.settings import Settings
from schemas.usage import Usage

_TIME_RANGES = {"hour": "day", "day": "day", "week": "week", "month": "month", "year": "year"}  # a day is the shortest there is
_MOST_ENGINES_NAMED = 5


class SearxngSearch:
    """Answers queries from a SearXNG server. A place is sought as words of the query: SearXNG knows none."""

    name = "searxng"

    def __init__(self, settings: Settings) -> None:
        """Raises `ConfigurationError` without an address."""
        if settings.searxng_url is None:
            raise ConfigurationError("SEARXNG_URL is not set", field="SEARXNG_URL")
        self._endpoint = Endpoint(
            url=f"{settings.searxng_url.rstrip('/')}/search",
            service="SearXNG",
            key_setting="",
            error=SearchError,
            failed_usage=Usage(searches=1),
            meanings={403: "does not answer in JSON: add `json` to `search.formats` in its settings.yml (HTTP 403)"},
            upstream=search_upstream(settings, search_rate(settings)),
        )
        self._client = create_client()

    async def search(self, query: SearchQuery, options: SearchOptions) -> Found:
        """As the contract in `base.py` says. Nothing found while engines failed is a failure too: nobody knows."""
        answer = await get_json(self._client, self._endpoint, _parameters(query, options), timeout_seconds=options.timeout_seconds)
        items = answer.get("results")
        if not isinstance(items, list):
            raise await self._endpoint.malformed("`results` is not a list")
        found = [item for item in items if isinstance(item, dict)]
        best = max((_score(item) for item in found), default=0.0)
        results = [result for item in found if (result := _result(item, query.text, best)).url]
        if not results and (failed := self._unresponsive(answer.get("unresponsive_engines"))):
            raise self._endpoint.fails(f"found nothing, and some of its engines did not answer: {failed}")
        return Found(results[: options.max_results], Usage(searches=1))

    async def close(self) -> None:
        """Close connections."""
        await self._client.aclose()

    def _unresponsive(self, engines: object) -> str:
        """Names of engines, from pairs of a name and a cause."""
        pairs = engines if isinstance(engines, list) else []
        names = [self._endpoint.said(pair[0])[:50] for pair in pairs[:_MOST_ENGINES_NAMED] if isinstance(pair, list) and pair]
        return ", ".join(filter(None, names))


def _parameters(query: SearchQuery, options: SearchOptions) -> dict[str, str | int]:
    parameters: dict[str, str | int] = {"q": on_hostnames(near(query.text, query.location), options.only_hostnames), "format": "json"}
    if query.time_range:
        parameters["time_range"] = _TIME_RANGES[query.time_range]
    if query.language_code:
        parameters["language"] = query.language_code
    return parameters


def _result(item: dict[str, Any], query: str, best: float) -> SearchResult:
    return search_result(
        SearxngSearch.name,
        query,
        url=item.get("url"),
        title=item.get("title"),
        snippet=item.get("content"),
        published=item.get("publishedDate"),
        score=_score(item) / best if best else 0.0,
    )


def _score(item: dict[str, Any]) -> float:
    """A result's score; it grows with the number of engines that agree and has no upper end. 0 when there is none."""
    score = item.get("score")
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 < score < 1e9 or not isfinite(score):
        return 0.0
    return float(score)
