"""Dates and names as pages state them, and which of them are believed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import regex

from providers.dates import published_date
from providers.reader.dates import believed

MOST_AUTHORS = 20
NAME_CHARACTERS = 100

_LOOSE_DATE = regex.compile(r"([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})(?![0-9])")
_BY = regex.compile(r"^(?:(?:written |posted )?by\b:?|(?:von|par|por|di|door):)\s*", regex.IGNORECASE)
_NO_NAME = regex.compile(
    r"https?:|www\.|/|@|^[\W\d_]*$|^(?:admin|administrator|author|editor|unknown|none|null|undefined)$", regex.IGNORECASE
)


def believable_date(value: object) -> str | None:
    """The ISO 8601 date that a field states, unless it is before 1995 or later than tomorrow; None when it states none."""
    if not isinstance(value, str):
        return None
    text = value.strip()[:100]
    day = published_date(text)
    if day is None and (loose := _LOOSE_DATE.match(text)):
        return date_of(*loose.groups())
    return believed(day)


def date_of(year: str, month: str, day: str) -> str | None:
    """The same for the parts of a date."""
    try:
        return believed(date(int(year), int(month), int(day)).isoformat())
    except ValueError:
        return None


def names_of(texts: Iterable[object]) -> list[str]:
    """Those of `texts` that can be names of people or organisations, each once."""
    found: dict[str, None] = {}
    for text in texts:
        if not isinstance(text, str):
            continue
        name = _BY.sub("", line_of(text, 4 * NAME_CHARACTERS))
        if 1 < len(name) <= NAME_CHARACTERS and not _NO_NAME.search(name) and len(found) < MOST_AUTHORS:
            found.setdefault(name)
    return list(found)


def line_of(text: str, characters: int) -> str:
    """`text` in one line, cut."""
    return " ".join(text[: 4 * characters].split())[:characters]
