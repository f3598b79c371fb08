"""What a model wrote in one turn, as it is remembered."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from providers.cache import Codec, Question
from providers.llm.answers import Answer
from providers.llm.forms import Form
from schemas.errors import DeepSearchError, from_wire

_LAST_CHARACTERS = 80


@dataclass(frozen=True)
class Told:
    """A structured answer, and the rung of the ladder of forms on which it was given."""

    answer: Answer
    rung: int
    server: str
    """Address of the server that gave it, without credentials."""


@dataclass(frozen=True)
class Spoken:
    """A streamed answer: its pieces as they were said, and the error that broke it off."""

    pieces: tuple[str, ...]
    server: str
    error: tuple[str, ...] = ()
    """Name and arguments of the error; empty when it came to its end."""

    @property
    def failure(self) -> DeepSearchError | None:
        """The error that broke it off."""
        return from_wire(self.error[0], list(self.error[1:])) if self.error else None


# Plain JSON, because a model may write what is no valid Unicode. Hidden reasoning is not kept: nobody reads it.


def _read_told(value: bytes) -> Told:
    match json.loads(value):
        case [str(server), str(text), bool(cut), int(rung)]:
            return Told(Answer(text, "", cut), rung, server)
    raise ValueError("no turn of a model")


def _read_spoken(value: bytes) -> Spoken:
    match json.loads(value):
        case [str(server), [*pieces], [*error]] if all(isinstance(text, str) for text in [*pieces, *error]):
            return Spoken(tuple(pieces), server, tuple(error))
    raise ValueError("no streamed turn of a model")


TOLD: Codec[Told] = Codec(lambda told: json.dumps([told.server, told.answer.text, told.answer.cut, told.rung]).encode("ascii"), _read_told)
SPOKEN: Codec[Spoken] = Codec(lambda spoken: json.dumps([spoken.server, spoken.pieces, spoken.error]).encode("ascii"), _read_spoken)


def turn(model: str, temperature: float, turns: Sequence[Mapping[str, Any]], form: Form | None) -> Question:
    """What is asked of a model in one turn; without a `form`, for free text that is streamed.

    The rung is no part of it: it is how the form is said to a server, which learns of it by and by. Nor is the limit of the
    answer, which shrinks with the budget: what was cut there is not used again. Nor is the server, so that a replay needs to
    know of none; it is kept with the answer, and its answers are not taken for those of another.
    """
    material = {
        "model": model,
        "temperature": temperature,
        "messages": [dict(message) for message in turns],
        "form": form.schema if form else None,
    }
    said = str(turns[-1]["content"]).strip()[-_LAST_CHARACTERS:]
    return Question("llm", material, f"{form.name if form else 'text'} of {model}: {said}")
