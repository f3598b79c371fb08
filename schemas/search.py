"""What is searched for, and what a search provider found."""

from typing import List, Literal, Optional

from docarray import BaseDoc, DocList

from schemas.usage import Allowance, Usage

TimeRange = Literal["hour", "day", "week", "month", "year"]


class SearchQuery(BaseDoc):
    """One query. Filters are set only when the planner asked for them."""

    text: str = ""
    time_range: Optional[TimeRange] = None
    location: Optional[str] = None
    language_code: Optional[str] = None


class SearchRequest(BaseDoc):
    """Queries of one step; they run in parallel."""

    queries: DocList[SearchQuery] = DocList[SearchQuery]()
    only_hostnames: List[str] = []
    bad_hostnames: List[str] = []
    provider: Optional[str] = None
    """None: the configured chain."""
    corpus: str = ""
    """Folder for the local provider; empty: the configured one."""
    max_results: int = 10
    """Per query."""
    timeout_seconds: float = 10.0
    allowance: Allowance = Allowance()
    """A provider that bills tokens is skipped when its worst case does not fit."""


class SearchResult(BaseDoc):
    """One result, the same whoever found it."""

    url: str = ""
    title: str = ""
    snippet: str = ""
    query: str = ""
    """Text of the query that found it."""
    source: str = ""
    """Name of the provider."""
    published: Optional[str] = None
    content: str = ""
    """Full text, when the provider delivered it; within a run it is stored as a page and empty here."""
    page_id: str = ""
    """Id of the stored page that holds the delivered text; empty: the page must be fetched to be read."""
    score: float = 0.0
    """The provider's own relevance, 0 to 1; 0 when it gives none."""


class QueryOutcome(BaseDoc):
    """What happened to one query."""

    query: str = ""
    provider: str = ""
    """The provider that answered; empty when none did."""
    results: int = 0
    errors: List[str] = []
    """One line per provider that was tried and failed, or found nothing."""


class SearchResponse(BaseDoc):
    """Results of all queries, in the order of the queries, and what happened to each query."""

    results: DocList[SearchResult] = DocList[SearchResult]()
    outcomes: DocList[QueryOutcome] = DocList[QueryOutcome]()
    usage: Usage = Usage()
