"""The research loop as a state machine: no clock, no randomness, no network.

    state = apply(state, event)        # what happened
    effects = next_effects(state)      # what may run now

    understand → step → rank → decide ─┬─ search  → dedupe → search → rewrite → dedupe → search → cluster ─┐
                  ▲                    ├─ visit   → read, in parallel ─────────────────────────────────────┤
                  │                    ├─ reflect → dedupe ────────────────────────────────────────────────┤
                  │                    ├─ coding  → code ──────────────────────────────────────────────────┤
                  │                    └─ answer  → (compose) → evaluate ─┬─ rejected → analyze ────────────┤
                  └───────────────────────────────────────────────────────┼────────────────────────────────┘
                                       budget or attempts used up ────────┴─ accepted → finalize → finished

Each `_on_…` function below is one arrow: it takes the state in which a call was made and its result, and returns the next
state, in which `pending` holds the calls to make then. Every call is bounded by the budget at the moment it becomes pending.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from docarray import BaseDoc, DocList

from executors.controller import pool
from executors.controller.answer import answer_of
from executors.controller.budget import Budget
from executors.controller.state import Outcome, RunState, digest
from providers.journal.base import StoredEvent
from providers.reader.pages import normalise_url
from schemas import events as ev
from schemas.events import Effect, EffectKind, JournalEvent
from schemas.knowledge import DiaryEntry, Evidence, Knowledge
from schemas.planning import Action
from schemas.ranking import Candidate, DedupeResponse
from schemas.research import StopReason
from schemas.search import SearchQuery
from schemas.usage import Usage

__all__ = ["apply", "begin", "digest", "next_effects", "replay"]

MOST_QUERIES_PER_STEP = 5
MOST_URLS_PER_STEP = 5
MOST_QUESTIONS_PER_STEP = 2
MOST_OPEN_QUESTIONS = 2
"""With more open questions than this, none is added."""
MOST_CANDIDATES_TO_SEARCH = 50
"""With as many unread candidates, reading comes before searching."""
MOST_IDLE_STEPS = 4
"""After as many steps in a row without anything new, the run answers with what it has."""
MOST_FAILED_CALLS = 2
"""After as many failures in a row of a call that the loop needs, the run answers with what it has."""

# Longest that one call of a kind may take, in seconds, whatever the budget leaves.
_SECONDS: dict[EffectKind, float] = {
    "understand": 120, "rank": 30, "decide": 180, "dedupe": 30, "search": 60, "rewrite": 120, "cluster": 120, "read": 90,
    "code": 180, "compose": 300, "evaluate": 300, "analyze": 120, "finalize": 300,
}  # fmt: skip
_MODEL_KINDS = {"understand", "decide", "rewrite", "cluster", "code", "compose", "evaluate", "analyze", "finalize"}
_ALL_ACTIONS: tuple[Action, ...] = ("search", "visit", "reflect", "answer", "coding")
_BUDGET_CODES = {"budget_exceeded", "deadline_exceeded"}
_HOPELESS_CODES = {"model_rejected", "configuration", "corpus", "invalid_request", "unauthorized"}


# -- the two functions everything hangs on -----------------------------------------------------------------------------


def next_effects(state: RunState) -> tuple[Effect, ...]:
    """The calls that may be made now: pending and not yet in flight. Empty when the run waits, or has ended."""
    return tuple(effect for effect in state.pending if effect.id not in state.budget.reserved)


def apply(state: RunState, stored: StoredEvent) -> RunState:
    """The state after an event. Total: an event that does not fit the state changes nothing but the budget and the clock."""
    event = stored.event
    state = _with(state, sequence=stored.sequence, budget=state.budget.at(stored.time))
    if state.outcome != "running":
        return state
    match event:
        case ev.RunStarted():
            return state
        case ev.StageCalled(effect=effect):
            return _with(state, budget=state.budget.reserve(effect)) if effect in next_effects(state) else state
        case ev.RunCancelled():
            return _end(state, "cancelled")
        case ev.RunResumed():
            return _with(state, budget=state.budget.release_all())
    if event.effect_id not in state.budget.reserved:
        return state
    effect = state.budget.reserved[event.effect_id]
    usage = _usage_of(event)
    by_stage = {**state.usage_by_stage, f"/{effect.kind}": state.usage_by_stage.get(f"/{effect.kind}", 0) + usage.total_tokens}
    state = _with(state, budget=state.budget.settle(effect.id, usage), usage_by_stage=by_stage)
    if effect not in state.pending:
        return state  # the run has moved on without waiting for it
    state = _with(state, pending=tuple(e for e in state.pending if e.id != effect.id))
    if isinstance(event, ev.CallFailed):
        return _on_failure(state, effect, event)
    if event.type != ev.RESULT_OF_EFFECT[effect.kind]:
        return state
    state = state if effect.kind not in ("decide", "understand") else _with(state, failed_calls=0)
    return _ON_RESULT[effect.kind](state, effect, event)


def begin(started: ev.RunStarted, time: float) -> RunState:
    """The state of a run that has just started. The last user message is the question when none is given."""
    request = started.request
    question = (request.question or next((m.content for m in reversed(request.messages) if m.role == "user"), "")).strip()
    named = [candidate for message in request.messages for candidate in pool.urls_in_text(message.content)]
    if all(question != message.content.strip() for message in request.messages):
        named += pool.urls_in_text(question)
    state = RunState(
        request=request,
        budget=Budget(limits=started.limits, started_at=time, now=time),
        question=question,
        current_question=question,
        gaps=(question,),
        questions=(question,),
        pool=pool.add({}, named),
        sequence=1,
    )
    return _call(state, "understand")


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


# -- a step ------------------------------------------------------------------------------------------------------------


def _on_understood(state: RunState, effect: Effect, event: ev.Understood) -> RunState:
    understanding = event.understanding
    criteria = tuple((criterion, state.limits.attempts) for criterion in understanding.criteria)
    return _next_step(_with(state, understanding=understanding, criteria=criteria))


def _next_step(state: RunState) -> RunState:
    """Begin the next step, or the final answer when there may be no next step."""
    reason = state.budget.exhausted(model=state.uses_model)
    if reason:
        return _finish(state, reason)
    if state.idle_steps >= MOST_IDLE_STEPS:
        return _finish(state, "no_progress")
    if state.total_step >= state.limits.steps:
        return _finish(state, "step_limit")
    total_step = state.total_step + 1
    question = state.gaps[total_step % len(state.gaps)]
    state = _with(state, step=state.step + 1, total_step=total_step, current_question=question, decision=None, draft="")
    ranked_for = f"{question}\n{len(state.visited)}\n{sum(candidate.weight for candidate in state.pool.values()):.3f}"
    if not unread(state):
        return _call(_with(state, ranked=(), ranked_for=ranked_for, candidates=0), "decide")
    if ranked_for == state.ranked_for:
        return _call(state, "decide")
    return _call(_with(state, ranked_for=ranked_for), "rank")


def _on_ranked(state: RunState, effect: Effect, event: ev.Ranked) -> RunState:
    return _call(_with(state, ranked=tuple(event.ranking.urls), candidates=event.ranking.candidates), "decide")


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


def _on_decided(state: RunState, effect: Effect, event: ev.Decided) -> RunState:
    decision = event.decision
    state = _with(state, decision=decision, blocked=())
    if decision.action not in effect.items:
        return _end_step(_note(state, "failed", note=f"{decision.action} is not allowed now"), progress=False)
    match decision.action:
        case "search":
            return _begin_search(state, decision.queries)
        case "visit":
            return _begin_visit(state, decision.urls)
        case "reflect":
            questions = [q.strip() for q in decision.questions if q.strip()][:MOST_QUESTIONS_PER_STEP]
            return _call(state, "dedupe", items=questions)
        case "coding":
            return _call(state, "code", question=decision.code_issue)
        case "answer":
            draft = decision.answer.strip()
            return _judge(_with(state, draft=draft)) if draft else _call(state, "compose")


def _end_step(state: RunState, *, progress: bool, blocked: tuple[Action, ...] = ()) -> RunState:
    return _next_step(_with(state, blocked=blocked, idle_steps=0 if progress else state.idle_steps + 1))


# -- search ------------------------------------------------------------------------------------------------------------


def _begin_search(state: RunState, requests: list[str]) -> RunState:
    state = _with(state, search_round=1, planned_queries=(), step_results=(), step_queries=(), step_errors=(), pool_before=len(state.pool))
    wanted = list(dict.fromkeys(request.strip() for request in requests if request.strip()))[:MOST_QUERIES_PER_STEP]
    return _plan_queries(state, [SearchQuery(id="", text=text) for text in wanted])


def _plan_queries(state: RunState, queries: list[SearchQuery]) -> RunState:
    """Search with those of `queries` that are new; asking which are costs a call only when there is something to compare."""
    state = _with(state, planned_queries=tuple(queries))
    if len(queries) > 1 or (queries and state.queries):
        return _call(state, "dedupe", items=[query.text for query in queries])
    return _send_queries(state, [query.text for query in queries])


def _send_queries(state: RunState, texts: list[str]) -> RunState:
    texts = texts[: min(MOST_QUERIES_PER_STEP, state.budget.searches_left)]
    if not texts:
        return _after_search(state)
    state = _with(state, queries=state.queries + tuple(texts), step_queries=state.step_queries + tuple(texts))
    return _call(state, "search", items=texts, searches=len(texts))


def _on_deduped(state: RunState, effect: Effect, event: ev.Deduped) -> RunState:
    new = [text for text in effect.items if text in event.response.texts]
    if state.decision is not None and state.decision.action == "reflect":
        state = _note(state, "done" if new else "nothing_new", items=new or effect.items)
        state = _with(state, gaps=state.gaps + tuple(new), questions=state.questions + tuple(new))
        return _end_step(state, progress=bool(new), blocked=("reflect",))
    return _send_queries(state, new)


def _on_searched(state: RunState, effect: Effect, event: ev.Searched) -> RunState:
    results = event.response.results
    found = (
        Candidate(id="", url=result.url, title=result.title, description=result.snippet, weight=pool.SEARCH_WEIGHT) for result in results
    )
    errors = tuple(error for outcome in event.response.outcomes for error in outcome.errors)
    state = _with(
        state,
        pool=pool.add(state.pool, found),
        step_results=state.step_results + tuple(results),
        step_errors=state.step_errors + errors,
    )
    return _after_search(state)


def _after_search(state: RunState) -> RunState:
    """First round: rewrite the requests and search again. Second round: condense, and end the step."""
    if state.search_round == 1 and state.step_queries and state.budget.searches_left:
        return _call(_with(state, search_round=2), "rewrite", items=list(state.step_queries))
    if state.uses_model and state.step_results:
        return _call(_with(state, search_round=3), "cluster")
    return _end_search(state)


def _on_rewritten(state: RunState, effect: Effect, event: ev.Rewritten) -> RunState:
    unique = {query.text.strip(): query for query in event.rewriting.queries if query.text.strip()}
    return _plan_queries(state, list(unique.values())[:MOST_QUERIES_PER_STEP])


def _on_clustered(state: RunState, effect: Effect, event: ev.Clustered) -> RunState:
    learned = [
        Knowledge(id="", kind="side-info", question=cluster.question, answer=cluster.insight) for cluster in event.clustering.clusters
    ]
    return _end_search(_with(state, knowledge=state.knowledge + tuple(learned)))


def _end_search(state: RunState) -> RunState:
    new = len(state.pool) > state.pool_before
    if new:
        for query in state.step_queries:
            snippets = list(dict.fromkeys(r.snippet for r in state.step_results if r.query == query and r.snippet))
            if snippets:
                state = _learn(state, Knowledge(id="", kind="side-info", question=query, answer="; ".join(snippets)))
    failed = not state.step_results and bool(state.step_errors)
    outcome = "done" if new else "failed" if failed else "nothing_new"
    items = list(state.step_queries) or (state.decision.queries if state.decision else [])
    state = _note(state, outcome, items=items, note="; ".join(dict.fromkeys(state.step_errors)))
    # An answer straight after a search would rest on snippets that nobody has read.
    return _end_step(state, progress=new, blocked=("search", "answer"))


# -- visit -------------------------------------------------------------------------------------------------------------


def _begin_visit(state: RunState, urls: list[str]) -> RunState:
    """Read exactly the pages that were chosen, as far as they are candidates, unread, and within the budget."""
    chosen = list(dict.fromkeys(key for key in map(_key, urls) if key in state.pool and key not in state.visited))
    keys = chosen[: min(MOST_URLS_PER_STEP, state.budget.pages_left)]
    if not keys:
        return _end_step(_note(state, "nothing_new", items=urls), progress=False, blocked=("visit",))
    pages = tuple(state.pool[key].url for key in keys)
    state = _with(state, visited=state.visited + tuple(keys), step_pages=pages, step_read=(), step_errors=())
    return _call_all(state, "read", [[url] for url in pages], pages=1)


def _key(url: str) -> str:
    """Identity of a URL that a model chose; the URL itself when it is none, which is then no candidate."""
    try:
        return normalise_url(url)
    except ValueError:
        return url


def _on_page_read(state: RunState, effect: Effect, event: ev.PageRead) -> RunState:
    page = event.page
    evidence = [
        Evidence(
            id="",
            evidence_id=f"e{state.evidence_count + number}",
            page_id=page.page_id,
            url=page.url,
            title=page.title,
            quote=passage.text,
            start=passage.start,
            end=passage.end,
            score=passage.score,
            published=page.published,
        )
        for number, passage in enumerate(event.passages, start=1)
    ]
    links = (Candidate(id="", url=link.url, title=link.text, description=link.text, weight=pool.LINK_WEIGHT) for link in event.links)
    state = _with(
        state,
        read=(*state.read, page.url),
        step_read=(*state.step_read, *effect.items),
        evidence_count=state.evidence_count + len(evidence),
        pool=pool.add(state.pool, links),
    )
    if evidence:
        known = DocList[Evidence](evidence)
        state = _learn(
            state, Knowledge(id="", kind="url", question=effect.question, answer=page.title, evidence=known, updated=page.published)
        )
    return _end_visit(state)


def _end_visit(state: RunState) -> RunState:
    if state.pending:
        return state  # other pages of this step are still being read
    read = list(state.step_read)
    state = _note(state, "done" if read else "failed", items=read or list(state.step_pages), note="; ".join(state.step_errors))
    return _end_step(state, progress=bool(read), blocked=("visit",))


# -- coding ------------------------------------------------------------------------------------------------------------


def _on_computed(state: RunState, effect: Effect, event: ev.Computed) -> RunState:
    result = event.result
    state = _learn(state, Knowledge(id="", kind="coding", question=effect.question, answer=result.output, source_code=result.source_code))
    return _end_step(_note(state, "done", items=[effect.question]), progress=True, blocked=("coding",))


# -- answer ------------------------------------------------------------------------------------------------------------


def _on_composed(state: RunState, effect: Effect, event: ev.Composed) -> RunState:
    draft = event.draft.text.strip()
    if draft:
        return _judge(_with(state, draft=draft))
    state = _note(state, "nothing_new", note="nothing that was read answers the question")
    return _end_step(state, progress=False, blocked=("answer",))


def _judge(state: RunState) -> RunState:
    """Accept a first answer that needed no research, otherwise hold the answer against what its question demands."""
    original = state.current_question == state.question
    if original and state.total_step == 1 and state.uses_model and not state.request.no_direct_answer:
        return _finish(_with(state, draft_is_direct=True), "answered")
    criteria = [criterion for criterion, _ in state.criteria] if original else ["definitive"]
    return _call(state, "evaluate", items=criteria) if criteria else _finish(state, "answered")


def _on_evaluated(state: RunState, effect: Effect, event: ev.Evaluated) -> RunState:
    evaluation = event.evaluation
    original = state.current_question == state.question
    state = _note(state, "accepted" if evaluation.passed else "rejected", answer=state.draft, note=evaluation.think)
    if evaluation.passed and original:
        return _finish(state, "answered")
    if evaluation.passed:
        state = _learn(state, Knowledge(id="", kind="qa", question=state.current_question, answer=state.draft))
        return _end_step(_close(state, state.current_question), progress=True)
    if not original:
        failures = state.sub_attempts.get(state.current_question, 0) + 1
        state = _with(state, sub_attempts={**state.sub_attempts, state.current_question: failures})
        return _end_step(_close(state, state.current_question) if failures >= state.limits.attempts else state, progress=False)
    left = tuple((c, n - 1 if c == evaluation.failed_criterion else n) for c, n in state.criteria)
    state = _with(state, criteria=tuple((c, n) for c, n in left if n > 0))
    if evaluation.failed_criterion == "strict" and evaluation.improvement_plan:
        state = _with(state, improvements=(*state.improvements, evaluation.improvement_plan))
    # A verdict that names no criterion of ours would never use up an attempt.
    if not state.criteria or evaluation.failed_criterion not in effect.items:
        return _finish(_with(state, draft=""), "attempts")
    return _call(state, "analyze")


def _close(state: RunState, question: str) -> RunState:
    return _with(state, gaps=tuple(gap for gap in state.gaps if gap != question))


def _on_analyzed(state: RunState, effect: Effect, event: ev.Analyzed) -> RunState:
    analysis = event.analysis
    reason = state.diary[-1].note if state.diary else ""
    lesson = "\n".join(part for part in (state.draft, reason, analysis.recap, analysis.blame, analysis.improvement) if part)
    state = _learn(state, Knowledge(id="", kind="qa", question=f"Why was this answer rejected: {state.question}", answer=lesson))
    return _after_rejection(state)


def _after_rejection(state: RunState) -> RunState:
    """Start afresh: what was tried survives as knowledge, not as diary."""
    return _end_step(_with(state, diary=(), step=0), progress=False, blocked=("answer", "coding"))


# -- the end -----------------------------------------------------------------------------------------------------------


def _finish(state: RunState, reason: StopReason) -> RunState:
    """Make the final answer: from the draft when there is one for the question itself, otherwise from all that is known."""
    draft = state.draft if state.current_question == state.question else ""
    return _call(_with(state, stop_reason=reason, current_question=state.question, draft=draft, failed_calls=0), "finalize")


def _on_finalized(state: RunState, effect: Effect, event: ev.Finalized) -> RunState:
    if event.composed_by == "rules" and not event.references:
        state = _with(state, stop_reason="no_evidence")
    return _end(state, "finished", event)


def _end(state: RunState, outcome: Outcome, final: ev.Finalized | None = None, *, code: str = "", message: str = "") -> RunState:
    """The run is over; nothing that comes later changes it."""
    ended = {"cancelled": "cancelled", "failed": "error", "finished": state.stop_reason}
    state = _with(
        state,
        outcome=outcome,
        stop_reason=ended[outcome],
        pending=(),
        budget=state.budget.release_all(),
        error_code=code or state.error_code,
        error_message=message or state.error_message,
    )
    return _with(state, answer=answer_of(state, final))


# -- failures ----------------------------------------------------------------------------------------------------------


def _on_failure(state: RunState, effect: Effect, event: ev.CallFailed) -> RunState:
    """Go on without what is optional, try again what is needed, and end with what there is when that fails too."""
    match effect.kind:
        case "read":
            return _end_visit(_with(state, step_errors=(*state.step_errors, event.message)))
        case "search" if event.code not in _HOPELESS_CODES:
            return _after_search(_with(state, step_errors=(*state.step_errors, event.message)))
        case "rewrite":
            return _after_search(state)
        case "cluster":
            return _end_search(state)
        case "dedupe":
            everything_is_new = DedupeResponse(id="", texts=effect.items)
            return _on_deduped(state, effect, ev.Deduped(effect_id=effect.id, response=everything_is_new))
        case "code":
            state = _note(state, "failed", items=[effect.question], note=event.message)
            return _end_step(state, progress=False, blocked=("coding",))
        case "analyze":
            return _after_rejection(state)
    if event.code == "budget_exceeded":
        return (
            _finish(state, state.budget.exhausted(model=state.uses_model) or "token_budget")
            if effect.kind != "finalize"
            else _retry(state, effect, event)
        )
    if event.code == "deadline_exceeded" and state.budget.seconds_left(final=False) <= 0 and effect.kind != "finalize":
        return _finish(state, "time_budget")
    return _retry(state, effect, event)


def _retry(state: RunState, effect: Effect, event: ev.CallFailed) -> RunState:
    """Make a needed call once more; a model that could not even be asked for its first answer is not asked again."""
    hopeless = effect.kind == "understand" or event.code in _HOPELESS_CODES
    if effect.kind == "finalize":
        if state.failed_calls:
            return _end(state, "failed", code=event.code, message=event.message)
        return _call(_with(state, failed_calls=1, model_failed=True), "finalize")
    if not hopeless and state.failed_calls < MOST_FAILED_CALLS:
        again = _with(state, failed_calls=state.failed_calls + 1)
        return _call(again, effect.kind, question=effect.question, items=effect.items)
    if not (state.evidence_count or state.draft):
        return _end(state, "failed", code=event.code, message=event.message)
    state = _with(state, model_failed=True, error_code=event.code, error_message=event.message)
    return _finish(state, "model_error" if event.code.startswith("model") else "error")


# -- making states -----------------------------------------------------------------------------------------------------


def _with(state: RunState, **changes: Any) -> RunState:
    return state.model_copy(update=changes)


def _learn(state: RunState, item: Knowledge) -> RunState:
    return _with(state, knowledge=(*state.knowledge, item))


def _note(state: RunState, outcome: str, *, items: Iterable[str] = (), answer: str = "", note: str = "") -> RunState:
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
    return _with(state, diary=(*state.diary, entry))


def _call(state: RunState, kind: EffectKind, *, question: str = "", items: Iterable[str] = (), searches: int = 0) -> RunState:
    if kind == "decide":
        items = allowed_actions(state)
    return _call_all(state, kind, [list(items)], question=question, searches=searches)


def _call_all(
    state: RunState, kind: EffectKind, items: list[list[str]], *, question: str = "", searches: int = 0, pages: int = 0
) -> RunState:
    """Make calls pending that run at once, with what the budget allows each of them; at the end of the budget, finish instead."""
    final = kind == "finalize"
    reason = None if final else state.budget.exhausted(model=state.uses_model)
    if reason and state.total_step:
        return _finish(state, reason)
    may_use_model = kind in _MODEL_KINDS and (state.uses_model or kind == "understand") and not state.model_failed
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
            model=may_use_model and not (final and state.draft),
            seconds=_SECONDS[kind],
            final=final,
            shared_by=len(items),
        )
        for number, each in enumerate(items, start=1)
    )
    return _with(state, pending=effects)


def _usage_of(event: JournalEvent) -> Usage:
    """What a call spent; the events of stage results carry it in their result or beside it."""
    usage: Usage | None = getattr(event, "usage", None)
    if usage is not None:
        return usage
    results = (value for value in vars(event).values() if isinstance(value, BaseDoc))
    return next((result.usage for result in results if hasattr(result, "usage")), Usage())


_ON_RESULT: dict[EffectKind, Callable[[RunState, Effect, Any], RunState]] = {
    "understand": _on_understood,
    "rank": _on_ranked,
    "decide": _on_decided,
    "dedupe": _on_deduped,
    "search": _on_searched,
    "rewrite": _on_rewritten,
    "cluster": _on_clustered,
    "read": _on_page_read,
    "code": _on_computed,
    "compose": _on_composed,
    "evaluate": _on_evaluated,
    "analyze": _on_analyzed,
    "finalize": _on_finalized,
}
