"""The blocks of a Markdown or plain text: headings, paragraphs, lists, tables and code, as spans.

A line scanner and not a Markdown parser: it must be exact about offsets, fast on megabytes and never fail on any text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["heading", "paragraph", "list", "table", "code"]

_MAX_HEADING_CHARACTERS = 200


@dataclass(frozen=True)
class Block:
    """`text[start:end]`, without the white space around it. `heading` is the path of the headings above it, outermost first."""

    start: int
    end: int
    kind: Kind
    heading: tuple[str, ...] = ()


@dataclass
class _Open:
    """The block that is being read."""

    kind: Kind
    start: int
    end: int
    fence: str = ""


@dataclass
class _Headings:
    """The headings above the current line, by level."""

    levels: list[tuple[int, str]] = field(default_factory=list)

    def enter(self, level: int, title: str) -> None:
        while self.levels and self.levels[-1][0] >= level:
            self.levels.pop()
        self.levels.append((level, title[:_MAX_HEADING_CHARACTERS]))

    @property
    def path(self) -> tuple[str, ...]:
        return tuple(title for _, title in self.levels)


def blocks(text: str) -> list[Block]:
    """Blocks of `text` in order. They never overlap and together hold every character that is not white space."""
    found: list[Block] = []
    headings = _Headings()
    current: _Open | None = None

    def close() -> None:
        nonlocal current
        if current is not None:
            found.append(Block(current.start, current.end, current.kind, headings.path))
            current = None

    for start, end, line in _lines(text):
        if not line:
            if current is not None and not current.fence:
                close()
        elif current is not None and current.fence:
            current.end = end
            if line.startswith(current.fence) and not line.strip(current.fence[0]):
                close()
        elif fence := _fence(line):
            close()
            current = _Open("code", start, end, fence)
        elif level := _heading_level(line):
            close()
            headings.enter(level, line.strip("# \t"))
            found.append(Block(start, end, "heading", headings.path))
        elif current is not None and current.kind == "paragraph" and current.end - current.start < 200 and _underline(line):
            title = text[current.start : current.end]
            if "\n" in title:
                current.end = end
                continue
            headings.enter(1 if line[0] in "=#*" else 2, title.strip())
            found.append(Block(current.start, end, "heading", headings.path))
            current = None
        else:
            kind = _kind(line)
            # A line without a marker goes on with the paragraph or the list item before it.
            if current is not None and (current.kind == kind or (kind == "paragraph" and current.kind == "list")):
                current.end = end
            else:
                close()
                current = _Open(kind, start, end)
    close()
    return found


def _lines(text: str) -> Iterator[tuple[int, int, str]]:
    """Spans of the lines of `text` and the lines themselves, white space around them left out; a blank line is empty."""
    position = 0
    for raw in text.splitlines(keepends=True):
        line = raw.strip()
        start = position + len(raw) - len(raw.lstrip())
        yield start, start + len(line), line
        position += len(raw)


def _fence(line: str) -> str:
    for mark in ("```", "~~~"):
        if line.startswith(mark):
            return mark[0] * (len(line) - len(line.lstrip(mark[0])))
    return ""


def _heading_level(line: str) -> int:
    level = len(line) - len(line.lstrip("#"))
    return level if 1 <= level <= 6 and line[level : level + 1] in (" ", "\t") else 0


def _underline(line: str) -> bool:
    return len(line) >= 3 and line[0] in "=-~^*#+\"'" and not line.strip(line[0])


def _kind(line: str) -> Kind:
    if line[0] == "|":
        return "table"
    marker, _, rest = line.partition(" ")
    if rest and (marker in ("-", "*", "+", "•", "–") or (len(marker) <= 4 and marker[-1] in ".)" and marker[:-1].isdigit())):
        return "list"
    return "paragraph"
