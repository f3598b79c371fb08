"""From a draft to the published answer: nothing is given out before it was held against its evidence.

    (compose) → check → (revise → check) → finalize → (structure) → (illustrate) → finished

In a report every section goes this way up to `finalize`, and the next one begins.
"""

from __future__ import annotations

from executors.controller.state import RunState
from executors.controller.step import call, changed, end, is_unchecked, joined_sections
from schemas import events as ev
from schemas.events import Effect
from schemas.support import SupportReport

_CALLS_TO_REVISE = 2
"""A revision, and the check after it."""


def on_last_composed(state: RunState, effect: Effect, event: ev.Composed) -> RunState:
    """The draft of last resort is there; an empty one says that nothing which was read answers."""
    draft = event.draft
    if draft.error:
        state = changed(state, error_message=state.error_message or draft.error)
    return prove(changed(state, draft=draft.text.strip(), support=None, draft_is_guess=draft.guessed))


def without_draft(state: RunState) -> RunState:
    """No draft could be composed: the finalizer makes the answer by rules."""
    return call(changed(state, draft="", support=None, model_failed=True), "finalize")


def prove(state: RunState) -> RunState:
    """Hold the draft against the evidence, unless that was done, cannot be done, or is not wanted."""
    return call(state, "check") if is_unchecked(state) else _publish(state)


def on_checked(state: RunState, effect: Effect, event: ev.Checked) -> RunState:
    """Publish what is supported; what is not is put right first, once, as far as model and budget allow it."""
    state = changed(state, support=event.support)
    wanted = event.support.unsupported > 0 or (state.request.polish and bool(event.support.statements))
    if state.unrevised is not None and event.support.unsupported > state.unrevised[1].unsupported:
        draft, support = state.unrevised  # the revision made it worse
        state = changed(state, draft=draft, support=support)
    elif wanted and not state.revised and _can_revise(state):
        return call(changed(state, revised=True, unrevised=(state.draft, event.support)), "revise")
    return _publish(changed(state, unrevised=None))


def without_check(state: RunState) -> RunState:
    """The finalizer checks by rules what could not be checked before."""
    if state.unrevised is not None:
        draft, support = state.unrevised
        return _publish(changed(state, draft=draft, support=support, unrevised=None))
    return _publish(state)


def _can_revise(state: RunState) -> bool:
    left = state.budget.calls_left(final=state.phase == "ending")
    return state.uses_model and not state.model_failed and left >= _CALLS_TO_REVISE


def on_revised(state: RunState, effect: Effect, event: ev.Revised) -> RunState:
    """The revision is checked like any draft."""
    draft = event.draft.text.strip()
    return prove(changed(state, draft=draft, support=None)) if draft else without_revision(state)


def without_revision(state: RunState) -> RunState:
    """Publish the draft as it was."""
    return _publish(changed(state, unrevised=None))


def _publish(state: RunState) -> RunState:
    if state.phase == "report":
        reports = (*state.section_support, state.support or SupportReport(id=""))
        state = changed(state, sections=(*state.sections, state.draft), section_support=reports)
        draft, support = joined_sections(state.sections, state.section_support)
        return call(changed(state, draft=draft, support=support), "finalize")
    return call(state, "finalize")


def on_finalized(state: RunState, effect: Effect, event: ev.Finalized) -> RunState:
    """The text is final."""
    state = changed(state, final=event)
    if event.abstained:
        state = changed(state, stop_reason="no_evidence")
    return _put_into_json(state)


def _put_into_json(state: RunState) -> RunState:
    if not state.request.json_schema:
        return _illustrate(state)
    if not state.uses_model or state.model_failed:
        reason = "the language model failed" if state.uses_model else "no language model is configured (LLM_MODEL)"
        return _illustrate(changed(state, json_error=f"an answer as JSON needs a language model, but {reason}"))
    return call(state, "structure")


def on_structured(state: RunState, effect: Effect, event: ev.Structured) -> RunState:
    """The answer is there as JSON too."""
    return _illustrate(changed(state, json_text=event.answer.json_text))


def without_json(state: RunState, reason: str) -> RunState:
    """The answer could not be put into JSON."""
    return _illustrate(changed(state, json_error=reason))


def _illustrate(state: RunState) -> RunState:
    if state.images and state.final is not None and state.final.references:
        return call(state, "illustrate")
    return end(state, "finished")


def on_illustrated(state: RunState, effect: Effect, event: ev.Illustrated) -> RunState:
    """The run is finished."""
    return end(changed(state, illustration=event.illustration), "finished")
