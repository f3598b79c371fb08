"""What is written differently in one leaf of an answer: citations, and what its writer invented."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import regex

from executors.answer_finalizer.citations.sources import bare_urls
from executors.answer_finalizer.markdown.prose import Leaf, Span, definitions, spans
from providers.citations import IDS, MARKER, expand
from schemas.knowledge import Evidence

# A footnote marker that is not ours: numbers are given here and nowhere else.
_FOREIGN = regex.compile(r"\[\^\d{1,6}\]")
_CANDIDATE = regex.compile(rf"{MARKER}|{_FOREIGN.pattern}")
_BETWEEN = regex.compile(r"[ \t]*[,;，、]?[ \t]*")
# A tag that a browser would act on. Line breaks, sub- and superscripts are text.
_TAG = regex.compile(r"<(?=[A-Za-z/!?])")
_HARMLESS = regex.compile(r"</?(?:br|sub|sup)\s*/?>", regex.IGNORECASE)


@dataclass(frozen=True)
class Edit:
    """A span of the text that is written differently: as `text`, or as the markers of `ids` after the space `lead`."""

    start: int
    end: int
    text: str = ""
    ids: tuple[str, ...] | None = None
    lead: str = ""
    drops_block: bool = False
    address: str = ""
    """The URL that stood there, when it was never seen."""


def edits_of(leaf: Leaf, evidence: Mapping[str, Evidence], known_urls: Container[str]) -> list[Edit]:
    """The edits of a leaf, by offsets in the text."""
    begin, end, dropped = _definitions(leaf, known_urls)
    return [*dropped, *_Editor(leaf, begin, end, evidence, known_urls).edits()]


def citations_in(leaf: Leaf, evidence: Mapping[str, Evidence]) -> list[Edit]:
    """The groups of citations in a leaf, known or not, each with the ids it names; by offsets in the text."""
    editor = _Editor(leaf, 0, len(leaf.content), evidence, ())
    return [edit for edit in editor.edits() if edit.ids is not None]


def addresses_in(leaf: Leaf, evidence: Mapping[str, Evidence], known_urls: Container[str]) -> list[tuple[int, str]]:
    """The URLs written out in a leaf's prose that were never seen, each with its offset in the text."""
    begin, end, _ = _definitions(leaf, known_urls)
    edits = _Editor(leaf, begin, end, evidence, known_urls).edits()
    return [(edit.start, edit.address) for edit in edits if edit.address]


def _definitions(leaf: Leaf, known_urls: Container[str]) -> tuple[int, int, list[Edit]]:
    """Which part of the content is no definition, and the edits that drop invented ones."""
    content = leaf.content
    if "]:" not in content:
        return 0, len(content), []
    lines = content.split("\n")
    offsets = [0]
    for line in lines:
        offsets.append(offsets[-1] + len(line) + 1)
    notes = [number for number, line in enumerate(lines) if _is_labelled(line) and line.lstrip().startswith("[^")]
    begin, end, edits = 0, len(content), []
    for first, last, label, url in definitions(content):
        begin = min(offsets[last], len(content))
        if label.startswith("^") or IDS.fullmatch(label.lower()) or url not in known_urls:
            edits.append(Edit(leaf.line_position(offsets[first]), leaf.end_position(begin), drops_block=True))
    for number in notes:
        if offsets[number] >= begin:
            # A footnote of the writer's own: everything up to the end of the paragraph belongs to it.
            end = offsets[number]
            edits.append(Edit(leaf.line_position(end), leaf.end_position(len(content)), drops_block=True))
            break
    return begin, end, edits


def _is_labelled(line: str) -> bool:
    label, bracket, rest = line.lstrip().partition("]")
    return bool(bracket) and label.startswith("[") and rest.startswith(":")


class _Editor:
    """Walks the part of one leaf's content between `begin` and `end` and notes its edits."""

    def __init__(self, leaf: Leaf, begin: int, end: int, evidence: Mapping[str, Evidence], known_urls: Container[str]) -> None:
        self._leaf = leaf
        self._content = leaf.content
        self._begin = begin
        self._end = end
        self._evidence = evidence
        self._known_urls = known_urls
        self._spans = [span.moved(begin) for span in spans(leaf.content[begin:end])]
        self._outer = _outermost(self._spans)
        self._edits: list[Edit] = []

    def edits(self) -> list[Edit]:
        self._part(self._begin, self._end, self._outer)
        return self._edits

    def _part(self, start: int, end: int, inside: list[Span]) -> None:
        for a, b in self._prose(start, end, inside):
            self._edit_prose(a, b)
        for span in inside:
            self._edit_span(span)

    @staticmethod
    def _prose(start: int, end: int, inside: list[Span]) -> Iterator[tuple[int, int]]:
        return _gaps(start, end, [(span.start, span.end) for span in inside])

    def _change(self, start: int, end: int, text: str = "", address: str = "") -> None:
        if end > start:
            self._edits.append(Edit(self._leaf.position(start), self._leaf.end_position(end), text, address=address))

    def _unseen(self, start: int, end: int, address: str) -> None:
        """An answer that rests on sources names no address that none of them has; one from memory shows it, but not as a link."""
        self._change(start, end, "…" if self._evidence else f"`{address}`", address)

    def _cite(self, start: int, end: int, ids: tuple[str, ...]) -> None:
        content, first = self._content, start
        while first > self._begin and content[first - 1] in " \t":
            first -= 1
        if self._starts_line(first):
            if not any(key in self._evidence for key in ids):
                # Nothing stays of it: the line begins with what follows.
                end += len(content[end : self._end]) - len(content[end : self._end].lstrip())
            elif content[end : end + 1] == ":":
                self._change(end, end + 1, "\\:")  # or the marker would define a footnote
        self._edits.append(Edit(self._leaf.position(first), self._leaf.end_position(end), ids=ids, lead=content[first:start]))

    def _starts_line(self, offset: int) -> bool:
        return offset == self._begin or self._content[offset - 1] == "\n"

    def _edit_span(self, span: Span) -> None:
        content = self._content
        if span.kind == "html":
            # Alone at the start of a line any tag begins a block of raw HTML.
            if self._starts_line(span.start) or not _HARMLESS.fullmatch(content, span.start, span.end):
                self._change(span.start, span.start + 1, "\\<")
        elif span.kind == "autolink":
            if span.target not in self._known_urls:
                self._unseen(span.start, span.end, content[span.start + 1 : span.end - 1])
        elif span.kind in ("link", "image"):
            start, end = span.label
            label = content[start:end].strip()
            if span.kind == "link" and (IDS.fullmatch(label) or _FOREIGN.fullmatch(f"[{label}]")):
                self._cite(span.start, span.end, () if _FOREIGN.fullmatch(f"[{label}]") else tuple(expand(label, self._evidence)))
                return
            if span.kind == "image" or not span.target.startswith(("http", "file:")) or span.target not in self._known_urls:
                self._change(span.start, start)
                self._change(end, span.end)
            if span.kind == "link":
                self._part(start, end, _outermost([other for other in self._spans if start <= other.start and other.end <= end]))

    def _edit_prose(self, start: int, end: int) -> None:
        taken = []
        for a, b, ids in self._groups(start, end):
            self._cite(a, b, ids)
            taken.append((a, b))
        for a, b in _gaps(start, end, taken):
            for first, last in bare_urls(self._content[a:b]):
                url = self._content[a + first : a + last]
                known = url in self._known_urls or f"https://{url}" in self._known_urls
                if not known and (self._evidence or not self._beside_backtick(a + first, a + last)):
                    self._unseen(a + first, a + last, url)
            for tag in _TAG.finditer(self._content, a, b):
                self._change(tag.start(), tag.start() + 1, "\\<")

    def _beside_backtick(self, offset: int, end: int) -> bool:
        """Whether a backtick stands before `offset` in the prose, or at `end`; more of them would pair up with it."""
        return self._content[end : end + 1] == "`" or any(
            "`" in self._content[a : min(b, offset)] for a, b in self._prose(self._begin, self._end, self._outer) if a < offset
        )

    def _groups(self, start: int, end: int) -> Iterator[tuple[int, int, tuple[str, ...]]]:
        """Neighbouring citations, and footnote markers that are not ours, as one group with its ids."""
        found: list[tuple[int, int, tuple[str, ...]]] = []
        for candidate in _CANDIDATE.finditer(self._content, start, end):
            ids = tuple(expand(candidate.group("ids") or "", self._evidence))
            if candidate.group()[0] == "(" and not all(key in self._evidence for key in ids):
                continue  # round brackets are ordinary text unless every id in them is real
            if found and _BETWEEN.fullmatch(self._content, found[-1][1], candidate.start()):
                found[-1] = (found[-1][0], candidate.end(), found[-1][2] + ids)
            else:
                found.append((candidate.start(), candidate.end(), ids))
        yield from found


def _outermost(found: list[Span]) -> list[Span]:
    kept: list[Span] = []
    for span in found:
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
    return kept


def _gaps(start: int, end: int, taken: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for (_, a), (b, _) in pairwise([(start, start), *sorted(taken), (end, end)]):
        if a < b:
            yield a, b
