"""What each sentence of a quote is about, cheaply: enough to choose the few that are looked at closely."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import regex

from providers.lexical import content_terms
from providers.support.sentence import sentence_spans

_MOST_SENTENCES = 400
_LEAST_NAME = 2
# Words with capitals (and the little words between them) at the beginning.
_NAME = regex.compile(
    r"(?:The\s)?(?:\p{Lu}[\w'’.-]*\w)(?:\s(?:(?:of|the|and|de|la|von|van|der|du)\s){0,2}(?:\p{Lu}[\w'’-]*|\d+))*(?=[\s,.:(]|$)"
)
_PRONOUN = regex.compile(
    r"(?:He|She|It|They|His|Her|Its|Their)\b"
    r"|(?:In|On|From|As of|After|Since|By|During)\s[^,]{3,40},?\s(?:he|she|it|they|his|her|its|their)\b"
)


class Line(NamedTuple):
    """A sentence of a quote, and its content terms."""

    text: str
    terms: frozenset[str]
    read: str
    """The sentence with the name that it leaves out before it: "Ada Lovelace: She was born in London." """


@lru_cache(maxsize=6_000)
def content_of(text: str, language: str) -> frozenset[str]:
    """The content terms of a sentence; `language` may be "" for one that is not told."""
    return frozenset(content_terms(text, language or "en"))


@lru_cache(maxsize=1_000)
def outline(quote: str, language: str) -> tuple[Line, ...]:
    """The sentences of `quote` in order."""
    found = []
    name = title = ""
    for n, (start, end) in enumerate(sentence_spans(quote)[:_MOST_SENTENCES]):
        text = quote[start:end]
        read = text
        if n == 0:
            name = _name(text) if language in ("en", "") else ""
            title = text.rstrip(" .:")
        elif name and name not in text and (name == title or _PRONOUN.match(text)):
            read = f"{name}: {text}"
        found.append(Line(text, content_of(read, language), read))
    return tuple(found)


def _name(first: str) -> str:
    """The name with which a quote begins, or the title that is its first line; "" if there is none."""
    begins = _NAME.match(first)
    return begins.group().strip() if begins and len(begins.group()) > _LEAST_NAME else ""
