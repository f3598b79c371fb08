"""What a run has to show for itself when it ends."""

from __future__ import annotations

from docarray import DocList

from executors.controller.state import RunState
from schemas.events import Finalized
from schemas.research import Reference, ResearchAnswer

_NOTICES: dict[str, str] = {
    "attempts": "No answer passed every check; this is the best one from what was read.",
    "token_budget": "The token budget ended the research; this is the best answer from what was read.",
    "time_budget": "The time limit ended the research; this is the best answer from what was read.",
    "money_budget": "The money limit ended the research; this is the best answer from what was read.",
    "call_budget": "The limit on model calls ended the research; this is the best answer from what was read.",
    "step_limit": "The step limit ended the research; this is the best answer from what was read.",
    "no_progress": "Further steps found nothing new; this is the best answer from what was read.",
    "no_evidence": "Nothing that was read answers the question.",
    "model_error": "The language model failed during the research; this is the best answer from what was read.",
    "error": "A part of the service failed during the research; this is the best answer from what was read.",
}
_EXTRACTIVE = "No language model was used: the answer is made of passages quoted from what was read."
_DIRECT = "Answered directly: no page was read for it."
_UNCITED = "No source that was read is cited for this answer."


def answer_of(state: RunState) -> ResearchAnswer:
    """The answer of a run that has ended, with its account of what was spent and read; its text is empty when it ended before that."""
    final = state.final
    visited = {state.pool[key].url for key in state.visited if key in state.pool}
    return ResearchAnswer(
        id="",
        run_id=state.request.run_id,
        question=state.question,
        text=final.text if final else "",
        references=DocList[Reference](final.references if final else []),
        stop_reason=state.stop_reason or "error",
        mode=state.understanding.mode,
        json_text=state.json_text,
        json_error=state.json_error,
        direct=state.draft_is_direct,
        notice=_notice(state, final) if final else "",
        usage=state.budget.spent,
        usage_by_stage=state.usage_by_stage,
        seconds=round(state.budget.elapsed, 3),
        steps=state.total_step,
        queries=list(state.queries),
        visited_urls=list(state.visited),
        read_urls=list(state.read),
        found_urls=[ranked.url for ranked in state.ranked if ranked.url not in visited],
    )


def _notice(state: RunState, final: Finalized) -> str:
    notices = []
    if not state.uses_model:
        notices.append(_EXTRACTIVE)
    elif state.draft_is_direct:
        notices.append(_DIRECT)
    elif not final.references and state.stop_reason != "no_evidence":
        notices.append(_UNCITED)
    if state.search_error and not state.read:
        notices.append(f"Nothing could be searched: {state.search_error}.")
    notices += [f"Not read: {reason}." for reason in state.unread]
    notices += [_NOTICES.get(state.stop_reason or "", ""), final.error, state.error_message]
    return " ".join(notice for notice in notices if notice)
