"""Numbers of a sentence as intervals: digits and words, with their scale, unit, and how exactly they are meant."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

import regex

from providers.support.word_lists import phrases, sections

_DIGITS = {ord(a): b for script in ("٠١٢٣٤٥٦٧٨٩", "۰۱۲۳۴۵۶۷۸۹", "０１２３４５６７８９") for a, b in zip(script, "0123456789", strict=True)}
_SIGNS = dict(zip(map(ord, "٪％٫٬−‐‑–—\u00a0\u202f\u2009’"), "%%.,-----   '", strict=True))
_FRACTIONS = {"½": 50, "⅓": 100 / 3, "⅔": 200 / 3, "¼": 25, "¾": 75, "⅕": 20, "⅖": 40, "⅗": 60, "⅘": 80}
_DECIMAL_COMMA = frozenset({"de", "fr", "es", "it", "pt", "nl", "ru"})
_NUMBER = regex.compile(
    r"(?<![\d.,_])(?<![\p{Latin}_]-?)"
    r"(?P<digits>\d{1,3}(?P<sep>[,.' ])\d{3}(?:(?P=sep)\d{3})*(?:[.,]\d+)?(?![\d])|\d+(?:[.,]\d+)?)"
    r"(?!\.\d)(?=(?P<ordinal>st|nd|rd|th)?)"
)
_HAN_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "兩": 2}
_HAN_UNITS = {"十": 10, "百": 100, "千": 1000}
_HAN_SCALES = {"万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8, "兆": 10**12}
_HAN_NUMBER = regex.compile(
    r"(?<!第)[零〇一二两兩三四五六七八九十百千万萬亿億兆]{2,}|[一二两三四五六七八九十](?=[个個人名家次倍年月日天位所座种項项つ歳岁週周時时小分国國州カか件点])"
)
_HAN_SCALE_AFTER = regex.compile(
    r"\s?(?P<scale>[百千]?[万萬亿億兆]|[百千](?=[\p{Han}]))(?P<more>\d[\d,.]*)?(?P<next>[百千]?[万萬亿億]|[百千])?"
)
_HAN_ORDINAL = regex.compile(r"第\s?(\d+|[一二三四五六七八九十百]+)")
_HAN_PERCENT = regex.compile(
    r"(百|\d+|[一二三四五六七八九十]+)分之\s?(\d+(?:\.\d+)?|[一二三四五六七八九十百]+)|(\d)分の(\d)|([一二三四五六七八九]|\d)割"
)
_CURRENCY = {"$": "usd", "€": "eur", "£": "gbp", "¥": "jpy", "₹": "inr", "₽": "rub", "₩": "krw"}
_CURRENCY_BEFORE = regex.compile(r"(?:(?P<country>US|A|C|NZ|HK)\s?)?(?P<sign>[$€£¥₹₽₩])\s?$|\b(?P<code>usd|eur|gbp|jpy|cny|chf|inr)\s$")
_BETWEEN = regex.compile(r"\s*(?:-|~|〜|～|to|through|bis|à|a|al|hasta|至|到|から|إلى|الى)\s*(?:[$€£¥]\s?)?$")
_AND = regex.compile(r"\s+(?:and|und|et|y|و)\s*(?:[$€£¥]\s?)?$|و\s*$")
_BOTH = regex.compile(r"(?:between|zwischen|entre|بين)\s*(?:[$€£¥]\s?)?$")
_VERSION_BEFORE = regex.compile(r"(?:\p{Lu}\p{L}*|[vV]ersion|[vV]ersión|v|Chapter|Article|Section|§|Artikel|Art\.)\s$")
_OF_A_UNIT = regex.compile(r"\s(?:of\s)?(?:an?\s)?(?=\p{L})")
_CONTEXT = 40
_NEAR_LIMIT = 0.8
Span = tuple[int, int]


@dataclass(frozen=True)
class Quantity:
    """A number as it is meant: an interval in the base unit of its dimension. An exact number has `low == high`."""

    start: int
    end: int
    text: str
    low: float
    high: float
    dimension: str = ""
    """`length`, `%`, `usd`, `date` ...; empty for a plain count."""
    factor: float = 1.0
    step: float = 1.0
    """The place of its last written digit, in the base unit."""
    exact: bool = True
    """False when words such as "about" or "more than" stand with it."""
    label: bool = False
    """It names something (Python 3.12, Article 5), so that it is equal or not, never rounded."""
    open_low: bool = False
    open_high: bool = False

    @property
    def value(self) -> float:
        """The number itself, whatever bounds it."""
        return self.high if math.isinf(self.low) else self.low if math.isinf(self.high) else (self.low + self.high) / 2


def normalised(text: str) -> str:
    """`text` with ASCII digits, signs and spaces, character by character."""
    return text.translate(_DIGITS).translate(_SIGNS) if not text.isascii() else text


def quantities(text: str, language: str, taken: list[Span]) -> list[Quantity]:
    """The quantities of `text`, which is `normalised`, in order; none inside the spans `taken`."""
    found = [*_digits(text, language, taken), *_han(text, language, taken), *_words(text, language, taken), *_fractions(text, language)]
    found.sort(key=lambda q: (q.start, -q.end))
    kept: list[Quantity] = []
    for quantity in found:
        if not kept or quantity.start >= kept[-1].end:
            kept.append(quantity)
    return _ranges(text, kept)


def _inside(start: int, end: int, taken: list[Span]) -> bool:
    return any(start < b and a < end for a, b in taken)


def _digits(text: str, language: str, taken: list[Span]) -> list[Quantity]:
    found = []
    last = 0
    for match in _NUMBER.finditer(text):
        start, end = match.span("digits")
        if start < last or _inside(start, end, taken):
            continue
        value, step = _value(match["digits"], language)
        if match["ordinal"]:
            found.append(Quantity(start, end + 2, text[start : end + 2], value, value, "ordinal", label=True))
            continue
        scale, end = _scale_after(text, end, language, value)
        if isinstance(scale, tuple):
            value, step = value * scale[0] + scale[1], 1.0
        else:
            value, step = value * scale, step * scale
        quantity = _measured(
            text, (start, end), value, step, language, label=scale == 1 and bool(_VERSION_BEFORE.search(text[max(0, start - 20) : start]))
        )
        last = quantity.end
        found.append(quantity)
    return found


def _value(digits: str, language: str) -> tuple[float, float]:
    """The number and the place of its last digit."""
    digits = digits.rstrip(".,' ")
    marks = [c for c in digits if not c.isdigit()]
    decimal = ""
    if marks:
        last = marks[-1]
        after = len(digits) - digits.rindex(last) - 1
        if last in ".,":
            grouped = after == 3 and not digits.startswith("0")
            if len(set(marks)) > 1:
                decimal = last
            elif marks.count(last) > 1:
                decimal = ""
            elif not grouped or (last == ",") == (language in _DECIMAL_COMMA):
                decimal = last
    whole, _, fraction = digits.partition(decimal) if decimal else (digits, "", "")
    plain = "".join(c for c in whole if c.isdigit()) or "0"
    return float(f"{plain[:300]}.{fraction[:300] or 0}"), 10.0 ** -min(len(fraction), 300)


@cache
def _scales(language: str) -> tuple[regex.Pattern[str], dict[str, float]]:
    table: dict[str, float] = {}
    for code in ("en", language):
        for line in sections("numbers").get(f"{code} scale", ()):
            value, *names = line.split()
            table.update(dict.fromkeys(names, float(value)))
    joined = "|".join(regex.escape(name) for name in sorted(table, key=lambda n: -len(n)))
    return regex.compile(rf"[ -]?(?:de )?({joined})(?![\p{{L}}\d])", regex.IGNORECASE), table


def _scale_after(text: str, end: int, language: str, value: float) -> tuple[float | tuple[float, float], int]:
    han = _HAN_SCALE_AFTER.match(text, end)
    if han:
        factor = 1.0
        for c in han["scale"]:
            factor *= _HAN_UNITS.get(c) or _HAN_SCALES[c]
        if han["more"]:
            rest = _value(han["more"], language)[0] * _han_value("一" + han["next"] if han["next"] else "一")
            return (factor, rest), han.end()
        return factor, han.end()
    pattern, table = _scales(language)
    match = pattern.match(text, end)
    if match:
        name = match[1]
        if len(name) == 1 and (match.start(1) != end or (name not in ("k", "M"))):
            return 1.0, end
        return table.get(name.lower(), table.get(name, 1.0)), match.end()
    return 1.0, end


def _han_value(text: str) -> float:
    if not any(c in _HAN_UNITS or c in _HAN_SCALES for c in text):
        return float("".join(str(_HAN_DIGITS[c]) for c in text))
    total = section = digit = 0
    for c in text:
        if c in _HAN_DIGITS:
            digit = _HAN_DIGITS[c]
        elif c in _HAN_UNITS:
            section += (digit or 1) * _HAN_UNITS[c]
            digit = 0
        else:
            total += (section + digit or 1) * _HAN_SCALES[c]
            section = digit = 0
    return float(total + section + digit)


def _han(text: str, language: str, taken: list[Span]) -> list[Quantity]:
    if language not in ("zh", "ja"):
        return []
    found = []
    for match in _HAN_PERCENT.finditer(text):
        if match[5]:
            share = 10 * _plain(match[5])
        else:
            below, above = match[1] or match[3], match[2] or match[4]
            share = 100 * _plain(above) / (_plain(below) or 1)
        found.append(_bounded(text, Quantity(*match.span(), match.group(), share, share, "%", step=1.0), language))
    for match in _HAN_ORDINAL.finditer(text):
        value = _plain(match[1])
        found.append(Quantity(*match.span(), match.group(), value, value, "ordinal", label=True))
    done = [(q.start, q.end) for q in found]
    for match in _HAN_NUMBER.finditer(text):
        if not _inside(*match.span(), [*taken, *done]) and not (match.start() and text[match.start() - 1].isdigit()):
            found.append(_measured(text, match.span(), _han_value(match.group()[:40]), 1.0, language))
    return found


def _plain(text: str) -> float:
    return float(text) if text[0].isdigit() else _han_value(text)


@cache
def _number_words(language: str) -> dict[str, float]:
    table: dict[str, float] = {}
    for line in sections("numbers").get(language, ()):
        value, *names = line.split()
        table.update(dict.fromkeys(names, float(value)))
    if language == "de":
        for one in ("ein", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"):
            for ten in ("zwanzig", "dreißig", "vierzig", "fünfzig", "sechzig", "siebzig", "achtzig", "neunzig"):
                table[f"{one}und{ten}"] = table[ten] + table.get(one, 1)
    return table


_WORD = regex.compile(r"\p{L}+")
_JOINT = regex.compile(r"(?:[ -]| and | y | et | و)$")


def _words(text: str, language: str, taken: list[Span]) -> list[Quantity]:
    code = language or "en"
    table = _number_words(code)
    if not table:
        return []
    scales = _scales(code)[1]
    found = []
    run: list[tuple[int, int, float]] = []

    def close() -> None:
        if run and any(value < 1000 for _, _, value in run) and not _inside(run[0][0], run[-1][1], taken):
            total = current = 0.0
            for _, _, value in run:
                if value == 100:
                    current = (current or 1) * 100
                elif value >= 1000:
                    total, current = total + (current or 1) * value, 0.0
                else:
                    current += value
            found.append(_measured(text, (run[0][0], run[-1][1]), total + current, 1.0, language))
        run.clear()

    for match in _WORD.finditer(text):
        word = match.group().lower()
        value = table.get(word)
        if value is None and run and len(word) > 1:
            value = scales.get(word)
        if value is None or (run and not _JOINT.fullmatch(text, run[-1][1], match.start())):
            close()
        if value is not None:
            if run and (run[-1][2] < value < 100 or (run[-1][2] < 20 and value < 20)):
                close()
            run.append((*match.span(), value))
    close()
    for line in sections("numbers").get(f"{code} ordinal", ()):
        value_text, *names = line.split()
        for match in _ordinal(tuple(names)).finditer(text):
            if not _inside(*match.span(), taken):
                found.append(Quantity(*match.span(), match.group(), float(value_text), float(value_text), "ordinal", label=True))
    return found


@cache
def _ordinal(names: tuple[str, ...]) -> regex.Pattern[str]:
    return regex.compile(rf"\b(?:{'|'.join(names)})\b(?!s?\s+(?:of a|after))", regex.IGNORECASE)


@cache
def _fraction_words(language: str) -> list[tuple[regex.Pattern[str], float]]:
    found = []
    for line in sections("numbers").get(f"{language} fraction", ()):
        value, _, names = line.partition(" ")
        found.append(
            (regex.compile(rf"(?<!\p{{L}})(?:{'|'.join(n.strip() for n in names.split(','))})(?!\p{{L}})", regex.IGNORECASE), float(value))
        )
    return found


def _fractions(text: str, language: str) -> list[Quantity]:
    found = []
    for sign, share in _FRACTIONS.items():
        at = text.find(sign)
        if at >= 0 and not (at and text[at - 1].isdigit()):
            found.append(Quantity(at, at + 1, sign, share, share, "%"))
    for pattern, share in _fraction_words(language or "en"):
        for match in pattern.finditer(text):
            unit = _OF_A_UNIT.match(text, match.end())
            if unit and (of := _units()[0].match(text, unit.end() - 1)):
                # "half a minute"
                dimension, factor = _units()[1][of[1]]
                value = share / 100 * factor
                span = match.start(), of.end()
                found.append(_bounded(text, Quantity(*span, text[slice(*span)], value, value, dimension, factor, value), language))
            else:
                found.append(_bounded(text, Quantity(*match.span(), match.group(), share, share, "%", step=1.0), language))
    return found


@cache
def _units() -> tuple[regex.Pattern[str], dict[str, tuple[str, float]]]:
    table: dict[str, tuple[str, float]] = {}
    for dimension, lines in sections("units").items():
        for line in lines:
            factor, _, names = line.partition(" ")
            for name in names.split(","):
                table[name.strip()] = (dimension, float(factor))
    names = "|".join(regex.escape(name) for name in sorted(table, key=lambda n: -len(n)))
    return regex.compile(rf"\s?-?(?:of |de )?({names})(?!\p{{Latin}}|\p{{Arabic}}|\d)"), table


def _measured(text: str, span: Span, value: float, step: float, language: str, *, label: bool = False) -> Quantity:
    """The number with the unit that stands beside it and the words that bound it."""
    start, end = span
    pattern, table = _units()
    before = _CURRENCY_BEFORE.search(text[max(0, start - 6) : start])
    dimension, factor = "", 1.0
    first = start
    if before:
        sign = before["sign"]
        dimension = {"$": {"A": "aud", "C": "cad", "NZ": "nzd", "HK": "hkd"}.get(before["country"] or "", "usd")}.get(sign) or (
            _CURRENCY[sign] if sign else before["code"].lower()
        )
        first = start - len(before.group())
    else:
        unit = pattern.match(text, end)
        if unit and not (unit[1] == "m" and text[end : end + 1] == "-"):
            dimension, factor = table[unit[1]]
            end = unit.end()
    low = value
    if dimension == "temperature":
        low, step, factor = ((value - 32) / 1.8, step / 1.8, 1 / 1.8) if factor != 1 else (value, step, 1.0)
    else:
        low, step = value * factor, step * factor
    label = label and not dimension
    return _bounded(text, Quantity(first, end, text[first:end], low, low, dimension, factor, step, label=label), language)


@cache
def _bounds(language: str) -> list[tuple[str, regex.Pattern[str], regex.Pattern[str]]]:
    found = []
    for kind in ("min", "above", "max", "below", "about"):
        before = "|".join(regex.escape(p) for code in {"en", language} for p in phrases("bounds", f"{code} {kind}")) or "(?!)"
        after = "|".join(regex.escape(p) for code in {"en", language} for p in phrases("bounds", f"{code} {kind} after")) or "(?!)"
        found.append(
            (
                kind,
                regex.compile(rf"(?<!\p{{Latin}}|\p{{Arabic}})و?(?:{before})\s*(?:\(?[$€£¥]\s?)?$"),
                regex.compile(rf"\s*(?:[人个個名年]\s?)?(?:{after})(?!\p{{Latin}})"),
            )
        )
    return found


def _bounded(text: str, quantity: Quantity, language: str) -> Quantity:
    left = text[max(0, quantity.start - _CONTEXT) : quantity.start].lower()
    right = text[quantity.end : quantity.end + _CONTEXT].lower()
    for kind, before, after in _bounds(language):
        ahead, behind = before.search(left), after.match(right)
        if not (ahead or behind):
            continue
        value = quantity.low
        start = quantity.start - (len(left) - ahead.start() if ahead else 0)
        end = quantity.end + (behind.end() if behind else 0)
        quantity = replace(quantity, start=start, end=end, text=text[start:end])
        if kind in ("min", "above"):
            return replace(quantity, high=math.inf, exact=False, open_low=kind == "above", label=False)
        if kind in ("max", "below"):
            return replace(quantity, low=-math.inf, exact=False, open_high=kind == "below", label=False)
        slack = min(0.1 * abs(value), max(0.05 * abs(value), _last_digit(value, quantity.factor) / 2))
        return replace(quantity, low=value - slack, high=value + slack, exact=False, label=False)
    return quantity


def _last_digit(value: float, factor: float) -> float:
    """The place of the last digit that is not zero."""
    number = abs(value / factor)
    if not number or not math.isfinite(number):
        return 0.0
    digits = f"{number:.12g}"
    if "e" in digits or "." in digits:
        return factor * 10.0 ** -len(digits.partition(".")[2].partition("e")[0])
    return float(factor * 10.0 ** (len(digits) - len(digits.rstrip("0"))))


def _ranges(text: str, found: list[Quantity]) -> list[Quantity]:
    """Neighbours such as "10 to 15 %" joined to one interval."""
    joined: list[Quantity] = []
    for quantity in found:
        last = joined[-1] if joined else None
        if last and last.exact and quantity.exact and last.low == last.high and "ordinal" not in (last.dimension, quantity.dimension):
            gap = text[last.end : quantity.start]
            pair = len(gap) < 12 and (
                _BETWEEN.fullmatch(gap.lower())
                or (_AND.fullmatch(gap.lower()) and _BOTH.search(text[max(0, last.start - 20) : last.start].lower()))
            )
            if pair and last.dimension in ("", quantity.dimension):
                low = last.low
                if not last.dimension:
                    low = (low - 32) / 1.8 if quantity.dimension == "temperature" and quantity.factor != 1 else low * quantity.factor
                if quantity.step > last.step and low < quantity.low / 1000:
                    low *= quantity.step
                if low < quantity.low:
                    text_of = text[last.start : quantity.end]
                    joined[-1] = replace(quantity, start=last.start, text=text_of, low=low, exact=False, label=False)
                    continue
        joined.append(quantity)
    return joined


def says(quote: Quantity, statement: Quantity) -> bool | None:
    """Whether a quantity of a quote says what the statement's does: True, False when both cannot hold, None when it says nothing of it."""
    if statement.dimension != quote.dimension:
        if "" not in (statement.dimension, quote.dimension):
            same_number = _close(statement.value / statement.factor, quote.value / quote.factor)
            return (
                False
                if same_number
                and "date" not in (statement.dimension, quote.dimension)
                and "ordinal" not in (statement.dimension, quote.dimension)
                else None
            )
        if "ordinal" in (statement.dimension, quote.dimension):
            return None
        # A unit that only one of them names: the numbers as they are written.
        return True if _close(statement.value / statement.factor, quote.value / quote.factor) else None
    if statement.label or quote.label:
        return _close(statement.value, quote.value)
    if _is_limit(statement) and _is_limit(quote) and math.isinf(statement.low) == math.isinf(quote.low):
        # "At most 20" does not say "at most 30", although it implies it: a limit is told as it is.
        return _close(statement.value, quote.value) or (_rounds(quote, statement) if quote.factor != statement.factor else False)
    if _within(quote, statement):
        # "Up to 600" does not follow from 200, nor would anybody say it.
        near = quote.value >= _NEAR_LIMIT * statement.value or quote.high == statement.high
        return True if not _is_limit(statement) or math.isinf(statement.high) or near else None
    if statement.exact:
        if _close(quote.value, statement.value) or statement.low in (quote.low, quote.high):
            return True
        if quote.exact and _rounds(quote, statement):
            return True
        if not quote.exact and quote.low <= statement.low <= quote.high and not math.isinf(quote.high - quote.low):
            return True if statement.low == quote.value else None
    apart = quote.low > statement.high or quote.high < statement.low
    touching = quote.low == statement.high or quote.high == statement.low
    return False if apart or (touching and (statement.open_low or statement.open_high)) else None


def _is_limit(quantity: Quantity) -> bool:
    return math.isinf(quantity.high - quantity.low) and not quantity.open_low and not quantity.open_high and quantity.dimension != "date"


def _close(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9)


def _within(quote: Quantity, statement: Quantity) -> bool:
    slack = 1e-9 * max(
        1.0, abs(statement.low) if math.isfinite(statement.low) else 0.0, abs(statement.high) if math.isfinite(statement.high) else 0.0
    )
    low = quote.low > statement.low or (quote.low >= statement.low - slack and (not statement.open_low or quote.open_low))
    high = quote.high < statement.high or (quote.high <= statement.high + slack and (not statement.open_high or quote.open_high))
    return low and high


def _rounds(quote: Quantity, statement: Quantity) -> bool:
    """Whether the statement's number is the quote's, rounded or converted."""
    difference = abs(quote.value - statement.value)
    if quote.factor != statement.factor:
        return difference <= max(0.501 * statement.step, 0.012 * abs(quote.value))
    coarser = statement.step > 1.5 * quote.step
    return coarser and difference <= 0.501 * statement.step and difference <= 0.05 * abs(quote.value)
