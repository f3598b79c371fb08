"""The passages of a page that bear on a question: verbatim, short enough to be quoted, best first."""

from __future__ import annotations

import asyncio
import time
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import regex

from providers.embedding.base import EmbeddingProvider, Vectors
from providers.fusion import fused
from providers.lexical import content_terms, relevance
from providers.patience import within
from providers.reader.chunks import Chunk, chunks
from providers.reader.windows import best_windows, mean_similarity, pieces, window_count
from schemas.errors import BudgetExceeded, EmbeddingError
from schemas.reading import Passage
from schemas.usage import Usage

_AIM_CHARACTERS = 600
# A page shorter than this is given whole, in passages.
_SHORT_PAGE_CHARACTERS = 3_000
# On longer pages a passage must be at least this relevant, compared with the best one.
_LEAST_RELATIVE_SCORE = 0.2
# Tokenising costs about 0.4 s for a megabyte; of larger pages than this only passages that share letters with the question are scored.
_SCREENED_CHARACTERS = 60_000
_SCREENED_CHUNKS = 300
# Scoring more than this takes long enough to hold up the other calls of the process.
_LONG_PAGE_CHARACTERS = 50_000
# Of longer texts than this, the stretches are considered that hold the rarest terms of the question: finding the passages of a megabyte
# can take a second, finding words in it a thousandth.
_CONSIDERED_CHARACTERS = 600_000
_STRETCH_CHARACTERS = 20_000
_MOST_SOUGHT = 30
# Embedded one by one are the passages with the best lexical relevance, and as many of the others, spread over the page, as
# make up the number: a page in other words than the question's has its say, and no page costs more than some 25,000 tokens.
_EMBEDDED_BY_RELEVANCE = 80
_EMBEDDED = 100
# Windows are looked for in pages from this length, as in Jina DeepSearch, up to what costs some 25,000 tokens.
_WINDOWED_FROM_CHARACTERS = 12_000
_WINDOWED_TO_CHARACTERS = 100_000
_MARKS = regex.compile(r"\p{Mn}+")


@dataclass(frozen=True)
class Selection:
    """The passages, best first, why they were chosen by their words alone although embeddings were to be used, and what they cost."""

    passages: list[Passage]
    errors: list[str] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True)
class Scored:
    """A part of a page and how relevant it is, 0 to 1."""

    chunk: Chunk
    score: float


async def select_passages(
    question: str,
    text: str,
    language_code: str,
    embedding: EmbeddingProvider | None = None,
    *,
    max_tokens: int | None = None,
    seconds: float | None = None,
    max_passages: int = 8,
    passage_characters: int = 1_200,
) -> Selection:
    """Select what `text`, a page in `language_code`, says about `question`.

    Gives at most `max_passages` passages of at most `passage_characters` characters each, cut at the borders of paragraphs,
    sentences, rows and lines, without overlap, best first, with a `score` of 0 to 1. A page under 3,000 characters gives all
    its passages, of a longer one each has at least a fifth of the best score. When nothing is relevant the first passages
    are given, with score 0. No passages only for a blank text. Of a text of more than 600,000 characters as many are considered: the
    beginning, and the stretches of 20,000 characters that hold the rarest words of the question.

    Without `embedding` the score is lexical relevance (BM25 of the passage with the headings above it). With it, passages
    are ordered by lexical relevance and similarity of their vectors to the question's, fused as in `providers.fusion`; the
    best score is the mean of the best relevance and the best similarity of the page, so that pages can be compared. At
    most 100 passages are embedded. A provider with late chunking is given a page of 12,000 to 100,000 characters in
    consecutive pieces instead, and only passages whose middle lies in one of its best windows (`providers.reader.windows`)
    are considered, with the mean similarity of the pieces they touch.

    Embedding may bill `max_tokens` and take `seconds`, None for no limit. When it fails or would exceed either, the lexical
    passages are given with a line in `errors`.
    """
    if len(text) > _LONG_PAGE_CHARACTERS:
        parts = await asyncio.to_thread(score_lexically, question, text, language_code, passage_characters)
    else:
        parts = score_lexically(question, text, language_code, passage_characters)
    ranked, errors, usage = rank_lexical(parts), [], Usage()
    if embedding is not None and len(parts) > 1:
        try:
            ranked, usage = await _rank_embedded(question, text, parts, embedding, max_tokens=max_tokens, seconds=seconds)
        except (EmbeddingError, BudgetExceeded) as error:
            errors, usage = [f"passages were compared by their words alone: {error}"], error.usage
    return Selection(_passages(text, parts, ranked, max_passages), errors, usage)


def score_lexically(question: str, text: str, language_code: str, passage_characters: int) -> list[Scored]:
    """The passages of `text` that are considered in order, each with its lexical relevance to `question`."""
    aim = min(_AIM_CHARACTERS, passage_characters)
    found = [
        Chunk(start + chunk.start, start + chunk.end, chunk.heading)
        for start, end in _considered(question, text, language_code)
        for chunk in chunks(text[start:end], aim=aim, most=passage_characters)
    ]
    candidates = found if len(text) <= _SCREENED_CHARACTERS else _screen(question, text, language_code, found)
    scores = relevance(question, [_with_headings(text, chunk) for chunk in candidates], language_code)
    by_start = {chunk.start: score for chunk, score in zip(candidates, scores, strict=True)}
    return [Scored(chunk, by_start.get(chunk.start, 0.0)) for chunk in found]


def rank_lexical(parts: Sequence[Scored]) -> list[Scored]:
    """Best first; equal ones in the order of the page."""
    return sorted(parts, key=lambda part: (-part.score, part.chunk.start))


def rank_hybrid(parts: Sequence[Scored], similarities: Sequence[float]) -> list[Scored]:
    """Best first by lexical relevance and similarity, fused; the best score is the mean of the highest relevance and similarity."""
    both = fused([part.score for part in parts], similarities)
    best = max(both, default=0.0)
    level = (max((part.score for part in parts), default=0.0) + max(0.0, max(similarities, default=0.0))) / 2
    stretch = level / best if best else 0.0
    return rank_lexical([Scored(part.chunk, min(1.0, score * stretch)) for part, score in zip(parts, both, strict=True)])


def worth_embedding(parts: Sequence[Scored]) -> list[Scored]:
    """At most 100 of `parts`, in their order: the 80 of best relevance, as far as it is not 0, and of the others every so many."""
    if len(parts) <= _EMBEDDED:
        return list(parts)
    best = [part for part in rank_lexical(parts)[:_EMBEDDED_BY_RELEVANCE] if part.score > 0]
    chosen = {part.chunk.start for part in best}
    rest = [part for part in parts if part.chunk.start not in chosen]
    wanted = _EMBEDDED - len(best)
    spread = [rest[i * len(rest) // wanted] for i in range(wanted)]
    return sorted([*best, *spread], key=lambda part: part.chunk.start)


async def _rank_embedded(
    question: str,
    text: str,
    parts: Sequence[Scored],
    embedding: EmbeddingProvider,
    *,
    max_tokens: int | None,
    seconds: float | None,
) -> tuple[list[Scored], Usage]:
    """Raises `EmbeddingError`, also when `seconds` are over, and `BudgetExceeded`, with the usage of both requests."""
    windowed = embedding.supports_late_chunking and _WINDOWED_FROM_CHARACTERS <= len(text) <= _WINDOWED_TO_CHARACTERS
    chosen = list(parts) if windowed else worth_embedding(parts)
    spans = pieces(text) if windowed else [(part.chunk.start, part.chunk.end) for part in chosen]
    texts = [text[start:end] for start, end in spans] if windowed else [_with_headings(text, part.chunk) for part in chosen]
    started = time.monotonic()
    asked = await within(
        seconds, lambda: embedding.embed([question], "query", max_tokens=max_tokens), EmbeddingError, name=embedding.name, texts=[question]
    )
    tokens_left = None if max_tokens is None else max(0, max_tokens - asked.usage.total_tokens)
    seconds_left = None if seconds is None else seconds - (time.monotonic() - started)
    try:
        embedded = await within(
            seconds_left,
            lambda: embedding.embed(texts, "passage", late_chunking=windowed, max_tokens=tokens_left),
            EmbeddingError,
            name=embedding.name,
            texts=texts,
        )
    except (EmbeddingError, BudgetExceeded) as error:
        raise type(error)(error.message, field=error.field, usage=asked.usage + error.usage) from error
    usage = asked.usage + embedded.usage
    similarities = _similarities(embedding.name, asked.vectors, embedded.vectors, usage)
    if not windowed:
        return rank_hybrid(chosen, similarities), usage
    windows = best_windows(spans, similarities, window_count(len(text)))
    inside = [part for part in chosen if any(start <= (part.chunk.start + part.chunk.end) // 2 < end for start, end in windows)]
    means = [mean_similarity((part.chunk.start, part.chunk.end), spans, similarities) for part in inside]
    return rank_hybrid(inside, means), usage


def _similarities(name: str, question: Vectors, passages: Vectors, usage: Usage) -> list[float]:
    """Raises `EmbeddingError`, with `usage`, when the vectors of the question and the passages cannot be compared."""
    if question.ndim != 2 or passages.ndim != 2 or question.shape[1] != passages.shape[1] or not question.size:
        shapes = " and ".join("x".join(map(str, vectors.shape)) for vectors in (question, passages))
        raise EmbeddingError(f"{name} sent vectors of {shapes} numbers, which cannot be compared", usage=usage)
    products = np.nan_to_num(passages @ question[0])
    return [float(product) for product in np.clip(products, -1.0, 1.0)]


def _passages(text: str, parts: Sequence[Scored], ranked: Sequence[Scored], max_passages: int) -> list[Passage]:
    if len(text) > _SHORT_PAGE_CHARACTERS:
        least = _LEAST_RELATIVE_SCORE * ranked[0].score if ranked else 0.0
        relevant = [part for part in ranked if part.score > 0 and part.score >= least]
        ranked = relevant or [Scored(part.chunk, 0.0) for part in parts[:2]]
    return [
        Passage(text=text[part.chunk.start : part.chunk.end], start=part.chunk.start, end=part.chunk.end, score=part.score)
        for part in ranked[:max_passages]
    ]


def _with_headings(text: str, chunk: Chunk) -> str:
    return " ".join([*chunk.heading, text[chunk.start : chunk.end]])


def _considered(question: str, text: str, language_code: str) -> list[tuple[int, int]]:
    """The parts of `text` in which passages are looked for, in order: all of it when it is not too long."""
    if len(text) <= _CONSIDERED_CHARACTERS:
        return [(0, len(text))]
    cuts = [0]
    while cuts[-1] < len(text):
        end = cuts[-1] + _STRETCH_CHARACTERS
        line_end = text.rfind("\n", end - _STRETCH_CHARACTERS // 4, end)
        cuts.append(min(len(text), line_end + 1 or end))
    stretches = list(pairwise(cuts))
    found: dict[str, list[int]] = {}
    # Without accents only where the question has none: taking those of the whole text away takes too long.
    sought = dict.fromkeys(term.casefold()[:4] for term in content_terms(question, language_code)[:_MOST_SOUGHT])
    for number, (start, end) in enumerate(stretches):
        folded = text[start:end].casefold()
        for beginning in sought:
            if beginning in folded:
                found.setdefault(beginning, []).append(number)
    weights = [0.0] * len(stretches)
    for places in found.values():
        for number in places:
            weights[number] += 1 / len(places)
    rest = sorted(range(1, len(stretches)), key=lambda number: (-weights[number], number))
    chosen = sorted([0, *rest[: _CONSIDERED_CHARACTERS // _STRETCH_CHARACTERS - 1]])
    joined: list[tuple[int, int]] = []
    for start, end in (stretches[number] for number in chosen):
        if joined and joined[-1][1] == start:
            joined[-1] = joined[-1][0], end
        else:
            joined.append((start, end))
    return joined


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
