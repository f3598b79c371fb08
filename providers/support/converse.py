"""One event told from its two ends, in English: "A beat B" and "B lost to A"."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import regex

from providers.support.agents import doers, shared
from providers.support.sentence import Sentence
from providers.support.word_lists import sections

_FAR_CHARACTERS = 80


class Converse(NamedTuple):
    """A verb of a statement whose other end a quote tells."""

    word: int
    place: int
    agrees: bool
    """Whether both name the same two in their places; they are exchanged otherwise."""


@cache
def _verbs() -> list[tuple[frozenset[str], frozenset[str], regex.Pattern[str]]]:
    found = []
    for line in sections("converse").get("en", ()):
        first, second, words = (tuple(word.strip() for word in side.split(",")) for side in line.split("|"))
        found.append((frozenset(first), frozenset(second), regex.compile(rf"\b(?:{'|'.join(words)})\s(?:the\s)?(?:\w+\s)?$")))
    return found


def converse(statement: Sentence, quote: Sentence, places: tuple[int, ...]) -> Converse | None:
    """The verb of the statement that the quote tells from its other end, where names on both sides say who is who."""
    if statement.language not in ("en", "") or not statement.names or not quote.names:
        return None
    ours, theirs = _words(statement), _words(quote)
    for first, second, words in _verbs():
        for mine, other in ((first, second), (second, first)):
            if mine.isdisjoint(ours) or other.isdisjoint(theirs) or not mine.isdisjoint(theirs):
                continue
            i, j = (min(place for word, place in there.items() if word in verbs) for there, verbs in ((ours, mine), (theirs, other)))
            doer = doers(statement, i, statement.names)[0] if mine is first else _named_after(statement, i, words)
            told = doers(quote, j, quote.names)[0] if other is first else _named_after(quote, j, words)
            if doer and told:
                return Converse(i, j, shared(statement, doer, quote, told, places))
    return None


def _words(sentence: Sentence) -> dict[str, int]:
    return {token.text.lower(): i for i, token in reversed(list(enumerate(sentence.tokens)))}


def _named_after(sentence: Sentence, verb: int, words: regex.Pattern[str]) -> list[tuple[int, int]]:
    """The name that one of `words` leads to after token `verb`."""
    end = sentence.tokens[verb].end
    for run in sentence.names:
        start = sentence.tokens[run[0]].start
        if end < start < end + _FAR_CHARACTERS and words.search(sentence.text, end, start):
            return [run]
    return []
