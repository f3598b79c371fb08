"""The statements of a Markdown text: what has to be supported, one by one, and what each of them cites."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

import regex
from markdown_it.token import Token

from providers.citations import MARKER, expand
from providers.support.claims import is_claim
from providers.support.markup import BLANK, PARSER, prose, visible
from providers.support.sentence import sentence_spans

_CITATION = regex.compile(rf"{MARKER}|\[\^(?P<note>\d{{1,6}})\]")
_NUMBER = regex.compile(r"\d+")
_NOTE_DEFINITION = regex.compile(r"\s*\[\^?[^\]\n]{1,80}\]:\s")
_NOT_WORD = regex.compile(r"[^\p{L}\p{N}]")
_SPACE_BEFORE_MARK = regex.compile(r"(?<=\S)\s+(?=[,;:!?。、，；：)](?!\S)|\.(?:\s|$))")
_MOST_IDS_IN_RANGE = 50


@dataclass(frozen=True)
class StatementSpan:
    """A sentence, list item sentence or table row of a text; a heading, question or code block when `claim` is False."""

    start: int
    end: int
    """Span in the text, in characters, with the citations that follow it."""
    words: str
    """Its plain text, without citations and markup; the cells of a row with ` | ` between them."""
    cited: tuple[str, ...] = ()
    """Ids of evidence, such as `e3`, in order, each once."""
    notes: tuple[int, ...] = ()
    """Numbers of footnote markers `[^3]`, in order, each once."""
    claim: bool = True


@dataclass(frozen=True)
class _Citation:
    start: int
    end: int
    ids: tuple[str, ...] = ()
    note: int = 0


class _Source:
    """The text by lines, so that a block's content can be found in it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = text.split("\n")
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line) + 1)

    def places(self, token: Token, heading: bool) -> list[tuple[int, int]]:
        """(offset in the content, offset in the text) of the beginning of each of its lines."""
        first = (token.map or [0, 0])[0]
        found = []
        offset = 0
        for number, line in enumerate(token.content.split("\n")):
            at = min(first + number, len(self.lines) - 1)
            source = self.lines[at]
            # Containers put their prefixes before a line, headings may close with marks after it.
            column = source.find(line) if heading else source.rstrip().rfind(line.rstrip())
            found.append((offset, self.starts[at] + max(column, 0)))
            offset += len(line) + 1
        return found


def statements(text: str, known: Collection[str] | None = None) -> list[StatementSpan]:
    """The statements of `text`, Markdown, in order; their spans never overlap.

    `known`: ids of the evidence there is. Without it a range such as `[e1-e4]` stands for every id in it, and round brackets
    are no citation. A citation belongs to the sentence that it stands in or that ends before it. One that stands alone below
    a table or a code block belongs to that block.
    """
    source = _Source(text.replace("\r", " "))
    found: list[StatementSpan] = []
    tokens = PARSER.parse(source.text)
    block: list[int] = []
    index = 0
    while index < len(tokens):
        token = tokens[index]
        if token.type == "tr_open":
            index, row = _row(tokens, index, source, known)
            if row:
                found.append(row)
                block.append(len(found) - 1)
            continue
        if token.type in ("fence", "code_block") and token.map:
            start, end = source.starts[token.map[0]], min(source.starts[token.map[1]] - 1, len(text))
            stripped = text[start:end]
            start += len(stripped) - len(stripped.lstrip())
            end = start + len(stripped.strip())
            if end > start:
                found.append(StatementSpan(start, end, visible(token.content), claim=False))
                block = [len(found) - 1]
        elif token.type == "table_open":
            block = []
        elif token.type == "inline" and token.map and token.content.strip():
            opening = tokens[index - 1].type
            spans, alone = _block(token, source, opening == "heading_open", known)
            if alone and block:
                for i in block:
                    found[i] = _citing(found[i], alone)
                if not found[block[-1]].claim:
                    found[block[-1]] = replace(found[block[-1]], end=spans[-1].end if spans else found[block[-1]].end)
            elif not alone:
                found += spans
            block = []
        index += 1
    return found


def _citing(span: StatementSpan, citations: list[_Citation]) -> StatementSpan:
    ids = dict.fromkeys([*span.cited, *(key for citation in citations for key in citation.ids)])
    notes = dict.fromkeys([*span.notes, *(citation.note for citation in citations if citation.note)])
    return replace(span, cited=tuple(ids), notes=tuple(notes))


def _citations(text: str, code: list[tuple[int, int]], known: Collection[str] | None) -> list[_Citation]:
    found = []
    for match in _CITATION.finditer(text):
        start, end = match.span()
        if any(start < b and a < end for a, b in code):
            continue
        if match["note"]:
            found.append(_Citation(start, end, note=int(match["note"])))
            continue
        ids = match["ids"]
        range_of = known
        if range_of is None:
            if text[start] == "(":
                continue
            numbers = [int(number) for number in _NUMBER.findall(ids)]
            range_of = [f"e{n}" for n in range(min(numbers), min(max(numbers), min(numbers) + _MOST_IDS_IN_RANGE) + 1)]
        cited = tuple(dict.fromkeys(expand(ids, range_of)))
        if text[start] == "(" and not all(key in range_of for key in cited):
            continue
        found.append(_Citation(start, end, cited))
    return found


def _block(token: Token, source: _Source, heading: bool, known: Collection[str] | None) -> tuple[list[StatementSpan], list[_Citation]]:
    """The statements of a paragraph, item or heading; or its citations, when it holds nothing else."""
    content = token.content
    shown, code, emphasised = prose(content)
    citations = _citations(shown, code, known)
    places = source.places(token, heading)
    plain = _without(shown, citations)
    if citations and not _NOT_WORD.sub("", plain):
        return [StatementSpan(_at(places, citations[0].start), _end(places, citations[-1].end), "", claim=False)], citations
    label = heading or (emphasised and len(content) < 100 and content.rstrip("*_ ")[-1:] not in ".!。！")
    aside = bool(_NOTE_DEFINITION.match(content))
    found = []
    for start, end, own in _sentences(shown, plain, code, citations):
        words = _words(plain[start:end])
        cited = tuple(dict.fromkeys(key for citation in own for key in citation.ids))
        notes = tuple(dict.fromkeys(citation.note for citation in own if citation.note))
        first = min([start, *(citation.start for citation in own)])
        last = max([end, *(citation.end for citation in own)])
        claim = not aside and not (label and not own) and is_claim(words, bool(own))
        found.append(StatementSpan(_at(places, first), _end(places, last), words, cited, notes, claim))
    return found, []


def _without(shown: str, citations: list[_Citation]) -> str:
    """The same text with spaces in place of citations."""
    pieces = []
    last = 0
    for citation in citations:
        pieces += [shown[last : citation.start], " " * (citation.end - citation.start)]
        last = citation.end
    return "".join([*pieces, shown[last:]])


def _sentences(
    shown: str, plain: str, code: list[tuple[int, int]], citations: list[_Citation]
) -> Iterator[tuple[int, int, list[_Citation]]]:
    """Start and end of each sentence of a block, and its citations."""
    cut = list(plain.replace("\n", " ").replace("؟", "?").replace("۔", "."))
    for start, end in code:
        cut[start:end] = "x" * (end - start)
    spans = sentence_spans(_closed("".join(cut)))
    spans_with_words = [span for span in spans if _NOT_WORD.sub("", plain[span[0] : span[1]])]
    if not spans_with_words:
        return
    index = least = 0
    for n, (first, last) in enumerate(spans_with_words):
        start, end = first, last
        following = spans_with_words[n + 1][0] if n + 1 < len(spans_with_words) else len(shown) + 1
        own = []
        while index < len(citations) and citations[index].start < following:
            own.append(citations[index])
            index += 1
        start, end = _with_marks(plain, start, end, least)
        least = max([end, *(citation.end for citation in own)])
        yield start, end, own


def _closed(text: str) -> str:
    """Blanked markup between a full stop and the space after it would hide the sentence's end: it moves behind the space."""
    return text.replace(BLANK, " ") if "." not in text and "!" not in text else _BLANKS.sub(lambda m: " " * len(m.group()), text)


_BLANKS = regex.compile(rf"{BLANK}+(?=\s|$)|(?<=\s|^){BLANK}+")


def _with_marks(plain: str, start: int, end: int, least: int) -> tuple[int, int]:
    """The span with the markup that opens before and closes behind it, from `least` on."""
    after = end
    while after < len(plain) and plain[after] == BLANK:
        after += 1
    if after == len(plain) or not plain[after].isalnum():
        end = after
    start = max(start, least)
    while start > least and plain[start - 1] == BLANK:
        start -= 1
    return start, end


def _words(text: str) -> str:
    return _SPACE_BEFORE_MARK.sub("", visible(text))


def _at(places: list[tuple[int, int]], offset: int) -> int:
    within, at = next((pair for pair in reversed(places) if pair[0] <= offset), places[0])
    return at + offset - within


def _end(places: list[tuple[int, int]], offset: int) -> int:
    return _at(places, offset - 1) + 1 if offset else _at(places, 0)


def _row(tokens: list[Token], index: int, source: _Source, known: Collection[str] | None) -> tuple[int, StatementSpan | None]:
    """A body row of a table, and where the tokens go on."""
    opening = tokens[index]
    cells: list[str] = []
    cited: list[_Citation] = []
    body = False
    while tokens[index].type != "tr_close":
        if tokens[index].type == "td_open":
            body = True
        elif tokens[index].type == "inline":
            shown, code, _ = prose(tokens[index].content)
            citations = _citations(shown, code, known)
            cited += citations
            words = _words(_without(shown, citations))
            if words:
                cells.append(words)
        index += 1
    if not body or not cells or not opening.map:
        return index + 1, None
    line = source.lines[opening.map[0]]
    start = source.starts[opening.map[0]] + len(line) - len(line.lstrip(" \t>"))
    row = StatementSpan(start, source.starts[opening.map[0]] + len(line.rstrip()), " | ".join(cells))
    return index + 1, _citing(row, cited)
