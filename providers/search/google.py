"""The parameters of Google's search, which several services take as they are."""

from __future__ import annotations

from typing import Any

from providers.search.base import SearchOptions
from providers.search.query_text import on_hostnames
from schemas.search import SearchQuery

_TIME_RANGES = {"hour": "qdr:h", "day": "qdr:d", "week": "qdr:w", "month": "qdr:m", "year": "qdr:y"}


def google_payload(query: SearchQuery, options: SearchOptions) -> dict[str, Any]:
    """The object to post: the text with its hostnames, the number of results, and the filters that are set."""
    payload: dict[str, Any] = {"q": on_hostnames(query.text, options.only_hostnames), "num": options.max_results}
    if query.time_range:
        payload["tbs"] = _TIME_RANGES[query.time_range]
    if query.location:
        payload["location"] = query.location
    if query.language_code:
        payload["hl"] = query.language_code
    return payload
