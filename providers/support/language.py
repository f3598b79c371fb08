"""Which language a sentence is in, as far as that can be told for nothing: by script, then by function words."""

from __future__ import annotations

from functools import lru_cache

import regex

from providers.lexical.function_words import function_words

_SCRIPTS = [
    (regex.compile(r"[\p{Hiragana}\p{Katakana}]"), "ja"),
    (regex.compile(r"\p{Hangul}"), "ko"),
    (regex.compile(r"\p{Han}"), "zh"),
    (regex.compile(r"\p{Arabic}"), "ar"),
    (regex.compile(r"\p{Thai}"), "th"),
    (regex.compile(r"\p{Greek}"), "el"),
    (regex.compile(r"\p{Hebrew}"), "he"),
    (regex.compile(r"\p{Cyrillic}"), "ru"),
]
_LETTER = regex.compile(r"\p{L}")
# Not the letters of a code such as "miR-77".
_WORD = regex.compile(r"(?<![\p{L}\d-])\p{L}+(?!\p{L}|-?\d)")
# Japanese and Chinese sentences are full of foreign names; one kana letter in ten is Japanese already.
_LEAST_SHARE = {"ja": 0.1, "zh": 0.2}
_SAMPLE_CHARACTERS = 600
_OWN_SCRIPT = frozenset(code for _, code in _SCRIPTS)
UNSPACED = frozenset({"zh", "ja", "th"})
"""Languages that put no spaces between words."""


@lru_cache(maxsize=20_000)
def sentence_language(text: str) -> str:
    """ISO 639-1 code, or "" when nothing tells it.

    Unlike `lexical.language_of` it never guesses: two sentences count as written in different languages only when both are told.
    """
    sample = text[:_SAMPLE_CHARACTERS]
    letters = len(_LETTER.findall(sample))
    if not letters:
        return ""
    if not sample.isascii():
        for script, code in _SCRIPTS:
            if len(script.findall(sample)) > _LEAST_SHARE.get(code, 0.3) * letters:
                return code
    words = [word.casefold() for word in _WORD.findall(sample)]
    counts = {code: sum(word in known for word in words) for code, known in function_words().items() if code != "ru"}
    best = max(counts, key=lambda code: counts[code])
    others = max(count for code, count in counts.items() if code != best)
    return best if counts[best] > others else ""


def is_foreign(first: str, second: str) -> bool:
    """Whether two texts of these languages ("" for one that is not told) are in different ones for certain."""
    if first and second:
        return first != second
    return (first or second) in _OWN_SCRIPT
