"""Strong emphasis that a renderer would not see, mostly because a bracket or a colon stands between it and a letter.

CommonMark opens and closes emphasis by the kinds of the characters around it, which was thought out for scripts with
spaces: in `文**“字”**文` neither pair of asterisks is emphasis.
"""

from __future__ import annotations

from collections.abc import Mapping

import regex
from markdown_it.common.utils import isMdAsciiPunct, isPunctChar

from executors.answer_finalizer.markdown.prose import Leaf, emphasis, leaves, spans
from executors.answer_finalizer.markdown.repair.containers import is_table
from executors.answer_finalizer.markdown.rewriting import Replacement, rewrite

_UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]")

_BRACKETS = ("“”", "‘’", "「」", "『』", "（）", "《》", "〈〉", "【】", "«»")

# Of lines that cannot all be repaired together, so many are tried one by one.
_MAX_LINES = 50

Pair = tuple[int, int]
"""Offsets of the opening and of the closing asterisks."""


def with_closed_emphasis(text: str) -> str:
    """Every `**` that pairs up with the next one on its line is emphasis: punctuation moves out of it, or a space goes beside it."""
    if "**" not in text:
        return text
    return rewrite(text, [change for leaf in leaves(text) for change in _repaired(leaf)])


def _repaired(leaf: Leaf) -> list[Replacement]:
    content = leaf.content
    if content.count("**") < 2:
        return []
    strong = set(emphasis(content).pairs)
    lines = _lines(content)
    fixes: dict[int, list[Replacement]] = {}
    for line, runs in lines.items():
        pairs = list(zip(runs[::2], runs[1::2], strict=False))
        if len(runs) % 2 or all(_is_strong(pair, strong) for pair in pairs):
            continue
        if is_table(content) and any("|" in content[first:last] for first, last in pairs):
            continue
        if changes := [change for pair in pairs for change in _fix(content, pair)]:
            fixes[line] = changes
    together = [change for changes in fixes.values() for change in changes]
    if not _all_strong(rewrite(content, together), {line: len(lines[line]) for line in fixes}):
        # One of them is no help, or the lines are in each other's way.
        few = list(fixes.items())[:_MAX_LINES]
        kept = [changes for line, changes in few if _all_strong(rewrite(content, changes), {line: len(lines[line])})]
        together = [change for changes in kept for change in changes]
    return [Replacement(leaf.position(fix.start), leaf.end_position(fix.end), fix.text) for fix in together]


def _lines(content: str) -> dict[int, list[int]]:
    """Where `**` stand outside of code, links and the like, by the numbers of the lines that hold any."""
    hidden = [False] * len(content)
    for span in spans(content):
        hidden[span.start : span.end] = [True] * (span.end - span.start)
    found: dict[int, list[int]] = {}
    line = counted = 0
    for start, end in emphasis(content).runs:
        if end - start == 2 and content[start] == "*" and not hidden[start]:
            line += content.count("\n", counted, start)
            counted = start
            found.setdefault(line, []).append(start)
    return found


def _is_strong(pair: Pair, strong: set[Pair]) -> bool:
    first, last = pair
    return (first, last + 1) in strong and (first + 1, last) in strong


def _all_strong(repaired: str, wanted: Mapping[int, int]) -> bool:
    """Whether the lines hold as many `**` as they did, by their numbers, and all of them pair up as they were meant to."""
    strong = set(emphasis(repaired).pairs)
    found = _lines(repaired)
    for line, count in wanted.items():
        starts = found.get(line, [])
        if len(starts) != count or not all(_is_strong(pair, strong) for pair in zip(starts[::2], starts[1::2], strict=True)):
            return False
    return True


def _fix(content: str, pair: Pair) -> list[Replacement]:
    """Punctuation at an edge goes outside where a letter of a script without spaces stands there; otherwise a space does."""
    first, last = pair
    inner = content[first + 2 : last]
    bare = inner.strip(" \t")
    if bare != inner and not _UNSPACED.search(inner):
        return []
    before, after = content[first - 1 : first] if first else "", content[last + 2 : last + 3]
    left, right = _edge(bare), _edge(bare[::-1])[::-1]
    if len(left) + len(right) >= len(bare):
        return []
    stuck = [_is_word(before) and _is_punctuation(bare[0]), _is_word(after) and _is_punctuation(bare[-1])]
    moved = [left if stuck[0] else "", right if stuck[1] else ""]
    if any(moved) and not _is_balanced("".join(moved)) and _is_balanced(left + right):
        moved = [left, right]  # a bracket does not go without its partner
    spaces = ["", ""]
    for side, neighbour in enumerate((before, after)):
        if stuck[side] and not (moved[side] and _UNSPACED.match(neighbour) and _is_balanced("".join(moved))):
            moved[side], spaces[side] = "", " "
    begins = first + 2 + inner.index(bare) + len(moved[0])
    ends = first + 2 + inner.index(bare) + len(bare) - len(moved[1])
    return [
        Replacement(first, begins, f"{spaces[0]}{moved[0]}**"),
        Replacement(ends, last + 2, f"**{moved[1]}{spaces[1]}"),
    ]


def _is_balanced(punctuation: str) -> bool:
    return all(punctuation.count(pair[0]) == punctuation.count(pair[1]) for pair in _BRACKETS) and punctuation.count('"') % 2 == 0


def _is_word(character: str) -> bool:
    return bool(character) and not character.isspace() and not _is_punctuation(character)


def _is_punctuation(character: str) -> bool:
    return isMdAsciiPunct(ord(character)) or isPunctChar(character)


def _edge(text: str) -> str:
    """The punctuation that `text` begins with, as far as none of it is markup."""
    length = 0
    while length < len(text) and _is_punctuation(text[length]) and text[length] not in "*_`[]()<>\\~!&":
        length += 1
    return text[:length]
