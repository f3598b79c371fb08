"""What happens during a run: the entries of its journal and the pieces of its stream.

A run is exactly the sequence of its events; its state can be rebuilt from them (`executors.controller.run.apply`).
On the wire each event is a `ResearchEvent`; `data` holds the fields of the class that `type` names. The list is additive:
names and fields never change their meaning, and a reader ignores types and fields that it does not know.
"""

from typing import Annotated, Any, Dict, List, Literal, Optional, Union

from docarray import BaseDoc
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from schemas.answering import Draft, StructuredAnswer
from schemas.evaluation import Analysis, Evaluation
from schemas.planning import Clustering, CodeResult, Decision, Decomposition, Description, Rewriting, Understanding
from schemas.ranking import DedupeResponse, Ranking
from schemas.reading import Illustration, Image, Link, Page, Passage
from schemas.reporting import Digest, Outline, Synthesis
from schemas.research import Reference, ResearchAnswer, ResearchRequest
from schemas.search import SearchResponse
from schemas.support import SupportReport
from schemas.usage import Usage

EffectKind = Literal[
    "understand",
    "rank",
    "decide",
    "dedupe",
    "search",
    "rewrite",
    "cluster",
    "read",
    "code",
    "compose",
    "evaluate",
    "analyze",
    "finalize",
    "structure",
    "describe",
    "check",
    "revise",
    "decompose",
    "delegate",
    "reduce",
    "digest",
    "synthesize",
    "outline",
    "section",
    "illustrate",
]
"""What a run can ask for; `/` plus the kind is the endpoint of a stage, save for `delegate`, which is a run of its own."""


class Record(BaseModel):
    """Base of the values below: immutable, unknown fields ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Limits(Record):
    """What a run may spend, fixed at its start."""

    tokens: int = Field(description="Prompt, completion and provider tokens together.")
    seconds: float = Field(description="Wall time from start to answer.")
    usd: Optional[float] = Field(None, description="Money; null: no limit.")
    searches: int = Field(description="Queries sent.")
    pages: int = Field(description="Pages fetched.")
    llm_calls: int = Field(description="Model requests.")
    steps: int = Field(description="Decisions taken.")
    attempts: int = Field(description="How often an answer may fail one criterion before the criterion is dropped.")


class Effect(Record):
    """One call to a stage that the run wants made, with what is reserved for it."""

    id: str = Field(description="Unique within the run.")
    kind: EffectKind
    question: str = Field("", description="The question it serves.")
    items: List[str] = Field([], description="Queries, URLs, texts or criteria, by kind.")
    tokens: int = Field(0, description="Tokens reserved.")
    llm_calls: int = Field(0, description="Model requests reserved.")
    searches: int = Field(0, description="Queries reserved.")
    pages: int = Field(0, description="Pages reserved.")
    usd: Optional[float] = Field(None, description="Money reserved; null: no limit.")
    seconds: float = Field(60.0, description="Time allowed.")


class RunStarted(Record):
    """A question was accepted."""

    type: Literal["run_started"] = "run_started"
    request: ResearchRequest
    limits: Limits
    background: bool = Field(False, description="It goes on without a client, and after a restart of the controller.")
    parent: str = Field("", description="The run whose sub-problem this one works on.")
    traceparent: str = Field("", description="The trace it belongs to (W3C Trace Context); empty when none was made.")


class StageCalled(Record):
    """A call to a stage began; its allowance is reserved."""

    type: Literal["stage_called"] = "stage_called"
    effect: Effect


class CallFailed(Record):
    """A call to a stage failed; what it spent is settled."""

    type: Literal["call_failed"] = "call_failed"
    effect_id: str
    code: str = Field(description="Code of the error, from the error tree.")
    message: str
    field: str = Field("", description="What the error names: a field of the request, a setting, or the part of the allowance used up.")
    usage: Usage = Usage()


class Understood(Record):
    """Language, style and criteria of the question are known."""

    type: Literal["understood"] = "understood"
    effect_id: str
    understanding: Understanding


class Ranked(Record):
    """The candidate URLs are in order."""

    type: Literal["ranked"] = "ranked"
    effect_id: str
    ranking: Ranking


class Decided(Record):
    """The next action is chosen."""

    type: Literal["decided"] = "decided"
    effect_id: str
    decision: Decision


class Deduped(Record):
    """Of some texts, the new ones are known."""

    type: Literal["deduped"] = "deduped"
    effect_id: str
    response: DedupeResponse


class Searched(Record):
    """Search results arrived."""

    type: Literal["searched"] = "searched"
    effect_id: str
    response: SearchResponse


class Rewritten(Record):
    """Search requests became queries."""

    type: Literal["rewritten"] = "rewritten"
    effect_id: str
    rewriting: Rewriting


class Clustered(Record):
    """Search results were condensed."""

    type: Literal["clustered"] = "clustered"
    effect_id: str
    clustering: Clustering


class PageRead(Record):
    """A page was read. Its text is stored beside the journal, under its id; here `page.text` is empty."""

    type: Literal["page_read"] = "page_read"
    effect_id: str
    page: Page
    passages: List[Passage] = []
    links: List[Link] = []
    images: List[Image] = Field([], description="Only when the request asked for images.")
    usage: Usage = Usage()


class Described(Record):
    """What an attached image shows is known."""

    type: Literal["described"] = "described"
    effect_id: str
    description: Description


class Computed(Record):
    """A program gave its result."""

    type: Literal["computed"] = "computed"
    effect_id: str
    result: CodeResult


class Composed(Record):
    """A draft was written from what is known."""

    type: Literal["composed"] = "composed"
    effect_id: str
    draft: Draft


class Evaluated(Record):
    """An answer was held against its criteria."""

    type: Literal["evaluated"] = "evaluated"
    effect_id: str
    evaluation: Evaluation


class Analyzed(Record):
    """Why an answer failed is known."""

    type: Literal["analyzed"] = "analyzed"
    effect_id: str
    analysis: Analysis


class Finalized(Record):
    """The answer's text and references are final."""

    type: Literal["finalized"] = "finalized"
    effect_id: str
    text: str
    references: List[Reference] = []
    composed_by: Literal["model", "rules", "draft"] = "draft"
    error: str = Field("", description="Why a model could not write it, when the rules had to.")
    abstained: bool = Field(False, description="Nothing that was read answers, and the text says so.")
    support: SupportReport = Field(SupportReport(), description="The verdict on every statement of the text.")
    usage: Usage = Usage()


class Checked(Record):
    """Every statement of a draft was held against the evidence."""

    type: Literal["checked"] = "checked"
    effect_id: str
    support: SupportReport


class Revised(Record):
    """A draft was put right where its evidence did not support it."""

    type: Literal["revised"] = "revised"
    effect_id: str
    draft: Draft


class Decomposed(Record):
    """The question was split into sub-problems."""

    type: Literal["decomposed"] = "decomposed"
    effect_id: str
    decomposition: Decomposition


class Delegated(Record):
    """A researcher of the team has ended; its run can be followed by its own id."""

    type: Literal["delegated"] = "delegated"
    effect_id: str
    answer: ResearchAnswer
    usage: Usage = Usage()


class Reduced(Record):
    """The answers of the team were merged into one draft."""

    type: Literal["reduced"] = "reduced"
    effect_id: str
    draft: Draft


class Digested(Record):
    """What one page says about the question is known."""

    type: Literal["digested"] = "digested"
    effect_id: str
    digest: Digest


class Synthesized(Record):
    """What the pages say together is known."""

    type: Literal["synthesized"] = "synthesized"
    effect_id: str
    synthesis: Synthesis


class Outlined(Record):
    """The outline of the report is there; when the request asks for it, the run waits for its approval."""

    type: Literal["outlined"] = "outlined"
    effect_id: str
    outline: Outline


class OutlineApproved(Record):
    """The run goes on with this outline."""

    type: Literal["outline_approved"] = "outline_approved"
    outline: Outline


class SectionWritten(Record):
    """A section of the report was drafted."""

    type: Literal["section_written"] = "section_written"
    effect_id: str
    draft: Draft


class Illustrated(Record):
    """The images that fit the answer are known."""

    type: Literal["illustrated"] = "illustrated"
    effect_id: str
    illustration: Illustration


class Structured(Record):
    """The answer is there as JSON too."""

    type: Literal["structured"] = "structured"
    effect_id: str
    answer: StructuredAnswer


class RunResumed(Record):
    """An interrupted run goes on; calls that were in flight are made again."""

    type: Literal["run_resumed"] = "run_resumed"
    after_death: bool = Field(
        False, description="Whoever drove the run had died, or lost the journal, and never gave it up; a client that left is no death."
    )


class RunCancelled(Record):
    """The run was stopped by its owner."""

    type: Literal["run_cancelled"] = "run_cancelled"


class AnswerDelta(Record):
    """A piece of the answer as it is written. Streamed only: the journal holds the whole answer."""

    type: Literal["answer_delta"] = "answer_delta"
    text: str
    offset: int = Field(0, description="Characters of the answer before this piece; 0: the answer begins, perhaps anew.")


class RunEnded(Record):
    """The last event of every stream: how the run ended. Streamed only: it follows from the events before it."""

    type: Literal["run_ended"] = "run_ended"
    outcome: Literal["finished", "failed", "cancelled", "interrupted", "waiting"] = Field(
        description="interrupted: the run stopped before its end and can be resumed; waiting: it goes on when its outline is approved."
    )
    answer: Optional[ResearchAnswer] = Field(None, description="Also for failed and cancelled runs, when there is anything to say.")
    code: str = Field("", description="failed: code of the error.")
    message: str = Field("", description="failed: one line naming the cause and the fix.")
    field: str = Field("", description="failed: the field of the request that has to change, if it is one.")


JournalEvent = Annotated[
    Union[
        RunStarted,
        StageCalled,
        CallFailed,
        Understood,
        Ranked,
        Decided,
        Deduped,
        Searched,
        Rewritten,
        Clustered,
        PageRead,
        Described,
        Computed,
        Composed,
        Evaluated,
        Analyzed,
        Finalized,
        Structured,
        Checked,
        Revised,
        Decomposed,
        Delegated,
        Reduced,
        Digested,
        Synthesized,
        Outlined,
        OutlineApproved,
        SectionWritten,
        Illustrated,
        RunResumed,
        RunCancelled,
    ],
    Field(discriminator="type"),
]
"""Everything that changes a run's state: the closed set that the journal holds."""

JOURNAL_EVENT: TypeAdapter[JournalEvent] = TypeAdapter(JournalEvent)


class ResearchEvent(BaseDoc):
    """One event of a run as it travels to a client."""

    run_id: str = ""
    sequence: int = 0
    """Position in the journal, counted from 1; events that are only streamed repeat the position before them."""
    time: float = 0.0
    """Seconds since the epoch."""
    type: str = ""
    """Which event; the names are the `type` values of the classes in this module."""
    data: Dict[str, Any] = {}
    """Fields of that class; those that have their default are left out."""


RESULT_OF_EFFECT: dict[str, str] = {
    "understand": "understood",
    "rank": "ranked",
    "decide": "decided",
    "dedupe": "deduped",
    "search": "searched",
    "rewrite": "rewritten",
    "cluster": "clustered",
    "read": "page_read",
    "code": "computed",
    "compose": "composed",
    "evaluate": "evaluated",
    "analyze": "analyzed",
    "finalize": "finalized",
    "structure": "structured",
    "describe": "described",
    "check": "checked",
    "revise": "revised",
    "decompose": "decomposed",
    "delegate": "delegated",
    "reduce": "reduced",
    "digest": "digested",
    "synthesize": "synthesized",
    "outline": "outlined",
    "section": "section_written",
    "illustrate": "illustrated",
}
"""The event with which each kind of effect succeeds."""
