"""Fences of code blocks that do not close what they were meant to close."""

from __future__ import annotations

from dataclasses import dataclass

import regex
from markdown_it import MarkdownIt
from markdown_it.token import Token

from executors.answer_finalizer.markdown.repair.containers import continuation

_PARSER = MarkdownIt("commonmark").disable(["html_block", "reference"])
_PARSER.core.ruler.enableOnly(["normalize", "block"])
_MAX_REPAIRS = 30
# A citation behind words: what it stands in is no code.
_CITED = regex.compile(r"(?<=[\p{L}\p{N}.!?。”\")][ ]?)\[e\d{1,6}\](?=[\s.,;:!?\[]|$)")


@dataclass(frozen=True)
class _Fence:
    """A code block that its author opened. `lines` from the first to behind the last, `prefix` what stands before its lines."""

    first: int
    last: int
    markup: str
    info: str
    prefix: str
    closed: bool
    outermost: bool


def unwrapped(text: str) -> str:
    """The inside of a text that as a whole is one code block of Markdown."""
    begin = text.lstrip()
    if not begin.startswith(("```", "~~~")):
        return text
    lines = text.strip().split("\n")
    outer = next(iter(_fences(lines)), None)
    if outer is None or outer.first or outer.info.lower() not in ("markdown", "md"):
        return text
    ends = len(lines) > 1 and _closes(lines[-1], outer.markup)
    inner = lines[1 : -1 if ends else None]
    nested = _fences(inner)
    # Whether blocks without a language are nested, or follow one another, cannot be told.
    if not ends and outer.closed:
        return text
    if any(not fence.info and len(fence.markup) <= len(outer.markup) for fence in nested):
        return text
    return "\n".join(inner).strip("\n")


def with_closed_fences(text: str) -> str:
    """Every code block closed, where its author meant to."""
    if "```" not in text and "~~~" not in text:
        return text
    lines = text.split("\n")
    for _ in range(_MAX_REPAIRS):
        fence = next((fence for fence in _fences(lines) if not fence.closed), None)
        if fence is None:
            return "\n".join(lines)
        _close(lines, fence)
    return text


def _fences(lines: list[str]) -> list[_Fence]:
    return [_fence(token, lines) for token in _PARSER.parse("\n".join(lines)) if token.type == "fence"]


def _fence(token: Token, lines: list[str]) -> _Fence:
    first, last = token.map or [0, 0]
    content = token.content.count("\n") + (bool(token.content) and not token.content.endswith("\n"))
    before = continuation(lines[first][: lines[first].index(token.markup)])
    return _Fence(first, last, token.markup, token.info.strip(), before, last - first == content + 2, token.level == 0)


def _closes(line: str, markup: str) -> bool:
    """Whether the line is a closing fence, wherever it is indented to."""
    bare = line.strip()
    return bare.startswith(markup) and not bare.strip(markup[0])


def _close(lines: list[str], fence: _Fence) -> None:
    meant = _meant(lines, fence)
    if meant is None:
        at = _end(lines, fence)
        lines.insert(at, fence.prefix + fence.markup)
        return
    inside = [line for line in lines[fence.first + 1 : meant] if line.strip()]
    missing = len(fence.prefix) - min((len(line) - len(line.lstrip(" ")) for line in inside), default=len(fence.prefix))
    if not fence.outermost and missing > 0:
        for number in range(fence.first + 1, meant):
            lines[number] = " " * missing + lines[number] if lines[number].strip() else lines[number]
    lines[meant] = fence.prefix + lines[meant].strip()


def _meant(lines: list[str], fence: _Fence) -> int | None:
    """The line that was to close the block: a closing fence that is indented too far, or not far enough for a list item.

    An even number of them are blocks of their own.
    """
    if ">" in fence.prefix:
        return None
    found = []
    for number in range(fence.first + 1, len(lines)):
        bare = lines[number].strip()
        if _closes(bare, fence.markup):
            found.append(number)
        elif bare.startswith(fence.markup):
            break
    return found[0] if len(found) % 2 else None


def _end(lines: list[str], fence: _Fence) -> int:
    """Where an unclosed block ends: before the first paragraph with a citation, otherwise with its last line."""
    last = fence.last
    for number in range(fence.first + 2, fence.last):
        if not lines[number - 1].strip() and lines[number].strip():
            paragraph = next((end for end in range(number, fence.last) if not lines[end].strip()), fence.last)
            if any(_CITED.search(line) for line in lines[number:paragraph]):
                last = number
                break
    while last > fence.first + 1 and not lines[last - 1].strip():
        last -= 1
    return last
