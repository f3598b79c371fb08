"""A text with some of its spans written differently, and where everything else stands afterwards."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

Span = tuple[int, int]


@dataclass(frozen=True)
class Replacement:
    """A span that is written as `text`; empty spans insert, empty texts remove."""

    start: int
    end: int
    text: str = ""
    joins: bool = False
    """Whether an insertion belongs to the words it stands right behind."""


class Rewritten:
    """`text` is the old text with its replacements made, in order; one that overlaps an earlier one is left out."""

    def __init__(self, old: str, replacements: Iterable[Replacement]) -> None:
        parts: list[str] = []
        # (start in the old text, end in the old text, start in the new text, end in the new text, kept word for word, joins)
        self._segments: list[tuple[int, int, int, int, bool, bool]] = []
        self.placed: list[tuple[Replacement, int]] = []
        """Each replacement that was made, and where its text begins now."""
        cursor = length = 0

        def keep(end: int) -> None:
            nonlocal cursor, length
            if end > cursor:
                self._segments.append((cursor, end, length, length + end - cursor, True, False))
                parts.append(old[cursor:end])
                length += end - cursor
                cursor = end

        for change in sorted(replacements, key=lambda change: (change.start, change.end)):
            if change.start < cursor:
                continue
            keep(change.start)
            self._segments.append((change.start, change.end, length, length + len(change.text), False, change.joins))
            self.placed.append((change, length))
            parts.append(change.text)
            length += len(change.text)
            cursor = change.end
        keep(len(old))
        self.text = "".join(parts)
        self._starts = [segment[0] for segment in self._segments]

    def start(self, offset: int) -> int:
        """Where what began at `offset` begins now; where what followed it begins, when it is gone."""
        for first, last, new, _, kept, _ in self._segments[max(0, bisect_right(self._starts, offset) - 1) :]:
            if last > offset:
                return new + max(0, offset - first) if kept else new
        return len(self.text)

    def end(self, offset: int) -> int:
        """Where what ended at `offset` ends now, with what was inserted behind it to join it."""
        found = 0
        for first, last, new, new_end, kept, joins in self._segments[max(0, bisect_left(self._starts, offset) - 1) :]:
            if first < offset:
                found = new + min(last, offset) - first if kept else new_end
            elif first == last == offset and joins:
                found = new_end
            elif first >= offset:
                break
        return found

    def span(self, span: Span) -> Span:
        """Where a span stands now; empty, at its old place, when nothing of it is left."""
        start = self.start(span[0])
        return start, max(start, self.end(span[1]))


def rewrite(text: str, replacements: Iterable[Replacement]) -> str:
    """`text` with its replacements made."""
    return Rewritten(text, replacements).text
