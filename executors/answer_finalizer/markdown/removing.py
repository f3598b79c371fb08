"""Taking statements out of a Markdown text so that what stays is whole: no empty list, no heading above nothing, no open emphasis."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise
from operator import itemgetter

import regex

from executors.answer_finalizer.markdown.blocks import Block, Blocks
from executors.answer_finalizer.markdown.pieces import leads_in
from executors.answer_finalizer.markdown.prose import Leaf, emphasis, leaves, spans
from executors.answer_finalizer.markdown.rewriting import Replacement, Span
from providers.citations import MARKER
from providers.lexical import sentences

_CITATION = regex.compile(rf"{MARKER}|\[\^\d{{1,6}}\]")
_NUMBER = regex.compile(r"(\d{1,9})[.)]")
_SENTENCE_END = regex.compile(r"[.!?…。！？؟]\W*$")
_WORD = regex.compile(r"[\p{L}\p{N}]")
_BLOCKS_THAT_FOLLOW = ("list", "table", "code", "quote")


def removals(text: str, statements: Sequence[Span], removed: Sequence[bool]) -> tuple[list[Replacement], list[bool]]:
    """The replacements that take out the statements marked in `removed`, and which statements are gone with them.

    `statements` are all spans of `text` that are statements, in order. Statements that share a link or code go together.
    """
    removal = _Removal(text, statements, list(removed))
    return removal.replacements(), removal.removed


class _Removal:
    def __init__(self, text: str, statements: Sequence[Span], removed: list[bool]) -> None:
        self._text = text
        self._blocks = Blocks(text)
        self._statements = statements
        self._starts = [start for start, _ in statements]
        self._ends = [end for _, end in statements]
        self.removed = removed
        self._leaves = {self._blocks.line_at(leaf.start): leaf for leaf in leaves(text)}
        self._paragraphs = [block for block in self._blocks.root.walk() if block.kind == "paragraph" and block.first in self._leaves]
        self._cuts: dict[Block, list[Span]] = {}
        self._points: list[Replacement] = []

    def replacements(self) -> list[Replacement]:
        for block in self._paragraphs:
            self._bind(self._leaves[block.first])
        self._mark_rows()
        for block in self._paragraphs:
            self._cut(block)
        while self._propagate(self._blocks.root):
            pass
        changes = list(self._points)
        self._write(self._blocks.root, changes)
        return changes

    def _within(self, leaf: Leaf) -> list[tuple[int, Span]]:
        """The statements in a leaf, by number, as spans of its content."""
        first, last = leaf.position(0), leaf.end_position(len(leaf.content))
        found = []
        for number in self._between(first, last):
            start, end = self._statements[number]
            found.append((number, (_offset(leaf, max(start, first)), _offset(leaf, min(end, last)))))
        return found

    def _between(self, first: int, last: int) -> range:
        """The statements that have a part between two offsets of the text."""
        return range(bisect_right(self._ends, first), bisect_left(self._starts, last))

    def _bind(self, leaf: Leaf) -> None:
        """What shares a link or code with something that goes, goes too."""
        within = self._within(leaf)
        if not any(self.removed[number] for number, _ in within):
            return
        for span in spans(leaf.content):
            sharing = [number for number, (start, end) in within if start < span.end and end > span.start]
            if any(self.removed[number] for number in sharing):
                for number in sharing:
                    self.removed[number] = True

    def _mark_rows(self) -> None:
        for block in self._blocks.root.walk():
            if block.kind == "row":
                start, end = self._blocks.starts[block.first], self._blocks.end(block)
                touched = self._between(start, end)
                if any(self.removed[number] for number in touched):
                    block.removed = True
                    for number in touched:
                        self.removed[number] = True

    def _cut(self, block: Block) -> None:
        leaf = self._leaves[block.first]
        cuts = [span for number, span in self._within(leaf) if self.removed[number] and span[1] > span[0]]
        if cuts:
            self._cuts[block] = cuts
            block.removed = not _WORD.search(_CITATION.sub("", _left(leaf.content, cuts)))

    def _propagate(self, parent: Block) -> bool:
        """Remove what makes no sense any more without what was removed; whether there was any."""
        changed = False
        for index, block in enumerate(parent.children):
            changed |= self._propagate(block)
            if block.removed:
                continue
            inside = [child for child in block.children if child.kind != "head"]
            following = parent.children[index + 1 :]
            if block.kind in ("list", "item", "quote", "table") and inside and all(child.removed for child in inside):
                block.removed = True
            elif block.kind == "heading" or self._is_label(block):
                block.removed = _lost_everything(self._region(block, following))
            elif block.kind == "rule":
                block.removed = self._is_idle_rule(parent.children[:index], following)
            elif index and parent.children[index - 1].removed and self._only_cites(block):
                block.removed = True
            elif block.kind == "paragraph" and following and following[0].removed and block.first in self._leaves:
                left = next((other for other in following if not other.removed), None)
                if left is None or following[0].kind in _BLOCKS_THAT_FOLLOW or left.kind not in _BLOCKS_THAT_FOLLOW:
                    changed |= self._unlead(block)
            elif block in self._cuts and not following:
                changed |= self._unlead(block)
            changed |= block.removed
        return changed

    def _only_cites(self, block: Block) -> bool:
        """Whether a paragraph is nothing but the citations of what stands above it, such as a table."""
        leaf = self._leaves.get(block.first) if block.kind == "paragraph" else None
        return leaf is not None and only_cites(leaf.content)

    def _region(self, heading: Block, following: Sequence[Block]) -> list[Block]:
        """What stands under a heading, or under a label in bold."""
        level = heading.level or 7
        region = []
        for block in following:
            if (block.kind == "heading" and block.level <= level) or (level == 7 and (block.kind == "rule" or self._is_label(block))):
                break
            if block.kind != "rule":
                region.append(block)
        return region

    def _is_label(self, block: Block) -> bool:
        """Whether a paragraph is nothing but one phrase in bold, which heads what follows."""
        leaf = self._leaves.get(block.first) if block.kind == "paragraph" else None
        if leaf is None or not leaf.content.startswith("**") or not leaf.content.rstrip(":：").endswith("**"):
            return False
        content = leaf.content.rstrip(":：")
        if _SENTENCE_END.search(content) or _CITATION.search(content):
            return False
        return (0, len(content) - 1) in emphasis(content).pairs and content.count("\n") == 0

    @staticmethod
    def _is_idle_rule(before: Sequence[Block], following: Sequence[Block]) -> bool:
        left = [block for block in before if not block.removed]
        ahead: list[Block] = []
        for block in following:
            if block.kind in ("rule", "heading"):
                break
            ahead.append(block)
        gone = any(block.removed for block in before)
        return (gone and (not left or left[-1].kind == "rule")) or _lost_everything(ahead)

    def _unlead(self, block: Block) -> bool:
        """Nothing follows a colon any more: the sentence goes, or, when it says something itself, ends with a full stop."""
        leaf = self._leaves[block.first]
        cuts = self._cuts.get(block, [])
        kept = "".join(" " if gone else character for character, gone in zip(leaf.content, _covered(leaf.content, cuts), strict=True))
        end = len(kept.rstrip())
        if not leads_in(kept[:end]):
            return False
        start = max((a for a, _ in sentences(kept[:end].replace("\n", " "))), default=0)
        number = next((number for number, (a, b) in self._within(leaf) if a < end and b > start and not self.removed[number]), None)
        if number is not None and _CITATION.search(leaf.content, start, end):
            colon = max(leaf.content.rfind(":", 0, end), leaf.content.rfind("：", 0, end))
            full_stop = Replacement(leaf.position(colon), leaf.position(colon) + 1, "。" if leaf.content[colon] == "：" else ".")
            if full_stop in self._points:
                return False
            self._points.append(full_stop)
            return False
        if number is not None:
            self.removed[number] = True
        self._cuts[block] = [*cuts, (start, end)]
        block.removed = not _WORD.search(_CITATION.sub("", _left(leaf.content, self._cuts[block])))
        return True

    def _write(self, parent: Block, changes: list[Replacement]) -> None:
        for block in parent.children:
            if block.removed:
                changes.append(self._without(block))
            elif block.kind == "item" and block.children and block.children[0].removed:
                self._without_head(block, changes)
            else:
                if block in self._cuts:
                    changes += _cut_out(self._leaves[block.first], self._cuts[block])
                if block.kind == "list" and block.ordered:
                    changes += self._renumbered(block)
                self._write(block, changes)

    def _without(self, block: Block) -> Replacement:
        """A block's lines, with the blank lines that nothing would need any more: behind it, or, when it ends its parent, before it."""
        blocks = self._blocks
        first, last = block.first, block.last
        siblings = block.parent.children if block.parent else []
        if all(other.removed for other in siblings[siblings.index(block) + 1 :]):
            while first and blocks.is_blank(first - 1):
                first -= 1
        elif not first or blocks.is_blank(first - 1):
            while last < len(blocks.lines) and blocks.is_blank(last):
                last += 1
        return Replacement(blocks.starts[first], min(blocks.starts[last], len(self._text)))

    @staticmethod
    def _gives_place(item: Block) -> bool:
        """Whether of an item only a list is left, which takes its place."""
        left = next((child for child in item.children if not child.removed), None)
        return left is not None and left.kind == "list" and item.children[0].removed

    def _without_head(self, item: Block, changes: list[Replacement]) -> None:
        """An item whose first words go: what it still holds takes its marker; a list inside takes its place."""
        blocks = self._blocks
        line = blocks.lines[item.first]
        head = self._leaves[item.children[0].first]
        width = head.position(0) - blocks.starts[item.first]
        rest = next(child for child in item.children if not child.removed)
        indentation = len(blocks.lines[rest.first]) - len(blocks.lines[rest.first].lstrip(" \t>"))
        if rest.kind != "list":
            changes.append(Replacement(head.position(0), blocks.starts[rest.first] + indentation))
        else:
            marker = len(line[:width].rstrip()) - len(line[:width].split()[-1])
            changes.append(Replacement(blocks.starts[item.first], blocks.starts[rest.first]))
            dropped = {line for block in item.walk() if block.removed for line in range(block.first, block.last)}
            for number in (line for line in range(rest.first, item.last) if line not in dropped):
                row = blocks.lines[number]
                spare = len(row[marker:width]) - len(row[marker:width].lstrip(" "))
                if spare:
                    changes.append(Replacement(blocks.starts[number] + marker, blocks.starts[number] + marker + spare))
        for child in item.children[item.children.index(rest) :]:
            if child.removed:
                changes.append(self._without(child))
            elif child in self._cuts:
                changes += _cut_out(self._leaves[child.first], self._cuts[child])
            self._write(child, changes)

    def _renumbered(self, numbered: Block) -> list[Replacement]:
        """The numbers of what stays, counted on from the first."""
        found = []
        for item in numbered.children:
            line = self._blocks.lines[item.first]
            number = _NUMBER.match(line, len(line) - len(line.lstrip(" \t>")))
            if number is None:
                return []
            found.append((item, number))
        first = int(found[0][1].group(1))
        if [int(number.group(1)) for _, number in found] != list(range(first, first + len(found))):
            return []
        changes = []
        kept = [(item, number) for item, number in found if not item.removed and not self._gives_place(item)]
        for value, (item, number) in enumerate(kept, first):
            if int(number.group(1)) != value:
                start = self._blocks.starts[item.first]
                changes.append(Replacement(start + number.start(1), start + number.end(1), str(value)))
        return changes


def only_cites(content: str) -> bool:
    """Whether a text holds citations and nothing else."""
    return _CITATION.search(content) is not None and not _WORD.search(_CITATION.sub("", content))


def _lost_everything(region: Sequence[Block]) -> bool:
    return bool(region) and all(block.removed for block in region)


def _offset(leaf: Leaf, position: int) -> int:
    """The offset in a leaf's content of a position in the text."""
    offset, at = leaf.lines[max(0, bisect_right(leaf.lines, position, key=itemgetter(1)) - 1)]
    return min(len(leaf.content), offset + max(0, position - at))


def _covered(content: str, cuts: Sequence[Span]) -> list[bool]:
    """For every character of the content, whether a cut covers it."""
    covered = [False] * len(content)
    for start, end in cuts:
        for at in range(start, min(end, len(content))):
            covered[at] = True
    return covered


def _left(content: str, cuts: Sequence[Span]) -> str:
    return "".join(character for character, gone in zip(content, _covered(content, cuts), strict=True) if not gone)


def _cut_out(leaf: Leaf, cuts: Sequence[Span]) -> list[Replacement]:
    """The replacements that take spans out of a leaf, with the white space beside them; emphasis that reaches beyond stays."""
    content = leaf.content
    covered = _covered(content, cuts)
    gone = list(covered)
    partner: dict[int, int] = {}
    for first, last in emphasis(content).pairs:
        partner[first], partner[last] = last, first
    for at, other in partner.items():
        if gone[at] and not covered[other]:
            gone[at] = False
    for (_, end), (start, _) in pairwise(_runs(gone)):
        if not content[end:start].strip():
            gone[end:start] = [True] * (start - end)
    for start, end in _runs(gone):
        before, after = start, end
        while after < len(content) and content[after].isspace():
            after += 1
        while before and content[before - 1].isspace():
            before -= 1
        opens = before and partner.get(before - 1, -1) > before - 1
        closes = after == len(content) or (partner.get(after, len(content)) < after)
        if closes or (opens and after == end):
            gone[before:start] = [True] * (start - before)
        if not closes or after == len(content):
            gone[end:after] = [True] * (after - end)
    changes = []
    for start, end in _runs(gone):
        last = leaf.end_position(end) if end == len(content) else leaf.position(end)
        changes.append(Replacement(leaf.position(start), last))
    return changes


def _runs(flags: list[bool]) -> list[Span]:
    found: list[Span] = []
    for at, flag in enumerate(flags):
        if flag and found and found[-1][1] == at:
            found[-1] = (found[-1][0], at + 1)
        elif flag:
            found.append((at, at + 1))
    return found
