"""Which sentences claim something about the world, and which only lead the reader on."""

from __future__ import annotations

from functools import cache

import regex

from providers.lexical import content_terms
from providers.support.word_lists import phrases

_QUESTION = regex.compile(r"[?？؟][\s\"'”’»)\]」』]*$")
_LEADS_IN = regex.compile(r"[:：]\s*$")
_DIGIT = regex.compile(r"\p{Nd}")
_LETTER = regex.compile(r"[\p{L}\p{N}]")
_LEAST_TERMS = 3


@cache
def _openings(kind: str) -> regex.Pattern[str]:
    joined = "|".join(map(regex.escape, phrases("openings", kind)))
    return regex.compile(rf"\s*(?:{joined})(?!\p{{Latin}})[\s,:;.，、：]*", regex.IGNORECASE)


def is_claim(words: str, cited: bool) -> bool:
    """Whether evidence has to say `words`, one sentence in plain text; `cited`: it carries a citation of its own.

    Questions, lead-ins that end with a colon, talk about the answer itself and mere transitions are no claims, unless they
    name a number or cite something.
    """
    if not _LETTER.search(words) or _QUESTION.search(words):
        return False
    if cited or _DIGIT.search(words):
        return True
    if _LEADS_IN.search(words) or _openings("about the answer").match(words):
        return False
    transition = _openings("transitions").match(words)
    rest = words[transition.end() :] if transition else words
    if not _LETTER.search(rest):
        return False
    return not transition or len(content_terms(rest)) >= _LEAST_TERMS
