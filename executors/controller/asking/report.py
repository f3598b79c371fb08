"""What is asked for a report."""

from __future__ import annotations

from docarray import BaseDoc, DocList

from executors.controller import reporting
from executors.controller.asking.shared import earlier_turns
from executors.controller.state import RunState
from schemas.events import Effect
from schemas.knowledge import Evidence, Knowledge
from schemas.reporting import DigestRequest, Outline, OutlineRequest, SectionRequest, SynthesizeRequest
from schemas.usage import Allowance


def digest(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    items = [item for item in state.knowledge if item.evidence and item.evidence[0].url == effect.items[0]]
    return DigestRequest(
        question=state.question,
        url=effect.items[0],
        title=items[0].answer,
        evidence=DocList[Evidence](piece for item in items for piece in item.evidence),
        language_style=state.understanding.language_style,
        allowance=allowance,
    )


def synthesize(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    return SynthesizeRequest(
        question=state.question,
        digests=reporting.digests(state),
        evidence=reporting.evidence(state),
        language_style=state.understanding.language_style,
        allowance=allowance,
    )


def outline(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    return OutlineRequest(
        question=state.question,
        messages=earlier_turns(state),
        digests=reporting.digests(state),
        synthesis=state.synthesis,
        evidence=reporting.evidence(state),
        words=state.request.words,
        language_style=state.understanding.language_style,
        allowance=allowance,
    )


def section(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    return SectionRequest(
        question=state.question,
        messages=earlier_turns(state),
        outline=state.outline or Outline(),
        number=int(effect.items[0]),
        written="\n\n".join(state.sections),
        synthesis=state.synthesis,
        knowledge=DocList[Knowledge](state.knowledge),
        language_style=state.understanding.language_style,
        allowance=allowance,
    )
