"""What each sentence of a quote is about, cheaply: enough to choose the few that are looked at closely."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from providers.lexical import content_terms
from providers.support.sentence import sentence_spans

_MOST_SENTENCES = 400


class Line(NamedTuple):
    """A sentence of a quote, and its content terms."""

    text: str
    terms: frozenset[str]


@lru_cache(maxsize=20_000)
def content_of(text: str, language: str) -> frozenset[str]:
    """The content terms of a sentence; `language` may be "" for one that is not told."""
    return frozenset(content_terms(text, language or "en"))


@lru_cache(maxsize=4_000)
def outline(quote: str, language: str) -> tuple[Line, ...]:
    """The sentences of `quote` in order."""
    found = []
    for start, end in sentence_spans(quote)[:_MOST_SENTENCES]:
        text = quote[start:end]
        found.append(Line(text, content_of(text, language)))
    return tuple(found)
