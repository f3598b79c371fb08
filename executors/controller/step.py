"""A step of the loop: how one begins and ends, what it may do, and the calls it makes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from docarray import DocList

from executors.controller.answer import answer_of
from executors.controller.state import Outcome, RunState
from schemas.events import Effect, EffectKind
from schemas.knowledge import DiaryEntry, Knowledge
from schemas.planning import Action
from schemas.ranking import Candidate
from schemas.research import StopReason
from schemas.support import Contradiction, Statement, SupportReport

MOST_OPEN_QUESTIONS = 2
"""With more open questions than this, none is added."""
MOST_CANDIDATES_TO_SEARCH = 50
"""With as many unread candidates, reading comes before searching."""
MOST_IDLE_STEPS = 4
"""After as many steps in a row without anything new, the run answers with what it has."""

# Longest that one call of a kind may take, in seconds, whatever the budget leaves.
_SECONDS: Mapping[EffectKind, float] = {
    "understand": 120, "rank": 30, "decide": 180, "dedupe": 30, "search": 60, "rewrite": 120, "cluster": 120, "read": 90,
    "code": 180, "compose": 300, "evaluate": 300, "analyze": 120, "finalize": 60, "structure": 120,
    "describe": 120, "check": 180, "revise": 300, "decompose": 120, "reduce": 300, "digest": 120, "synthesize": 180,
    "outline": 180, "section": 300, "illustrate": 60,
}  # fmt: skip
_WITHOUT_MODEL: set[EffectKind] = {"rank", "dedupe", "search", "read", "finalize", "illustrate"}
_FINAL_KINDS: set[EffectKind] = {"check", "finalize", "structure", "illustrate"}
_CALLS_TO_REVISE = 2
"""A revision, and the check after it."""
_LEAST_MODEL_SECONDS = 1.0
"""With less time than this left for the final answer, no model is asked for it any more."""
_ALL_ACTIONS: tuple[Action, ...] = ("search", "visit", "reflect", "answer", "coding")


def next_step(state: RunState) -> RunState:
    """Begin the next step, or the final answer when there may be no next step."""
    reason = state.budget.exhausted(model=state.uses_model)
    if reason:
        return finish(state, reason)
    if state.idle_steps >= MOST_IDLE_STEPS:
        return finish(state, "no_progress")
    if state.total_step >= state.limits.steps:
        return finish(state, "step_limit")
    total_step = state.total_step + 1
    question = state.gaps[total_step % len(state.gaps)]
    state = changed(state, phase="research", step=state.step + 1, total_step=total_step, current_question=question)
    state = changed(state, decision=None, draft="", support=None)
    ranked_for = f"{question}\n{len(state.visited)}\n{sum(candidate.weight for candidate in state.pool.values()):.3f}"
    if not unread(state):
        return call(changed(state, ranked=(), ranked_for=ranked_for, candidates=0), "decide")
    if ranked_for == state.ranked_for:
        return call(state, "decide")
    return call(changed(state, ranked_for=ranked_for), "rank")


def unread(state: RunState) -> list[Candidate]:
    """Candidates that were not visited, in order of arrival."""
    visited = set(state.visited)
    return [candidate for key, candidate in state.pool.items() if key not in visited]


def allowed_actions(state: RunState) -> list[Action]:
    """What the present step may do."""
    forbidden = set(state.blocked)
    if state.total_step == 1:
        forbidden.add("coding")
        if any(criterion == "freshness" for criterion, _ in state.criteria):
            forbidden |= {"answer", "reflect"}
    if len(state.gaps) > MOST_OPEN_QUESTIONS:
        forbidden.add("reflect")
    if not unread(state) or not state.ranked or state.budget.pages_left == 0:
        forbidden.add("visit")
    if state.candidates >= MOST_CANDIDATES_TO_SEARCH or state.budget.searches_left == 0:
        forbidden.add("search")
    if not state.uses_model:
        forbidden |= {"reflect", "coding"}
    allowed = [action for action in _ALL_ACTIONS if action not in forbidden]
    if allowed:
        return allowed
    # Nothing the flags leave can be done, so the flags of the last step give way.
    return ["search", "answer"] if state.budget.searches_left else ["answer"]


def end_step(state: RunState, *, progress: bool, blocked: tuple[Action, ...] = ()) -> RunState:
    """End a step; `blocked` are the actions that the next step may not take."""
    return next_step(changed(state, blocked=blocked, idle_steps=0 if progress else state.idle_steps + 1))


def finish(state: RunState, reason: StopReason) -> RunState:
    """Make the final answer: from the draft when there is one for the question itself, otherwise from all that is known.

    A report that ends before its last section is as long as what was checked of it.
    """
    draft = ""
    support: SupportReport | None = None
    if state.sections:
        draft, support = joined_sections(state.sections, state.section_support)
        state = changed(state, revised=True)  # each by itself
    elif state.current_question == state.question and state.phase != "report":
        draft, support = state.draft, state.support
    state = changed(
        state, phase="ending", stop_reason=reason, current_question=state.question, draft=draft, support=support, failed_calls=0
    )
    known = any(item.evidence or item.kind in ("qa", "coding") for item in state.knowledge)
    if not draft and (known or state.request.allow_guess):
        return call(state, "compose")
    return proof(state) or call(state, "finalize")


def is_unsourced(state: RunState) -> bool:
    """Whether the draft was not taken from pages, so that it cannot be held against them."""
    return state.draft_is_direct or state.draft_is_guess


def proof(state: RunState) -> RunState | None:
    """What the draft needs before it is published: a check, or to be put right, once; None when it needs neither.

    What no evidence supports is put right, and everything is when polish was asked for, as far as model and budget allow it.
    """
    if not state.draft or is_unsourced(state):
        return None
    checked, support = state.request.citations != "off", state.support
    if checked and support is None:
        return call(state, "check")
    wanted = state.request.polish or (support is not None and support.unsupported > 0)
    if not wanted or state.revised or not _can_revise(state):
        return None
    return call(changed(state, revised=True, unrevised=(state.draft, support) if support else None), "revise")


def _can_revise(state: RunState) -> bool:
    final = state.phase == "ending"
    enough = state.budget.calls_left(final=final) >= _CALLS_TO_REVISE and state.budget.exhausted(model=True, final=final) is None
    return state.uses_model and not state.model_failed and enough


def joined_sections(sections: Sequence[str], reports: Sequence[SupportReport]) -> tuple[str, SupportReport]:
    """The sections of a report as one draft, and their verdicts with spans in it."""
    text = ""
    joined = SupportReport(id="")
    statements: list[Statement] = []
    contradictions: list[Contradiction] = []
    for section, report in zip(sections, reports, strict=True):
        text += "\n\n" if text else ""
        before = len(statements)
        for statement in report.statements:
            statements.append(statement.model_copy(update={"start": statement.start + len(text), "end": statement.end + len(text)}))
        for contradiction in report.contradictions:
            contradictions.append(contradiction.model_copy(update={"statement": contradiction.statement + before}))
        joined.supported += report.supported
        joined.partly += report.partly
        joined.unsupported += report.unsupported
        joined.judged_by = "model" if "model" in (joined.judged_by, report.judged_by) else "rules"
        text += section
    joined.statements = DocList[Statement](statements)
    joined.contradictions = DocList[Contradiction](contradictions)
    return text, joined


def end(state: RunState, outcome: Outcome, *, code: str = "", message: str = "") -> RunState:
    """The run is over; nothing that comes later changes it."""
    ended = {"cancelled": "cancelled", "failed": "error", "finished": state.stop_reason}
    state = changed(
        state,
        outcome=outcome,
        stop_reason=ended[outcome],
        pending=(),
        budget=state.budget.release_all(),
        error_code=code or state.error_code,
        error_message=message or state.error_message,
    )
    return changed(state, answer=answer_of(state))


def changed(state: RunState, **changes: Any) -> RunState:
    """The state with some fields changed."""
    return state.model_copy(update=changes)


def learned(state: RunState, item: Knowledge) -> RunState:
    """The state that knows one thing more."""
    return changed(state, knowledge=(*state.knowledge, item))


def noted(state: RunState, outcome: str, *, items: Iterable[str] = (), answer: str = "", note: str = "") -> RunState:
    """Write what this step did into the diary."""
    entry = DiaryEntry(
        id="",
        step=state.step,
        action=state.decision.action if state.decision else "",
        outcome=outcome,
        question=state.current_question,
        items=list(items),
        answer=answer,
        note=note,
    )
    return changed(state, diary=(*state.diary, entry))


def call(state: RunState, kind: EffectKind, *, question: str = "", items: Iterable[str] = (), searches: int = 0) -> RunState:
    """Make one call pending; see `call_all`."""
    if kind == "decide":
        items = allowed_actions(state)
    return call_all(state, kind, [list(items)], question=question, searches=searches)


def call_all(
    state: RunState, kind: EffectKind, items: list[list[str]], *, question: str = "", searches: int = 0, pages: int = 0
) -> RunState:
    """Make calls pending that run at once, with what the budget allows each of them; at the end of the budget, finish instead."""
    final = kind in _FINAL_KINDS or state.phase == "ending"
    reason = None if final else state.budget.exhausted(model=state.uses_model)
    if reason and state.phase != "attachments":
        return finish(state, reason)
    may_use_model = kind not in _WITHOUT_MODEL and (state.uses_model or kind == "understand") and not state.model_failed
    if final and state.budget.seconds_left(final=True) < _LEAST_MODEL_SECONDS:
        may_use_model = False
    effects = tuple(
        state.budget.allow(
            Effect(
                id=f"{state.sequence}.{kind}.{number}",
                kind=kind,
                question=question or state.current_question,
                items=each,
                searches=searches,
                pages=pages,
            ),
            model=may_use_model,
            seconds=_SECONDS[kind],
            final=final,
            shared_by=len(items),
        )
        for number, each in enumerate(items, start=1)
    )
    return changed(state, pending=effects)
