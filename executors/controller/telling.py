"""How a run is told: the line about it, its events as they travel, and its end."""

from __future__ import annotations

import json
from typing import Any

from executors.controller.driven import Happening
from executors.controller.state import RunState, without_document_ids
from schemas import events as ev
from schemas.events import ResearchEvent
from schemas.research import RunSummary


def summary_of(state: RunState, *, interrupted: bool = False) -> RunSummary:
    """The line about a run; of one that has not ended, whether it was `interrupted`."""
    running: Any = "waiting" if state.waiting else "interrupted" if interrupted else "running"
    return RunSummary(
        run_id=state.request.run_id,
        question=state.question,
        state=running if state.outcome == "running" else state.outcome,
        stop_reason=state.stop_reason or "",
        started_at=state.begun_at,
        seconds=round(state.budget.elapsed, 3),
        steps=state.total_step,
        total_tokens=state.budget.spent.total_tokens,
        background=state.background,
        parent=state.parent,
    )


def end_of(state: RunState) -> ev.RunEnded:
    """The last event of a run that has ended, or waits."""
    if state.outcome == "running":
        run_id = state.request.run_id
        return ev.RunEnded(outcome="waiting", message=f"run {run_id} waits for the approval of its outline")
    ended = ev.RunEnded(outcome=state.outcome, answer=state.answer)
    if state.outcome != "failed":
        return ended
    return ended.model_copy(update={"code": state.error_code, "message": state.error_message})


def on_the_wire(run_id: str, sequence: int, now: float, event: Happening | ev.RunEnded) -> ResearchEvent:
    """The event for clients, without the fields that have their default and without document ids."""
    data = json.loads(without_document_ids(event.model_dump_json(exclude={"type"}, exclude_defaults=True)))
    return ResearchEvent(run_id=run_id, sequence=sequence, time=now, type=event.type, data=data)


class AnswerReader:
    """One who knows the first characters of an answer already, and is to get the rest of it."""

    def __init__(self, known: int) -> None:
        self._known = self._read = known

    def again(self) -> None:
        """The events come from somebody else now, who may write the answer once more."""
        self._known = self._read

    def news(self, event: ResearchEvent) -> ResearchEvent | None:
        """The event; of an `answer_delta` the part that is not known, None when there is none."""
        if event.type != "answer_delta":
            return event
        offset, text, known = event.data.get("offset", 0), event.data["text"], self._known
        if known and offset + len(text) <= known:
            return None
        self._known, self._read = 0, offset + len(text)  # all is new from here on, also when the answer begins anew
        if offset >= known:
            return event
        return event.model_copy(update={"data": {"text": text[known - offset :], "offset": known}})
