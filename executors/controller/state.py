"""Everything that is known of a run at one moment."""

from __future__ import annotations

import hashlib
import re
from typing import Literal

from pydantic import Field

from executors.controller.budget import Budget
from schemas.answering import ReducePart
from schemas.events import Effect, Finalized, Limits, PageRead, Record
from schemas.knowledge import DiaryEntry, Knowledge
from schemas.planning import Action, Criterion, Decision, Understanding
from schemas.ranking import Candidate, RankedUrl
from schemas.reading import Illustration, Image
from schemas.reporting import Digest, Outline, Synthesis
from schemas.research import ResearchAnswer, ResearchRequest, StopReason
from schemas.search import SearchQuery, SearchResult
from schemas.support import SupportReport

Outcome = Literal["running", "finished", "failed", "cancelled"]
Phase = Literal["attachments", "team", "research", "report", "ending"]
"""What a run is busy with: the files that came with the question, the researchers of a team, the loop, a report, the final answer."""


class RunState(Record):
    """The state of a run: a value that follows from the run's events alone (`run.apply`)."""

    request: ResearchRequest
    budget: Budget
    question: str = Field(description="The question, trimmed.")
    background: bool = Field(False, description="Nobody waits for it.")
    parent: str = Field("", description="The run whose sub-problem this one works on.")
    begun_at: float = Field(0.0, description="When it was begun, in seconds since the epoch: the time of its first event.", exclude=True)
    traceparent: str = Field("", description="The trace it belongs to; says nothing of the run, so the digest is without it.", exclude=True)
    outcome: Outcome = "running"
    phase: Phase = "attachments"
    stop_reason: StopReason | None = None
    sequence: int = Field(0, description="How many events were applied.")

    # What may run now: effects of the present phase that have no result yet.
    pending: tuple[Effect, ...] = ()

    # What came with the question.
    described: dict[str, str] = Field({}, description="What attached images show, by their URLs.")
    unread: tuple[str, ...] = Field((), description="Why attachments could not be read.")

    # The loop.
    step: int = Field(0, description="Steps since the last rejected answer.")
    total_step: int = 0
    idle_steps: int = Field(0, description="Steps in a row that found nothing new.")
    failed_calls: int = Field(0, description="Failed attempts in a row at a call the loop cannot do without.")
    deaths_in_vain: int = Field(0, description="Controllers in a row that died before any call came to an end.")
    blocked: tuple[Action, ...] = Field((), description="Actions that the last step forbids to the next one.")
    current_question: str = ""
    understanding: Understanding = Understanding(id="")
    criteria: tuple[tuple[Criterion, int], ...] = Field((), description="What the answer must pass, with attempts left.")
    gaps: tuple[str, ...] = Field((), description="Open questions, the original first.")
    questions: tuple[str, ...] = Field((), description="Every question raised, the original first.")
    sub_attempts: dict[str, int] = Field({}, description="Rejected answers by sub-question.")
    decision: Decision | None = None
    draft: str = Field("", description="The answer under evaluation, or accepted.")
    support: SupportReport | None = Field(None, description="The verdicts on the draft; null: it was not checked.")
    revised: bool = Field(False, description="The draft was put right once; it is not again.")
    unrevised: tuple[str, SupportReport] | None = Field(None, description="Draft and verdicts before the revision.")
    draft_is_direct: bool = False
    draft_is_guess: bool = Field(False, description="It is from the model's memory.")
    model_failed: bool = Field(False, description="The final answer is to be made without the model.")
    improvements: tuple[str, ...] = ()

    # The team.
    team: tuple[str, ...] = Field((), description="The sub-problems.")
    team_answers: dict[str, ResearchAnswer] = Field({}, description="Answers that arrived, by sub-problem.")
    parts: tuple[ReducePart, ...] = Field((), description="The answers, citing evidence of this run.")

    # The report.
    rounds: int = Field(0, description="Rounds of search for the report.")
    articles: tuple[str, ...] = Field((), description="URLs of the pages that wait for their digest, or have it.")
    digests: dict[str, Digest] = Field({}, description="What pages say, by URL.")
    synthesis: Synthesis = Synthesis(id="")
    outline: Outline | None = None
    waiting: bool = Field(False, description="For the outline to be approved.")
    section_number: int = Field(0, description="Which section of the outline is being written.")
    sections: tuple[str, ...] = Field((), description="Sections that were checked, citing evidence.")
    section_support: tuple[SupportReport, ...] = Field((), description="Their verdicts.")

    # What was found.
    pool: dict[str, Candidate] = Field({}, description="Candidates by normalised URL.")
    visited: tuple[str, ...] = Field((), description="Normalised URLs that were asked for.")
    failed_reads: tuple[str, ...] = Field((), description="Normalised URLs that failed once and may be tried again.")
    read: tuple[str, ...] = ()
    ranked: tuple[RankedUrl, ...] = ()
    ranked_for: str = Field("", description="Question and pool that `ranked` was made for.")
    candidates: int = Field(0, description="Unread candidates that pass the host filters.")
    knowledge: tuple[Knowledge, ...] = ()
    evidence_count: int = 0
    images: tuple[Image, ...] = Field((), description="Images of the pages that were read, when they were asked for.")
    diary: tuple[DiaryEntry, ...] = ()
    queries: tuple[str, ...] = Field((), description="Every query sent.")

    # The search step under way.
    search_round: int = 0
    planned_queries: tuple[SearchQuery, ...] = ()
    step_results: tuple[SearchResult, ...] = ()
    step_queries: tuple[str, ...] = ()
    step_errors: tuple[str, ...] = ()
    pool_before: int = 0
    search_error: str = Field("", description="Why the last search that no provider answered failed.")

    # The visit under way.
    step_pages: tuple[str, ...] = ()
    step_read: dict[str, PageRead] = Field({}, description="Readings that arrived, by the URL that was asked for.")

    usage_by_stage: dict[str, int] = Field({}, description="Tokens by endpoint.")
    final: Finalized | None = Field(None, description="The finished text, while it is being put into JSON.")
    json_text: str = ""
    json_error: str = ""
    illustration: Illustration = Illustration(id="")
    answer: ResearchAnswer | None = None
    error_code: str = ""
    error_message: str = ""

    @property
    def uses_model(self) -> bool:
        """Whether a language model drives this run."""
        return self.understanding.mode == "model"

    @property
    def limits(self) -> Limits:
        """What the run may spend."""
        return self.budget.limits


_DOCUMENT_ID = re.compile(r'"id":(?:null|"[0-9a-f]*"),?')


def without_document_ids(text: str) -> str:
    """JSON without the random ids that docarray gives to documents, which say nothing; ids of effects and evidence stay.

    Quotes inside JSON strings are escaped, so text from outside cannot match.
    """
    return _DOCUMENT_ID.sub("", text)


def digest(state: RunState) -> str:
    """SHA-256 of the state in hexadecimal, without document ids, and without defaults, so that a new field changes no old digest."""
    return hashlib.sha256(without_document_ids(state.model_dump_json(exclude_defaults=True)).encode()).hexdigest()
