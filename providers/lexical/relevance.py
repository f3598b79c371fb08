"""How well texts fit a question, and how alike two texts are, by their terms."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import regex

from providers.lexical.terms import content_terms, terms

# BM25 with the usual constants (Robertson and Zaragoza, 2009).
_K1 = 1.2
_B = 0.75
# The least share of the terms asked for that a text about them holds.
_ABOUT = 0.3
# A term is rare with this share of the mean rarity of all that was asked for.
_RARE = 0.9
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}]+")
_CAPITAL_NOUNS = {"de"}


@lru_cache(maxsize=1_000)
def _counts(text: str, language_code: str) -> Counter[str]:
    """Remembered because the same candidates are ranked again at every step, and nearly all of the time went here."""
    return Counter(terms(text, language_code))


def relevance(question: str, texts: Sequence[str], language_code: str = "en") -> list[float]:
    """BM25 of each text for the question's content terms, divided by the best possible score: 0 to 1, comparable within one call.

    Term rarity is counted over `texts` themselves. 0 means that no content term of the question occurs.
    """
    wanted = content_terms(question, language_code)
    counts = [_counts(text, language_code) for text in texts]
    if not texts or not wanted:
        return [0.0] * len(texts)
    lengths = [sum(count.values()) for count in counts]
    mean_length = sum(lengths) / len(lengths) or 1.0
    documents = len(texts)
    weights = {}
    for term in wanted:
        containing = sum(1 for count in counts if term in count)
        weights[term] = _rarity(documents, containing)
    best = sum(weights.values()) * (_K1 + 1) or 1.0
    scores = []
    for count, length in zip(counts, lengths, strict=True):
        norm = _K1 * (1 - _B + _B * length / mean_length)
        score = sum(weights[term] * count[term] * (_K1 + 1) / (count[term] + norm) for term in wanted if term in count)
        scores.append(min(1.0, score / best))
    return scores


def coverage(question: str, text: str, language_code: str = "en") -> float:
    """Share of the question's content terms that occur in `text`, 0 to 1."""
    wanted = content_terms(question, language_code)
    present = set(terms(text, language_code))
    return sum(term in present for term in wanted) / len(wanted) if wanted else 0.0


def aboutness(about: str, texts: Sequence[str], language_code: str = "en") -> list[float]:
    """How much of what is asked about each text speaks of, rare words counting more: 0 to 1, and 0 for what is not about it.

    A text is about it with a third of the content terms of `about`, and either two of them or one that is rare or a name.
    One that most texts hold, as their common subject, is enough where it is half of what is asked about.
    """
    weights, held = _held(about, texts, language_code)
    total = sum(weights.values()) or 1.0
    mean = total / len(weights) if weights else 0.0

    names = _names(about, language_code)
    common = {term for term in weights if 2 * sum(term in terms_held for terms_held in held) > len(held)}

    def is_about(terms_held: list[str]) -> bool:
        telling = any(weights[term] >= _RARE * mean or term in names for term in terms_held)
        shared = 2 * len(terms_held) >= len(weights) and not common.isdisjoint(terms_held)
        return len(terms_held) >= _ABOUT * len(weights) and (telling or shared or len(terms_held) > 1)

    return [sum(weights[term] for term in found) / total if is_about(found) else 0.0 for found in held]


def _names(about: str, language_code: str) -> set[str]:
    """Terms of the capitalised words of `about` but the first; none in German, nor where all words are capitalised."""
    rest = _WORD.findall(about)[1:]
    names = [word for word in rest if word[0].isupper()]
    if language_code[:2].lower() in _CAPITAL_NOUNS or len(names) == len(rest) > 1:
        return set()
    return {term for name in names for term in terms(name, language_code)}


def weighed(about: str, texts: Sequence[str], language_code: str = "en") -> list[float]:
    """Share of the content terms of `about` in each text, rare ones counting more: 0 to 1; rarity is counted over `texts`."""
    weights, held = _held(about, texts, language_code)
    total = sum(weights.values()) or 1.0
    return [sum(weights[term] for term in found) / total for found in held]


def _held(about: str, texts: Sequence[str], language_code: str) -> tuple[dict[str, float], list[list[str]]]:
    """The rarity of each content term of `about`, and which of them each text holds."""
    wanted = content_terms(about, language_code)
    counts = [_counts(text, language_code) for text in texts]
    weights = {term: _rarity(len(counts), sum(term in count for count in counts)) for term in wanted}
    return weights, [[term for term in wanted if term in count] for count in counts]


def _rarity(documents: int, containing: int) -> float:
    """Inverse document frequency as BM25 has it."""
    return math.log(1 + (documents - containing + 0.5) / (containing + 0.5))


def similarity(first: str, second: str, language_code: str = "en") -> float:
    """Cosine of the two texts' term counts, 0 to 1; 1 for texts of the same words. Numbers count as words."""
    a, b = Counter(terms(first, language_code)), Counter(terms(second, language_code))
    dot = sum(count * b[term] for term, count in a.items())
    norm = math.sqrt(sum(c * c for c in a.values()) * sum(c * c for c in b.values()))
    return dot / norm if norm else float(first == second)
