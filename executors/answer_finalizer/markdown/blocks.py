"""A Markdown text as the tree of its blocks, by lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from markdown_it import MarkdownIt

BlockKind = Literal["text", "heading", "paragraph", "list", "item", "quote", "table", "head", "row", "code", "rule"]

_KINDS: dict[str, BlockKind] = {
    "heading_open": "heading",
    "paragraph_open": "paragraph",
    "bullet_list_open": "list",
    "ordered_list_open": "list",
    "list_item_open": "item",
    "blockquote_open": "quote",
    "table_open": "table",
    "fence": "code",
    "code_block": "code",
    "hr": "rule",
}
# Inside a table the outermost part only says whether its rows are the head.
_PARSER = MarkdownIt("commonmark").disable(["html_block", "reference"]).enable("table")
_PARSER.core.ruler.enableOnly(["normalize", "block"])


@dataclass(eq=False)
class Block:
    """A block from its `first` line to before its `last`, blank lines at its end left out."""

    kind: BlockKind
    first: int
    last: int
    parent: Block | None = None
    children: list[Block] = field(default_factory=list)
    level: int = 0
    """Of a heading, 1 to 6."""
    ordered: bool = False
    removed: bool = False

    def walk(self) -> Iterator[Block]:
        """The block and everything inside it, in order."""
        yield self
        for child in self.children:
            yield from child.walk()

    def outermost(self) -> Block:
        """The block directly in the text that this one belongs to."""
        block = self
        while block.parent is not None and block.parent.parent is not None:
            block = block.parent
        return block


class Blocks:
    """The blocks of `text`, which has no carriage returns, and its lines by offset."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = text.split("\n")
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line) + 1)
        self.root = Block("text", 0, len(self.lines))
        here = self.root
        for token in _PARSER.parse(text):
            in_head = token.type == "tr_open" and here.kind == "table" and not here.children
            kind = "head" if in_head else "row" if token.type == "tr_open" else _KINDS.get(token.type)
            if kind is None or token.map is None:
                if token.nesting < 0 and (token.type == "tr_close" or f"{token.type.removesuffix('_close')}_open" in _KINDS):
                    here = here.parent or self.root
                continue
            block = Block(kind, token.map[0], self._last(*token.map), here)
            block.level = int(token.tag[1]) if kind == "heading" else 0
            block.ordered = token.type == "ordered_list_open"
            here.children.append(block)
            if token.nesting > 0:
                here = block

    def line_at(self, offset: int) -> int:
        """The line that holds the character at `offset`."""
        return max(0, self.text.count("\n", 0, offset))

    def end(self, block: Block) -> int:
        """Offset just behind the last character of a block's last line."""
        return min(self.starts[block.last] - 1, len(self.text))

    def is_blank(self, line: int) -> bool:
        """Whether nothing stands on a line, quotation marks aside."""
        return not self.lines[line].strip(" \t>")

    def _last(self, first: int, last: int) -> int:
        while last > first + 1 and self.is_blank(last - 1):
            last -= 1
        return last
