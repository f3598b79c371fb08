"""arXiv: papers, by GET from ARXIV_SEARCH_URL."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from lxml import etree

from providers.hostnames import within
from providers.http import Endpoint, create_client, get_body
from providers.lexical import content_terms
from providers.search.base import Found, SearchOptions
from providers.search.limits import search_upstream, spaced
from providers.search.results import search_result
from schemas.errors import SearchError
from schemas.search import SearchQuery, SearchResult
from schemas.settings import Settings
from schemas.usage import Usage

_INTERVAL_SECONDS = 3.0
"""Least time between requests, which go one at a time; arXiv's terms of use for its API."""
_MOST_BYTES = 5_000_000
_MOST_TERMS = 30
_ATOM = "{http://www.w3.org/2005/Atom}"
_DAYS = {"hour": 1, "day": 1, "week": 7, "month": 31, "year": 366}  # papers have dates, not hours


class ArxivSearch:
    """Answers queries with papers and their abstracts. Place and language do not apply to papers."""

    name = "arxiv"

    def __init__(self, settings: Settings, interval_seconds: float = _INTERVAL_SECONDS) -> None:
        self._endpoint = Endpoint(
            url=settings.arxiv_search_url,
            service="arXiv",
            key_setting="",
            error=SearchError,
            headers={"Accept": "application/atom+xml"},
            failed_usage=Usage(searches=1),
            pause_seconds=interval_seconds,
            upstream=search_upstream(settings, spaced(settings, interval_seconds), at_once=1),
        )
        self._client = create_client()

    async def search(self, query: SearchQuery, options: SearchOptions) -> Found:
        """As the contract in `base.py` says. Waiting for its turn counts against the time of a query."""
        terms = content_terms(query.text, "")[:_MOST_TERMS]
        if not terms or (options.only_hostnames and not within("arxiv.org", options.only_hostnames)):
            return Found([])
        body = await get_body(
            self._client,
            self._endpoint,
            _parameters(terms, query, options),
            timeout_seconds=options.timeout_seconds,
            max_bytes=_MOST_BYTES,
        )
        results = [self._result(entry, query.text) for entry in await self._entries(body)]
        return Found([result for result in results if result.url][: options.max_results], Usage(searches=1))

    async def close(self) -> None:
        """Close connections."""
        await self._client.aclose()

    async def _entries(self, body: bytes) -> list[Any]:
        # With the encoding fixed, no declaration hides a document type; without one there are no entities to expand.
        parser = etree.XMLParser(encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
        if b"<!DOCTYPE" in body:
            raise await self._endpoint.malformed("an Atom feed has no document type")
        try:
            feed = etree.fromstring(body, parser)
        except etree.XMLSyntaxError:
            feed = None
        if feed is None or feed.tag != f"{_ATOM}feed":
            raise await self._endpoint.malformed("not an Atom feed")
        return list(feed.iterfind(f"{_ATOM}entry"))

    def _result(self, entry: Any, query: str) -> SearchResult:
        url, summary = _text(entry, "id"), _text(entry, "summary")
        if "/api/errors" in url:
            raise self._endpoint.fails(f"refused the query: {self._endpoint.said(summary)}")
        return search_result(
            self.name,
            query,
            url=f"https://{url.removeprefix('http://')}" if url.startswith("http://") else url,
            title=_text(entry, "title"),
            snippet=summary,
            published=_text(entry, "published"),
        )


def _parameters(terms: list[str], query: SearchQuery, options: SearchOptions) -> dict[str, str | int]:
    """Papers with any of the terms; arXiv puts those with most of them first."""
    wanted = " OR ".join(f"all:{term}" for term in terms)
    if query.time_range:
        now = datetime.now(timezone.utc)
        since = now - timedelta(days=_DAYS[query.time_range])
        wanted = f"({wanted}) AND submittedDate:[{since:%Y%m%d}0000 TO {now:%Y%m%d}2359]"
    return {"search_query": wanted, "max_results": options.max_results}


def _text(entry: Any, name: str) -> str:
    """The text of a child, its white space collapsed; arXiv breaks lines at 80 characters."""
    return " ".join((entry.findtext(f"{_ATOM}{name}") or "").split())
