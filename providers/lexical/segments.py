"""Sentences of a text, as spans."""

from __future__ import annotations

import regex

# A sentence ends at . ! ? (with closing quotes or brackets) before white space, at a CJK full stop, or at a line end.
_END = regex.compile(r"(?:[.!?…]+[\"'”’)\]]*(?=\s)|[。！？]+[”’」』）]*|\n+)")
# A full stop after these is not an end: single letters and common abbreviations.
_NOT_END = regex.compile(
    r"(?:\b\p{L}|\b(?:e\.g|i\.e|etc|vs|cf|Dr|Mr|Mrs|Ms|Prof|St|No|Fig|approx|bzw|z\.B|ca|Gen|Sen|Gov|Rev|Hon|Capt|Col|Lt|Sgt|Jan|Feb|Mar|Apr|Jun|Jul"
    r"|Aug|Sept?|Oct|Nov|Dec|pp?|vol|eds?|ch|nr|Nr|Abs|Abb|Tab|Art|ggf|bspw|sog|evtl|Hr|Fr|Mme|MM|Sra|Dra|Núm|Pág|est|dept|Univ|Mt|Ft|eq|ref))\.$"
)
# Where a word in small letters follows, a short word or number before the full stop is an abbreviation or ordinal.
_SHORT = regex.compile(r"(?:\b\d{1,3}|\b\p{L}{1,6})\.$")
_SMALL = regex.compile(r"[ \t\u00a0]+\p{Ll}")
# The day of a date and other ordinals of German: "am 3. Mai", "im 19. Jahrhundert".
_ORDINAL = regex.compile(
    r"(?P<of>\b(?:am|vom|zum|im|beim|dem|den|der|des|die|das|ein|eine|einem|einer|und|bis|seit)\s)?\b\d{1,2}\.$", regex.IGNORECASE
)
_AFTER_ORDINAL = regex.compile(
    r"[ \t\u00a0]+(?:Jan(?:uar|\.)|Jänner|Feb(?:ruar|\.)|März|Apr(?:il|\.)|Mai|Juni?|Juli?|Aug(?:ust|\.)|Sep(?:tember|\.)"
    r"|Okt(?:ober|\.)|Nov(?:ember|\.)|Dez(?:ember|\.)"
    r"|Jahrhunderts?|Jh\.|Jahrestag|Weltkriegs?|Platz|Auflage)(?!\p{L})"
)
_LETTER_AFTER = regex.compile(r"[ \t\u00a0]+\p{L}")
# No abbreviation is longer, so that a run of them costs no more than other text.
_LOOK_BACK = 16


def sentences(text: str) -> list[tuple[int, int]]:
    """Spans (start, end) of the sentences of `text`, in characters, white space around them left out.

    Lines end sentences, so list items, headings and table rows stand alone. Spans are in order and never overlap.
    """
    spans: list[tuple[int, int]] = []
    start = 0
    for end in _END.finditer(text):
        if "\n" not in end.group() and _goes_on(text, max(start, end.end() - _LOOK_BACK), end.end()):
            continue
        _append(spans, text, start, end.end())
        start = end.end()
    _append(spans, text, start, len(text))
    return spans


def _goes_on(text: str, start: int, end: int) -> bool:
    """Whether the sentence goes on after the full stop that ends at `end`."""
    if text[end - 1] != ".":
        return False
    if _NOT_END.search(text, start, end) or (_SMALL.match(text, end) and _SHORT.search(text, start, end)):
        return True
    ordinal = _ORDINAL.search(text, start, end)
    return bool(ordinal and (_AFTER_ORDINAL.match(text, end) or (ordinal["of"] and _LETTER_AFTER.match(text, end))))


def _append(spans: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    piece = text[start:end]
    stripped = piece.strip()
    if stripped:
        begin = start + len(piece) - len(piece.lstrip())
        spans.append((begin, begin + len(stripped)))
