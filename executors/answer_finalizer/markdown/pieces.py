"""A Markdown passage cut into the smallest pieces that stand alone: sentences, list items, code blocks, tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import regex
from markdown_it import MarkdownIt
from markdown_it.token import Token

from providers.lexical import sentences, terms

PieceKind = Literal["sentence", "item", "code", "table"]

_PARSER = MarkdownIt("commonmark").enable("table")
_FENCE = regex.compile(r"(?m)^ {0,3}(?:```|~~~)[^\n]*$")
_SENTENCE_END = regex.compile(r"[.!?…:;。！？：；][*_`)\"'”’\]」』）]*$")
_QUESTION = regex.compile(r"[?？؟][*_)\"'”’\]」』）]*$")
_LEADING_IN = regex.compile(r"[:：][*_]*$")
_HEADING_TERMS = 5


@dataclass(frozen=True)
class Piece:
    """A span of a passage. `heading` is what stands above it: headings, and questions it may be the answer to."""

    kind: PieceKind
    start: int
    end: int
    block: int
    """Which block of the passage it belongs to; the items of one list share one."""
    heading: str = ""

    def of(self, passage: str) -> str:
        return passage[self.start : self.end]


def is_question(text: str) -> bool:
    """Whether `text` ends with a question mark."""
    return _QUESTION.search(text) is not None


def leads_in(text: str) -> bool:
    """Whether `text` ends with a colon, so that it says nothing without what follows."""
    return _LEADING_IN.search(text) is not None


def is_balanced(text: str) -> bool:
    """Whether code, strong emphasis and brackets that open in `text` also close in it."""
    return (
        text.count("`") % 2 == 0
        and text.count("**") % 2 == 0
        and all(text.count(a) == text.count(b) for a, b in ("[]", "()", "「」", "『』", "（）", "“”"))
    )


def pieces(passage: str) -> list[Piece]:
    """The pieces of `passage` in order. Headings, navigation, raw HTML and blocks cut off by the passage's ends are none."""
    passage = passage.replace("\r", " ")  # a line end to the parser, but not to what counts lines here
    start = _start_of_prose(passage)
    lines = [start]
    for line in passage[start:].split("\n"):
        lines.append(lines[-1] + len(line) + 1)
    found: list[Piece] = []
    heading, question = "", ""
    tokens = _PARSER.parse(passage[start:])
    block = 0
    for index, token in enumerate(tokens):
        if token.level or token.map is None or token.nesting < 0:
            continue
        first, end = lines[token.map[0]], lines[token.map[1]]
        end = first + len(passage[first:end].rstrip())
        first = end - len(passage[first:end].lstrip())
        block += 1
        above = f"{heading} {question}".strip()
        if token.type == "heading_open":
            heading, question = tokens[index + 1].content, ""
        elif token.type == "paragraph_open":
            if _is_navigation(tokens[index + 1 : index + 2]):
                continue
            text = passage[first:end].strip()
            if is_question(text) or (_is_heading(text) and "\n" not in text):
                question = text
                continue
            found += _sentences(passage, first, end, block, above)
        elif token.type in ("bullet_list_open", "ordered_list_open"):
            inside = _inside(tokens, index)
            if not _is_navigation([inner for inner in inside if inner.type == "inline"]):
                found += _items(inside, passage, lines, block, above)
        elif token.type == "table_open":
            if passage[first:end].count("\n") >= 2:
                found.append(Piece("table", first, end, block, above))
        elif token.type == "fence" and not _is_unclosed(token, passage[first:end]):
            found.append(Piece("code", first, end, block, above))
    return found


def _start_of_prose(passage: str) -> int:
    """0, or behind the fence that ends a code block which began before the passage did."""
    fences = list(_FENCE.finditer(passage))
    if len(fences) % 2 and fences[0].group().strip() in ("```", "~~~"):
        return min(fences[0].end() + 1, len(passage))
    return 0


def _is_unclosed(token: Token, text: str) -> bool:
    last = text.rpartition("\n")[2].strip()
    return "\n" not in text or not last.startswith(token.markup) or bool(last.strip(token.markup[0]))


def _is_heading(text: str) -> bool:
    """A short line that ends like no sentence."""
    return not _SENTENCE_END.search(text) and len(terms(text)) < _HEADING_TERMS


def _is_navigation(inlines: list[Token]) -> bool:
    """Whether most of the text is that of links, images or HTML."""
    total = linked = 0
    for inline in inlines:
        depth = 0
        for token in inline.children or []:
            depth += token.type == "link_open"
            depth -= token.type == "link_close"
            length = len(token.content.strip())
            total += length
            linked += length if depth or token.type in ("image", "html_inline") else 0
    return not total or linked > 0.6 * total


def _inside(tokens: list[Token], index: int) -> list[Token]:
    """The tokens of the block that opens at `index`."""
    level = tokens[index].level
    end = next(i for i in range(index + 1, len(tokens)) if tokens[i].level == level and tokens[i].nesting < 0)
    return tokens[index + 1 : end]


def _sentences(passage: str, start: int, end: int, block: int, heading: str) -> list[Piece]:
    # A line end inside a paragraph is a space.
    text = passage[start:end].replace("\n", " ")
    found: list[Piece] = []
    begun = question = ""
    opened = 0
    for first, last in sentences(text):
        if not begun:
            opened = first
        begun = text[opened:last]
        if not is_balanced(begun) and last < len(text.rstrip()):
            continue  # a code span or an emphasis reaches over the sentence end
        if is_question(begun):
            question = begun
        elif is_balanced(begun) or opened == 0:
            found.append(Piece("sentence", start + opened, start + last, block, f"{heading} {question}".strip()))
        begun = ""
    return found


def _items(inside: list[Token], passage: str, lines: list[int], block: int, heading: str) -> list[Piece]:
    level = min((token.level for token in inside), default=0)
    found = []
    for token in inside:
        if token.type == "list_item_open" and token.level == level and token.map:
            text = passage[lines[token.map[0]] : lines[token.map[1]]].rstrip()
            first = lines[token.map[0]] + len(text) - len(text.lstrip())
            if text.strip():
                found.append(Piece("item", first, first + len(text.lstrip()), block, heading))
    return found
