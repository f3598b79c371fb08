"""What is asked to split a question, to have its parts answered, and to merge them."""

from __future__ import annotations

from docarray import BaseDoc, DocList

from executors.controller.asking.shared import date_of, earlier_turns
from executors.controller.state import RunState
from schemas.answering import (
    ReducePart,
    ReduceRequest,
)
from schemas.events import Effect
from schemas.knowledge import Knowledge
from schemas.planning import (
    DecomposeRequest,
)
from schemas.research import Message
from schemas.usage import Allowance


def decompose(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    return DecomposeRequest(
        question=state.question,
        messages=earlier_turns(state),
        language_style=state.understanding.language_style,
        team_size=state.request.team_size,
        date=date_of(state),
        allowance=allowance,
    )


def delegate(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    """The sub-problem as a question of its own: of the conversation, only the wishes about style and scope go with it."""
    request = state.request
    wishes = [Message(role=message.role, content=message.content) for message in request.messages if message.role == "system"]
    last = Message(role="user", content=effect.question)
    return request.model_copy(
        update={
            "question": effect.question,
            "messages": DocList[Message]([*wishes, last] if wishes else []),
            "run_id": effect.items[0],
            "team_size": 1,
            "budget_tokens": effect.tokens,
            "budget_seconds": effect.seconds,
            "budget_usd": effect.usd,
            "max_searches": effect.searches,
            "max_pages": effect.pages,
            "max_llm_calls": max(1, effect.llm_calls),
            "max_references": None,  # what is cited in the end is decided in the end
            "citations": "strict" if request.citations == "flag" else request.citations,  # marks would become statements
            "no_direct_answer": True,
            "allow_guess": False,
            "polish": False,
            "json_schema": "",
            "language_code": request.language_code or state.understanding.language_code,
        }
    )


def reduce(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    return ReduceRequest(
        question=state.question,
        parts=DocList[ReducePart](state.parts),
        messages=earlier_turns(state),
        language_style=state.understanding.language_style,
        knowledge=DocList[Knowledge](state.knowledge),
        allowance=allowance,
    )
