"""Words of like and of opposite meaning."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cache

import regex

from providers.support.language import UNSPACED
from providers.support.tokens import Token, term_of
from providers.support.word_lists import sections

Meaning = tuple[int, int]
"""A group of words and the side of it that a word stands on. Groups of synonyms have one side, those of opposites two, those of things
that exclude each other many; of kinds, side 0 is the broader word and side 1 the narrower ones."""
# Prefixes that turn a word into its opposite.
_REVERSING = ("un", "non", "in", "im", "ir", "dis", "il", "de")
_LEAST_TO_REVERSE = 4
_JOINT = regex.compile(r"[ -]")


# Groups are numbered by the list they stand in.
_EXCLUSIVE = 10_000
_KINDS = -10_000


@cache
def _vocabulary(language: str) -> dict[str, tuple[Meaning, ...]]:
    found: dict[str, dict[Meaning, None]] = {}

    def add(words: str, meaning: Meaning) -> None:
        for word in words.split(","):
            found.setdefault(_key(word.strip(), language), {})[meaning] = None

    for number, line in enumerate(sections("synonyms").get(language, ()), 1):
        add(line, (-number, 0))
    for first, name in ((0, "antonyms"), (_EXCLUSIVE, "exclusive")):
        for number, line in enumerate(sections(name).get(language, ()), first + 1):
            for side, words in enumerate(line.split("|")):
                add(words, (number, side))
    for number, line in enumerate(sections("kinds").get(language, ()), 1):
        broader, _, narrower = line.partition(":")
        add(broader, (_KINDS - number, 0))
        add(narrower, (_KINDS - number, 1))
    return {word: tuple(meanings) for word, meanings in found.items()}


def _key(word: str, language: str) -> str:
    return word if language in UNSPACED or _JOINT.search(word) else term_of(word, language)


@cache
def _parts(language: str) -> regex.Pattern[str]:
    words = sorted(_vocabulary(language), key=lambda word: -len(word))
    return regex.compile("|".join(map(regex.escape, words)) or "(?!)")


@cache
def _phrases(language: str) -> regex.Pattern[str]:
    """The entries of several words."""
    words = sorted((word for word in _vocabulary(language) if _JOINT.search(word)), key=lambda word: -len(word))
    return regex.compile(rf"(?<!\p{{L}})(?:{'|'.join(map(regex.escape, words)) or '(?!)'})(?!\p{{L}})")


def meanings(text: str, tokens: list[Token], language: str) -> dict[int, tuple[Meaning, ...]]:
    """The known meanings of tokens, by the tokens' indices."""
    vocabulary = _vocabulary(language or "en")
    if language not in UNSPACED:
        known = {i: own for i, token in enumerate(tokens) if (own := vocabulary.get(token.term))}
        for match in _phrases(language or "en").finditer(text.lower()):
            inside = [i for i, token in enumerate(tokens) if token.start < match.end() and match.start() < token.end]
            for i in [i for i in inside if tokens[i].weight] or inside[:1]:
                known[i] = (*known.get(i, ()), *vocabulary[match.group()])
        return known
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


def same(wanted: Iterable[Meaning], there: Collection[Meaning]) -> Meaning | None:
    """The meaning in `there` that says what one of `wanted` does: the same, or a narrower one; None if there is none."""
    for group, side in wanted:
        if group >= _KINDS and (group, side) in there:
            return group, side
        if group < _KINDS and side == 0 and (group, 1) in there:
            return group, 1
    return None


def are_opposite(first: tuple[Meaning, ...], second: tuple[Meaning, ...]) -> bool:
    """Whether the words stand on opposite sides of a group."""
    return any(0 < a < _EXCLUSIVE and (a, 1 - side) in second for a, side in first)


def exclusive(known: tuple[Meaning, ...]) -> tuple[Meaning, ...]:
    """Those meanings of a word that exclude others."""
    return tuple(meaning for meaning in known if meaning[0] > _EXCLUSIVE)


def are_exclusive(first: tuple[Meaning, ...], second: tuple[Meaning, ...]) -> bool:
    """Whether the words stand on different sides of a group of which one thing is only one, and nowhere on the same side."""
    ours = {group: side for group, side in first if group > _EXCLUSIVE}
    return any(ours.get(group, side) != side for group, side in second) and same(first, second) is None


def reversals(term: str) -> list[str]:
    """The terms that would be the opposite of `term` by a prefix more or less."""
    if len(term) < _LEAST_TO_REVERSE:
        return []
    found = [prefix + term for prefix in _REVERSING]
    return found + [
        term[len(prefix) :] for prefix in _REVERSING if term.startswith(prefix) and len(term) - len(prefix) >= _LEAST_TO_REVERSE
    ]
