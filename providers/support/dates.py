"""Dates of a sentence as intervals of days, so that a year holds its days and "before 2017" everything before it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache

import regex

from providers.support.quantities import Quantity, says
from providers.support.word_lists import sections

# Months of 31 days keep every date in its order without a calendar.
_MONTH, _YEAR = 31, 372


@cache
def _months() -> dict[str, int]:
    found: dict[str, int] = {}
    for lines in sections("months").values():
        for number, names in enumerate(lines[0].split(","), 1):
            found.update(dict.fromkeys((name.strip() for name in names.split("/")), number))
    return found


@cache
def _patterns() -> list[regex.Pattern[str]]:
    names = "|".join(sorted(map(regex.escape, _months()), key=lambda n: -len(n)))
    month = rf"(?P<name>{names})(?!\p{{L}})\.?"
    year = r"(?P<year>\d{4})(?!\d)"
    day = r"(?<!\d)(?P<day>\d{1,2})(?:st|nd|rd|th|er|º|\.)?"
    flags = regex.IGNORECASE
    return [
        regex.compile(r"(?<!\d)(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})(?!\d)"),
        regex.compile(r"(?<!\d)(?P<year>\d{4})/(?P<month>\d{1,2})/(?P<day>\d{1,2})(?!\d)"),
        regex.compile(r"(?<!\d)(?P<year>\d{4})年\s?(?:(?P<month>\d{1,2})月\s?(?:(?P<day>\d{1,2})日)?)?(?!代|间|間)"),
        regex.compile(r"(?<!\d)(?P<month>\d{1,2})月\s?(?P<day>\d{1,2})日"),
        regex.compile(r"(?<!\d)(?P<day>\d{1,2})\.\s?(?P<month>\d{1,2})\.\s?(?P<year>\d{4})(?!\d)"),
        regex.compile(r"(?<!\d)(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4})(?!\d)"),
        regex.compile(rf"{day}\s(?:de\s|of\s)?{month}(?:,?\s(?:de\s|del\s)?{year})?", flags),
        regex.compile(rf"(?<!\p{{L}}){month}\s(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?!\d|[.,]\d)(?:,?\s{year})?", flags),
        regex.compile(rf"(?<!\p{{L}}){month}\s(?:de\s|of\s|del\s)?{year}", flags),
    ]


_DECADE = regex.compile(
    r"(?<!\d)(?P<a>\d{3}0)(?:'?s|er|年代)(?!\p{Latin})|(?:années|años|decade of the|década de)\s(?P<b>\d{3}0)(?!\d)", regex.IGNORECASE
)
_CENTURY = regex.compile(
    r"(?<!\d)(?P<number>\d{1,2})(?:st|nd|rd|th|\.|e|ème)?[ -]?(?:century|centuries|Jahrhunderts?|siècle|世纪|世紀)"
    r"|(?<!\p{L})(?P<roman>[IVX]{1,5})e?\s(?:siècle)|siglo\s(?P<roman>[IVX]{1,5})(?!\p{L})",
    regex.IGNORECASE,
)
_YEARS = regex.compile(
    r"(?<![\d.,$€£¥_/\p{Latin}])(?<!\p{L}-)(?P<year>1\d{3}|20\d{2}|21\d{2})(?![\d%]|[.,]\d|\s?(?:%|°|km|kg|mm|cm|mg|ml|meters|metres|miles|feet|people|tokens"
    r"|years|euros?|dollars|Euro|million|billion|million(?:en|es|s)|万|億|亿|人|ドル|円|美元|元)(?!\p{Latin}))(?!年间|年間)"
)
_BEFORE_CHRIST = regex.compile(
    r"(?<!\d)(?P<year>\d{1,4})\s?(?:BCE?|B\.C\.|v\. Chr\.|av\. J\.-C\.|a\. ?C\.|ق\.م)|(?:公元前|紀元前)(?P<year>\d{1,4})年?"
)
_EARLIER = regex.compile(r"(?<!\p{L})(?:before|prior to|earlier than|vor|avant|antes de|قبل)\s(?:the\s|dem\s|le\s|el\s|عام\s)?$")
_LATER = regex.compile(r"(?<!\p{L})(?:after|later than|nach|après|después de|بعد)\s(?:the\s|dem\s|le\s|el\s|عام\s)?$")
_EARLIER_AFTER = regex.compile(r"\s?(?:以前|之前|より前)")
_LATER_AFTER = regex.compile(r"\s?(?:以后|之后|以後|以降|より後)")
_ROMAN = {"I": 1, "V": 5, "X": 10}


def dates(text: str) -> list[Quantity]:
    """The dates of `text` (`quantities.normalised`) in order: dimension `date`, or `day of year` where none names the year."""
    found: list[Quantity] = []
    for quantity in [*_written(text), *_eras(text), *_years(text), *_weekdays(text)]:
        if not any(quantity.start < other.end and other.start < quantity.end for other in found):
            found.append(quantity)
    return sorted(found, key=lambda q: q.start)


def _written(text: str) -> Iterator[Quantity]:
    if not any(c.isdigit() for c in text):
        return
    for pattern in _patterns():
        for match in pattern.finditer(text):
            groups = match.groupdict()
            month = _months()[groups["name"].casefold()] if groups.get("name") else int(groups.get("month") or 0)
            day, year = int(groups.get("day") or 0), groups.get("year")
            if month > 12 >= day:
                month, day = day, month
            if month > 12 or day > 31:
                continue
            first = (max(month, 1) - 1) * _MONTH + max(day, 1) - 1
            length = 1 if day else _MONTH if month else _YEAR
            if year is None:
                yield Quantity(*match.span(), match.group(), first, first, "day of year", label=True)
            else:
                yield _dated(text, *match.span(), int(year) * _YEAR + first, length)


def _eras(text: str) -> Iterator[Quantity]:
    for match in _BEFORE_CHRIST.finditer(text):
        yield _dated(text, *match.span(), -int(match["year"]) * _YEAR, _YEAR)
    for match in _DECADE.finditer(text):
        yield _dated(text, *match.span(), int(match["a"] or match["b"]) * _YEAR, 10 * _YEAR)
    for match in _CENTURY.finditer(text):
        number = int(match["number"]) if match["number"] else _roman(match["roman"].upper())
        yield _dated(text, *match.span(), ((number - 1) * 100 + 1) * _YEAR, 100 * _YEAR)


def _years(text: str) -> Iterator[Quantity]:
    for match in _YEARS.finditer(text):
        yield _dated(text, *match.span(), int(match["year"]) * _YEAR, _YEAR)


@cache
def _weekday_names() -> tuple[regex.Pattern[str], dict[str, int]]:
    found: dict[str, int] = {}
    for lines in sections("weekdays").values():
        for number, names in enumerate(lines[0].split(","), 1):
            found.update(dict.fromkeys((name.strip() for name in names.split("/")), number))
    return regex.compile(rf"(?<!\p{{Latin}})({'|'.join(found)})(?!\p{{Latin}}{{2}})", regex.IGNORECASE), found


def _weekdays(text: str) -> Iterator[Quantity]:
    pattern, numbers = _weekday_names()
    for match in pattern.finditer(text):
        number = numbers[match[1].lower()]
        yield Quantity(*match.span(), match.group(), number, number, "weekday", label=True)


def _roman(text: str) -> int:
    values = [_ROMAN[c] for c in text]
    return sum(-v if any(w > v for w in values[i + 1 :]) else v for i, v in enumerate(values))


def _dated(text: str, start: int, end: int, first: int, length: int) -> Quantity:
    low, high = float(first), float(first + length - 1)
    left = text[max(0, start - 20) : start].casefold()
    exact = False
    if _EARLIER.search(left) or _EARLIER_AFTER.match(text, end):
        low, high = -math.inf, low - 1
    elif _LATER.search(left) or _LATER_AFTER.match(text, end):
        low, high = high + 1, math.inf
    else:
        exact = True
    return Quantity(start, end, text[start:end], low, high, "date", exact=exact)


def dates_say(quotes: list[Quantity], statement: Quantity) -> bool | None:
    """Whether one of the dates says what `statement` does; False when none does and one of the same kind excludes it."""
    answers = [_says(quote, statement) for quote in quotes]
    if True in answers:
        return True
    if statement.dimension == "date" and statement.high == statement.low:
        # A day may be told in one place and its year in another.
        day, year = statement.low % _YEAR, statement.low // _YEAR
        days = any(q.dimension == "day of year" and q.low == day for q in quotes)
        if days and any(q.dimension == "date" and q.low // _YEAR == year for q in quotes):
            return True
    return False if False in answers else None


def _says(quote: Quantity, statement: Quantity) -> bool | None:
    if "day of year" not in (quote.dimension, statement.dimension):
        return says(quote, statement) if quote.dimension == statement.dimension or not quote.dimension else None
    if quote.dimension == "date" and quote.low != quote.high:
        return None
    if statement.dimension == "date" and statement.low != statement.high:
        return None
    if quote.low % _YEAR == statement.low % _YEAR:
        return True if statement.dimension == "day of year" else None
    return False


def years_between(first: Quantity, second: Quantity) -> float:
    """Years from one date to another, as exactly as both tell."""
    return abs(second.low - first.low) / _YEAR
