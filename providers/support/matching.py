"""One statement held against one sentence of a quote: which of its words and numbers stand there, and what speaks against it."""

from __future__ import annotations

from dataclasses import dataclass

import regex

from providers.support.agents import about_another, told_of_another
from providers.support.comparing import Conflict, context, counted, different_numbers, other_names, other_rank
from providers.support.converse import converse
from providers.support.dates import dates_say
from providers.support.effects import disagree, effect_words, is_neutral
from providers.support.language import UNSPACED
from providers.support.polarity import contrary, overclaims
from providers.support.quantities import Quantity, says
from providers.support.relations import are_exclusive, are_opposite, reversals, same
from providers.support.roles import turned_round
from providers.support.sentence import Sentence
from providers.support.tokens import GRADED_WEIGHT

SYNONYM = 0.9
RELATED = 0.75
_LONG = 5
_LIFESPAN = regex.compile(r"\((?P<born>[^()]{0,60}?\d{4})\s?[-–—]\s?(?P<died>[^()–—]{0,40}?\d{4})\)")
_LIFE = regex.compile(r"(?:born|birth|(?P<died>died|death|dead|passed))$", regex.IGNORECASE)
_FIRST = regex.compile(r"\b(?:debut|maiden|inaugural|premiered)\b", regex.IGNORECASE)
_MOST_OF = 0.6
_FAR_CHARACTERS = 60
# Below this share of words a sentence is not looked at for what it says otherwise.
_ABOUT = 0.25
# What a thing is said to be, up to four words before the word in question.
_IS_A = regex.compile(r"(?:\b(?:is|was|are|were|as|became|remains)\s|\),\s|\w,\s(?=an?\s))(?:[\w-]+\s){0,4}$")
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
    elsewhere: bool = False
    """Whether the sentence is about another subject, so that it says nothing together with other sentences."""


def match(statement: Sentence, quote: Sentence) -> Match:
    """Compare the two; both are in one language, or nothing but names and numbers can agree."""
    words, places, opposites = _align(statement, quote)
    total = sum(token.weight for token in statement.tokens)
    share = sum(token.weight * words[i] for i, token in enumerate(statement.tokens)) / total if total else 0.0
    turned = converse(statement, quote, places) if share >= _ABOUT else None
    if turned:
        words = (*words[: turned.word], SYNONYM, *words[turned.word + 1 :])
        opposites = [(i, j) for i, j in opposites if i != turned.word]
    told_dates = _of_life(statement, quote)
    for i, token in enumerate(statement.tokens):
        if told_dates is not None and not words[i] and _LIFE.match(token.text):
            words = (*words[:i], SYNONYM, *words[i + 1 :])
    if is_neutral(statement) and is_neutral(quote):
        # "No effect on" and "not associated with" say the same, whatever words they say it with.
        own = effect_words(statement)
        words = tuple(max(strength, SYNONYM) if i in own else strength for i, strength in enumerate(words))
        opposites = [(i, j) for i, j in opposites if i not in own]
    told = quote.dates if told_dates is None else told_dates
    dates = tuple(dates_say([*told, *(q for q in quote.quantities if not q.dimension)], date) for date in statement.dates)
    numbers = tuple(_said(statement, quote, i, places) for i in range(len(statement.quantities)))
    conflicts = [Conflict(f"{date.text} is another date there", i) for i, date in enumerate(statement.dates) if dates[i] is False]
    conflicts += different_numbers(statement, quote, numbers, share)
    denied = contrary(
        (statement.tokens, statement.negations, statement.denials), (quote.tokens, quote.negations, quote.denials), tuple(places)
    )
    for i, j in opposites:
        if any(i in reach.tokens for reach in statement.negations) == any(j in reach.tokens for reach in quote.negations):
            conflicts.append(Conflict(f"“{statement.tokens[i].text}” there is “{quote.tokens[j].text}”"))
    if disagree(statement, quote):
        own = effect_words(statement)
        rest = [i for i, token in enumerate(statement.tokens) if token.weight >= 1 and i not in own]
        if len(rest) > 1 and sum(words[i] > 0 for i in rest) >= _MOST_OF * len(rest):
            words = tuple(max(strength, RELATED) if i in own else strength for i, strength in enumerate(words))
            conflicts.append(Conflict("only one of them says that there is no effect"))
    elif denied >= 0 and not opposites and not (is_neutral(statement) and is_neutral(quote)):
        conflicts.append(Conflict(f"“{statement.tokens[denied].text}” is denied in one of them"))
    if not opposites and share >= _ABOUT:
        conflicts += _excluded(statement, quote, places)
    names = other_names(statement, quote, places)
    conflicts += names
    if turned and not turned.agrees:
        conflicts.append(Conflict("who or what it is said of is the other way round"))
    if not conflicts and not turned and turned_round(statement, quote, words, places):
        conflicts.append(Conflict("who or what it is said of is the other way round"))
    if share >= _ABOUT and (ranked := other_rank(statement, quote)):
        conflicts.append(Conflict(ranked))
    if share >= _ABOUT and not conflicts and not turned and (other := told_of_another(statement, quote, places)):
        conflicts.append(Conflict(other))
    replaced = {i for i, _ in opposites} | {conflict.word for conflict in conflicts}
    about = tuple(1.0 if i in replaced else strength for i, strength in enumerate(words))
    said_of = sum(token.weight * about[i] for i, token in enumerate(statement.tokens)) / total if total else 0.0
    stronger = overclaims(statement.quantifiers, quote.quantifiers, quote.negations, places)
    return Match(
        words, places, about, dates + numbers, said_of, tuple(conflicts), stronger, share >= _ABOUT and about_another(statement, quote)
    )


def _of_life(statement: Sentence, quote: Sentence) -> list[Quantity] | None:
    """Of the dates of a life in brackets, "(12 May 1861 – 3 January 1934)", those that a statement about birth or death may mean; None
    where the quote has no such brackets or the statement is about neither."""
    life = _LIFESPAN.search(quote.text)
    kinds = {"died" if match["died"] else "born" for token in statement.tokens if (match := _LIFE.match(token.text))}
    if not life or len(kinds) != 1:
        return None
    half = slice(life.start("born"), life.end("born")) if kinds == {"born"} else slice(life.start("died"), life.end("died"))
    return [date for date in quote.dates if not life.start() <= date.start < life.end() or half.start <= date.start < half.stop]


def _said(statement: Sentence, quote: Sentence, index: int, places: tuple[int, ...]) -> bool | None:
    wanted = statement.quantities[index]
    others = quote.quantities if wanted.dimension else [*quote.quantities, *quote.dates]
    answers = []
    for other in others:
        if other.dimension in ("date", "day of year", "weekday"):
            answers.append(True if other.text == wanted.text else None)
        else:
            answers.append(says(other, wanted))
    if True in answers and False in answers and not wanted.exact and statement.language not in UNSPACED:
        # A bound holds for many numbers: what counts is the one that stands with the same words.
        near = [context(statement, quote, wanted, other, places) for other in others]
        known = [n for n, answer in enumerate(answers) if answer is not None]
        return answers[max(known, key=lambda n: (near[n], -n))]
    if True in answers and _counts_another(statement, quote, wanted, places):
        return False
    if wanted.dimension == "ordinal" and wanted.value == 1 and _FIRST.search(quote.text):
        return True
    return True if True in answers else False if False in answers else None


def _counts_another(statement: Sentence, quote: Sentence, wanted: Quantity, places: tuple[int, ...]) -> bool:
    """Whether the quote has the number, but of something else, and another number of what the statement counts."""
    if wanted.dimension or wanted.label or not wanted.exact or statement.language not in ("en", ""):
        return False
    i = counted(statement, wanted)
    if i < 0 or places[i] < 0:
        return False
    by_other = False
    for other in quote.quantities:
        k = counted(quote, other)
        if other.dimension or k < 0:
            continue
        if says(other, wanted):
            if k == places[i] or k in places:
                return False
        elif k == places[i] or (k + 1 == places[i] and quote.tokens[k].clause == quote.tokens[places[i]].clause):
            by_other = True
    return by_other


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
            alike = same(known, quote.by_meaning)
            opposite = _opposite(statement, quote, i)
            if opposite >= 0:
                opposites.append((i, opposite))
            if alike:
                strength, place = SYNONYM, quote.by_meaning[alike]
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
        j = quote.by_meaning.get((group, 1 - side), -1) if group > 0 and side < 2 else -1
        if j < 0 or quote.tokens[j].term in statement.places or not are_opposite(known, quote.meanings[j]):
            continue
        if statement.tokens[i].weight > GRADED_WEIGHT or _followed_alike(statement, quote, i, j):
            return j
    return -1


def _excluded(statement: Sentence, quote: Sentence, places: tuple[int, ...]) -> list[Conflict]:
    """Words of which another one of the same kind stands in their place: "a Swedish actress" for "a Danish actress"."""
    found = []
    for i in statement.exclusive:
        if places[i] >= 0 or not statement.tokens[i].weight:
            continue
        for j in quote.exclusive:
            if quote.tokens[j].term in statement.places or not are_exclusive(statement.meanings[i], quote.meanings[j]):
                continue
            if _in_one_place(statement, quote, i, j, places):
                found.append(Conflict(f"“{statement.tokens[i].text}” there is “{quote.tokens[j].text}”", word=i, weak=True))
                break
    return found


def _in_one_place(statement: Sentence, quote: Sentence, i: int, j: int, places: tuple[int, ...]) -> bool:
    ours = [_beside(statement, i, step) for step in (-1, 1)]
    theirs = [_beside(quote, j, step) for step in (-1, 1)]
    if any(a >= 0 and places[a] >= 0 and places[a] == b for a, b in zip(ours, theirs, strict=True)):
        return True
    return _is_a(statement, i) and _is_a(quote, j)


def _is_a(sentence: Sentence, i: int) -> bool:
    start = sentence.tokens[i].start
    return _IS_A.search(sentence.text, max(0, start - _FAR_CHARACTERS), start) is not None


def _beside(sentence: Sentence, i: int, step: int) -> int:
    """Index of the next content token in the same clause, -1 if there is none."""
    k = i + step
    while 0 <= k < len(sentence.tokens) and sentence.tokens[k].clause == sentence.tokens[i].clause:
        if sentence.tokens[k].weight:
            return k
        k += step
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
