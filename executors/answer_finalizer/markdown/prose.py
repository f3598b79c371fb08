"""Where the prose of a Markdown text is, by offsets: its leaves, and in each leaf the spans that are not prose.

Reference-style links and raw HTML blocks are off. Both would let a later line change what an earlier one means, and neither
belongs in an answer: definitions are looked at one by one (`definitions`), HTML tags are found as spans.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter
from typing import Any, Literal

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

SpanKind = Literal["code", "link", "image", "autolink", "html", "escape", "entity"]

_RULES: dict[str, SpanKind] = {
    "backticks": "code",
    "link": "link",
    "image": "image",
    "autolink": "autolink",
    "html_inline": "html",
    "escape": "escape",
    "entity": "entity",
}


@dataclass(frozen=True)
class Span:
    """A part of a leaf's content that is not plain prose. `label` is the text of a link or image, `target` its URL."""

    kind: SpanKind
    start: int
    end: int
    label: tuple[int, int] = (0, 0)
    target: str = ""

    def moved(self, offset: int) -> Span:
        """The same span of a text that begins `offset` characters earlier."""
        label = (self.label[0] + offset, self.label[1] + offset)
        return Span(self.kind, self.start + offset, self.end + offset, label, self.target)


@dataclass(frozen=True)
class Emphasis:
    """Runs of emphasis characters outside code: `runs` as (start, end), `pairs` as offsets of characters that pair up."""

    runs: list[tuple[int, int]]
    pairs: list[tuple[int, int]]


@dataclass(frozen=True)
class Leaf:
    """A paragraph, heading or table. `content` is its text without the prefixes of its containers."""

    start: int
    """Offset of its first line's start in the text."""
    end: int
    """Offset just after its last line's text."""
    content: str
    kind: Literal["paragraph", "heading"] = "paragraph"
    lines: list[tuple[int, int]] = field(default_factory=list)
    """(offset in content, offset in text) of the start of each line of the content."""
    indented: bool = False
    """Whether only white space stands before the content in its first line."""

    def position(self, offset: int) -> int:
        """Offset in the text of an offset in the content."""
        within, at = self.lines[max(0, bisect_right(self.lines, offset, key=itemgetter(0)) - 1)]
        return at + offset - within

    def line_position(self, offset: int) -> int:
        """As `position`, for the first character of the content: with the block's indentation, if it has nothing else."""
        return self.start if offset == 0 and self.indented else self.position(offset)

    def end_position(self, offset: int) -> int:
        """As `position`, for the end of a span: stays on the line of the span's last character."""
        return self.position(offset - 1) + 1 if offset else self.position(0)


def _noting_emphasis(rule: Callable[[StateInline, bool], bool]) -> Callable[[StateInline, bool], bool]:
    def noted(state: StateInline, silent: bool) -> bool:
        start, delimiters = state.pos, state.delimiters
        known = len(delimiters)
        if not rule(state, silent):
            return False
        state.env["emphasis"].append((delimiters, known, len(delimiters), start))
        return True

    return noted


def _recording(name: str, rule: Callable[[StateInline, bool], bool]) -> Callable[[StateInline, bool], bool]:
    kind = _RULES[name]

    def recorded(state: StateInline, silent: bool) -> bool:
        start, tokens = state.pos, len(state.tokens)
        spans: list[Span] = state.env["spans"]
        known, noted = len(spans), len(state.env["emphasis"])
        if not rule(state, silent):
            return False
        if silent:
            return True
        if kind == "code" and not any(token.type == "code_inline" for token in state.tokens[tokens:]):
            return True  # a run of backticks without its partner is prose
        if kind == "image":
            # The alternative text is parsed on its own, with offsets of its own.
            del spans[known:]
            del state.env["emphasis"][noted:]
        label, target = (0, 0), ""
        if kind in ("link", "image"):
            begin = start + (2 if kind == "image" else 1)
            label = (begin, state.md.helpers.parseLinkLabel(state, begin - 1, kind == "link"))
            attribute = "src" if kind == "image" else "href"
            target = next((str(t.attrGet(attribute)) for t in state.tokens[tokens:] if t.type in ("link_open", "image")), "")
        elif kind == "autolink":
            target = next((str(t.attrGet("href")) for t in state.tokens[tokens:] if t.type == "link_open"), "")
        spans.append(Span(kind, start, state.pos, label, target))
        return True

    return recorded


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark").disable(["reference", "html_block"])
    parser.core.ruler.enableOnly(["normalize", "block"])
    for rule in list(parser.inline.ruler.__rules__):
        if rule.name in _RULES:
            parser.inline.ruler.at(rule.name, _recording(rule.name, rule.fn), {"alt": rule.alt})
        elif rule.name == "emphasis":
            parser.inline.ruler.at(rule.name, _noting_emphasis(rule.fn), {"alt": rule.alt})
    # A link that a renderer may follow must be seen as a link, whatever its scheme; what is allowed is decided elsewhere.
    parser.validateLink = lambda url: True  # type: ignore[method-assign]
    parser.normalizeLink = lambda url: url  # type: ignore[method-assign]
    return parser


_PARSER = _parser()
_DEFINITIONS = MarkdownIt("commonmark").disable("html_block")
_DEFINITIONS.core.ruler.enableOnly(["normalize", "block"])


def spans(content: str) -> list[Span]:
    """Spans of a leaf's content that are not prose, outer before inner, in order."""
    return _inline(content)[0]


def emphasis(content: str) -> Emphasis:
    """The emphasis characters of a leaf's content, as a renderer understands them."""
    return _inline(content)[1]


@lru_cache(maxsize=256)  # the steps from a draft to an answer look at the same paragraphs one after another
def _inline(content: str) -> tuple[list[Span], Emphasis]:
    env: dict[str, Any] = {"spans": [], "emphasis": []}
    _PARSER.inline.parse(content, _PARSER, env, [])
    runs: list[tuple[int, int]] = []
    position: dict[tuple[int, int], int] = {}
    for delimiters, first, last, start in env["emphasis"]:
        runs.append((start, start + last - first))
        position.update({(id(delimiters), number): start + number - first for number in range(first, last)})
    pairs = []
    for delimiters, first, last, _ in env["emphasis"]:
        for number in range(first, last):
            if delimiters[number].end >= 0:
                pairs.append((position[id(delimiters), number], position[id(delimiters), delimiters[number].end]))
    return sorted(env["spans"], key=lambda span: (span.start, -span.end)), Emphasis(sorted(runs), sorted(pairs))


def definitions(content: str) -> list[tuple[int, int, str, str]]:
    """Link reference definitions that a paragraph begins with: first line, line after the last, label, URL."""
    env: dict[str, dict[str, dict[str, Any]]] = {}
    _DEFINITIONS.parse(content, env)
    found = []
    for label, definition in env.get("references", {}).items():
        lines: list[int] = definition["map"]
        found.append((lines[0], lines[1], label, str(definition["href"])))
    return sorted(found)


def leaves(text: str) -> list[Leaf]:
    """The leaves of `text`, which has no carriage returns, in order. Code blocks are none."""
    source_lines = text.split("\n")
    starts = [0]
    for line in source_lines:
        starts.append(starts[-1] + len(line) + 1)
    tokens = _PARSER.parse(text)
    return [_leaf(token, tokens[index - 1], source_lines, starts) for index, token in enumerate(tokens) if token.type == "inline"]


def _leaf(token: Token, opening: Token, source_lines: list[str], starts: list[int]) -> Leaf:
    first = (token.map or [0, 0])[0]
    lines: list[tuple[int, int]] = []
    offset = 0
    for number, line in enumerate(token.content.split("\n")):
        source = source_lines[min(first + number, len(source_lines) - 1)]
        if opening.type == "heading_open" and opening.markup.startswith("#"):
            column = source.find(line, source.find(opening.markup) + len(opening.markup))
        else:
            # Containers put their prefixes before a line, so the line's text is the end of the source line.
            column = len(source.rstrip()) - len(line.strip()) - (len(line) - len(line.lstrip()) if line.strip() else 0)
        lines.append((offset, starts[min(first + number, len(source_lines) - 1)] + max(column, 0)))
        offset += len(line) + 1
    end_line = min(first + token.content.count("\n"), len(source_lines) - 1)
    indented = not source_lines[first][: lines[0][1] - starts[first]].strip()
    kind: Literal["paragraph", "heading"] = "heading" if opening.type == "heading_open" else "paragraph"
    return Leaf(starts[first], starts[end_line] + len(source_lines[end_line].rstrip()), token.content, kind, lines, indented)
