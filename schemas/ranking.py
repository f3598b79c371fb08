"""Candidate URLs and their order; texts and their duplicates."""

from typing import List, Optional

from docarray import BaseDoc, DocList

from schemas.usage import Allowance, Usage


class Candidate(BaseDoc):
    """A URL that could be visited."""

    url: str = ""
    title: str = ""
    description: str = ""
    weight: float = 1.0
    """How often it was found: 1 for each search result or message, 0.1 for each link on a page."""
    published: Optional[str] = None
    """ISO 8601 date, when a search provider gave one."""
    page_id: str = ""
    """Id of the stored page when its text was delivered with the search results: visiting it fetches nothing."""


class RankRequest(BaseDoc):
    """Candidates to be ordered for a question. Visited URLs are not among them."""

    question: str = ""
    candidates: DocList[Candidate] = DocList[Candidate]()
    boost_hostnames: List[str] = []
    bad_hostnames: List[str] = []
    only_hostnames: List[str] = []
    per_hostname: int = 2
    limit: int = 20
    date: str = ""
    """Today, ISO 8601, for the freshness of candidates."""
    fresh: bool = False
    """True: the question asks for recent information, so freshness counts even where no weight is configured for it."""
    allowance: Allowance = Allowance()


class RankedUrl(BaseDoc):
    """A candidate with its place's reason."""

    url: str = ""
    title: str = ""
    description: str = ""
    score: float = 0.0
    """0 to 5, by the formula in the ranker."""


class Ranking(BaseDoc):
    """The best candidates, best first, at most `limit`, at most `per_hostname` of one host."""

    urls: DocList[RankedUrl] = DocList[RankedUrl]()
    candidates: int = 0
    """How many candidates passed the host filters."""
    errors: List[str] = []
    """Why relevance is lexical although a rerank or embedding provider is configured; empty otherwise."""
    usage: Usage = Usage()


class DedupeRequest(BaseDoc):
    """Texts of which only those that say something new are wanted."""

    texts: List[str] = []
    existing: List[str] = []
    allowance: Allowance = Allowance()


class DedupeResponse(BaseDoc):
    """The new texts, in their order."""

    texts: List[str] = []
    errors: List[str] = []
    """Why texts were compared by their words although an embedding provider is configured; empty otherwise."""
    usage: Usage = Usage()
