"""Lists that are written so that a renderer does not see them."""

from __future__ import annotations

import regex
from markdown_it import MarkdownIt

from executors.answer_finalizer.markdown.prose import Leaf, leaves
from executors.answer_finalizer.markdown.repair.containers import is_table
from executors.answer_finalizer.markdown.rewriting import Replacement, rewrite

_PARSER = MarkdownIt("commonmark").disable(["html_block", "reference"])
_PARSER.core.ruler.enableOnly(["normalize", "block"])
_GLYPHS = "•‣◦▪●○⁃∙"
_GLYPH = regex.compile(rf"[{_GLYPHS}][ \t\u00a0\u3000]*")
# A dash right before a capital, or a letter that has no case, begins an item rather than an option of a command.
_TIGHT_BULLET = regex.compile(r"-(?=[\p{Lu}\p{Lo}])")
_TIGHT_NUMBER = regex.compile(r"(\d{1,3})[.)](?=\p{L})")
_NUMBERED = regex.compile(r"( *)\d{1,9}[.)]( +)(?=\S)")
_BULLET = regex.compile(r"( +)[-*+] ")


def with_real_lists(text: str) -> str:
    """Bullet signs become `-`, items get the space behind their marker, and bullets below a numbered item go inside it."""
    changes = []
    if any(glyph in text for glyph in _GLYPHS) or _TIGHT_BULLET.search(text) or _TIGHT_NUMBER.search(text):
        for leaf in leaves(text):
            if leaf.kind == "paragraph" and not is_table(leaf.content):
                changes += _bullets(text, leaf) or _spaces(leaf)
    return _nested(rewrite(text, changes))


def _bullets(text: str, leaf: Leaf) -> list[Replacement]:
    changes = []
    for line, at in leaf.lines:
        glyph = _GLYPH.match(leaf.content, line)
        if glyph is None or not leaf.content[glyph.end() : glyph.end() + 1].strip():
            continue
        # The line of a list item has its marker already.
        marked = not line and bool(text[leaf.start : at].strip(" \t>"))
        changes.append(Replacement(at, at + glyph.end() - line, "" if marked else "- "))
    return changes


def _spaces(leaf: Leaf) -> list[Replacement]:
    """Spaces behind the markers of at least two lines that follow each other, numbers counting up."""
    changes: list[Replacement] = []
    run: list[int] = []
    expected = 0
    for line, at in [*leaf.lines, (len(leaf.content) + 1, 0)]:
        bullet = _TIGHT_BULLET.match(leaf.content, line) if line <= len(leaf.content) else None
        number = _TIGHT_NUMBER.match(leaf.content, line) if line <= len(leaf.content) else None
        value = int(number.group(1)) if number else -1 if bullet else 0
        if not (run and value and value == (expected if number else -1)):
            changes += [Replacement(place, place, " ") for place in run if len(run) > 1]
            run = []
        found = bullet or number
        if found:
            run.append(at + found.end() - line)
            expected = value + 1 if number else -1
    return changes


def _nested(text: str) -> str:
    """Bullets right below a numbered item, indented less than its words: CommonMark would end the numbered list there."""
    if not regex.search(r"(?m)^ *\d{1,9}[.)] .*\n {1,4}[-*+] ", text):
        return text
    lines = text.split("\n")
    tokens = _PARSER.parse(text)
    changed = False
    for index, token in enumerate(tokens):
        if token.type != "ordered_list_close" or token.level or index + 1 >= len(tokens) or tokens[index + 1].type != "bullet_list_open":
            continue
        first, last = tokens[index + 1].map or [0, 0]
        item = next((other for other in reversed(tokens[:index]) if other.type == "list_item_open" and other.level == 1), None)
        numbered = _NUMBERED.match(lines[item.map[0]]) if item is not None and item.map else None
        bullet = _BULLET.match(lines[first])
        if numbered is None or bullet is None or not lines[first - 1].strip():
            continue
        missing = numbered.end() - len(bullet.group(1))
        if missing > 0 and len(bullet.group(1)) > len(numbered.group(1)):
            for number in range(first, last):
                lines[number] = " " * missing + lines[number] if lines[number].strip() else lines[number]
            changed = True
    return "\n".join(lines) if changed else text
