"""Which words of a sentence are denied, and how strongly it speaks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import regex

from providers.support.language import UNSPACED
from providers.support.tokens import Token
from providers.support.word_lists import phrases

# How many content words a negation or a quantifier reaches, and in which languages it also reaches back.
_REACH = 3
_BACKWARDS = frozenset({"de", "nl", "ja", "fr"})
_REACH_CHARACTERS = 8
_BREAK = regex.compile(r"[,;:.!?—、。，；：！？،؛]|\bbut\b|\baber\b|\bmais\b|\bpero\b|但")
_CONTRACTED = regex.compile(r"(?<=n')t\b")
QUANTIFIERS = ("all", "most", "some", "only", "may", "except", "modal")


@dataclass(frozen=True)
class Reach:
    """A word of a list in a sentence, and the indices of the tokens that it is said of."""

    kind: str
    tokens: frozenset[int]


@cache
def _pattern(name: str, section: str, language: str) -> regex.Pattern[str]:
    joined = "|".join(map(regex.escape, phrases(name, section))) or "(?!)"
    if language in UNSPACED:
        return regex.compile(joined)
    # Arabic joins "and" to the word that follows it.
    return regex.compile(rf"(?<![\p{{L}}\p{{N}}-])[وف]?(?:{joined})(?![\p{{L}}\p{{N}}-])", regex.IGNORECASE)


def negations(text: str, tokens: list[Token], language: str) -> list[Reach]:
    """What is denied in `text`, one entry for every negation."""
    code = language or "en"
    idle = [match.span() for match in _pattern("negators", f"{code} idle", code).finditer(text)]
    found = [m.span() for m in _pattern("negators", f"{code} parts" if code in UNSPACED else code, code).finditer(text)]
    if code == "en":
        found += [m.span() for m in _CONTRACTED.finditer(text)]
    if code == "fr":
        found = _joined(found, text)
    found = [span for span in found if not any(a < span[1] and span[0] < b for a, b in idle)]
    return [Reach("not", _reached(text, tokens, span, code)) for span in found]


def denials(text: str, tokens: list[Token], language: str) -> list[Reach]:
    """What words such as "forbidden" or "except" are said of, which can say the same as a negation."""
    code = language or "en"
    found = []
    for match in _pattern("negators", f"{code} denying", code).finditer(text):
        start, end = match.span()
        near = [i for i, t in enumerate(tokens) if t.weight and end <= t.start][:_REACH]
        near += [i for i, t in enumerate(tokens) if t.weight and t.end <= start][-2 * _REACH :]
        found.append(Reach("not", frozenset(near)))
    for match in _pattern("negators", f"{code} excluding", code).finditer(text):
        found.append(Reach("not", frozenset([i for i, t in enumerate(tokens) if t.weight and match.end() <= t.start][:2])))
    return found


def _reached(text: str, tokens: list[Token], span: tuple[int, int], code: str) -> frozenset[int]:
    start, end = span
    following = _BREAK.search(text, end)
    last = following.start() if following else len(text)
    first = max((match.end() for match in _BREAK.finditer(text, 0, start)), default=0)
    if code == "ja":
        window = (max(first, start - 2 * _REACH_CHARACTERS), start)
        return frozenset(i for i, t in enumerate(tokens) if t.weight >= 0.4 and window[0] <= t.start < window[1])
    if code in UNSPACED:
        return frozenset(i for i, t in enumerate(tokens) if t.weight >= 0.4 and end - 1 <= t.start < min(last, end + _REACH_CHARACTERS))
    inside = [i for i, t in enumerate(tokens) if t.weight and end <= t.start < last][:_REACH]
    if code in _BACKWARDS:
        inside += [i for i, t in enumerate(tokens) if t.weight and first <= t.start < start][-2:]
    return frozenset(inside)


def _joined(spans: list[tuple[int, int]], text: str) -> list[tuple[int, int]]:
    """French denies with two words: the second one of a pair counts no further."""
    kept: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if kept and start - kept[-1][1] < 30:
            continue
        kept.append((start, end))
    return kept


def quantifiers(text: str, tokens: list[Token], language: str) -> list[Reach]:
    """The quantifiers and hedges of `text`, and what they are said of."""
    code = language or "en"
    idle = [match.span() for match in _pattern("quantifiers", f"{code} idle", code).finditer(text)]
    found = []
    for kind in QUANTIFIERS:
        for match in _pattern("quantifiers", f"{code} {kind}", code).finditer(text):
            if (match.group() == "May" and match.start()) or any(a <= match.start() < b for a, b in idle):
                continue
            reached = _reached(text, tokens, match.span(), code)
            if code in ("ja", "zh"):
                reached |= frozenset(i for i, t in enumerate(tokens) if t.weight >= 0.4 and abs(t.start - match.end()) <= _REACH_CHARACTERS)
            found.append(Reach(kind, reached))
    return found


def overclaims(statement: list[Reach], quote: list[Reach], denied: list[Reach], places: tuple[int, ...]) -> bool:
    """Whether the statement is stronger than the quote: all for some, only where none was said, certain where it may be.

    Only quantifiers of the quote count that are said of words which the statement has too.
    """
    said = {reach.kind for reach in statement}
    shared = frozenset(place for place in places if place >= 0)
    told = {reach.kind for reach in quote if reach.tokens & shared}
    anywhere = {reach.kind for reach in quote}
    if any(reach.kind == "may" and reach.tokens & no.tokens for reach in quote for no in denied):
        told.discard("may")  # what may not be is no guess
    if "all" in said and "all" not in anywhere:
        return True
    if "all" in said and "except" in anywhere and "except" not in said:
        return True
    if "most" in said and "some" in told and not told & {"most", "all"}:
        return True
    if "only" in said and "only" not in anywhere:
        return True
    return "may" in told and not said & {"may", "modal"}


Side = tuple[list[Token], list[Reach], list[Reach]]
"""The tokens of a sentence, its negations, and its denials in other words."""


def contrary(statement: Side, quote: Side, places: tuple[int, ...]) -> int:
    """Index of a token of the statement that only one of the two denies, or -1.

    When the other one denies something in the same clause, the rules cannot tell that it is not the same thing.
    """
    back = {place: i for i, place in enumerate(places) if place >= 0}
    ours = [i for reach in statement[1] for i in sorted(reach.tokens) if places[i] >= 0]
    theirs = [back[j] for reach in quote[1] for j in sorted(reach.tokens) if j in back]
    clauses = _clauses(quote[0], quote[1])
    alone = not any(quote[0][places[i]].clause in clauses or any(places[i] in reach.tokens for reach in quote[2]) for i in ours)
    if ours and alone and len(statement[1]) % 2:
        return ours[0]
    clauses = _clauses(statement[0], statement[1])
    if theirs and not any(statement[0][i].clause in clauses for i in theirs):
        touching = sum(1 for reach in quote[1] if any(j in back for j in reach.tokens))
        if touching % 2 and not any(i in reach.tokens for reach in statement[2] for i in theirs):
            return theirs[0]
    return -1


def _clauses(tokens: list[Token], reaches: list[Reach]) -> set[int]:
    return {tokens[i].clause for reach in reaches for i in reach.tokens}
