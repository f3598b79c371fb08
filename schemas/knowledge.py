"""What a run has learned: evidence from pages, knowledge made of it, and the diary of its steps."""

from typing import List, Literal, Optional

from docarray import BaseDoc, DocList


class Evidence(BaseDoc):
    """A verbatim span of a page that was read. An answer may cite nothing else."""

    evidence_id: str = ""
    """`e1`, `e2` ... in order of arrival within the run; answers cite it as `[e1]`."""
    page_id: str = ""
    url: str = ""
    title: str = ""
    quote: str = ""
    """Exactly `page.text[start:end]`."""
    start: int = 0
    end: int = 0
    score: float = 0.0
    """Relevance to the question it was selected for, 0 to 1."""
    published: Optional[str] = None
    modified: Optional[str] = None
    read_at: Optional[str] = None
    """When the page was fetched, ISO 8601, UTC."""


class Knowledge(BaseDoc):
    """One thing learned. Items are only ever appended, so that prompts made of them keep their beginning."""

    kind: Literal["qa", "side-info", "url", "coding"] = "qa"
    """`url`: passages of a page; `side-info`: search snippets (no evidence); `qa`: an answered sub-question or a
    lesson from a rejected answer; `coding`: the result of a computation."""
    question: str = ""
    answer: str = ""
    evidence: DocList[Evidence] = DocList[Evidence]()
    updated: Optional[str] = None
    """ISO 8601 date of the information, when known."""
    source_code: str = ""


class DiaryEntry(BaseDoc):
    """What one step did and what came of it. The planner renders it; the state machine only records it."""

    step: int = 0
    action: str = ""
    outcome: Literal["done", "nothing_new", "failed", "accepted", "rejected"] = "done"
    question: str = ""
    items: List[str] = []
    """Queries, URLs, questions or the code issue, by action."""
    answer: str = ""
    note: str = ""
    """The evaluator's reasoning, or why the step failed."""
