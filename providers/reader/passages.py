"""The passages of a page that bear on a question: verbatim, short enough to be quoted, best first."""

from __future__ import annotations

import unicodedata

import regex

from providers.lexical import content_terms, relevance
from providers.reader.chunks import Chunk, chunks
from schemas.reading import Passage

_AIM_CHARACTERS = 600
# A page shorter than this is given whole, in passages.
_SHORT_PAGE_CHARACTERS = 3_000
# On longer pages a passage must be at least this relevant, compared with the best one.
_LEAST_RELATIVE_SCORE = 0.2
# Tokenising costs about 0.4 s for a megabyte; of larger pages than this only passages that share letters with the question are scored.
_SCREENED_CHARACTERS = 60_000
_SCREENED_CHUNKS = 300
_MARKS = regex.compile(r"\p{Mn}+")


def select_passages(
    question: str, text: str, language_code: str, *, max_passages: int = 8, passage_characters: int = 1_200
) -> list[Passage]:
    """Select what `text`, a page in `language_code`, says about `question`.

    Gives at most `max_passages` passages of at most `passage_characters` characters each, cut at the borders of paragraphs,
    sentences, rows and lines, without overlap, best first; `score` is lexical relevance (BM25 of the passage with the
    headings above it), 0 to 1. A page under 3,000 characters gives all its passages. When nothing is relevant the
    first passages are given, with score 0. Empty only for a blank text.
    """
    found = chunks(text, aim=min(_AIM_CHARACTERS, passage_characters), most=passage_characters)
    candidates = found if len(text) <= _SCREENED_CHARACTERS else _screen(question, text, language_code, found)
    scores = relevance(question, [_with_headings(text, chunk) for chunk in candidates], language_code)
    ranked = sorted(zip(candidates, scores, strict=True), key=lambda scored: (-scored[1], scored[0].start))
    if len(text) > _SHORT_PAGE_CHARACTERS:
        least = _LEAST_RELATIVE_SCORE * ranked[0][1] if ranked else 0.0
        relevant = [scored for scored in ranked if scored[1] > 0 and scored[1] >= least]
        ranked = relevant or [(chunk, 0.0) for chunk in found[:2]]
    return [
        Passage(text=text[chunk.start : chunk.end], start=chunk.start, end=chunk.end, score=score) for chunk, score in ranked[:max_passages]
    ]


def _with_headings(text: str, chunk: Chunk) -> str:
    return " ".join([*chunk.heading, text[chunk.start : chunk.end]])


def _screen(question: str, text: str, language_code: str, found: list[Chunk]) -> list[Chunk]:
    """The chunks that hold the beginnings of the most terms of the question; stems share their first letters with their words."""
    beginnings = {_fold(term)[:4] if len(term) > 4 else _fold(term) for term in content_terms(question, language_code)}
    counts = []
    for chunk in found:
        folded = _fold(_with_headings(text, chunk))
        counts.append(sum(beginning in folded for beginning in beginnings))
    order = sorted(range(len(found)), key=lambda i: (-counts[i], i))
    return [found[i] for i in order[:_SCREENED_CHUNKS] if counts[i]]


def _fold(text: str) -> str:
    """Without case and accents, which stemmers take away too."""
    folded = text.casefold()
    return folded if folded.isascii() else _MARKS.sub("", unicodedata.normalize("NFD", folded))
