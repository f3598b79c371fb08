"""An answer as plain text of 80 columns, its notes numbered at the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import regex
from rich.cells import cell_len

from executors.answer_finalizer.exporting.document import (
    Block,
    Break,
    Code,
    Document,
    Heading,
    Inline,
    Listing,
    Mark,
    Note,
    Paragraph,
    Quotation,
    Run,
    Table,
)

COLUMNS = 80
_NARROWEST = 20
"""Columns that are left for words however deep a list is."""

# A line may break at white space and, in writing without spaces, after any character that does not open or precede punctuation.
_PIECES = regex.compile(
    r"\s*(?:[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}](?:\p{M}|[\p{Pe}\p{Pf}\p{Po}])*|[^\s\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}]+)"
)


def text(document: Document) -> bytes:
    """`document` as text in UTF-8. Addresses and code keep their lines, however long."""
    parts = [_underlined(document.title, "="), *_blocks(document.blocks, COLUMNS)]
    if document.notice:
        parts.append("\n".join(_wrapped(f"Note: {document.notice}", COLUMNS)))
    if document.notes:
        parts += [_underlined("Sources", "-"), *(_note(note) for note in document.notes)]
    parts.append("\n".join(_wrapped(document.closing, COLUMNS)))
    return ("\n\n".join(parts) + "\n").encode()


def _underlined(words: str, line: str) -> str:
    lines = _wrapped(words, COLUMNS)
    return "\n".join([*lines, line * max(cell_len(one) for one in lines)])


def _blocks(blocks: Iterable[Block], columns: int) -> list[str]:
    return [written for block in blocks if (written := _block(block, max(columns, _NARROWEST)))]


def _block(block: Block, columns: int) -> str:
    if isinstance(block, Paragraph):
        return "\n".join(_wrapped(_words(block.inlines), columns))
    if isinstance(block, Heading):
        words = _words(block.inlines)
        return _underlined(words, "-" if block.level == 1 else ".") if words.strip() else ""
    if isinstance(block, Code):
        return _indented(block.text, "    ")
    if isinstance(block, Listing):
        return "\n".join(_items(block, columns))
    if isinstance(block, Quotation):
        return _indented("\n\n".join(_blocks(block.blocks, columns - 2)), "> ", blank=">")
    return _table(block, columns) if isinstance(block, Table) else "-" * columns


def _items(block: Listing, columns: int) -> Iterator[str]:
    signs = ["-" if block.start is None else f"{block.start + position}." for position in range(len(block.items))]
    width = max(len(sign) for sign in signs) + 1
    for sign, item in zip(signs, block.items, strict=True):
        within = _indented("\n".join(_blocks(item, columns - width)), " " * width)
        yield sign.ljust(width) + within[width:]


def _indented(lines: str, by: str, blank: str = "") -> str:
    return "\n".join(by + line if line else blank for line in lines.split("\n"))


def _table(table: Table, columns: int) -> str:
    rows = [[_words(cell).replace("\n", " ") for cell in row] for row in table.rows]
    widths = [max(cell_len(row[column]) for row in rows) for column in range(len(rows[0]))]
    if sum(widths) + 3 * (len(widths) - 1) > columns:
        return _records(rows, columns)
    lines = [" | ".join(map(_padded, row, widths, table.aligned)).rstrip() for row in rows]
    return "\n".join([lines[0], "-+-".join("-" * width for width in widths), *lines[1:]])


def _padded(cell: str, width: int, aligned: str) -> str:
    space = width - cell_len(cell)
    before = {"right": space, "center": space // 2}.get(aligned, 0)
    return " " * before + cell + " " * (space - before)


def _records(rows: list[list[str]], columns: int) -> str:
    """A table that is too wide, row by row: each cell with its column's name."""
    head, *body = rows
    records = []
    for row in body or [head]:
        lines = [f"{name}: {cell}" if body and name else cell for name, cell in zip(head, row, strict=False)]
        records.append("\n".join(line for cell in lines for line in _wrapped(cell, columns, hanging="  ")))
    return "\n\n".join(records)


def _words(inlines: Iterable[Inline]) -> str:
    parts = []
    for inline in inlines:
        if isinstance(inline, Run):
            shown = f"{inline.text} <{inline.link}>" if inline.link and inline.link != inline.text else inline.text
            parts.append(shown)
        elif isinstance(inline, Mark):
            parts.append(f"[{inline.number}]")
        elif isinstance(inline, Break):
            parts.append("\n")
    return "".join(parts)


def _note(note: Note) -> str:
    sign = f"[{note.number}] "
    lines = [f"“{note.quote}”", f"{note.title}{f' ({note.dates})' if note.dates else ''}"]
    if note.url and note.url != note.title:
        lines.append(note.url)
    within = "\n".join(line for one in lines for line in _wrapped(one, COLUMNS - len(sign)))
    return sign + _indented(within, " " * len(sign))[len(sign) :]


def _wrapped(words: str, columns: int, hanging: str = "") -> list[str]:
    """Lines of at most `columns` columns; only what cannot be broken is wider. Later lines begin with `hanging`."""
    lines = []
    for asked in words.split("\n"):
        line, width = "", 0
        for piece in _PIECES.findall(asked):
            size = cell_len(piece)
            if line.strip() and width + size > columns:
                lines.append(line.rstrip())
                line = hanging + piece.lstrip()
                width = cell_len(line)
            else:
                line, width = line + piece, width + size
        lines.append(line.rstrip())
    return lines
