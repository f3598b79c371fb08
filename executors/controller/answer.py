"""What a run has to show for itself when it ends."""

from __future__ import annotations

from functools import partial

from docarray import DocList

from executors.controller.notices import notice
from executors.controller.state import RunState
from schemas.events import Finalized
from schemas.research import Reference, ResearchAnswer
from schemas.support import SupportReport


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
        guessed=state.draft_is_guess,
        support=final.support if final else SupportReport(),
        images=state.illustration.images,
        language_code=state.understanding.language_code,
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
    """What a reader must know, in the language of the answer; what went wrong inside is told as it was reported."""
    say = partial(notice, state.understanding.language_code)
    notices = []
    if not state.uses_model:
        notices.append(say("extractive"))
    elif state.draft_is_direct:
        notices.append(say("direct"))
    elif state.draft_is_guess:
        notices.append(say("guessed"))
    elif not final.references and state.stop_reason != "no_evidence":
        notices.append(say("uncited"))
    if final.support.removed:
        notices.append(say("statements_removed", count=final.support.removed))
    if state.search_error and not state.read:
        notices.append(say("not_searched", reason=state.search_error))
    notices += [say("not_read", reason=reason) for reason in state.unread]
    if not state.draft_is_guess:
        notices.append(say(state.stop_reason or ""))
    notices += [final.error, state.error_message]
    return " ".join(text for text in notices if text)
