"""From citations of evidence, `[e1]`, to numbered markers, `[^1]`, while the text is still being written."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

import regex

from executors.answer_finalizer.editing import TRAILING_CITATION, Edit, edits_of
from executors.answer_finalizer.prose import leaves
from schemas.knowledge import Evidence

# Text is taken in up to here at a time: a line, or a sentence end. Wherever a sender cuts, the units are the same.
_CLOSING = "*_)\"'”’]"
_UNIT = regex.compile(rf"\n|[.!?…][{regex.escape(_CLOSING)}]*\s|[。！？]")
_HEADING = regex.compile(r"\s*#")
_SENTENCE_END = regex.compile(r"[.!?…。！？][*_)\"'”’」』）]*(?:\s|\[\^\d+\]|$)")


@dataclass(frozen=True)
class Mark:
    """A marker that was written: its number, and its span in the final text."""

    number: int
    start: int
    end: int


class CitationStream:
    """Takes in Markdown piece by piece and gives out the final text piece by piece.

    What is given out never changes again, and all of it joined is `text`, however the input was cut. Text is held back
    while it is undecided: an open bracket or backtick, a group of citations at the end, the sentence being written.

    - Citations become markers numbered by first appearance. Unknown ids, and those beyond `max_references` sources, are
      dropped; repetitions in a group collapse.
    - Code and the targets of links stay as they are, and so does any other bracketed text.
    - Footnote markers, footnote and link definitions of the writer's own, and links to URLs outside `known_urls` were
      invented: markers and definitions go, links become their text, bare URLs become code. Images become their
      alternative text, so that reading an answer fetches nothing. HTML tags are escaped.
    """

    def __init__(self, evidence: Mapping[str, Evidence], known_urls: Container[str], max_references: int) -> None:
        self._evidence = evidence
        self._known_urls = known_urls
        self._max_references = max_references
        self._numbers: dict[str, int] = {}
        self._incoming = ""
        self._scanned = 0
        self._pending = ""
        self._parsed = 0
        self._settled = 0
        self._written: list[str] = []
        self._length = 0
        self._space = ""
        self._after_drop = False
        self.marks: list[Mark] = []

    @property
    def text(self) -> str:
        """All that was given out so far."""
        return "".join(self._written)

    @property
    def cited(self) -> list[Evidence]:
        """The evidence behind each number, in order of the numbers."""
        return [self._evidence[key] for key in self._numbers]

    def feed(self, piece: str) -> str:
        """Take in `piece` and return what can be said for certain now."""
        self._incoming += piece.replace("\r", "")
        before = len(self._written)
        start = 0
        for unit in _UNIT.finditer(self._incoming, self._scanned):
            self._pending += self._incoming[start : unit.end()]
            start = unit.end()
            # A block is parsed again with each of its units, so more of them are taken together as it grows.
            if len(self._pending) - self._parsed >= self._parsed // 16:
                self._advance(final=False)
        self._incoming = self._incoming[start:]
        # A sentence end may have begun, one character before the closing marks at the end.
        self._scanned = max(0, len(self._incoming.rstrip(_CLOSING)) - 1)
        return "".join(self._written[before:])

    def finish(self, *, cut: bool = False) -> str:
        """Take the text as complete and return the rest. `cut`: it broke off; the sentence that was begun is left out."""
        before = len(self._written)
        if cut:
            self._advance(final=False)
        self._pending += self._incoming
        self._incoming = ""
        if cut:
            end = self._settled
            while (mark := TRAILING_CITATION.match(self._pending, end)) is not None:
                end = mark.end()
            self._pending = self._pending[:end]
        self._advance(final=True)
        return "".join(self._written[before:])

    @property
    def has_sentence(self) -> bool:
        """Whether at least one whole sentence was given out; headings are none."""
        return any(not _HEADING.match(line) and _SENTENCE_END.search(line) for line in self.text.split("\n"))

    def _advance(self, *, final: bool) -> None:
        text = self._pending
        found, last_block = leaves(text)
        edits: list[Edit] = []
        limit = len(text) if final else self._settled
        for leaf in found:
            if leaf.end <= self._settled:
                continue
            if not leaf.content:
                if not final:
                    limit = leaf.end if leaf.closed else max(limit, text.rfind("\n", 0, leaf.end + 1))
                continue
            leaf_edits, end = edits_of(leaf, self._evidence, self._known_urls, final=final)
            edits += leaf_edits
            if not final:
                limit = end
        edits = [edit for edit in edits if edit.start >= self._settled]
        if not final:
            limit = _before_undecided(text, limit, edits, self._settled)
        self._write_edited(text, limit, edits)
        if final and found and found[-1].fence and not found[-1].closed:
            self._write("\n" + found[-1].fence)
        if self._settled >= last_block:
            self._pending = text[last_block:]
            self._settled -= last_block
        self._parsed = len(self._pending)

    def _write_edited(self, text: str, limit: int, edits: list[Edit]) -> None:
        cursor = self._settled
        for edit in sorted(edits, key=lambda edit: edit.start):
            if edit.end > limit or edit.start < cursor:
                continue
            self._write(text[cursor : edit.start])
            cursor = edit.end
            if edit.ids is None:
                self._write(edit.text)
                self._after_drop = self._after_drop or edit.drops_block
            else:
                cursor = self._write_markers(text, edit, cursor)
        self._write(text[cursor:limit])
        self._settled = max(limit, cursor)

    def _write_markers(self, text: str, edit: Edit, cursor: int) -> int:
        numbers = list(dict.fromkeys(number for key in edit.ids or () if (number := self._number(key))))
        if numbers:
            self._write(edit.lead)
            for number in numbers:
                marker = f"[^{number}]"
                self._flush_space()
                self.marks.append(Mark(number, self._length, self._length + len(marker)))
                self._write(marker)
            return cursor
        following = text[cursor : cursor + 1]
        if following.isalnum() or following in ("(", "["):
            self._write(edit.lead)
        elif (
            not edit.lead and following in (" ", "\t") and (self._space or not self._length or text[edit.start - 1 : edit.start].isspace())
        ):
            return cursor + 1  # "[e9] Text" at the start of a line
        return cursor

    def _number(self, key: str) -> int | None:
        if key not in self._evidence:
            return None
        if key not in self._numbers and len(self._numbers) < self._max_references:
            self._numbers[key] = len(self._numbers) + 1
        return self._numbers.get(key)

    def _write(self, piece: str) -> None:
        """Write, holding back white space at the end; what follows a dropped block takes no second gap."""
        if self._after_drop:
            piece = piece.lstrip("\n")
        kept = piece.rstrip()
        if kept:
            self._after_drop = False
            self._flush_space()
            self._written.append(kept)
            self._length += len(kept)
        self._space += piece[len(kept) :]

    def _flush_space(self) -> None:
        # Before the first word only an indentation counts.
        space = self._space if self._length else self._space.rpartition("\n")[2]
        if space:
            self._written.append(space)
            self._length += len(space)
        self._space = ""


def _before_undecided(text: str, limit: int, edits: list[Edit], settled: int) -> int:
    """Step back over trailing white space, over citations that a neighbour may still join, and out of any edit."""
    limit = max(limit, settled)
    while True:
        before = limit
        while limit > settled and text[limit - 1].isspace():
            limit -= 1
        for edit in edits:
            if edit.start < limit < edit.end or (edit.ids is not None and edit.end == limit):
                limit = max(edit.start, settled)
        if limit == before:
            return limit
