"""What an answer rests on: the evidence it cites, and what else is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date

from providers.citations import cited_ids
from schemas.knowledge import Evidence, Knowledge

FRAME_TOKENS = 24
"""Tokens of the fence and heading around one text in a prompt, generously."""


@dataclass(frozen=True)
class Source:
    """One thing an answer may rest on, as the evaluator's prompts show it."""

    label: str
    """`e1` for evidence; a word for what cannot be cited."""
    url: str
    text: str
    published: str | None
    days_ago: int | None
    """Age on the day of the evaluation; None when the date is unknown."""


def evidence_by_id(knowledge: Iterable[Knowledge], more: Iterable[Evidence] = ()) -> dict[str, Evidence]:
    """All evidence inside `knowledge`, and `more` beside it, by id."""
    return {evidence.evidence_id: evidence for evidence in [*(found for item in knowledge for found in item.evidence), *more]}


def cited(answer: str, knowledge: Iterable[Knowledge]) -> list[Evidence]:
    """Evidence whose id the answer cites, in the order of the answer, each once; unknown ids are left out."""
    known = evidence_by_id(knowledge)
    return [known[name] for name in cited_ids(answer, known)]


def days_between(earlier: str | None, today: str) -> int | None:
    """Days from one ISO 8601 date or time to another; None when one is missing or no date. A date still to come is 0 days old."""
    try:
        return max(0, (date.fromisoformat(today[:10]) - date.fromisoformat((earlier or "")[:10])).days)
    except ValueError:
        return None


def sources(answer: str, knowledge: Iterable[Knowledge], today: str) -> list[Source]:
    """Everything known, what matters most to `answer` first: cited evidence, computations and lessons, other evidence by score."""
    items = list(knowledge)
    first = cited(answer, items)
    ids = {evidence.evidence_id for evidence in first}
    others = {evidence.evidence_id: evidence for item in items for evidence in item.evidence if evidence.evidence_id not in ids}
    notes = [item for item in items if item.kind in ("coding", "qa") and item.answer]
    return [
        *(source_of(evidence, today) for evidence in first),
        *(Source(item.kind, "", f"{item.question}\n{item.answer}", item.updated, days_between(item.updated, today)) for item in notes),
        *(source_of(evidence, today) for evidence in sorted(others.values(), key=lambda evidence: -evidence.score)),
    ]


def first_that_fit(found: Iterable[Source], room: int, count: Callable[[str], int]) -> list[Source]:
    """The beginning of `found` that fits into `room` tokens, by `count`."""
    kept = []
    for source in found:
        room -= FRAME_TOKENS + count(source.text) + count(source.url)
        if room < 0:
            break
        kept.append(source)
    return kept


def source_of(evidence: Evidence, today: str) -> Source:
    """Evidence as the prompts show it."""
    return Source(evidence.evidence_id, evidence.url, evidence.quote, evidence.published, days_between(evidence.published, today))
