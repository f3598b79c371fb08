"""Which words of a source a citation stands on: the evidence narrowed to what the citing statement says."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import lru_cache

from docarray import DocList

from executors.answer_finalizer.citations.citing import Mark
from executors.answer_finalizer.markdown.pieces import Piece, pieces
from providers.lexical import coverage, language_of, sentences, similarity
from schemas.knowledge import Evidence
from schemas.research import Reference

_MAX_PIECES = 3
# As far as the beginning of a sentence is looked for, in characters.
_MAX_SENTENCE = 2_000
# A neighbouring sentence joins the quote when it adds at least this share of the statement's content terms.
_WORTH_JOINING = 0.15


def references(
    text: str, marks: Sequence[Mark], cited: Sequence[Evidence], span_of: Callable[[Evidence], tuple[int, int]] | None = None
) -> DocList[Reference]:
    """One reference for each number, in order; its quote is a span of the evidence's quote.

    `cited[n - 1]` is the evidence of number n. A statement that is itself a verbatim span is quoted exactly; otherwise
    up to three neighbouring sentences that say most of it. Where several statements cite one source, the span covers all;
    where no word agrees, as between languages, it is the whole evidence. `span_of` chooses the words instead where given.
    """
    code = language_of(text)
    spans: dict[int, tuple[int, int]] = {}
    for (segment, statement), mark in zip(_statements(text, marks), marks, strict=True):
        span = _supporting(cited[mark.number - 1].quote, segment, statement, code)
        if span is not None:
            known = spans.get(mark.number, span)
            spans[mark.number] = (min(span[0], known[0]), max(span[1], known[1]))
    found = DocList[Reference]()
    for number, evidence in enumerate(cited, 1):
        start, end = span_of(evidence) if span_of else spans.get(number, (0, len(evidence.quote)))
        found.append(
            Reference(
                number=number,
                evidence_id=evidence.evidence_id,
                page_id=evidence.page_id,
                url=evidence.url,
                title=evidence.title,
                quote=evidence.quote[start:end],
                start=evidence.start + start,
                end=evidence.start + end,
                published=evidence.published,
                modified=evidence.modified,
                read_at=evidence.read_at,
            )
        )
    return found


def _statements(text: str, marks: Sequence[Mark]) -> list[tuple[str, str]]:
    """For each marker, all the text since the marker before it, and the sentence that it ends or stands in."""
    found: list[tuple[str, str]] = []
    starts = [mark.start for mark in marks]
    segment_start = group_end = 0
    for mark in marks:
        if text[group_end : mark.start].strip():
            segment_start = group_end
        group_end = mark.end
        # Markers side by side stand on the same words.
        words_end = starts[bisect_left(starts, segment_start)]
        segment = text[segment_start:words_end].strip()
        nearest = max(0, words_end - _MAX_SENTENCE)
        gap = text.rfind("\n\n", nearest, words_end)
        begin = gap + 2 if gap >= 0 else nearest
        before = _without(text, begin, words_end, marks[bisect_left(starts, begin) : bisect_left(starts, words_end)]).replace("\n", " ")
        ends = sentences(before)
        sentence = before[slice(*ends[-1])] if ends else ""
        if not any(character.isalnum() for character in sentence):
            after = text[group_end:].partition("\n")[0]
            following = sentences(after)
            sentence = segment or (after[slice(*following[0])] if following else "")
        found.append((segment, sentence))
    return found


def _without(text: str, start: int, end: int, marks: Sequence[Mark]) -> str:
    """What stands between two offsets, without the marks that do."""
    parts = []
    for mark in marks:
        parts.append(text[start : mark.start])
        start = mark.end
    return "".join([*parts, text[start:end]])


@lru_cache(maxsize=64)  # one source is cited by many statements of an answer
def _pieces(quote: str) -> list[Piece]:
    return pieces(quote)


def _supporting(quote: str, segment: str, statement: str, code: str) -> tuple[int, int] | None:
    """Span of `quote` that says most of the statement; None when no word agrees (it may be in another language)."""
    found = _pieces(quote)
    at = quote.find(segment) if segment else -1
    # A few words that happen to occur are no quotation; whole pieces are.
    if any(piece.start == at for piece in found):
        end = at + len(segment)
        if quote[end : end + 1] in ("", "\n") or any(piece.end == end for piece in found):
            return at, end
    scores = [coverage(statement, piece.of(quote), code) + similarity(statement, piece.of(quote), code) for piece in found]
    if max(scores, default=0.0) <= 0:
        return None
    first = last = scores.index(max(scores))
    while last - first + 1 < _MAX_PIECES:
        here = coverage(statement, quote[found[first].start : found[last].end], code)
        gains = []
        for a, b in ((first - 1, last), (first, last + 1)):
            if a >= 0 and b < len(found):
                gains.append((coverage(statement, quote[found[a].start : found[b].end], code) - here, a, b))
        gain, a, b = max(gains, default=(0.0, first, last))
        if gain < _WORTH_JOINING:
            break
        first, last = a, b
    return found[first].start, found[last].end
