"""Numbers and names that stand in the place of others."""

from __future__ import annotations

from dataclasses import dataclass

import regex

from providers.support.quantities import Quantity
from providers.support.relations import same
from providers.support.sentence import Sentence
from providers.support.tokens import Token

_NEAR_CHARACTERS = 30
_MOSTLY_SAID = 0.7
_LEAD = regex.compile(r"\s(in|of|for|at|by|to|from|with|on|against)\s(?:the\s)?")
_LEAD_THERE = regex.compile(
    r"(?:\s(?:and|or)(?:\s[\w-]+){1,3}|\s[\w-]+ly|\s(?:at|in)\s(?:his|her|their|its|a|the)\s[a-z]+)?\s(in|of|for|at|by|to|from|with|on|against)\s(?:the\s)?"
)
_NEAR_WORDS = 2
_RANK = regex.compile(
    r"\b(?:(second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|\d+(?:st|nd|rd|th))[ -])?"
    r"((?:larg|bigg|high|tall|long|old|young|small|short|deep|fast|rich|great|wealthi|busi|new|strong)est|most(?=\s\w))\b",
    regex.IGNORECASE,
)


@dataclass(frozen=True)
class Conflict:
    """What cannot be true of both."""

    reason: str
    fact: int = -1
    """Index of the date or quantity of the statement, when it may be said elsewhere; -1 when the conflict stands by itself."""
    word: int = -1
    """Index of the statement's token whose place another takes."""
    weak: bool = False
    """Whether the word, too, may be said elsewhere."""


def _neighbours(sentence: Sentence, quantity: Quantity) -> tuple[str, str]:
    """The content terms just before and just after a quantity."""
    before = after = ""
    for token in sentence.tokens:
        if token.weight < 0.4:
            continue
        if token.end <= quantity.start:
            before = token.term if quantity.start - token.end < _NEAR_CHARACTERS else ""
        elif token.start >= quantity.end:
            after = token.term if token.start - quantity.end < _NEAR_CHARACTERS else ""
            break
    return before, after


def _alike(first: str, second: str, statement: Sentence, quote: Sentence) -> bool:
    if not first or not second:
        return False
    if first == second:
        return True
    known = statement.meanings.get(statement.by_term.get(first, -1), ())
    return same(known, quote.meanings.get(quote.by_term.get(second, -1), ())) is not None


def different_numbers(statement: Sentence, quote: Sentence, said: tuple[bool | None, ...], share: float) -> list[Conflict]:
    """Numbers that stand in the quote with another value. `share`: how many of the statement's words the quote holds."""
    found = []
    # Numbers of the quote that some number of the statement is equal to are not available as its counterpart.
    free = [q for q in quote.quantities if not any(_equal(q, s) for s in statement.quantities)]
    for index, (quantity, answer) in enumerate(zip(statement.quantities, said, strict=True), len(statement.dates)):
        if answer is True:
            continue
        before, after = _neighbours(statement, quantity)
        for other in free:
            if other.dimension != quantity.dimension:
                if answer is False and other.dimension and quantity.dimension and _same_digits(other, quantity):
                    found.append(Conflict(f"{quantity.text} there is {other.text}", index))
                    break
                continue
            if other.label != quantity.label and "ordinal" not in (other.dimension, quantity.dimension):
                continue
            other_before, other_after = _neighbours(quote, other)
            same_before = _alike(before, other_before, statement, quote)
            same_after = _alike(after, other_after, statement, quote)
            if _overlap(quantity, other):
                continue
            if same_before and same_after:
                found.append(Conflict(f"{quantity.text} there is {other.text}"))
                break
            if same_before or same_after or (share >= _MOSTLY_SAID and (quantity.dimension or len(free) == 1)):
                found.append(Conflict(f"{quantity.text} there is {other.text}", index))
                break
    return found


def context(statement: Sentence, quote: Sentence, wanted: Quantity, other: Quantity, places: tuple[int, ...]) -> int:
    """How many of the words beside a number of the statement stand beside one of the quote."""
    ours = beside(statement, wanted)
    theirs = set(beside(quote, other))
    return sum(places[i] in theirs for i in ours)


def beside(sentence: Sentence, quantity: Quantity) -> list[int]:
    """Indices of the two content words before and after a number."""
    before = [i for i, token in enumerate(sentence.tokens) if token.weight >= 1 and token.end <= quantity.start][-_NEAR_WORDS:]
    after = [i for i, token in enumerate(sentence.tokens) if token.weight >= 1 and token.start >= quantity.end][:_NEAR_WORDS]
    return before + after


def counted(sentence: Sentence, quantity: Quantity) -> int:
    """Index of the word right after a number, which it counts; -1 if there is none."""
    i = next((i for i, token in enumerate(sentence.tokens) if token.weight >= 1 and token.start >= quantity.end), -1)
    return i if i >= 0 and not sentence.text[quantity.end : sentence.tokens[i].start].strip() else -1


def _overlap(first: Quantity, second: Quantity) -> bool:
    if first.low > second.high or second.low > first.high:
        return False
    if first.low == second.high or second.low == first.high:
        return not (first.open_low or first.open_high or second.open_low or second.open_high)
    limits = abs(first.value - second.value) > 1e-9 and not first.exact and not second.exact
    return not limits or first.open_low or first.open_high or second.open_low or second.open_high


def _equal(first: Quantity, second: Quantity) -> bool:
    return first.dimension == second.dimension and first.value == second.value


def _same_digits(first: Quantity, second: Quantity) -> bool:
    return abs(first.value / first.factor - second.value / second.factor) < 1e-9 * max(1.0, abs(first.value / first.factor))


def other_rank(statement: Sentence, quote: Sentence) -> str:
    """Why the two rank something differently, or "": "the second-largest" and "the largest"."""
    if statement.language not in ("en", "") or not ("est" in statement.text or "most" in statement.text):
        return ""
    ours, theirs = ({match[2].lower(): (match[1] or "").lower() for match in _RANK.finditer(side.text)} for side in (statement, quote))
    both = [word for word in ours if word in theirs and ours[word] != theirs[word]]
    return f"“{ours[both[0]]} {both[0]}” there is “{theirs[both[0]]} {both[0]}”".replace("“ ", "“") if both else ""


def other_names(statement: Sentence, quote: Sentence, places: tuple[int, ...]) -> list[Conflict]:
    """Names of the statement whose place another name takes in the quote: "born in Paris" where it says "born in Lyon"."""
    found = []
    for i, token in enumerate(statement.tokens):
        if places[i] >= 0 or not _capital(token):
            continue
        j, weak = _slot(statement, quote, i, places)
        if j < 0:
            j, weak = _after_preposition(statement, quote, i, places), True
        if j < 0 or quote.tokens[j].term in statement.by_term:
            continue
        ours, theirs = token.text.lower(), quote.tokens[j].text.lower()
        if ours not in theirs and theirs not in ours:
            found.append(Conflict(f"“{token.text}” there is “{quote.tokens[j].text}”", word=i, weak=weak))
    return found


def _after_preposition(statement: Sentence, quote: Sentence, i: int, places: tuple[int, ...]) -> int:
    """Index in the quote of the name that the same word and preposition lead to as to name `i`, in English; -1 if none:
    "signed for the Falcons" and "signed for Kestrels FC", "the capital of A" and "the capital and largest city of B"."""
    if statement.language not in ("en", ""):
        return -1
    first = i
    while first > 0 and _capital(statement.tokens[first - 1]):
        first -= 1
    h = next((k for k in range(first - 1, -1, -1) if statement.tokens[k].weight), -1)
    if h < 0 or places[h] < 0 or statement.tokens[h].name:
        return -1
    lead = _LEAD.fullmatch(statement.text, statement.tokens[h].end, statement.tokens[first].start)
    if not lead:
        return -1
    j = places[h]
    if (
        lead[1] == "in"
        and quote.tokens[j].text == "based"
        and j
        and quote.tokens[j - 1].name
        and quote.text[quote.tokens[j].start - 1] == "-"
    ):
        return j - 1
    for k in range(j + 1, min(len(quote.tokens), j + 8)):
        if quote.tokens[k].name:
            there = _LEAD_THERE.fullmatch(quote.text, quote.tokens[j].end, quote.tokens[k].start)
            return k if there and there[1] == lead[1] else -1
    return -1


def _capital(token: Token) -> bool:
    return token.name or (token.weight > 0 and token.text[:1].isupper())


def _slot(statement: Sentence, quote: Sentence, i: int, places: tuple[int, ...]) -> tuple[int, bool]:
    """Index in the quote of the name between (or after, or before) the same words as the unsaid name `i` of the statement, -1 if none; and
    whether that is only one word on each side."""
    first = last = i
    while first > 0 and _capital(statement.tokens[first - 1]) and places[first - 1] < 0:
        first -= 1
    while last + 1 < len(places) and _capital(statement.tokens[last + 1]) and places[last + 1] < 0:
        last += 1
    ours = [token.term for token in statement.tokens]
    theirs = [token.term for token in quote.tokens]
    before = ours[max(0, first - 2) : first]
    after = ours[last + 1 : last + 3]
    for k, token in enumerate(quote.tokens):
        if not _capital(token) or (k > 0 and _capital(quote.tokens[k - 1]) and k > 1 and theirs[k - 1] not in before):
            continue
        end = k
        while end + 1 < len(theirs) and _capital(quote.tokens[end + 1]) and theirs[end + 1] not in after[:1]:
            end += 1
        same_before = len(before) == 2 and theirs[max(0, k - 2) : k] == before
        same_after = len(after) == 2 and theirs[end + 1 : end + 3] == after
        between = before[-1:] and after[:1] and theirs[max(0, k - 1) : k] == before[-1:] and theirs[end + 1 : end + 2] == after[:1]
        if same_before or same_after or between:
            return k, not (same_before or same_after)
    return -1, False


def replaced_word(statement: Sentence, quote: Sentence, places: tuple[int, ...]) -> tuple[int, str]:
    """Index of a content word that the quote lacks, where between the same neighbours it has another one, and both; -1 if none.

    It may be another word for the same. Rules cannot tell, so such a statement is not taken for said.
    """
    terms = [token.term for token in statement.tokens]
    taken = {place for place in places if place >= 0}
    for i, token in enumerate(statement.tokens):
        if places[i] >= 0 or token.weight < 1:
            continue
        left = terms[max(0, i - 2) : i]
        right = terms[i + 1 : i + 3]
        for j, other in enumerate(quote.tokens):
            if other.weight < 1 or j in taken:
                continue
            before = [t.term for t in quote.tokens[max(0, j - 2) : j]]
            after = [t.term for t in quote.tokens[j + 1 : j + 3]]
            between = left[-1:] and right[:1] and left[-1:] == before[-1:] and right[:1] == after[:1]
            # Where a statement begins or ends, two neighbours on the other side.
            begins = i == 0 and len(right) == 2 and right == after
            ends = i == len(terms) - 1 and len(left) == 2 and left == before
            if between or begins or ends:
                return i, f"“{token.text}” there is “{other.text}”"
    return -1, ""
