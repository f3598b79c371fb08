"""What the query planner is asked, and what it decides."""

from typing import List, Literal, Optional

from docarray import BaseDoc, DocList

from schemas.knowledge import DiaryEntry, Knowledge
from schemas.ranking import RankedUrl
from schemas.reading import Attachment
from schemas.research import Message
from schemas.search import SearchQuery, SearchResult
from schemas.usage import Allowance, Usage

Action = Literal["search", "visit", "reflect", "answer", "coding"]
Criterion = Literal["definitive", "freshness", "plurality", "completeness", "attribution", "strict"]


class UnderstandRequest(BaseDoc):
    """A question whose language, style and criteria are wanted."""

    question: str = ""
    language_code: Optional[str] = None
    allowance: Allowance = Allowance()


class Understanding(BaseDoc):
    """How to answer: in which language and style, and what the answer must satisfy."""

    language_code: str = "en"
    language_style: str = ""
    """A short phrase, such as "formal English"."""
    criteria: List[Criterion] = []
    """In the order of evaluation: definitive, freshness, plurality or completeness, attribution, strict."""
    mode: Literal["model", "extractive"] = "extractive"
    """Whether a language model drives this run."""
    model: str = ""
    """Name of the planner's model; empty in extractive mode."""
    usage: Usage = Usage()


class DecideRequest(BaseDoc):
    """Everything the planner may use to choose the next action.

    Order matters: what comes first never changes within a run, so a provider's prompt cache serves it again.
    """

    question: str = ""
    """The original question."""
    messages: DocList[Message] = DocList[Message]()
    """Earlier turns of the conversation, without the question itself."""
    language_style: str = ""
    knowledge: DocList[Knowledge] = DocList[Knowledge]()
    """In order of arrival."""
    current_question: str = ""
    """The open question this step works on; equal to `question` or a sub-question."""
    allowed_actions: List[Action] = []
    urls: DocList[RankedUrl] = DocList[RankedUrl]()
    """The best unread candidates, best first, at most 20."""
    queries: List[str] = []
    """Every query sent so far."""
    questions: List[str] = []
    """Every question raised so far, the original first."""
    diary: DocList[DiaryEntry] = DocList[DiaryEntry]()
    improvements: List[str] = []
    """Improvement plans of rejected answers to the original question."""
    idle_steps: int = 0
    """Steps in a row that found nothing new; from 2 on, a different angle is wanted."""
    step: int = 1
    budget_left: float = 1.0
    """Share of the regular budget that is left, 0 to 1."""
    date: str = ""
    """Today, ISO 8601, UTC."""
    allowance: Allowance = Allowance()


class DescribeRequest(BaseDoc):
    """An image that came with the question."""

    question: str = ""
    image: Attachment = Attachment()
    allowance: Allowance = Allowance()


class Description(BaseDoc):
    """What an image shows, in words; in prompts it stands for the image."""

    text: str = ""
    usage: Usage = Usage()


class Decision(BaseDoc):
    """One action with its payload. Only the field of the chosen action is set."""

    action: Action
    think: str = ""
    """Why, in the user's language."""
    queries: List[str] = []
    """search: at most 5."""
    urls: List[str] = []
    """visit: at most 5, taken from the request's `urls`."""
    questions: List[str] = []
    """reflect: at most 2."""
    answer: str = ""
    """answer: Markdown that cites evidence as `[e1]`; empty asks the finalizer to compose it."""
    code_issue: str = ""
    """coding: what to compute, with its inputs."""
    decided_by: Literal["model", "rules"] = "rules"
    usage: Usage = Usage()


class DecomposeRequest(BaseDoc):
    """A question that several researchers are to share."""

    question: str = ""
    messages: DocList[Message] = DocList[Message]()
    language_style: str = ""
    team_size: int = 2
    """How many sub-problems are wanted."""
    date: str = ""
    allowance: Allowance = Allowance()


class Decomposition(BaseDoc):
    """Sub-problems that overlap as little as they can and together make up the question; one, when it cannot be split."""

    questions: List[str] = []
    """Each stands for itself, without reference to the others; at most `team_size`."""
    think: str = ""
    decided_by: Literal["model", "rules"] = "rules"
    usage: Usage = Usage()


class RewriteRequest(BaseDoc):
    """Search requests to be turned into queries that a search engine answers well."""

    question: str = ""
    requests: List[str] = []
    think: str = ""
    soundbites: List[str] = []
    """What the first search found, in short."""
    queries: List[str] = []
    """Every query sent so far, not to be repeated."""
    search_language_code: Optional[str] = None
    most: int = 5
    """How many queries are wanted at most."""
    date: str = ""
    allowance: Allowance = Allowance()


class Rewriting(BaseDoc):
    """Rewritten queries, at most as many as were asked for."""

    queries: DocList[SearchQuery] = DocList[SearchQuery]()
    think: str = ""
    usage: Usage = Usage()


class ClusterRequest(BaseDoc):
    """Search results to be condensed into what they say together."""

    question: str = ""
    results: DocList[SearchResult] = DocList[SearchResult]()
    allowance: Allowance = Allowance()


class Cluster(BaseDoc):
    """One insight that several results share."""

    insight: str = ""
    question: str = ""
    urls: List[str] = []


class Clustering(BaseDoc):
    """At most 5 clusters; none in extractive mode."""

    clusters: DocList[Cluster] = DocList[Cluster]()
    usage: Usage = Usage()


class CodeRequest(BaseDoc):
    """A computation, in words. The planner writes a program for it and runs it in the sandbox."""

    issue: str = ""
    knowledge: DocList[Knowledge] = DocList[Knowledge]()
    allowance: Allowance = Allowance()


class CodeResult(BaseDoc):
    """What the program printed or returned."""

    output: str = ""
    source_code: str = ""
    attempts: int = 0
    think: str = ""
    usage: Usage = Usage()
