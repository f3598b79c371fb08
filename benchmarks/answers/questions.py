"""The questions to the project's own documentation, and whether what answers them still stands there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

DOCUMENTS = Path(__file__).parent.parent.parent / "docs"
_QUESTIONS = Path(__file__).parent / "questions.jsonl"

Split = Literal["tune", "held_out", "all"]


@dataclass(frozen=True)
class Evidence:
    """Words of a document that answer a question."""

    document: str
    """Name of a file in `docs/`."""
    quote: str


@dataclass(frozen=True)
class Question:
    """A question; one that is not answerable has neither evidence nor words."""

    id: str
    language: str
    question: str
    answerable: bool
    evidence: tuple[Evidence, ...]
    """Each of them answers it, or a part of it."""
    words: tuple[str, ...]
    """What must occur in an answer, in any case."""


def questions(split: Split = "all") -> list[Question]:
    """The questions in order: every second one is there to tune on, the others are held out."""
    found = []
    for line in _QUESTIONS.read_text("utf-8").splitlines():
        values = json.loads(line)
        evidence = tuple(Evidence(**one) for one in values["evidence"])
        found.append(Question(**{**values, "evidence": evidence, "words": tuple(values["words"])}))
    return {"all": found, "tune": found[0::2], "held_out": found[1::2]}[split]


def plain(text: str) -> str:
    """The text without the line breaks that a reflow moves."""
    return " ".join(text.split())


def overlap(quote: str, other: str) -> bool:
    """Whether one of two quotes stands in the other."""
    first, second = plain(quote), plain(other)
    return bool(first and second) and (first in second or second in first)


def missing_quotes() -> list[str]:
    """One line for each quote that its document does not hold any more."""
    found = []
    for question in questions():
        for evidence in question.evidence:
            path = DOCUMENTS / evidence.document
            if not path.is_file() or plain(evidence.quote) not in plain(path.read_text("utf-8")):
                found.append(
                    f"{question.id}: docs/{evidence.document} no longer says {evidence.quote!r}; put the new words into "
                    "benchmarks/answers/questions.jsonl, or take the question out when the document does not answer it any more"
                )
    return found
