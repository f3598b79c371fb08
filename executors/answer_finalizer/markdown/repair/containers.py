"""What lists and quotations put before the lines inside them."""

from __future__ import annotations

from executors.answer_finalizer.markdown.prose import Leaf


def continuation(line: str) -> str:
    """What a further line of the same block begins with, when its first line begins with `line`."""
    return "".join(character if character in ">\t" else " " for character in line)


def prefix(text: str, leaf: Leaf) -> str:
    """What a further line of the leaf begins with."""
    return continuation(text[leaf.start : leaf.position(0)]) if leaf.kind == "paragraph" else ""


def is_table(content: str) -> bool:
    """Whether a leaf's content is a Markdown table: its second line holds nothing but dashes, colons and pipes."""
    lines = content.split("\n", 2)
    return len(lines) > 1 and "|" in lines[0] and "-" in lines[1] and not lines[1].strip("|-: \t")
