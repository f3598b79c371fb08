"""The answer action: a draft, its evaluation, and what a rejection teaches."""

from __future__ import annotations

from executors.controller.state import RunState
from executors.controller.step import call, changed, end_step, finish, learned, noted
from schemas import events as ev
from schemas.events import Effect
from schemas.knowledge import Knowledge
from schemas.planning import Criterion

_OF_SUB_QUESTIONS: tuple[Criterion, ...] = ("definitive", "attribution")
"""What the answer to a sub-question must pass."""


def on_composed(state: RunState, effect: Effect, event: ev.Composed) -> RunState:
    """Judge the draft; an empty one means that nothing which was read answers."""
    draft = event.draft.text.strip()
    if draft:
        return judge(changed(state, draft=draft, support=None))
    tried = any(entry.action == "answer" and entry.outcome == "nothing_new" for entry in state.diary)
    state = noted(state, "nothing_new", note="nothing that was read answers the question")
    if tried and not state.uses_model:
        return finish(state, "no_progress")  # looking further after the first time has not helped
    return end_step(state, progress=False, blocked=("answer",))


def judge(state: RunState) -> RunState:
    """Accept a first answer that needed no research, otherwise hold the answer against what its question demands."""
    original = state.current_question == state.question
    first = original and state.phase == "research" and state.total_step == 1 and not state.evidence_count
    if first and state.uses_model and not state.request.no_direct_answer:
        return finish(changed(state, draft_is_direct=True), "answered")
    criteria = [criterion for criterion, _ in state.criteria] if original else list(_OF_SUB_QUESTIONS)
    if state.request.citations == "off":
        criteria = [criterion for criterion in criteria if criterion != "attribution"]
    return call(state, "evaluate", items=criteria) if criteria else finish(state, "answered")


def on_evaluated(state: RunState, effect: Effect, event: ev.Evaluated) -> RunState:
    """Accept the answer, or take the criterion that it failed one attempt closer to being dropped."""
    evaluation = event.evaluation
    state = changed(state, support=evaluation.support)
    original = state.current_question == state.question
    state = noted(state, "accepted" if evaluation.passed else "rejected", answer=state.draft, note=evaluation.think)
    if evaluation.passed and original:
        return finish(state, "answered")
    if evaluation.passed:
        state = learned(state, Knowledge(id="", kind="qa", question=state.current_question, answer=state.draft))
        return end_step(_close(state, state.current_question), progress=True)
    if not original:
        failures = state.sub_attempts.get(state.current_question, 0) + 1
        state = changed(state, sub_attempts={**state.sub_attempts, state.current_question: failures})
        return end_step(_close(state, state.current_question) if failures >= state.limits.attempts else state, progress=False)
    left = tuple((c, n - 1 if c == evaluation.failed_criterion else n) for c, n in state.criteria)
    state = changed(state, criteria=tuple((c, n) for c, n in left if n > 0), draft="", support=None)
    if evaluation.improvement_plan:
        state = changed(state, improvements=(*state.improvements, evaluation.improvement_plan))
    # A verdict that names no criterion of ours would never use up an attempt.
    if not state.criteria or evaluation.failed_criterion not in effect.items:
        return finish(state, "attempts")
    return call(state, "analyze")


def _close(state: RunState, question: str) -> RunState:
    return changed(state, gaps=tuple(gap for gap in state.gaps if gap != question))


def on_analyzed(state: RunState, effect: Effect, event: ev.Analyzed) -> RunState:
    """What went wrong becomes knowledge for the next attempt."""
    analysis = event.analysis
    rejected = state.diary[-1]
    lesson = "\n".join(part for part in (rejected.answer, rejected.note, analysis.recap, analysis.blame, analysis.improvement) if part)
    state = learned(state, Knowledge(id="", kind="qa", question=f"Why was this answer rejected: {state.question}", answer=lesson))
    return after_rejection(state)


def after_rejection(state: RunState) -> RunState:
    """Start afresh: what was tried survives as knowledge, not as diary."""
    return end_step(changed(state, diary=(), step=0), progress=False, blocked=("answer", "coding"))
