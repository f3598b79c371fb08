"""How long a text is to be, by the words of the one who asks for it."""

from __future__ import annotations

import regex

LEAST_WORDS = 50
"""Fewer are no length: "the ten words" are what a question is about."""
MOST_WORDS = 100_000

_UNITS = (
    r"words|(?<=-)word|Wörter[ns]?|Worte[ns]?|mots|palabras|parole|palavras|woorden|слов(?:а|о)?|думи|słów|slov|ord|sanaa|szó|szavas|kelime(?:lik|yle)?"
    r"|cuvinte|kata|perkataan|từ|λέξεις|λέξεων|מילים|كلمات|كلمة|शब्दों|शब्द|শব্দের|শব্দ|단어|คำ"
)
# In scripts without spaces a length is counted in characters, and one counts as a word here.
_CHARACTER_UNITS = r"[个個]?字(?!母|节|節|符|体|體|典|幕|段|面|型|元)|文字|語(?:程度|以内|くらい)|글자|자(?!\p{Hangul})"
_NUMBER = r"(?:\p{Nd}{1,3}(?:[., '’\u00a0\u202f٬،]\p{Nd}{3}){1,3}|\p{Nd}{1,9}(?:[.,٫]\p{Nd}{1,3})?)"
_HAN_NUMBER = r"[一二两兩三四五六七八九十百千万萬零〇]{1,12}"
_TIMES = r"(?:\s?(?:k|K|千|万|萬|천|만))?"
_WANTED = regex.compile(
    rf"(?<![\p{{Nd}}.,])(?:(?P<low>{_NUMBER}{_TIMES})\s*(?:-|–|—|~|〜|～|to|bis|à|a|до|到|至|and|und)\s*)?(?P<high>{_NUMBER}{_TIMES})"
    rf"(?:\s*-?\s*(?:{_UNITS})(?!\p{{L}})|\s?(?:{_CHARACTER_UNITS}))"
    r"(?!\s*(?:/|per\b|a (?:minute|day)|an hour|pro\b|par\b|por\b|am Tag|that\b|which\b|start|begin|for (?!an? |the |my |our )))"
    rf"|(?P<han>{_HAN_NUMBER})(?:{_CHARACTER_UNITS}|[个個]?词)",
    regex.IGNORECASE,
)
_MULTIPLES = {"k": 1_000, "千": 1_000, "천": 1_000, "万": 10_000, "萬": 10_000, "만": 10_000}
_HAN_DIGITS = {
    digit: value for value, digits in enumerate(["零〇", "一", "二两兩", "三", "四", "五", "六", "七", "八", "九"]) for digit in digits
}
_HAN_UNITS = {"十": 10, "百": 100, "千": 1_000, "万": 10_000, "萬": 10_000}


def wanted_words(text: str) -> int | None:
    """The length that `text` asks for, in words (characters where a script has no spaces); None when it asks for none.

    "a report of 3,000 words", "etwa 800 Wörter", "3000字", "三千字"; of a range the middle, of several lengths the first one that
    is from 50 to 100,000.
    """
    for found in _WANTED.finditer(text):
        if found["han"]:
            words = float(_han_number(found["han"]))
        else:
            high = _number(found["high"])
            low = _number(found["low"]) if found["low"] else high
            words = (low + high) / 2 if low <= high else high
        if LEAST_WORDS <= words <= MOST_WORDS:
            return round(words)
    return None


def _number(text: str) -> float:
    times = _MULTIPLES.get(text[-1].casefold(), 1)
    digits = text.rstrip("kK千万萬천만 ")
    parts = regex.split(r"\P{Nd}", digits)
    # Groups of three are thousands, whatever stands between them; anything else after a point is a fraction.
    if len(parts) > 1 and (len(parts) > 2 or len(parts[1]) != 3 or times > 1):
        return float(f"{int(parts[0])}.{''.join(str(int(digit)) for digit in parts[1])}") * times
    return float(int("".join(parts))) * times


def _han_number(text: str) -> int:
    whole = part = digit = 0
    for character in text:
        if character in _HAN_DIGITS:
            digit = _HAN_DIGITS[character]
        elif _HAN_UNITS[character] == 10_000:
            whole, part, digit = (whole + part + digit or 1) * 10_000, 0, 0
        else:
            part += (digit or 1) * _HAN_UNITS[character]
            digit = 0
    return whole + part + digit
