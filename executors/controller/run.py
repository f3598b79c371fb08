"""The research loop as a state machine: no clock, no randomness, no network.

    state = apply(state, event)        # what happened
    effects = next_effects(state)      # what may run now

    understand → (read attachments → describe images) → loop, team or report

    step → rank → decide ─┬─ search  → dedupe → search → rewrite → dedupe → search → cluster ─┐
     ▲                    ├─ visit   → read, in parallel ─────────────────────────────────────┤
     │                    ├─ reflect → dedupe ────────────────────────────────────────────────┤
     │                    ├─ coding  → code ──────────────────────────────────────────────────┤
     │                    └─ answer  → (compose) → evaluate ─┬─ rejected → analyze ────────────┤
     └───────────────────────────────────────────────────────┼────────────────────────────────┘
                          budget or attempts used up ────────┴─ accepted
                                                                   │
        (compose) → check → (revise → check) → finalize → (structure) → (illustrate) → finished

Each `on_…` function is one arrow: it takes the state in which a call was made and its result, and returns the next state, in
which `pending` holds the calls to make then. Every call is bounded by the budget at the moment it becomes pending. The
actions that take several calls are in `searching.py`, `visiting.py` and `answering.py`, what all steps share in `step.py`,
the way from a draft to the published answer in `publishing.py`, the other two kinds of run in `team.py` and `reporting.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from docarray import BaseDoc, DocList

from executors.controller import pool, publishing, reporting, team
from executors.controller.answering import after_rejection, judge, on_analyzed, on_composed, on_evaluated
from executors.controller.attachments import begin_attachments, end_descriptions, end_documents, on_described
from executors.controller.budget import Budget
from executors.controller.evidence import computed
from executors.controller.searching import after_search, begin_search, end_search, on_clustered, on_rewritten, on_searched, send_queries
from executors.controller.state import Phase, RunState
from executors.controller.step import call, changed, end, end_step, finish, learned, next_step, noted
from executors.controller.visiting import begin_visit, end_visit, keep_failure, keep_reading
from providers.journal.base import StoredEvent
from schemas import events as ev
from schemas.events import Effect, EffectKind, JournalEvent
from schemas.knowledge import Evidence, Knowledge
from schemas.ranking import DedupeResponse
from schemas.research import StopReason
from schemas.usage import Usage

MOST_QUESTIONS_PER_STEP = 2
MOST_FAILED_CALLS = 2
"""After as many failures in a row of a call that the loop needs, the run answers with what it has."""
MOST_DEATHS_IN_VAIN = 10
"""Controllers in a row that died before any call came to an end; a run that they die of must not go round among them for ever."""
_REASON_OF_FIELD: dict[str, StopReason] = {"tokens": "token_budget", "llm_calls": "call_budget", "cost_usd": "money_budget"}
"""Which limit an allowance that was too small stands for."""
_FATAL_CODES = {"not_recorded", "cache"}
"""A replay that goes on without what was recorded would be another run, and a recording with gaps could not be replayed."""
_HOPELESS_CODES = {"model_rejected", "configuration", "corpus", "invalid_request", "unauthorized"}


def next_effects(state: RunState) -> tuple[Effect, ...]:
    """The calls that may be made now: pending and not yet in flight. Empty when the run waits, or has ended."""
    return tuple(effect for effect in state.pending if effect.id not in state.budget.reserved)


def apply(state: RunState, stored: StoredEvent) -> RunState:
    """The state after an event. Total: an event that does not fit the state changes nothing but the budget and the clock."""
    event = stored.event
    if isinstance(event, ev.RunResumed):
        state = changed(state, sequence=stored.sequence, budget=state.budget.resumed(stored.time))
        return _on_death(state) if event.after_death else state
    goes_on = state.waiting and isinstance(event, ev.OutlineApproved | ev.RunCancelled)  # the time that somebody thought does not count
    budget = state.budget.resumed(stored.time) if goes_on else state.budget.at(stored.time)
    state = changed(state, sequence=stored.sequence, budget=budget)
    if state.outcome != "running":
        return state
    match event:
        case ev.RunStarted():
            return state
        case ev.StageCalled(effect=effect):
            return changed(state, budget=state.budget.reserve(effect)) if effect in next_effects(state) else state
        case ev.RunCancelled():
            return end(state, "cancelled")
        case ev.OutlineApproved():
            return reporting.on_approved(state, event)
    if event.effect_id not in state.budget.reserved:
        return state
    effect = state.budget.reserved[event.effect_id]
    usage = _usage_of(event)
    by_stage = {**state.usage_by_stage, f"/{effect.kind}": state.usage_by_stage.get(f"/{effect.kind}", 0) + usage.total_tokens}
    state = changed(state, budget=state.budget.settle(effect.id, usage), usage_by_stage=by_stage, deaths_in_vain=0)
    if effect not in state.pending:
        return state  # the run has moved on without waiting for it
    state = changed(state, pending=tuple(e for e in state.pending if e.id != effect.id))
    if isinstance(event, ev.CallFailed):
        return _on_failure(state, effect, event)
    if event.type != ev.RESULT_OF_EFFECT[effect.kind]:
        return state
    state = state if effect.kind not in ("decide", "understand") else changed(state, failed_calls=0)
    return _IN_PHASE.get(state.phase, {}).get(effect.kind, _ON_RESULT[effect.kind])(state, effect, event)


def _on_death(state: RunState) -> RunState:
    """The same calls again, unless whoever makes them dies of it."""
    state = changed(state, deaths_in_vain=state.deaths_in_vain + 1)
    if state.outcome != "running" or state.deaths_in_vain <= MOST_DEATHS_IN_VAIN:
        return state
    calls = ", ".join(sorted({f"/{effect.kind}" for effect in state.pending}))
    message = f"the run lost its controller {state.deaths_in_vain} times in a row during {calls}, which may be the cause"
    return end(state, "failed", code="stage_unavailable", message=message)


def begin(started: ev.RunStarted, time: float) -> RunState:
    """The state of a run that has just started. The last user message is the question when none is given."""
    request = started.request
    question = (request.question or next((m.content for m in reversed(request.messages) if m.role == "user"), "")).strip()
    named = [candidate for message in request.messages for candidate in pool.urls_in_text(message.content)]
    if all(question != message.content.strip() for message in request.messages):
        named += pool.urls_in_text(question)
    state = RunState(
        request=request,
        background=started.background,
        parent=started.parent,
        begun_at=time,
        traceparent=started.traceparent,
        budget=Budget(limits=started.limits, started_at=time, now=time),
        question=question,
        current_question=question,
        gaps=(question,),
        questions=(question,),
        pool=pool.add({}, named),
        sequence=1,
    )
    return call(state, "understand")


def replay(stored: Iterable[StoredEvent]) -> RunState:
    """Rebuild a run's state from its journal, without any call. Raises `ValueError` when the journal does not begin with its start."""
    state: RunState | None = None
    for entry in stored:
        if state is not None:
            state = apply(state, entry)
        elif isinstance(entry.event, ev.RunStarted):
            state = begin(entry.event, entry.time)
        else:
            raise ValueError(f"the journal begins with {entry.event.type}, not with run_started")
    if state is None:
        raise ValueError("the journal is empty")
    return state


def _on_understood(state: RunState, effect: Effect, event: ev.Understood) -> RunState:
    understanding = event.understanding
    criteria = tuple((criterion, state.limits.attempts) for criterion in understanding.criteria)
    return begin_attachments(changed(state, understanding=understanding, criteria=criteria))


def _on_ranked(state: RunState, effect: Effect, event: ev.Ranked) -> RunState:
    return call(changed(state, ranked=tuple(event.ranking.urls), candidates=event.ranking.candidates), "decide")


def _on_decided(state: RunState, effect: Effect, event: ev.Decided) -> RunState:
    decision = event.decision
    state = changed(state, decision=decision, blocked=())
    if decision.action not in effect.items:
        return end_step(noted(state, "failed", note=f"{decision.action} is not allowed now"), progress=False)
    match decision.action:
        case "search":
            return begin_search(state, decision.queries)
        case "visit":
            return begin_visit(state, decision.urls)
        case "reflect":
            questions = [q.strip() for q in decision.questions if q.strip()][:MOST_QUESTIONS_PER_STEP]
            return call(state, "dedupe", items=questions)
        case "coding":
            return call(state, "code", question=decision.code_issue)
        case "answer":
            draft = decision.answer.strip()
            return judge(changed(state, draft=draft)) if draft else call(state, "compose")


def _on_deduped(state: RunState, effect: Effect, event: ev.Deduped) -> RunState:
    new = [text for text in effect.items if text in event.response.texts]
    if state.decision is not None and state.decision.action == "reflect":
        state = noted(state, "done" if new else "nothing_new", items=new or effect.items)
        state = changed(state, gaps=state.gaps + tuple(new), questions=state.questions + tuple(new))
        return end_step(state, progress=bool(new), blocked=("reflect",))
    return send_queries(state, new)


def _on_computed(state: RunState, effect: Effect, event: ev.Computed) -> RunState:
    result = event.result
    _, found = computed(effect, result)
    found.evidence_id = f"e{state.evidence_count + 1}"
    item = Knowledge(id="", kind="coding", question=effect.question, answer=result.output, source_code=result.source_code)
    item.evidence = DocList[Evidence]([found] if result.output.strip() else [])
    state = learned(changed(state, evidence_count=state.evidence_count + len(item.evidence)), item)
    return end_step(noted(state, "done", items=[effect.question]), progress=True, blocked=("coding",))


def _on_page_read(state: RunState, effect: Effect, event: ev.PageRead) -> RunState:
    return _END_OF_READING.get(state.phase, end_visit)(keep_reading(state, effect, event))


def _on_failure(state: RunState, effect: Effect, event: ev.CallFailed) -> RunState:
    """Go on without what is optional, try again what is needed, and end with what there is when that fails too."""
    if event.code in _FATAL_CODES:
        return end(state, "failed", code=event.code, message=event.message)
    limit = _limit_of(state, event)
    match effect.kind:
        case "read":
            return _END_OF_READING.get(state.phase, end_visit)(keep_failure(state, effect, event))
        case "search" if event.code not in _HOPELESS_CODES and state.phase == "report":
            return reporting.without_results(state, event.message)
        case "search" if event.code not in _HOPELESS_CODES:
            return after_search(changed(state, step_errors=(*state.step_errors, event.message)))
        case "rewrite":
            return reporting.without_keywords(state) if state.phase == "report" else after_search(state)
        case "cluster":
            return end_search(state)
        case "dedupe":
            everything_is_new = DedupeResponse(id="", texts=effect.items)
            return _on_deduped(state, effect, ev.Deduped(effect_id=effect.id, response=everything_is_new))
        case "code":
            state = noted(state, "failed", items=[effect.question], note=event.message)
            return end_step(state, progress=False, blocked=("coding",))
        case "analyze":
            return after_rejection(state)
        case "describe":
            return end_descriptions(changed(state, unread=(*state.unread, event.message)))
        case "decompose" | "reduce":
            return next_step(state)
        case "delegate":
            return team.on_delegation_failed(state, effect, event)
        case "digest":
            return reporting.after_digest(state)
        case "synthesize":
            return reporting.on_synthesized(state, effect, ev.Synthesized(effect_id=effect.id, synthesis=state.synthesis))
        case "outline" if limit is None:
            return reporting.without_report(changed(state, error_code=event.code, error_message=event.message))
        case "section" if limit is None:
            return reporting.on_section_failed(state, effect, event)
        case "check":
            return publishing.without_check(state)
        case "revise":
            return publishing.without_revision(state)
        case "structure":
            return publishing.without_json(state, event.message)
        case "illustrate":
            return end(state, "finished")
        case "compose" if state.phase == "ending":
            return publishing.without_draft(changed(state, error_code=event.code, error_message=event.message))
        case "finalize":
            return _retry(state, effect, event)
    return finish(state, limit) if limit else _retry(state, effect, event)


def _limit_of(state: RunState, event: ev.CallFailed) -> StopReason | None:
    """The limit of the run that made a call fail, if it was one."""
    if event.code == "budget_exceeded":
        return state.budget.exhausted(model=state.uses_model) or _REASON_OF_FIELD.get(event.field, "token_budget")
    if event.code == "deadline_exceeded" and state.budget.seconds_left(final=False) <= 0:
        return "time_budget"
    return None


def _retry(state: RunState, effect: Effect, event: ev.CallFailed) -> RunState:
    """Make a needed call once more. Of the first one a run fails sooner: nothing is lost yet."""
    hopeless = event.code in _HOPELESS_CODES
    most = 1 if effect.kind == "understand" else MOST_FAILED_CALLS
    if effect.kind == "finalize":
        if state.failed_calls:
            return end(state, "failed", code=event.code, message=event.message)
        return call(changed(state, failed_calls=1), "finalize")
    if not hopeless and state.failed_calls < most:
        again = changed(state, failed_calls=state.failed_calls + 1)
        return call(again, effect.kind, question=effect.question, items=effect.items)
    if not (state.evidence_count or state.draft):
        return end(state, "failed", code=event.code, message=event.message)
    state = changed(state, model_failed=True, error_code=event.code, error_message=event.message)
    return finish(state, "model_error" if event.code.startswith("model") else "error")


def _usage_of(event: JournalEvent) -> Usage:
    """What a call spent; the events of stage results carry it in their result or beside it."""
    usage: Usage | None = getattr(event, "usage", None)
    if usage is not None:
        return usage
    results = (value for value in vars(event).values() if isinstance(value, BaseDoc))
    return next((result.usage for result in results if hasattr(result, "usage")), Usage())


_Handler = Callable[[RunState, Effect, Any], RunState]

_END_OF_READING: dict[Phase, Callable[[RunState], RunState]] = {"attachments": end_documents, "report": reporting.end_reading}
"""What follows the last page of a set, where it is not the end of a visit."""

_ON_RESULT: dict[EffectKind, _Handler] = {
    "understand": _on_understood,
    "rank": _on_ranked,
    "decide": _on_decided,
    "dedupe": _on_deduped,
    "search": on_searched,
    "rewrite": on_rewritten,
    "cluster": on_clustered,
    "read": _on_page_read,
    "code": _on_computed,
    "compose": on_composed,
    "evaluate": on_evaluated,
    "analyze": on_analyzed,
    "describe": on_described,
    "decompose": team.on_decomposed,
    "delegate": team.on_delegated,
    "reduce": team.on_reduced,
    "digest": reporting.on_digested,
    "synthesize": reporting.on_synthesized,
    "outline": reporting.on_outlined,
    "section": reporting.on_section_written,
    "check": publishing.on_checked,
    "revise": publishing.on_revised,
    "finalize": publishing.on_finalized,
    "structure": publishing.on_structured,
    "illustrate": publishing.on_illustrated,
}

_IN_PHASE: dict[Phase, dict[EffectKind, _Handler]] = {
    "report": {"rewrite": reporting.on_keywords, "search": reporting.on_results, "finalize": reporting.on_section_finalized},
    "ending": {"compose": publishing.on_last_composed},
}
"""Where a result means something else than in the loop."""
