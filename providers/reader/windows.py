"""The windows of a long page that lie nearest to a question, found by the similarity of many small pieces of it.

Pieces, windows and their number are those of Jina DeepSearch's snippet selection. Offsets are always those of the text: a blank
piece is left out without moving the pieces after it, and a window is never given twice.
"""

from __future__ import annotations

from collections.abc import Sequence

Span = tuple[int, int]
"""Start and end, in characters."""

PIECE_CHARACTERS = 300
WINDOW_PIECES = 20
WINDOW_CHARACTERS = PIECE_CHARACTERS * WINDOW_PIECES
_FEWEST_WINDOWS, _MOST_WINDOWS = 2, 5


def pieces(text: str) -> list[Span]:
    """`text` in pieces of 300 characters, in order, those that are blank left out; the last one may be shorter."""
    cuts = range(0, len(text), PIECE_CHARACTERS)
    spans = [(start, min(len(text), start + PIECE_CHARACTERS)) for start in cuts]
    return [(start, end) for start, end in spans if not text[start:end].isspace()]


def window_count(characters: int) -> int:
    """How many windows a page of that length gives: one for each 6,000 characters, at least 2 and at most 5."""
    return max(_FEWEST_WINDOWS, min(_MOST_WINDOWS, characters // WINDOW_CHARACTERS))


def best_windows(spans: Sequence[Span], similarities: Sequence[float], count: int) -> list[Span]:
    """The spans of at most `count` windows, best first: each of 20 consecutive pieces with the highest mean similarity of what is left.

    Windows share no piece and so never overlap; there are fewer when no 20 pieces in a row are left. Fewer than 20 pieces in all are
    one window. Of equal windows the first is taken.
    """
    width = min(WINDOW_PIECES, len(spans))
    if not width:
        return []
    sums, total = [0.0], 0.0
    for similarity in similarities:
        total += similarity
        sums.append(total)
    # All windows are equally wide, so the order of their sums is that of their means.
    starts = sorted(range(len(spans) - width + 1), key=lambda i: (sums[i] - sums[i + width], i))
    taken: list[int] = []
    for start in starts:
        if len(taken) == count:
            break
        if all(abs(start - other) >= width for other in taken):
            taken.append(start)
    return [(spans[start][0], spans[start + width - 1][1]) for start in taken]


def mean_similarity(span: Span, spans: Sequence[Span], similarities: Sequence[float]) -> float:
    """The mean similarity of the pieces that `span` touches; 0 when it touches none."""
    touched = [similarity for (start, end), similarity in zip(spans, similarities, strict=True) if start < span[1] and end > span[0]]
    return sum(touched) / len(touched) if touched else 0.0
