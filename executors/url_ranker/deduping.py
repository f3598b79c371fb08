"""Which texts say something new."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from executors.url_ranker.vectors import RememberedVectors
from providers.lexical import similarity, terms
from schemas.errors import BudgetExceeded, EmbeddingError
from schemas.usage import Allowance, Usage

_SAME_FROM = 0.86
"""Similarity at which two texts count as one, as in Jina DeepSearch."""

Similarity = Callable[[str, str], float]


@dataclass(frozen=True)
class NewTexts:
    """The new texts, why they were compared by their words although vectors were to be used, and what it cost."""

    texts: list[str]
    errors: list[str] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)


async def find_new_texts(
    texts: Sequence[str], existing: Sequence[str], vectors: RememberedVectors | None, allowance: Allowance
) -> NewTexts:
    """As `new_texts`, by the similarity of vectors where there are `vectors`. Only texts are embedded that could be another's repeat."""
    in_question = repeatable(texts, existing) if vectors is not None else []
    if vectors is None or not in_question:
        return NewTexts(new_texts(texts, existing))
    try:
        found, usage = await vectors.of(in_question, "match", allowance)
    except (EmbeddingError, BudgetExceeded) as error:
        errors = [f"texts were compared by their words alone: {error}"]
        return NewTexts(new_texts(texts, existing), errors, error.usage)
    places = {_folded(text): place for place, text in enumerate(in_question)}
    alike = found @ found.T

    def by_vectors(text: str, other: str) -> float:
        return float(alike[places[_folded(text)], places[_folded(other)]])

    return NewTexts(new_texts(texts, existing, by_vectors), usage=usage)


def new_texts(texts: Sequence[str], existing: Sequence[str], alike: Similarity = similarity) -> list[str]:
    """Those of `texts`, in order, that repeat neither an existing text nor an earlier one that was kept. Blank ones are left out.

    A text repeats another when they differ only in case, or when their similarity, by `alike`, is at least 0.86 and they name the same
    numbers: "iPhone 15" and "iPhone 16" are never the same, however near each other words or vectors put them.
    """
    known: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
    for text in existing:
        known[_numbers(text)].setdefault(_folded(text), text)
    kept = []
    for text in texts:
        folded = _folded(text)
        group = known[_numbers(text)]
        if folded and folded not in group and not any(alike(text, other) >= _SAME_FROM for other in group.values() if other.strip()):
            kept.append(text)
            group[folded] = text
    return kept


def repeatable(texts: Sequence[str], existing: Sequence[str]) -> list[str]:
    """The texts whose similarity decides what is new: those that name the same numbers as another, spelled in one way each."""
    groups: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
    new = {_folded(text) for text in texts} - {_folded(text) for text in existing}
    for text in [*existing, *texts]:
        if _folded(text):
            groups[_numbers(text)].setdefault(_folded(text), text)
    return [text for group in groups.values() if len(group) > 1 and not new.isdisjoint(group) for text in group.values()]


def _folded(text: str) -> str:
    return text.strip().casefold()


def _numbers(text: str) -> tuple[str, ...]:
    return tuple(sorted(term for term in terms(text) if any(character.isdigit() for character in term)))
