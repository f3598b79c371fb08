"""The prose of a Markdown block with everything that is not prose blanked out, character by character.

Reference-style links are off, as in the rest of the project: a later line must not change what an earlier one means.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import regex
from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

BLANK = "\x00"
"""Stands for a character of markup; `visible` takes it out."""
_MAX_INLINE_CHARACTERS = 20_000
_MARKUP = regex.compile(r"[`*_\[\]<>\\&]")
_RULES = ("backticks", "link", "image", "autolink", "html_inline", "escape", "entity", "emphasis")
_OPEN_OR_CLOSE = frozenset({"em_open", "em_close", "strong_open", "strong_close"})


class _Marks:
    """What the parser found in one block: parts to blank out, and delimiters that may turn out to be emphasis."""

    def __init__(self) -> None:
        self.blank: list[tuple[int, int]] = []
        self.code: list[tuple[int, int]] = []
        self.delimiters: list[tuple[int, Token]] = []


def _recording(name: str, rule: Callable[[StateInline, bool], bool]) -> Callable[[StateInline, bool], bool]:
    def recorded(state: StateInline, silent: bool) -> bool:
        start, before = state.pos, len(state.tokens)
        marks: _Marks = state.env["marks"]
        known = len(marks.blank), len(marks.code), len(marks.delimiters)
        if not rule(state, silent):
            return False
        if silent:
            return True
        end = state.pos
        if name == "emphasis":
            # Text that was pending before the delimiters became a token of its own.
            marks.delimiters += [(start + i, token) for i, token in enumerate(state.tokens[start - end :])]
        elif name == "backticks":
            if any(token.type == "code_inline" for token in state.tokens[before:]):
                ticks = len(state.src[start:end]) - len(state.src[start:end].lstrip("`"))
                marks.blank += [(start, start + ticks), (end - ticks, end)]
                marks.code.append((start + ticks, end - ticks))
        elif name == "link":
            label_end = state.md.helpers.parseLinkLabel(state, start, True)
            state.pos = end
            marks.blank += [(start, start + 1), (label_end, end)]
        elif name == "escape":
            marks.blank.append((start, start + 1))
        elif name == "entity":
            marks.blank.append((start + 1, end))
        else:
            # The alternative text of an image is parsed on its own, with offsets of its own.
            del marks.blank[known[0] :], marks.code[known[1] :], marks.delimiters[known[2] :]
            marks.blank.append((start, end))
        return True

    return recorded


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark").enable("table").disable(["reference", "html_block"])
    parser.core.ruler.enableOnly(["normalize", "block"])
    for rule in list(parser.inline.ruler.__rules__):
        if rule.name in _RULES:
            parser.inline.ruler.at(rule.name, _recording(rule.name, rule.fn), {"alt": rule.alt})
    parser.validateLink = lambda url: True  # type: ignore[method-assign]
    parser.normalizeLink = lambda url: url  # type: ignore[method-assign]
    return parser


PARSER = _parser()


def prose(content: str) -> tuple[str, list[tuple[int, int]], bool]:
    """`content` with markup blanked out, the spans of its code, and whether all of it is strong or emphasised.

    A block of more than 20,000 characters is no prose that anybody wrote, and stays as it is.
    """
    if len(content) > _MAX_INLINE_CHARACTERS or not _MARKUP.search(content):
        return content, [], False
    marks = _Marks()
    env: dict[str, Any] = {"marks": marks}
    tokens: list[Token] = []
    PARSER.inline.parse(content, PARSER, env, tokens)
    characters = list(content)
    for start, end in marks.blank:
        characters[start:end] = BLANK * (end - start)
    for position, token in marks.delimiters:
        if token.type in _OPEN_OR_CLOSE:
            characters[position] = BLANK
            if token.type == "strong_open":
                characters[position - 1] = BLANK
            elif token.type == "strong_close":
                characters[position + 1] = BLANK
    shown = [token for token in tokens if token.type != "text" or token.content.strip()]
    emphasised = len(shown) > 2 and shown[0].type.endswith("_open") and shown[-1].type.endswith("_close") and shown[-1].level == 0
    emphasised = emphasised and not any(token.level == 0 for token in shown[1:-1])
    return "".join(characters), marks.code, emphasised


def visible(text: str) -> str:
    """Text with blanked characters taken out and white space made single."""
    return " ".join(text.replace(BLANK, "").split())
