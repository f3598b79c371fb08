"""What is asked between a draft and the published answer."""

from __future__ import annotations

from docarray import BaseDoc, DocList

from executors.controller.asking.shared import STAGE_SHARE, earlier_turns
from executors.controller.state import RunState
from executors.controller.step import is_unsourced
from schemas.answering import (
    FinalizeRequest,
    ReviseRequest,
    StructureRequest,
)
from schemas.events import Effect
from schemas.knowledge import Knowledge
from schemas.reading import IllustrateRequest, Image
from schemas.support import CheckRequest, SupportReport
from schemas.usage import Allowance


def check(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    return CheckRequest(question=effect.question, text=state.draft, knowledge=DocList[Knowledge](state.knowledge), allowance=allowance)


def revise(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    return ReviseRequest(
        question=effect.question,
        draft=state.draft,
        messages=earlier_turns(state),
        language_style=state.understanding.language_style,
        knowledge=DocList[Knowledge](state.knowledge),
        support=state.support or SupportReport(),
        polish=state.request.polish,
        allowance=allowance,
    )


def finalize(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    return FinalizeRequest(
        question=state.question,
        draft=state.draft,
        messages=earlier_turns(state),
        language_style=state.understanding.language_style,
        language_code=state.understanding.language_code,
        knowledge=DocList[Knowledge](state.knowledge),
        support=state.support or SupportReport(),
        # What was not taken from pages cannot be held against them; the notice of the answer says so.
        citations="off" if is_unsourced(state) else state.request.citations or "strict",
        queries=list(state.queries),
        max_references=state.request.max_references or 0,
        partial=state.phase == "report",
        done_characters=len(state.final.text) if state.final else 0,
        allowance=allowance,
    )


def structure(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    text = state.final.text if state.final else ""
    return StructureRequest(question=state.question, text=text, json_schema=state.request.json_schema, allowance=allowance)


def illustrate(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    return IllustrateRequest(
        text=state.final.text if state.final else "",
        images=DocList[Image](state.images),
        timeout_seconds=effect.seconds * STAGE_SHARE,
        allowance=allowance,
    )
