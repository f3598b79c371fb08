"""What the requests of several stages have in common."""

from __future__ import annotations

from datetime import datetime, timezone

from docarray import DocList

from executors.controller.state import RunState
from schemas.events import Effect
from schemas.research import Message
from schemas.usage import Allowance

STAGE_SHARE = 0.9
"""A stage is told to be done in this share of the time its call has, so that its own ending arrives before the caller gives up."""


def allowance_of(effect: Effect) -> Allowance:
    """What the stage may spend on the call."""
    return Allowance(tokens=effect.tokens, llm_calls=effect.llm_calls, seconds=effect.seconds * STAGE_SHARE, cost_usd=effect.usd)


def date_of(state: RunState) -> str:
    """The date that the run takes for today, ISO 8601."""
    return state.request.today or datetime.fromtimestamp(state.budget.started_at, tz=timezone.utc).date().isoformat()


def earlier_turns(state: RunState) -> DocList[Message]:
    """The conversation without the question, which travels by itself, and without attachments, which were read."""
    turns = [Message(role=message.role, content=message.content) for message in state.request.messages]
    if turns and turns[-1].content.strip() == state.question:
        turns = turns[:-1]
    return DocList[Message](turns)
