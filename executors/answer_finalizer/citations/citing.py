"""From citations of evidence, `[e1]`, to numbered markers, `[^1]`."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

from executors.answer_finalizer.citations.editing import Edit, edits_of
from executors.answer_finalizer.markdown.prose import leaves
from executors.answer_finalizer.markdown.rewriting import Replacement, Rewritten, Span
from schemas.knowledge import Evidence


@dataclass(frozen=True)
class Mark:
    """A marker that was written: its number, and its span in the final text."""

    number: int
    start: int
    end: int


class Resolved:
    """A text whose citations are resolved.

    - Citations become markers numbered by first appearance. Unknown ids, and those beyond `max_references` sources, are
      dropped; repetitions in a group collapse.
    - Code and the targets of links stay as they are, and so does any other bracketed text.
    - Footnote markers, footnote and link definitions of the writer's own, and links to URLs outside `known_urls` were
      invented: markers and definitions go, links become their text, bare URLs an ellipsis, or code
      where there is no evidence. Images become their alternative text, so that reading an answer fetches nothing. HTML tags
      are escaped.

    What a text begins with is resolved alike, whatever blocks follow it.
    """

    def __init__(self, text: str, evidence: Mapping[str, Evidence], known_urls: Container[str], max_references: int) -> None:
        self._text = text.replace("\r", "")
        self._evidence = evidence
        self._max_references = max_references
        self._numbers: dict[str, int] = {}
        edits = [edit for leaf in leaves(self._text) for edit in edits_of(leaf, evidence, known_urls)]
        cursor = 0
        replacements: list[Replacement] = []
        numbers: dict[int, list[int]] = {}
        for edit in sorted(edits, key=lambda edit: edit.start):
            if edit.start < cursor:
                continue
            if edit.ids is not None:
                numbers[edit.start] = self._numbers_of(edit.ids)
            replacement = self._replacement(edit, numbers.get(edit.start, []))
            replacements.append(replacement)
            cursor = replacement.end
        self._rewritten = Rewritten(self._text, replacements)
        # Before the first word only an indentation counts, and after the last one nothing.
        written = self._rewritten.text
        self._skipped = len(written) - len(written.lstrip())
        self._skipped = written.rfind("\n", 0, self._skipped) + 1
        self.text = written[self._skipped :].rstrip()
        self.marks: list[Mark] = []
        for placed, start in self._rewritten.placed:
            at = start - self._skipped + len(placed.text) - len(placed.text.lstrip(" \t"))
            for number in numbers.get(placed.start, []):
                end = at + len(f"[^{number}]")
                self.marks.append(Mark(number, at, end))
                at = end

    @property
    def cited(self) -> list[Evidence]:
        """The evidence behind each number, in order of the numbers."""
        return [self._evidence[key] for key in self._numbers]

    def span(self, span: Span) -> Span:
        """Where a span of the text as it was given stands now."""
        start, end = (min(max(0, offset - self._skipped), len(self.text)) for offset in self._rewritten.span(span))
        return start, end

    def _numbers_of(self, ids: tuple[str, ...]) -> list[int]:
        return list(dict.fromkeys(number for key in ids if (number := self._number(key))))

    def _number(self, key: str) -> int | None:
        if key not in self._evidence:
            return None
        if key not in self._numbers and len(self._numbers) < self._max_references:
            self._numbers[key] = len(self._numbers) + 1
        return self._numbers.get(key)

    def _replacement(self, edit: Edit, numbers: list[int]) -> Replacement:
        text, end = self._text, edit.end
        if edit.drops_block:
            # What follows a dropped block takes no second gap.
            return Replacement(edit.start, end + len(text[end:]) - len(text[end:].lstrip("\n")))
        if edit.ids is None:
            return Replacement(edit.start, end, edit.text)
        if numbers:
            return Replacement(edit.start, end, edit.lead + "".join(f"[^{number}]" for number in numbers))
        following = text[end : end + 1]
        if following.isalnum() or following in ("(", "["):
            return Replacement(edit.start, end, edit.lead)
        if not edit.lead and following in (" ", "\t") and (not edit.start or text[edit.start - 1].isspace()):
            return Replacement(edit.start, end + 1)  # "[e9] Text" at the start of a line
        return Replacement(edit.start, end)
