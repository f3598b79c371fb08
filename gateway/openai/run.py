"""A run as its clients see it: thoughts, then the answer piece by piece, then the account of it."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal

from gateway.calls import StageCalls
from gateway.openai.answer import AnswerText, Citation
from gateway.openai.errors import RunCancelled, StructuredOutputFailed
from gateway.openai.thoughts import Thought, Thoughts
from gateway.outlines import outline_text
from gateway.support import Support, support_of
from schemas.errors import DeepSearchError, StageUnavailable, from_code
from schemas.events import ResearchEvent
from schemas.reporting import Outline
from schemas.research import ResearchAnswer, ResearchRequest

MOST_IMAGES = 10
_HOW_TO_APPROVE = (
    "The report is written when this outline is approved: `POST /v1/research/{run_id}/outline`, with an empty body, or with `title` and "
    "`sections` to change it. `GET /v1/research/{run_id}` then has the report."
)
# A draft that passed its evaluation comes at once; clients show it better word by word, and characters that need no spaces one by one.
_WORD = re.compile(r"\s*(?:[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]|[^\s\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]+)|\s+")


@dataclass(frozen=True)
class Piece:
    """The next part of the content."""

    text: str


@dataclass(frozen=True)
class Completion:
    """The end of a run that has an answer. `content` is all pieces together."""

    kind: Literal["text", "json"]
    content: str
    citations: list[Citation]
    answer: ResearchAnswer
    support: Support | None = None
    """Its spans are in `content`; None when nothing was checked."""
    images: list[str] | None = None
    """URLs of images that fit the answer, at most `MOST_IMAGES`; None when they were not asked for."""


@dataclass(frozen=True)
class Proposal:
    """The end of a run that goes on when its outline is approved. `content` tells of it."""

    run_id: str
    content: str
    outline: Outline


Happening = Thought | Piece | Completion | Proposal


async def begin(stages: StageCalls, research: ResearchRequest) -> AsyncGenerator[Happening, None]:
    """Start a run and return what happens in it; the last is its `Completion` or `Proposal`. Closing the iterator stops the run.

    Raises the error of a request that the controller refuses, or `StageUnavailable`, before anything happens; the iterator
    raises what ends the run without an answer.
    """
    events = stages.stream("/research/stream", research, ResearchEvent)
    first = await anext(events, None)
    if first is None:
        raise _cut_off()
    if first.type == "run_ended":
        raise _failure(first.data)
    return _happenings(events, research)


async def _happenings(events: Any, research: ResearchRequest) -> AsyncGenerator[Happening, None]:
    thoughts, text, outline = Thoughts(), AnswerText(), Outline()
    writing = False
    async with aclosing(events):
        async for event in events:
            match event.type:
                case "answer_delta":
                    new = "" if research.json_schema else text.write(event.data["text"], int(event.data.get("offset", 0)))
                    for piece in _WORD.findall(new):
                        writing = True
                        yield Piece(piece)
                case "outlined":
                    outline = Outline(**event.data["outline"])
                case "run_ended":
                    waits = event.data.get("outcome") == "waiting"
                    for happening in _proposed(outline, research.run_id) if waits else _ending(event.data, text, research):
                        yield happening
                    return
            if not writing:  # the answer has begun: whoever reads it can no longer be told of thoughts
                for thought in thoughts.of(event):
                    yield thought
    raise _cut_off()


def _proposed(outline: Outline, run_id: str) -> Iterator[Happening]:
    content = f"{outline_text(outline)}\n\n{_HOW_TO_APPROVE.format(run_id=run_id)}"
    yield Piece(content)
    yield Proposal(run_id, content, outline)


def _ending(data: dict[str, Any], text: AnswerText, research: ResearchRequest) -> Iterator[Happening]:
    if data.get("outcome") != "finished" or not data.get("answer"):
        raise _failure(data)
    answer = ResearchAnswer(**data["answer"])
    images = [image.url for image in answer.images][:MOST_IMAGES] if research.with_images else None
    if research.json_schema:
        content = _json(answer)
        yield Piece(content)
        whole = [Citation(0, len(content), reference) for reference in answer.references]
        yield Completion("json", content, whole, answer, support_of(answer, content, None), images)
        return
    rest = text.finish(answer.text)
    notes, citations = text.cite(answer.references)
    for piece in [*_WORD.findall(rest), notes]:
        if piece:
            yield Piece(piece)
    yield Completion("text", text.content, citations, answer, support_of(answer, text.content, text.start), images)


def _json(answer: ResearchAnswer) -> str:
    """The answer as JSON. Raises `StructuredOutputFailed`: what is not JSON is never passed off as such."""
    cause = answer.json_error or ("" if answer.json_text else "the run made none")
    if not cause:
        try:
            json.loads(answer.json_text)
        except (ValueError, RecursionError):
            cause = "the run made a text that is not JSON"
    if cause:
        raise StructuredOutputFailed(
            f"The answer could not be given as JSON of the schema: {cause}", field="response_format", usage=answer.usage
        )
    return answer.json_text


def _failure(data: dict[str, Any]) -> DeepSearchError:
    outcome, message = data.get("outcome"), data.get("message", "")
    error: DeepSearchError
    if outcome == "cancelled":
        error = RunCancelled(message or "The run was cancelled.")
    elif outcome == "interrupted":
        error = StageUnavailable(message or "The run was interrupted; it can be resumed.")
    else:
        error = from_code(data.get("code", ""), message or "The run ended without an answer.", data.get("field"))
    if data.get("answer"):
        error.usage = ResearchAnswer(**data["answer"]).usage
    return error


def _cut_off() -> StageUnavailable:
    return StageUnavailable("The controller ended the run's events before the run had ended; is it running?")
