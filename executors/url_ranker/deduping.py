"""Which texts say something new."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

from executors.url_ranker.distinctions import content, marks, opposed
from executors.url_ranker.vectors import RememberedVectors
from providers.lexical import similarity
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


def new_texts(texts: Sequence[str], existing: Sequence[str], alike: Similarity | None = None) -> list[str]:
    """Those of `texts`, in order, that repeat neither an existing text nor an earlier one that was kept. Blank ones are left out.

    A text repeats another when they differ only in case, or when their similarity is at least 0.86 and nothing sets them apart: they
    have the same `marks` ("iPhone 15" and "iPhone 16" are never the same, however near each other words or vectors put them), and
    - by their words, without `alike`, the same words of content in the same order,
    - by `alike`, which may see that other words mean the same, they are not `opposed`.
    """
    known = {_folded(text) for text in existing}
    groups: dict[Hashable, list[str]] = defaultdict(list)

    def group_of(text: str) -> list[str]:
        return groups[marks(text) if alike is not None else (marks(text), content(text))]

    def repeats(text: str, other: str) -> bool:
        if alike is None:
            return similarity(text, other) >= _SAME_FROM
        return alike(text, other) >= _SAME_FROM and not opposed(text, other)

    for text in {_folded(text): text for text in reversed(existing) if text.strip()}.values():
        group_of(text).append(text)
    kept = []
    for text in texts:
        folded = _folded(text)
        if not folded or folded in known:
            continue
        known.add(folded)
        group = group_of(text)
        if not any(repeats(text, other) for other in group):
            kept.append(text)
            group.append(text)
    return kept


def repeatable(texts: Sequence[str], existing: Sequence[str]) -> list[str]:
    """The texts whose similarity decides what is new: those that have the same marks as another, spelled in one way each."""
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    new = {_folded(text) for text in texts} - {_folded(text) for text in existing}
    spelled: dict[str, str] = {}
    for text in [*existing, *texts]:
        if (folded := _folded(text)) and folded not in spelled:
            spelled[folded] = text
            groups[marks(text)].append(text)
    return [text for group in groups.values() if len(group) > 1 and any(_folded(text) in new for text in group) for text in group]


def _folded(text: str) -> str:
    return text.strip().casefold()
