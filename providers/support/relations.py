"""Words of like and of opposite meaning."""

from __future__ import annotations

from functools import cache

import regex

from providers.support.language import UNSPACED
from providers.support.tokens import Token, term_of
from providers.support.word_lists import sections

Meaning = tuple[int, int]
"""A group of words and the side of it that a word stands on; groups of synonyms are negative and have one side."""
# Prefixes that turn a word into its opposite.
_REVERSING = ("un", "non", "in", "im", "ir", "dis", "il", "de")
_LEAST_TO_REVERSE = 4


@cache
def _vocabulary(language: str) -> dict[str, tuple[Meaning, ...]]:
    found: dict[str, dict[Meaning, None]] = {}
    for number, line in enumerate(sections("synonyms").get(language, ()), 1):
        for word in line.split(","):
            found.setdefault(_key(word.strip(), language), {})[(-number, 0)] = None
    for number, line in enumerate(sections("antonyms").get(language, ()), 1):
        for side, words in enumerate(line.split("|")):
            for word in words.split(","):
                found.setdefault(_key(word.strip(), language), {})[(number, side)] = None
    return {word: tuple(meanings) for word, meanings in found.items()}


def _key(word: str, language: str) -> str:
    return word if language in UNSPACED else term_of(word, language)


@cache
def _parts(language: str) -> regex.Pattern[str]:
    words = sorted(_vocabulary(language), key=lambda word: -len(word))
    return regex.compile("|".join(map(regex.escape, words)) or "(?!)")


def meanings(text: str, tokens: list[Token], language: str) -> dict[int, tuple[Meaning, ...]]:
    """The known meanings of tokens, by the tokens' indices."""
    vocabulary = _vocabulary(language or "en")
    if language not in UNSPACED:
        return {i: known for i, token in enumerate(tokens) if (known := vocabulary.get(token.term))}
    found: dict[int, tuple[Meaning, ...]] = {}
    index = 0
    for match in _parts(language).finditer(text):
        while index < len(tokens) and tokens[index].start < match.start():
            index += 1
        for i in range(index, len(tokens)):
            if tokens[i].start >= match.end():
                break
            if tokens[i].weight and i not in found:
                found[i] = vocabulary[match.group()]
    return found


def are_opposite(first: tuple[Meaning, ...], second: tuple[Meaning, ...]) -> bool:
    """Whether the words stand on opposite sides of a group."""
    return any(a > 0 and (a, 1 - side) in second for a, side in first)


def reversals(term: str) -> list[str]:
    """The terms that would be the opposite of `term` by a prefix more or less."""
    if len(term) < _LEAST_TO_REVERSE:
        return []
    found = [prefix + term for prefix in _REVERSING]
    return found + [
        term[len(prefix) :] for prefix in _REVERSING if term.startswith(prefix) and len(term) - len(prefix) >= _LEAST_TO_REVERSE
    ]
