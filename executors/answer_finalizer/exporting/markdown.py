"""An answer as Markdown with footnotes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import regex

from executors.answer_finalizer.exporting.document import PARSER, Document, Note, clean
from executors.answer_finalizer.markdown.rendering import escaped, link, render_markdown
from schemas.research import ResearchAnswer


def markdown(answer: ResearchAnswer, document: Document) -> bytes:
    """`answer` as Markdown in UTF-8: its own text, in which no HTML and no link to anything but a page or file is left."""
    parts = [f"# {escaped(document.title)}", harmless(clean(answer.text)).strip()]
    if document.notice:
        parts.append(f"> {escaped(document.notice)}")
    if document.notes:
        parts += ["## Sources", "\n".join(_sources(document.notes))]
    parts.append(f"*{escaped(document.closing)}*")
    references = [
        one.model_copy(update={"title": clean(one.title), "url": clean(one.url), "quote": clean(one.quote)}) for one in answer.references
    ]
    return (render_markdown("\n\n".join(part for part in parts if part), references).rstrip() + "\n").encode()


def _sources(notes: Iterable[Note]) -> Iterator[str]:
    pages: dict[str, str] = {}
    for note in notes:
        pages.setdefault(note.url or note.title, f"- {link(note.title, note.url)}{f' — {note.dates}' if note.dates else ''}")
    yield from pages.values()


def harmless(text: str) -> str:
    """Markdown `text` with a backslash before what would be HTML, a link that may not be followed, or a definition.

    A definition would give a later `[word]` an address, or a footnote other words. Code stays as it is, but in tables, where
    renderers disagree about what is code.
    """
    lines = text.split("\n")
    done = 0
    for first, last, kind in [*_leaves(text), (len(lines), len(lines), "end")]:
        for line in range(done, first):
            lines[line] = _ACTIVE.sub(_disarmed, lines[line])
        if kind in ("paragraph_open", "heading_open"):
            disarmed = _ACTIVE_OR_CODE.sub(_disarmed, "\n".join(lines[first:last]))
            lines[first:last] = _FIRST.sub(_disarmed, disarmed).split("\n")
        done = last
    return "\n".join(lines)


def _leaves(text: str) -> Iterator[tuple[int, int, str]]:
    """First line, line after the last, and kind of each block that has no blocks inside, but tables."""
    for token in PARSER.parse(text):
        if token.map and token.type in ("paragraph_open", "heading_open", "fence", "code_block"):
            yield token.map[0], token.map[1], token.type


def _disarmed(found: regex.Match[str]) -> str:
    return f"{found.group()[:-1]}\\{found.group()[-1]}" if found.group("active") else found.group()


# From left to right, as a renderer reads: escapes and addresses are passed over, and code from its backticks to as many again.
_READ = r"\\. | <(?:https?|file)://[^\s<>]*> | (?P<active> <(?=[\p{L}/!?]) | \]: | \]\((?!\s*+<?(?:https?|file)://) )"
_CODE = r"(?P<ticks>`++)(?: [^`]++ | (?!(?P=ticks)(?!`))`++ )*+(?P=ticks)(?!`) | `++"
_FLAGS = regex.VERBOSE | regex.IGNORECASE | regex.DOTALL
# A line that begins with HTML is HTML even inside of code that began on a line before.
_FIRST = regex.compile(r"^[ >]*(?P<active><(?=[\p{L}/!?])(?!(?:https?|file)://))", regex.IGNORECASE | regex.MULTILINE)
_ACTIVE = regex.compile(_READ, _FLAGS)
_ACTIVE_OR_CODE = regex.compile(f"{_READ} | {_CODE}", _FLAGS)
