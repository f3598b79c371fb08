"""The words of a sentence with their places, terms and weights."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import regex

from providers.lexical import terms
from providers.lexical.function_words import all_function_words, function_words
from providers.support.word_lists import phrases

_RUN = regex.compile(
    r"(?P<code>(?<![\p{L}\p{N}])(?:[\p{Latin}_][\p{Latin}\d]*(?:[_.:/-]+[\p{Latin}\d]+)*[_\d(][\p{Latin}\d_()]*|\d+(?:\.\d+){2,}|v\d[\d.]*\d)(?![\p{L}\p{N}]))"
    r"|(?P<han>[\p{Han}々]+)|(?P<katakana>[\p{Katakana}ー]+(?:・[\p{Katakana}ー]+)*)|(?P<hiragana>[\p{Hiragana}]+)"
    r"|(?P<word>(?:(?![\p{Han}\p{Hiragana}\p{Katakana}])[\p{L}\p{M}])+(?:(?<=\p{L})\d+)?)|(?P<number>\d[\d.,]*)"
)
_BREAK = regex.compile(
    r"[,;:.!?()–—、。，；：（）،؛…「」]|\s-\s"
    r"|\s(?:but|while|whereas|although|aber|während|obwohl|mais|tandis|pero|mientras|aunque)\s"
)
_CAMEL = regex.compile(r"\p{Lu}.*\p{Lu}|\p{Ll}\p{Lu}|\p{L}\d")
NAME_WEIGHT = 1.6
GRADED_WEIGHT = 0.4
_NUMBER_PLACE = "#"
_FUNCTION_WEIGHT = 0.0
_HIRAGANA_WEIGHT = 0.15


@dataclass(frozen=True, slots=True)
class Token:
    """A word, or two neighbouring Han characters."""

    text: str
    term: str
    start: int
    end: int
    weight: float
    """What it counts when a statement is compared with a quote: nothing for function words, more for names."""
    name: bool
    """Written like a proper name, an acronym or a code identifier."""
    clause: int
    """Number of the part between punctuation marks that it stands in."""


@lru_cache(maxsize=50_000)
def term_of(word: str, language: str) -> str:
    """The stem of one word."""
    if language == "ar" and len(word) > 4 and word[0] in "بلكوف":
        word = word[1:]  # "by", "to", "like" and "and" are written together with the word
    found = terms(word, language)
    return found[0] if len(found) == 1 else word.casefold()


@lru_cache(maxsize=64)
def _functional(language: str) -> frozenset[str]:
    own = function_words().get(language, all_function_words() if not language else frozenset())
    return (own | frozenset(phrases("light", language))) - frozenset(phrases("light", f"{language or 'en'} telling"))


def tokens(text: str, language: str, taken: list[tuple[int, int]]) -> list[Token]:
    """The tokens of `text` in order, without those inside the spans `taken` (numbers and dates, which are compared as such)."""
    found: list[Token] = []
    functional = _functional(language)
    graded = phrases("light", f"{language or 'en'} graded")
    breaks = [match.start() for match in _BREAK.finditer(text)]
    clause = 0
    first_word = not (taken and not text[: taken[0][0]].strip())
    capitals = language not in ("de",)
    for start, end in taken:
        text = f"{text[:start]}{_NUMBER_PLACE * (end - start)}{text[end:]}"
    for match in _RUN.finditer(text):
        start, end = match.span()
        while clause < len(breaks) and breaks[clause] < start:
            clause += 1
        word, kind = match.group(), match.lastgroup
        if kind == "han":
            pieces = [word] if len(word) == 1 else [word[i : i + 2] for i in range(len(word) - 1)]
            for offset, piece in enumerate(pieces):
                weight = _FUNCTION_WEIGHT if piece in functional or all(c in functional for c in piece) else 1.0
                found.append(Token(piece, piece, start + offset, start + offset + len(piece), weight, False, clause))
        elif kind == "katakana":
            found.append(Token(word, word, start, end, NAME_WEIGHT, len(word) > 3, clause))
        elif kind == "hiragana":
            found.append(Token(word, word, start, end, _HIRAGANA_WEIGHT, False, clause))
        elif kind == "code":
            found.append(Token(word, word.casefold().rstrip("()"), start, end, NAME_WEIGHT, True, clause))
        elif kind == "number":
            found.append(Token(word, word, start, end, 1.0, False, clause))
        else:
            folded = word.casefold()
            shaped = bool(_CAMEL.search(word))
            capital = word[0].isupper() and not first_word and (capitals or shaped) and folded not in functional
            name = capital or (shaped and len(word) > 1)
            light = folded in functional and not (shaped and len(word) > 1)
            weight = _FUNCTION_WEIGHT if light else NAME_WEIGHT if name else 1.0
            if folded in graded:
                weight = GRADED_WEIGHT
            found.append(Token(word, term_of(folded, language or "en"), start, end, weight, name, clause))
        first_word = False
    return found
