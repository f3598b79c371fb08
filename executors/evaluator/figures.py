"""Numbers and dates, which no model is believed about."""

from __future__ import annotations

from collections.abc import Sequence

from providers.support.language import sentence_language
from providers.support.matching import match
from providers.support.sentence import sentence_of, sentence_spans


def missing_figures(text: str, quotes: Sequence[str]) -> list[str]:
    """The numbers and dates of a sentence, in digits or words, that no sentence of `quotes` holds, whatever their language."""
    language = sentence_language(text)
    wanted = sentence_of(text, language)
    found = [
        match(wanted, sentence_of(quote[start:end], sentence_language(quote) or language)).facts
        for quote in quotes
        for start, end in sentence_spans(quote)
    ]
    figures = [*wanted.dates, *wanted.quantities]
    return [figure.text for place, figure in enumerate(figures) if not any(facts[place] is True for facts in found)]


def is_foreign(text: str, quotes: Sequence[str]) -> bool:
    """Whether all of `quotes` are in other languages than `text`, as far as that can be told."""
    language = sentence_language(text)
    return bool(language) and all((other := sentence_language(quote)) and other != language for quote in quotes)
