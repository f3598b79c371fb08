"""A sentence with what rules can see in it. Everything is found once, and only when it is asked for."""

from __future__ import annotations

from functools import cached_property, lru_cache

import regex

from providers.lexical import sentences
from providers.support.dates import dates
from providers.support.polarity import Reach, denials, negations, quantifiers
from providers.support.quantities import Quantity, normalised, quantities
from providers.support.relations import Meaning, exclusive, meanings
from providers.support.tokens import Token, tokens

# After a title that stands before the sentence.
_TITLE = regex.compile(r"(?:: | - |\. )$")
_MAX_CHARACTERS = 2_000


class Sentence:
    """A sentence in `language`, or a part of a text treated as one."""

    def __init__(self, text: str, language: str) -> None:
        self.text = normalised(text[:_MAX_CHARACTERS])
        self.language = language

    @cached_property
    def dates(self) -> list[Quantity]:
        return dates(self.text)

    @cached_property
    def quantities(self) -> list[Quantity]:
        return quantities(self.text, self.language, [(date.start, date.end) for date in self.dates])

    @cached_property
    def tokens(self) -> list[Token]:
        taken = sorted((q.start, q.end) for q in [*self.dates, *self.quantities])
        return tokens(self.text, self.language, taken)

    @cached_property
    def places(self) -> dict[str, list[int]]:
        """All places of every term."""
        found: dict[str, list[int]] = {}
        for i, token in enumerate(self.tokens):
            found.setdefault(token.term, []).append(i)
        return found

    @cached_property
    def by_term(self) -> dict[str, int]:
        """The first place of every term."""
        return {token.term: i for i, token in reversed(list(enumerate(self.tokens)))}

    @cached_property
    def initials(self) -> dict[str, int]:
        """The initials of two to six neighbouring words with capitals, and where the words begin: "who" for World Health Organization."""
        found: dict[str, int] = {}
        words = [i for i, token in enumerate(self.tokens) if token.weight or token.text[:1].isupper()]
        for n, first in enumerate(words):
            letters = ""
            for i in words[n : n + 6]:
                if not self.tokens[i].text[:1].isupper():
                    break
                letters += self.tokens[i].text[0].lower()
                if len(letters) > 1:
                    found.setdefault(letters, first)
        return found

    @cached_property
    def by_beginning(self) -> dict[str, list[int]]:
        """The places of the terms by their first five letters."""
        found: dict[str, list[int]] = {}
        for i, token in enumerate(self.tokens):
            if token.weight and len(token.term) >= 5:
                found.setdefault(token.term[:5], []).append(i)
        return found

    @cached_property
    def meanings(self) -> dict[int, tuple[Meaning, ...]]:
        return meanings(self.text, self.tokens, self.language)

    @cached_property
    def by_meaning(self) -> dict[Meaning, int]:
        return {meaning: i for i, known in reversed(self.meanings.items()) for meaning in known}

    @cached_property
    def exclusive(self) -> dict[int, tuple[Meaning, ...]]:
        """The meanings of the tokens that are things of which only one holds at a time."""
        return {i: own for i, known in self.meanings.items() if (own := exclusive(known))}

    @cached_property
    def names(self) -> list[tuple[int, int]]:
        """First and last token of every run of words with capitals."""
        found: list[tuple[int, int]] = []
        for i, token in enumerate(self.tokens):
            if not token.name:
                first = i == 0 or _TITLE.search(self.text, max(0, token.start - 3), token.start) is not None
                if not (token.weight > 0 and token.text[:1].isupper() and first):
                    continue
            if found and found[-1][1] == i - 1 and not self.text[self.tokens[i - 1].end : token.start].strip(" .-’'&"):
                found[-1] = (found[-1][0], i)
            else:
                found.append((i, i))
        return found

    @cached_property
    def negations(self) -> list[Reach]:
        return negations(self.text, self.tokens, self.language)

    @cached_property
    def denials(self) -> list[Reach]:
        return denials(self.text, self.tokens, self.language)

    @cached_property
    def quantifiers(self) -> list[Reach]:
        return quantifiers(self.text, self.tokens, self.language)


@lru_cache(maxsize=3_000)
def sentence_of(text: str, language: str) -> Sentence:
    """The sentence of `text`; remembered, because evidence is looked at for every statement."""
    return Sentence(text, language)


@lru_cache(maxsize=2_000)
def sentence_spans(text: str) -> tuple[tuple[int, int], ...]:
    """Spans of the sentences of `text`; remembered."""
    return tuple(sentences(text))
