"""From a draft to the published answer: nothing is given out before it was held against its evidence.

    (compose) → check → (revise → check) → finalize → (structure) → (illustrate) → finished

In a report every section goes this way up to `finalize`, and the next one begins.
"""

from __future__ import annotations

from executors.controller.state import RunState
from executors.controller.step import call, changed, end, joined_sections, proof
from providers.citations import cited_ids
from schemas import events as ev
from schemas.events import Effect
from schemas.support import SupportReport


def on_last_composed(state: RunState, effect: Effect, event: ev.Composed) -> RunState:
    """The draft of last resort is there; an empty one says that nothing which was read answers."""
    draft = event.draft
    if draft.error:
        state = changed(state, error_message=state.error_message or draft.error)
    text = draft.text.strip()
    known = {piece.evidence_id for item in state.knowledge for piece in item.evidence}
    guessed = draft.guessed and state.request.allow_guess and not cited_ids(text, known)
    return prove(changed(state, draft=text, support=None, draft_is_guess=guessed))


def without_draft(state: RunState) -> RunState:
    """No draft could be composed: the finalizer makes the answer by rules."""
    return call(changed(state, draft="", support=None, model_failed=True), "finalize")


def prove(state: RunState) -> RunState:
    """Do what the draft needs before it is published, and then publish it."""
    return proof(state) or _publish(state)


def on_checked(state: RunState, effect: Effect, event: ev.Checked) -> RunState:
    """Publish what is supported; what is not is put right first."""
    state = changed(state, support=event.support)
    if state.unrevised is not None and event.support.unsupported > state.unrevised[1].unsupported:
        draft, support = state.unrevised  # the revision made it worse
        state = changed(state, draft=draft, support=support)
    return prove(changed(state, unrevised=None))


def without_check(state: RunState) -> RunState:
    """The finalizer checks by rules what could not be checked before."""
    if state.unrevised is not None:
        draft, support = state.unrevised
        return _publish(changed(state, draft=draft, support=support, unrevised=None))
    return _publish(state)


def on_revised(state: RunState, effect: Effect, event: ev.Revised) -> RunState:
    """The revision is checked like any draft; one that changed nothing was."""
    draft = event.draft.text.strip()
    return prove(changed(state, draft=draft, support=None)) if draft not in ("", state.draft) else without_revision(state)


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
    """The text is final. Where nothing of the draft stayed, it is no longer the one that was direct, or a guess."""
    if event.composed_by == "rules":
        state = changed(state, draft_is_direct=False, draft_is_guess=False)
    state = changed(state, final=event)
    if event.abstained:
        state = changed(state, stop_reason="no_evidence")
    return _put_into_json(state)


def _put_into_json(state: RunState) -> RunState:
    if not state.request.json_schema:
        return _illustrate(state)
    reason = ""
    if not state.uses_model:
        reason = "no language model is configured (LLM_MODEL)"
    elif state.budget.exhausted(model=True, final=True):
        reason = "the budget is used up"
    elif state.model_failed:
        reason = "the language model failed"
    if reason:
        return _illustrate(changed(state, json_error=f"an answer as JSON needs a language model, but {reason}"))
    return call(state, "structure")


def on_structured(state: RunState, effect: Effect, event: ev.Structured) -> RunState:
    """The answer is there as JSON too."""
    return _illustrate(changed(state, json_text=event.answer.json_text))


def without_json(state: RunState, reason: str) -> RunState:
    """The answer could not be put into JSON."""
    return _illustrate(changed(state, json_error=reason))


def _illustrate(state: RunState) -> RunState:
    if state.images and state.final is not None and state.final.references and state.budget.seconds_left(final=True) > 0:
        return call(state, "illustrate")
    return end(state, "finished")


def on_illustrated(state: RunState, effect: Effect, event: ev.Illustrated) -> RunState:
    """The run is finished."""
    return end(changed(state, illustration=event.illustration), "finished")
