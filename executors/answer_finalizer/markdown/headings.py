"""Headings of a text that becomes a part of another."""

from __future__ import annotations

from executors.answer_finalizer.markdown.blocks import Blocks


def lowered(text: str, level: int) -> str:
    """`text` with its highest headings at `level` or below, and the others below them as far as there are levels."""
    blocks = Blocks(text)
    headings = [block for block in blocks.root.walk() if block.kind == "heading"]
    shift = max(0, level - min((block.level for block in headings), default=level))
    if not shift:
        return text
    lines = list(blocks.lines)
    for block in reversed(headings):
        line = lines[block.first]
        marked = line.lstrip(" >")
        before = line[: len(line) - len(marked)]
        new = "#" * min(6, block.level + shift)
        if marked.startswith("#"):
            lines[block.first] = f"{before}{new}{marked.lstrip('#')}"
        elif block.last - block.first > 1:
            # Underlined: the words become one line, the underline goes.
            words = " ".join(lines[number].strip(" >") for number in range(block.first, block.last - 1))
            lines[block.first : block.last] = [f"{before}{new} {words}"]
    return "\n".join(lines)


def without_first_heading(text: str, *names: str) -> str:
    """`text` without the headings it begins with that are one of `names`."""
    wanted = {_key(name) for name in names}
    while True:
        blocks = Blocks(text.strip())
        first = next(iter(blocks.root.children), None)
        if first is None or first.kind != "heading" or _key("".join(blocks.lines[first.first : first.last])) not in wanted:
            return text.strip()
        text = "\n".join(blocks.lines[first.last :])


def _key(words: str) -> str:
    return "".join(filter(str.isalnum, words)).casefold()
