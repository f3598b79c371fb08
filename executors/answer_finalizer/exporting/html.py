"""An answer as one HTML file that loads nothing and runs nothing."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterable
from functools import cache
from html import escape
from pathlib import Path

from executors.answer_finalizer.exporting.document import (
    Block,
    Break,
    Code,
    Document,
    Heading,
    Inline,
    Judged,
    Listing,
    Mark,
    Note,
    Paragraph,
    Quotation,
    Run,
    Table,
    with_raised_marks,
)

_VERDICTS = {
    "supported": ("✓", "Supported by its source"),
    "partly": ("~", "Supported in part"),
    "unsupported": ("?", "Not supported by a source"),
    "contradicted": ("!", "A source says otherwise"),
}


def html(document: Document) -> bytes:
    """`document` as HTML 5 in UTF-8. Marks and notes link to each other; a statement that was checked ends with its verdict."""
    style = _style()
    policy = f"default-src 'none'; style-src 'sha256-{b64encode(hashlib.sha256(style.encode()).digest()).decode()}'; base-uri 'none'"
    notice = f'<p class="notice" role="note" dir="auto">{escape(document.notice)}</p>\n' if document.notice else ""
    notes = "\n".join(_note(note) for note in document.notes)
    sources = f'<section class="notes" aria-labelledby="sources">\n<h2 id="sources">Sources</h2>\n<ol>\n{notes}\n</ol>\n</section>\n'
    return f"""\
<!DOCTYPE html>
<html lang="{escape(document.language)}" dir="{"rtl" if document.rtl else "ltr"}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<title>{escape(document.title)}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1 dir="auto">{escape(document.title)}</h1>
{_blocks(document.blocks)}
{notice}{sources if notes else ""}</main>
<footer dir="auto">{escape(document.closing)}</footer>
</body>
</html>
""".encode()


@cache
def _style() -> str:
    return Path(__file__).with_suffix(".css").read_text("utf-8")


def _blocks(blocks: Iterable[Block]) -> str:
    return "\n".join(_block(block) for block in blocks)


def _block(block: Block) -> str:
    if isinstance(block, Paragraph):
        return f"<p>{_inlines(block.inlines)}</p>"
    if isinstance(block, Heading):
        level = min(6, block.level + 1)  # the first is the title's
        return f"<h{level}>{_inlines(block.inlines)}</h{level}>"
    if isinstance(block, Code):
        return f'<pre dir="ltr" tabindex="0"><code>{escape(block.text)}</code></pre>'
    if isinstance(block, Listing):
        return _listing(block)
    if isinstance(block, Quotation):
        return f"<blockquote>\n{_blocks(block.blocks)}\n</blockquote>"
    return _table(block) if isinstance(block, Table) else "<hr>"


def _listing(block: Listing) -> str:
    items = "\n".join(f"<li>{_item(item)}</li>" for item in block.items)
    if block.start is None:
        return f"<ul>\n{items}\n</ul>"
    return f"<ol{f' start={chr(34)}{block.start}{chr(34)}' if block.start != 1 else ''}>\n{items}\n</ol>"


def _item(blocks: list[Block]) -> str:
    if blocks and isinstance(blocks[0], Paragraph) and not any(isinstance(block, Paragraph) for block in blocks[1:]):
        return "\n".join([_inlines(blocks[0].inlines), *(_block(block) for block in blocks[1:])])
    return _blocks(blocks)


def _table(table: Table) -> str:
    head, *rows = (_row(table, row, "td" if number else "th") for number, row in enumerate(table.rows))
    body = "\n<tbody>\n" + "\n".join(rows) + "\n</tbody>" if rows else ""
    return f'<div class="table" tabindex="0"><table>\n<thead>\n{head}\n</thead>{body}\n</table></div>'


def _row(table: Table, row: list[list[Inline]], tag: str) -> str:
    cells = []
    for aligned, cell in zip(table.aligned, row, strict=False):
        name = f' class="{aligned}"' if aligned else ""
        cells.append(f"<{tag}{name}{' scope=col' if tag == 'th' else ''}>{_inlines(cell)}</{tag}>")
    return f"<tr>{''.join(cells)}</tr>"


def _inlines(inlines: list[Inline]) -> str:
    return "".join(_inline(inline) for inline in with_raised_marks(inlines))


def _inline(inline: Inline) -> str:
    if isinstance(inline, Run):
        return _run(inline)
    if isinstance(inline, Mark):
        number, occurrence = inline.number, inline.occurrence
        return f'<sup><a class="mark" id="mark-{number}-{occurrence}" href="#note-{number}" role="doc-noteref">{number}</a></sup>'
    if isinstance(inline, Break):
        return "<br>"
    return _verdict(inline)


def _run(run: Run) -> str:
    text = escape(run.text)
    for wanted, tag in ((run.code, "code"), (run.italic, "em"), (run.bold, "strong"), (run.struck, "s")):
        text = f"<{tag}>{text}</{tag}>" if wanted else text
    return _link(run.link, text) if run.link else text


def _verdict(judged: Judged) -> str:
    sign, words = _VERDICTS[judged.verdict]
    told = escape(f"{words}: {judged.reason}" if judged.reason else words)
    return f'<span class="verdict {judged.verdict}" role="img" aria-label="{told}" title="{told}">{sign}</span>'


def _note(note: Note) -> str:
    title = f"<cite>{escape(note.title)}</cite>"
    source = ", ".join(escape(part) for part in (note.place, note.dates) if part)
    back = " ".join(
        f'<a class="back" href="#mark-{note.number}-{occurrence}" role="doc-backlink"'
        f' aria-label="Back to mark {note.number}{f", {occurrence} of {note.cited}" if note.cited > 1 else ""}">↩</a>'
        for occurrence in range(1, note.cited + 1)
    )
    lines = (
        f"<q>{escape(note.quote)}</q> — {_link(note.passage, title, printed=note.url) if note.url else title}",
        f'<span class="source">{source}</span>' if source else "",
        back,
    )
    return f'<li id="note-{note.number}" value="{note.number}" dir="auto">{" ".join(line for line in lines if line)}</li>'


def _link(url: str, words: str, printed: str = "") -> str:
    """A link; on paper it is followed by the address `printed`."""
    shown = f' data-printed="{escape(printed)}"' if printed else ""
    return f'<a href="{escape(url)}"{shown} rel="noopener noreferrer nofollow">{words}</a>'
