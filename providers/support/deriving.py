"""Numbers that follow from those of the quotes: ages and spans of years from two dates, sums and differences of two amounts.

Only where the statement says that it reckons ("at the age of", "in total", "more than"): any number follows from others by chance.
"""

from __future__ import annotations

import itertools
from functools import cache

import regex

from providers.support.dates import years_between
from providers.support.language import UNSPACED
from providers.support.quantities import Quantity
from providers.support.sentence import Sentence
from providers.support.word_lists import phrases

_YEAR_SECONDS = 31_557_600
_MOST_AMOUNTS = 8


@cache
def _cue(language: str, kind: str) -> regex.Pattern[str]:
    joined = "|".join(map(regex.escape, phrases("reckoning", f"{language} {kind}"))) or "(?!)"
    return regex.compile(joined if language in UNSPACED else rf"(?<!\p{{L}})(?:{joined})(?!\p{{L}})", regex.IGNORECASE)


def derived(statement: Sentence, sentences: list[Sentence]) -> frozenset[int]:
    """Indices of the statement's quantities (dates counted before them) that follow from what `sentences` tell."""
    code = statement.language or "en"
    found = set()
    years, sums = (_cue(code, kind).search(statement.text) for kind in ("years", "sums"))
    for index, quantity in enumerate(statement.quantities, len(statement.dates)):
        spans = years and quantity.dimension in ("", "duration") and _from_dates(quantity, sentences)
        if spans or (sums and any(_from_amounts(quantity, sentence) for sentence in sentences)):
            found.add(index)
    return frozenset(found)


def _from_dates(quantity: Quantity, sentences: list[Sentence]) -> bool:
    years = quantity.value / _YEAR_SECONDS if quantity.dimension else quantity.value
    dates = [date for sentence in sentences for date in sentence.dates if date.dimension == "date" and date.exact][:_MOST_AMOUNTS]
    for first, second in itertools.combinations(dates, 2):
        exact = first.low == first.high and second.low == second.high
        between = years_between(first, second)
        # An age is counted in whole years; two bare years leave one of doubt.
        if years == int(between) if exact else abs(years - between) <= 1 and years <= between + 0.01:
            return True
    return False


def _from_amounts(quantity: Quantity, sentence: Sentence) -> bool:
    amounts = [q.value for q in sentence.quantities if q.dimension == quantity.dimension and q.dimension != "ordinal"][:_MOST_AMOUNTS]
    pairs = [value for a, b in itertools.combinations(amounts, 2) for value in (a + b, abs(a - b))]
    return any(abs(value - quantity.value) <= 1e-6 * max(1.0, abs(value)) for value in [*pairs, sum(amounts)] if len(amounts) > 1)
