"""HTML tables as Markdown tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

import regex

from executors.answer_finalizer.markdown.prose import Leaf, leaves, spans
from executors.answer_finalizer.markdown.repair.containers import prefix
from executors.answer_finalizer.markdown.rewriting import Replacement, rewrite

# What a table may span and hold; a larger one stays as it was written.
_MAX_SPAN = 100
_MAX_CELLS = 20_000
# Openings without a table behind them after which no more are looked at.
_MAX_UNREAD = 10
_OPENING = regex.compile(r"<table(?=[\s/>])", regex.IGNORECASE)
_CLOSING = regex.compile(r"</table[^>]*>", regex.IGNORECASE)
_PIPE = regex.compile(r"(?<!\\)\|")
_TAG = regex.compile(r"<(?=[A-Za-z/!?])")
_ENTITY = regex.compile(r"&(?=#?\w+;)")
_WRAPPED = {"b": "**", "strong": "**", "i": "*", "em": "*", "code": "`"}
_BREAKS = {"br", "p", "div", "li", "tr", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6"}
_BREAK = "<br>"


def with_markdown_tables(text: str) -> str:
    """Every HTML table outside code as a Markdown table; cells that span rows or columns are repeated in each."""
    if not _OPENING.search(text):
        return text
    changes: list[Replacement] = []
    unread = 0
    found = leaves(text)
    for number, leaf in enumerate(found):
        for span in spans(leaf.content):
            start = leaf.position(span.start)
            opens = span.kind == "html" and _OPENING.match(leaf.content, span.start, span.end)
            if not opens or unread == _MAX_UNREAD or (changes and start < changes[-1].end):
                continue
            limit = next((after.start for after in found[number + 1 :] if after.kind == "heading"), len(text))
            table = _read(text, start, limit, prefix(text, leaf))
            if table is None:
                unread += 1
                continue
            changes.append(_placed(text, leaf, span.start, start, table))
    return rewrite(text, changes)


@dataclass
class _Cell:
    text: str = ""
    rows: int = 1
    columns: int = 1


@dataclass
class _Table:
    """A table as it was written. `length` is that of its source, `beside` the text in it that stands in no cell."""

    rows: list[list[_Cell]] = field(default_factory=list)
    beside: str = ""
    length: int = 0


def _read(text: str, start: int, limit: int, before: str) -> tuple[_Table, str] | None:
    """The table that begins at `start`, and its Markdown; None when it has no end or is too large."""
    reader = _Reader()
    # Quotation marks before its lines are no text of the table; its length must stay the same.
    first, *others = text[start:limit].split("\n")
    table = reader.read("\n".join([first, *(_without_marks(line, before.count(">")) for line in others)]))
    if not table.length or not table.rows:
        return None
    grid = _grid(table.rows)
    return (table, _markdown(grid)) if grid else None


def _without_marks(line: str, marks: int) -> str:
    rest = line.lstrip("> ")
    return line[: len(line) - len(rest)].replace(">", " ", marks) + rest


def _placed(text: str, leaf: Leaf, offset: int, start: int, table: tuple[_Table, str]) -> Replacement:
    """The table as a block of its own, inside the container it was written in."""
    before = prefix(text, leaf)
    gap = f"\n{before.rstrip()}\n{before}"
    read, markdown = table
    end = start + read.length
    while offset and leaf.content[offset - 1] in " \t":
        offset -= 1
        start -= 1
    while text[end : end + 1] in (" ", "\t"):
        end += 1
    written = markdown.replace("\n", f"\n{before}")
    if read.beside:
        written = f"{read.beside}{gap}{written}"
    if leaf.content[:offset].strip():
        written = ("\n" if leaf.content[offset - 1] == "\n" else gap) + (before if leaf.content[offset - 1] == "\n" else "") + written
    rest, newline, following = text[end:].partition("\n")
    if rest.strip():
        written += gap
    elif newline and following.partition("\n")[0].strip(" \t>"):
        written += f"\n{before.rstrip()}"
    return Replacement(start, end, written)


class _Reader(HTMLParser):
    """Reads one table; what comes behind its end is left alone."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.table = _Table()
        self._depth = 0
        self._cell: _Cell | None = None
        self._parts: list[str] = []
        self._open: list[tuple[str, int, str]] = []
        self._hidden = False
        self._beside: list[str] = []
        self._source = ""
        self._line = 1
        self._line_start = 0
        self._row_end = 0

    def read(self, source: str) -> _Table:
        """The table that `source` begins with."""
        self._source = source
        start = 0
        for closing in _CLOSING.finditer(source):
            self.feed(source[start : closing.end()])
            start = closing.end()
            if self._done():
                return self.table
        self.feed(source[start:])
        self.close()
        if not self._done():
            # It broke off: what was written of it ends with its last whole cell.
            if self._cell is not None:
                self.table.rows[-1].pop()
            self.table.beside = _joined(self._beside)
            self.table.length = self._row_end
        return self.table

    def _here(self) -> int:
        """Offset behind the tag that is being read."""
        line, column = self.getpos()
        while self._line < line:
            self._line_start = self._source.index("\n", self._line_start) + 1
            self._line += 1
        end = self._source.find(">", self._line_start + column)
        return end + 1 if end >= 0 else len(self._source)

    def _done(self) -> bool:
        return self.table.length > 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._done():
            return
        if tag == "table":
            self._depth += 1
        elif self._depth == 1 and tag == "tr":
            self._finish_cell()
            self.table.rows.append([])
        elif self._depth == 1 and tag in ("td", "th"):
            self._finish_cell()
            if not self.table.rows:
                self.table.rows.append([])
            given = dict(attrs)
            self._cell = _Cell("", _span(given.get("rowspan")), _span(given.get("colspan")) or 1)
            self.table.rows[-1].append(self._cell)
        elif tag in ("script", "style"):
            self._hidden = True
        elif tag == "img":
            self._parts.append(_escaped(dict(attrs).get("alt") or ""))
        elif tag in _WRAPPED or tag == "a":
            self._open.append((tag, len(self._parts), dict(attrs).get("href") or ""))
        elif tag in _BREAKS:
            self._parts.append(f"{_BREAK}• " if tag == "li" else _BREAK)
        elif tag in ("td", "th", "caption"):
            self._parts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if self._done():
            return
        if tag == "table":
            self._depth -= 1
            if not self._depth:
                self._finish_cell()
                self.table.beside = _joined(self._beside)
                self.table.length = self._here()
        elif self._depth == 1 and tag in ("td", "th", "tr"):
            self._finish_cell()
            self._row_end = self._here()
        elif tag in ("script", "style"):
            self._hidden = False
        elif any(opened[0] == tag for opened in self._open):
            while self._open[-1][0] != tag:
                self._wrap()
            self._wrap()
        elif tag in ("p", "div", "ul", "ol"):
            self._parts.append(_BREAK)

    def handle_data(self, data: str) -> None:
        if not self._done() and not self._hidden:
            self._parts.append(_escaped(data))

    def _wrap(self) -> None:
        tag, start, href = self._open.pop()
        inner = _joined(self._parts[start:])
        del self._parts[start:]
        if not inner:
            return
        if tag == "a":
            safe = href if href.startswith(("http://", "https://")) and not any(c in href for c in " <>()|\n") else ""
            self._parts.append(f"[{inner}]({safe})" if safe else inner)
        else:
            self._parts.append(f" {_WRAPPED[tag]}{inner}{_WRAPPED[tag]} " if _BREAK not in inner else inner)

    def _finish_cell(self) -> None:
        while self._open:
            self._wrap()
        written = _joined(self._parts)
        self._parts = []
        if self._cell is not None:
            self._cell.text = written
            self._cell = None
        elif written:
            self._beside.append(f"{written} ")


def _span(value: str | None) -> int:
    """A number of rows or columns; 0 means to the end."""
    given = (value or "1").strip()
    return min(int(given), _MAX_SPAN) if given.isascii() and given.isdigit() and len(given) < 6 else _MAX_SPAN if given.isdigit() else 1


def _escaped(text: str) -> str:
    return _PIPE.sub(r"\\|", _TAG.sub(r"\\<", _ENTITY.sub("&amp;", text)))


def _joined(parts: list[str]) -> str:
    pieces = [" ".join(piece.split()) for piece in "".join(parts).split(_BREAK)]
    return _BREAK.join(piece for piece in pieces if piece and piece != "•")


def _grid(rows: list[list[_Cell]]) -> list[list[str]]:
    """Every cell at every place that it covers; empty when that is too much."""
    rows = [row for row in rows if row]
    grid: list[dict[int, str]] = [{} for _ in rows]
    cells = 0
    for number, row in enumerate(rows):
        column = 0
        for cell in row:
            while column in grid[number]:
                column += 1
            last = min(len(rows), number + cell.rows) if cell.rows else len(rows)
            cells += (last - number) * cell.columns
            if cells > _MAX_CELLS:
                return []
            for below in range(number, last):
                for beside in range(column, column + cell.columns):
                    grid[below].setdefault(beside, cell.text)
            column += cell.columns
    width = max((max(row, default=-1) + 1 for row in grid), default=0)
    return [[row.get(column, "") for column in range(width)] for row in grid] if width else []


def _markdown(grid: list[list[str]]) -> str:
    head, *body = (f"| {' | '.join(row)} |" for row in grid)
    return "\n".join((head, "|" + " --- |" * len(grid[0]), *body))
