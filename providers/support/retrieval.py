"""The evidence of a run, found by its words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property

from providers.support.language import sentence_language
from providers.support.outline import Line, content_of, outline
from schemas.knowledge import Evidence

_LEAST_CHARACTERS = 12


class Ledger:
    """All evidence by id. Words are counted only when a statement has to be looked for."""

    def __init__(self, evidence: Mapping[str, Evidence]) -> None:
        self.evidence = {key: item for key, item in evidence.items() if item.quote.strip()}

    @cached_property
    def _index(self) -> dict[str, list[str]]:
        """The ids of the evidence that holds a term."""
        index: dict[str, list[str]] = {}
        for key in self.evidence:
            for term in frozenset().union(*(line.terms for line in self.lines(key))):
                index.setdefault(term, []).append(key)
        return index

    def lines(self, key: str) -> tuple[Line, ...]:
        """The sentences of one piece of evidence."""
        quote = self.evidence[key].quote
        return outline(quote, sentence_language(quote))

    def holding(self, words: str) -> list[str]:
        """Ids of the evidence whose quote holds `words` as they are."""
        if len(words) < _LEAST_CHARACTERS:
            return []
        return [key for key, item in self.evidence.items() if words in item.quote]

    def nearest(self, words: str, most: int) -> list[str]:
        """Ids of the evidence that shares the most and the rarest words with `words`, best first (sum of inverse document frequencies)."""
        scores: dict[str, float] = {}
        for term in sorted(content_of(words, sentence_language(words))):
            keys = self._index.get(term, ())
            weight = math.log(1 + len(self.evidence) / len(keys)) if keys else 0.0
            for key in keys:
                scores[key] = scores.get(key, 0.0) + weight
        return sorted(scores, key=lambda key: -scores[key])[:most]
