"""What a person asks of a run, and what comes back."""

from typing import Dict, List, Literal, Optional

from docarray import BaseDoc, DocList

from schemas.reading import Attachment, RelatedImage
from schemas.support import Citations, SupportReport
from schemas.usage import Usage

Effort = Literal["low", "medium", "high"]

StopReason = Literal[
    "answered",  # an answer passed its evaluation (or was accepted directly)
    "attempts",  # every criterion used up its attempts; this is the best answer from what was found
    "token_budget",
    "time_budget",
    "money_budget",
    "call_budget",  # the limit on model calls
    "no_progress",  # several steps in a row found nothing new
    "no_evidence",  # nothing that was read holds an answer; the answer says so
    "model_error",  # the model failed for good; this is the best answer from what was found
    "step_limit",
    "cancelled",
    "error",
]


class Message(BaseDoc):
    """One turn of a conversation. System messages say how answers are to be written and what they are to be about."""

    role: Literal["system", "user", "assistant"] = "user"
    content: str = ""
    attachments: DocList[Attachment] = DocList[Attachment]()
    """Images and documents of a user's turn."""


class ResearchRequest(BaseDoc):
    """A question and everything that bounds the run which answers it.

    A limit of None takes the default of `reasoning_effort` (tokens and attempts) or of the settings (the others).
    """

    question: str = ""
    """The question; when empty, the last user message is the question."""
    messages: DocList[Message] = DocList[Message]()
    """The conversation so far, oldest first; the last turn is the user's."""
    run_id: str = ""
    """Chosen by the caller, or made by the controller when empty."""
    owner: str = ""
    """The key that the run belongs to, empty: nobody. The gateway sets it, whatever a client has written here; no event holds it."""
    reasoning_effort: Effort = "medium"
    budget_tokens: Optional[int] = None
    budget_seconds: Optional[float] = None
    budget_usd: Optional[float] = None
    max_searches: Optional[int] = None
    max_pages: Optional[int] = None
    max_llm_calls: Optional[int] = None
    max_attempts: Optional[int] = None
    """How often an answer may fail one criterion before that criterion is dropped."""
    no_direct_answer: bool = False
    """True: even the first step's answer is evaluated."""
    boost_hostnames: List[str] = []
    bad_hostnames: List[str] = []
    only_hostnames: List[str] = []
    mode: Literal["answer", "report"] = "answer"
    """`report`: a long text in sections, with an outline."""
    words: Optional[int] = None
    """Length of a report; None: what the question asks for, or what is found carries."""
    plan_first: bool = False
    """True: a report's outline waits for approval before it is written."""
    team_size: int = 1
    """How many researchers share the question; each gets a sub-problem and a share of the budget."""
    citations: Optional[Citations] = None
    """What happens to sentences that no evidence supports; None: the setting DEEPSEARCH_CITATIONS."""
    allow_guess: bool = False
    """True: where nothing that was read answers, the model may answer from memory, and says so."""
    polish: bool = False
    """True: a model rewrites the accepted answer for better reading, without a claim more."""
    max_references: Optional[int] = None
    """None: 10, of a report 100."""
    language_code: Optional[str] = None
    """Language of the answer (ISO 639-1, optionally with a region); None: the question's language."""
    search_language_code: Optional[str] = None
    search_provider: Optional[str] = None
    corpus: str = ""
    """Folder of documents to search; empty: the configured one."""
    json_schema: str = ""
    """JSON Schema, as text, that the answer is also wanted in; empty: only the text."""
    with_images: bool = False
    """True: the images of the pages that are read are collected too."""
    today: Optional[str] = None
    """Date that the run takes for today (ISO 8601), as when a recorded run is replayed; None: the date of its start."""


class Reference(BaseDoc):
    """A numbered footnote: the verbatim span of a page that a part of the answer rests on."""

    number: int = 0
    """n of the marker `[^n]`, counted from 1 in order of first appearance."""
    evidence_id: str = ""
    page_id: str = ""
    url: str = ""
    title: str = ""
    quote: str = ""
    """Exactly `page.text[start:end]`."""
    start: int = 0
    end: int = 0
    published: Optional[str] = None
    """ISO 8601 date of the page, when known."""
    modified: Optional[str] = None
    """ISO 8601 date of its last change, when known."""
    read_at: Optional[str] = None
    """When it was fetched, ISO 8601, UTC."""


class ResearchAnswer(BaseDoc):
    """How a run ended. `text` is Markdown with `[^n]` markers and no footnote definitions; those are `references`."""

    run_id: str = ""
    question: str = ""
    text: str = ""
    references: DocList[Reference] = DocList[Reference]()
    stop_reason: StopReason
    mode: Literal["model", "extractive"]
    """`extractive`: no language model was used; the text is made of verbatim passages."""
    json_text: str = ""
    """The answer as JSON that fits `json_schema`; empty when none was asked for, or none could be made."""
    json_error: str = ""
    """Why there is no JSON although it was asked for."""
    direct: bool = False
    """True when the first step answered without reading anything."""
    guessed: bool = False
    """True when nothing that was read answers and the model was allowed to answer from memory."""
    support: SupportReport = SupportReport()
    """For every statement of `text`: whether its evidence says it."""
    images: DocList[RelatedImage] = DocList[RelatedImage]()
    """Only when images were asked for."""
    language_code: str = ""
    """Language of the answer."""
    notice: str = ""
    """What a reader must know about how the answer came about; empty when there is nothing to say."""
    usage: Usage = Usage()
    usage_by_stage: Dict[str, int] = {}
    """Tokens spent, by endpoint."""
    seconds: float = 0.0
    steps: int = 0
    queries: List[str] = []
    visited_urls: List[str] = []
    """Pages that were asked for, in order."""
    read_urls: List[str] = []
    """Pages that were read."""
    found_urls: List[str] = []
    """Candidates that were ranked but never visited, best first."""


class RunQuery(BaseDoc):
    """Which run, or which runs, an endpoint is asked about."""

    run_id: str = ""
    """Empty: the newest runs."""
    owner: str = ""
    """The key whose runs are meant, beside nobody's. The gateway sets it, whatever a client has written here."""
    limit: int = 20
    """From 1 to 1000."""
    after: int = 0
    """For `/events`: sequence of the last event that is known already."""
    after_offset: int = 0
    """For `/events`: characters of the answer that are known already, when it was being written after that event."""


class PageQuery(BaseDoc):
    """Which page of a run is wanted."""

    run_id: str = ""
    page_id: str = ""


class RunSummary(BaseDoc):
    """One line about a run."""

    run_id: str = ""
    question: str = ""
    state: Literal["running", "waiting", "finished", "failed", "cancelled", "interrupted"] = "running"
    """`waiting`: for an outline to be approved."""
    stop_reason: str = ""
    started_at: float = 0.0
    """Seconds since the epoch."""
    seconds: float = 0.0
    steps: int = 0
    total_tokens: int = 0
    background: bool = False
    """True: it goes on without a client, and after a restart of the controller."""
    parent: str = ""
    """The run whose sub-problem this one works on; such runs are not listed with the others."""


class RunReport(BaseDoc):
    """A run as far as it has come."""

    run: RunSummary = RunSummary()
    answer: Optional[ResearchAnswer] = None
    """Only of a run that has ended and found something to say."""
    code: str = ""
    """failed: code of the error."""
    message: str = ""


class RunList(BaseDoc):
    """Runs, newest first."""

    runs: DocList[RunSummary] = DocList[RunSummary]()
