"""The contract of a search provider."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from schemas.search import SearchQuery, SearchResult
from schemas.usage import Usage


@dataclass(frozen=True)
class SearchOptions:
    """What bounds one search, beside the query."""

    max_results: int = 10
    timeout_seconds: float = 10.0
    only_hostnames: tuple[str, ...] = ()
    corpus: str = ""


@dataclass(frozen=True)
class Found:
    """Results of one query, best first, and what they cost."""

    results: list[SearchResult]
    usage: Usage = field(default_factory=Usage)


class SearchProvider(Protocol):
    """Answers one query. An empty list means that there is nothing; whatever went wrong is raised as `SearchError`."""

    name: str

    async def search(self, query: SearchQuery, options: SearchOptions) -> Found:
        """Search. Raises `SearchError` (also for a timeout, 401, 402 and 429, each said in the message)."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...
