"""Which texts say something new."""

from __future__ import annotations

from collections.abc import Sequence

from providers.lexical import similarity, terms

_SAME_FROM = 0.86
"""Similarity at which two texts count as one, as in Jina DeepSearch."""


def new_texts(texts: Sequence[str], existing: Sequence[str]) -> list[str]:
    """Those of `texts`, in order, that repeat neither an existing text nor an earlier one of their own. Blank ones are left out.

    A text repeats another when they differ only in case, or when their similarity is at least 0.86 and they name the same
    numbers: "iPhone 15" and "iPhone 16" are never the same, however many other words they share.
    """
    known = [(text.strip().casefold(), _numbers(text), text) for text in existing]
    kept = []
    for text in texts:
        folded, numbers = text.strip().casefold(), _numbers(text)
        if folded and not any(
            folded == other or (numbers == their_numbers and similarity(text, theirs) >= _SAME_FROM)
            for other, their_numbers, theirs in known
        ):
            kept.append(text)
            known.append((folded, numbers, text))
    return kept


def _numbers(text: str) -> list[str]:
    return sorted(term for term in terms(text) if any(character.isdigit() for character in term))
