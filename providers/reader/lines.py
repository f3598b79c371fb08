"""Lines that a typesetter or an editor broke, joined again, so that a sentence is one line."""

from __future__ import annotations

from itertools import pairwise

import regex

from providers.reader.blocks import blocks

# A list item, a quoted line or a table row begins a line of its own; so does a line that is set apart by indentation.
_OWN_LINE = regex.compile(r"[ \t]*(?:[-*+•–>|]|\d{1,3}[.)]\s|\(?[a-z\d]\)\s)|(?: {4}|\t)")
_UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}]")
# Narrower than this is verse, an address or a list, not running text.
_MIN_WIDTH = 50


def unwrap(text: str) -> str:
    """Join the hard-wrapped lines of the paragraphs and list items of `text`. Length and offsets stay: a line end becomes a space.

    A line is taken for wrapped when it is nearly as long as the longest lines of its paragraph, and those are at least
    50 characters long. Headings, tables, code, Markdown's hard breaks and indented lines stay as they are.
    """
    parts: list[str] = []
    position = 0
    for block in blocks(text):
        if block.kind in ("paragraph", "list"):
            parts += [text[position : block.start], _unwrap_block(text[block.start : block.end])]
            position = block.end
    return "".join([*parts, text[position:]])


def _unwrap_block(block: str) -> str:
    lines = block.split("\n")
    width = max(len(line) for line in lines)
    if len(lines) == 1 or width < _MIN_WIDTH:
        return block
    out = lines[0]
    for before, line in pairwise(lines):
        first_word = line.split(maxsplit=1)[0] if line.strip() else ""
        # The first word of the next line would not have fitted: this line was broken for width.
        full = len(before) + 1 + len(first_word) > width * 0.8
        hard_break = before.endswith(("  ", "\\", "  \r"))
        out += (" " if full and not hard_break and not _OWN_LINE.match(line) and not _row(before) else "\n") + line
    return out


def join_lines(lines: list[str]) -> str:
    """Paragraphs of the lines of one printed page: broken lines joined, words broken by a hyphen made whole, rows left alone.

    Lines are joined when the first is about as long as the page's long lines and does not look like a table row.
    """
    kept = [line.rstrip() for line in lines]
    lengths = sorted(len(line) for line in kept if line.strip())
    if not lengths:
        return ""
    width = lengths[int(len(lengths) * 0.8)]
    out = ""
    previous = ""
    for line in kept:
        text = line.strip()
        if not text:
            if previous:
                out += "\n"
            previous = ""
        elif not previous:
            out += ("\n" if out else "") + text
        elif previous[-1:] in "-\u00ad\u2010" and len(previous) > 1 and previous[-2].isalpha() and text[0].islower():
            # "state-of-" before "the-art" keeps its hyphen; "exam-" before "ple" loses it.
            compound = previous[-1] == "-" and "-" in previous.rsplit(maxsplit=1)[-1][:-1]
            out = (out if compound else out[:-1]) + text
        elif (
            len(previous) >= 0.75 * width
            and width >= _MIN_WIDTH // 2
            and not _OWN_LINE.match(line)
            and not _row(previous)
            and not _row(text)
        ):
            unspaced = _UNSPACED.match(previous[-1]) and _UNSPACED.match(text[0])
            out += ("" if unspaced else " ") + text
        else:
            out += "\n" + text
        previous = text
    return out


def _row(line: str) -> bool:
    words = line.split()
    numbers = sum(any(c.isdigit() for c in word) for word in words)
    return "   " in line or (len(words) >= 3 and numbers >= 0.5 * len(words))
