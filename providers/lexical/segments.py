"""Sentences of a text, as spans."""

from __future__ import annotations

import regex

# A sentence ends at . ! ? (with closing quotes or brackets) before white space, at a CJK full stop, or at a line end.
_END = regex.compile(r"(?:[.!?…]+[\"'”’)\]]*(?=\s)|[。！？]+[”’」』）]*|\n+)")
# A full stop after these is not an end: single letters, digits before a digit, and common abbreviations.
_NOT_END = regex.compile(r"(?:\b\p{L}|\b(?:e\.g|i\.e|etc|vs|cf|Dr|Mr|Mrs|Ms|Prof|St|No|Fig|approx|bzw|z\.B|ca))\.$")


def sentences(text: str) -> list[tuple[int, int]]:
    """Spans (start, end) of the sentences of `text`, in characters, white space around them left out.

    Lines end sentences, so list items, headings and table rows stand alone. Spans are in order and never overlap.
    """
    spans: list[tuple[int, int]] = []
    start = 0
    for end in _END.finditer(text):
        if "\n" not in end.group() and _NOT_END.search(text, start, end.end()):
            continue
        _append(spans, text, start, end.end())
        start = end.end()
    _append(spans, text, start, len(text))
    return spans


def _append(spans: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    piece = text[start:end]
    stripped = piece.strip()
    if stripped:
        begin = start + len(piece) - len(piece.lstrip())
        spans.append((begin, begin + len(stripped)))
