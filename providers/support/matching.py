"""One statement held against one sentence of a quote: which of its words and numbers stand there, and what speaks against it."""

from __future__ import annotations

from dataclasses import dataclass

from providers.support.comparing import Conflict, different_numbers, other_names
from providers.support.dates import dates_say
from providers.support.polarity import contrary, overclaims
from providers.support.quantities import says
from providers.support.relations import are_opposite, reversals
from providers.support.roles import turned_round
from providers.support.sentence import Sentence
from providers.support.tokens import GRADED_WEIGHT

SYNONYM = 0.9
RELATED = 0.75
_LONG = 5
_COMPOUNDING = frozenset({"de", "nl", "sv", "da", "no", "fi"})
# What stands before the stem in another word, not in a compound: "Vermieter" is no "Mieter".
_PREFIXES = frozenset(
    {"ver", "be", "ent", "er", "un", "ge", "zer", "vor", "an", "ab", "auf", "aus", "ein", "über", "unter", "nicht", "um", "zu", "gegen"}
)


@dataclass(frozen=True)
class Match:
    """What a sentence says of a statement."""

    words: tuple[float, ...]
    """For every token of the statement, how surely it stands in the sentence, 0 to 1."""
    places: tuple[int, ...]
    """Where it stands there, as an index of a token, or -1."""
    about: tuple[float, ...]
    """As `words`, and 1 for words whose place another word takes there."""
    facts: tuple[bool | None, ...]
    """For every date and then every quantity of the statement: said, excluded, or neither."""
    share: float
    """How much of the statement the sentence is about: the share of `about`, numbers left out."""
    conflicts: tuple[Conflict, ...]
    overclaims: bool
    """Whether the statement is surer or more general than the sentence."""


def match(statement: Sentence, quote: Sentence) -> Match:
    """Compare the two; both are in one language, or nothing but names and numbers can agree."""
    words, places, opposites = _align(statement, quote)
    total = sum(token.weight for token in statement.tokens)
    share = sum(token.weight * words[i] for i, token in enumerate(statement.tokens)) / total if total else 0.0
    dates = tuple(dates_say([*quote.dates, *(q for q in quote.quantities if not q.dimension)], date) for date in statement.dates)
    numbers = tuple(_said(statement, quote, i) for i in range(len(statement.quantities)))
    conflicts = [Conflict(f"{date.text} is another date there", i) for i, date in enumerate(statement.dates) if dates[i] is False]
    conflicts += different_numbers(statement, quote, numbers, share)
    denied = contrary(
        (statement.tokens, statement.negations, statement.denials), (quote.tokens, quote.negations, quote.denials), tuple(places)
    )
    for i, j in opposites:
        if any(i in reach.tokens for reach in statement.negations) == any(j in reach.tokens for reach in quote.negations):
            conflicts.append(Conflict(f"“{statement.tokens[i].text}” there is “{quote.tokens[j].text}”"))
    if denied >= 0 and not opposites:
        conflicts.append(Conflict(f"“{statement.tokens[denied].text}” is denied in one of them"))
    names = other_names(statement, quote, places)
    conflicts += names
    if not conflicts and turned_round(statement, quote, words, places):
        conflicts.append(Conflict("who or what it is said of is the other way round"))
    replaced = {i for i, _ in opposites} | {conflict.word for conflict in names}
    about = tuple(1.0 if i in replaced else strength for i, strength in enumerate(words))
    said_of = sum(token.weight * about[i] for i, token in enumerate(statement.tokens)) / total if total else 0.0
    stronger = overclaims(statement.quantifiers, quote.quantifiers, quote.negations, places)
    return Match(words, places, about, dates + numbers, said_of, tuple(conflicts), stronger)


def _said(statement: Sentence, quote: Sentence, index: int) -> bool | None:
    wanted = statement.quantities[index]
    others = quote.quantities if wanted.dimension else [*quote.quantities, *quote.dates]
    answers = []
    for other in others:
        if other.dimension in ("date", "day of year", "weekday"):
            answers.append(True if other.text == wanted.text else None)
        else:
            answers.append(says(other, wanted))
    return True if True in answers else False if False in answers else None


def _align(statement: Sentence, quote: Sentence) -> tuple[tuple[float, ...], tuple[int, ...], list[tuple[int, int]]]:
    words: list[float] = []
    places: list[int] = []
    opposites: list[tuple[int, int]] = []
    last = -1
    for i, token in enumerate(statement.tokens):
        strength, place = 0.0, -1
        if token.term in quote.places:
            # Of several equal words there, the one nearest to where the word before stands.
            found = quote.places[token.term]
            strength, place = 1.0, min(found, key=lambda j: abs(j - last - 1))
        elif token.weight:
            known = statement.meanings.get(i, ())
            same = [quote.by_meaning[meaning] for meaning in known if meaning in quote.by_meaning]
            opposite = _opposite(statement, quote, i)
            if opposite >= 0:
                opposites.append((i, opposite))
            if same:
                strength, place = SYNONYM, same[0]
            elif opposite < 0:
                strength, place = _related(token.term, quote)
                if place < 0 and token.name:
                    strength, place = _abbreviated(statement, quote, i)
                if place < 0:
                    opposites += [(i, quote.by_term[term]) for term in reversals(token.term) if term in quote.by_term][:1]
        words.append(strength)
        places.append(place)
        last = place if place >= 0 and token.weight else last
    return tuple(words), tuple(places), opposites


def _opposite(statement: Sentence, quote: Sentence, i: int) -> int:
    """Index of the quote's word that is the opposite of word `i`, when none there says the same; -1 if there is none."""
    known = statement.meanings.get(i, ())
    if any(meaning in quote.by_meaning for meaning in known if meaning[0] > 0):
        return -1
    for group, side in known:
        j = quote.by_meaning.get((group, 1 - side), -1) if group > 0 else -1
        if j < 0 or quote.tokens[j].term in statement.places or not are_opposite(known, quote.meanings[j]):
            continue
        if statement.tokens[i].weight > GRADED_WEIGHT or _followed_alike(statement, quote, i, j):
            return j
    return -1


def _followed_alike(statement: Sentence, quote: Sentence, i: int, j: int) -> bool:
    """ "More water" and "less water"; in other places such words compare other things."""
    after = next((token.term for token in statement.tokens[i + 1 :] if token.weight), "")
    return bool(after) and after == next((token.term for token in quote.tokens[j + 1 :] if token.weight), "")


def _related(term: str, quote: Sentence) -> tuple[float, int]:
    """A term with the same beginning, or, in languages of long compounds, one that holds it."""
    if len(term) >= _LONG:
        for i in quote.by_beginning.get(term[:_LONG], ()):
            other = quote.tokens[i].term
            shared = next((n for n, (a, b) in enumerate(zip(term, other, strict=False)) if a != b), min(len(term), len(other)))
            if shared >= 0.6 * max(len(term), len(other)):
                return RELATED, i
        if quote.language in _COMPOUNDING:
            for i, token in enumerate(quote.tokens):
                if token.weight and len(token.term) >= _LONG and _compounded(term, token.term):
                    return RELATED, i
    return 0.0, -1


def _abbreviated(statement: Sentence, quote: Sentence, i: int) -> tuple[float, int]:
    """An acronym for its words there, or a word of a name for its acronym there."""
    token = statement.tokens[i]
    if token.text.isupper() and token.text.lower() in quote.initials:
        return SYNONYM, quote.initials[token.text.lower()]
    for initials, first in statement.initials.items():
        j = quote.by_term.get(initials, -1)
        if j >= 0 and quote.tokens[j].text.isupper() and first <= i < first + len(initials):
            return SYNONYM, j
    return 0.0, -1


def _compounded(first: str, second: str) -> bool:
    shorter, longer = sorted((first, second), key=len)
    at = longer.find(shorter)
    return at == 0 or (at > 2 and longer[:at] not in _PREFIXES)
