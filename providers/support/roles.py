"""Who does something to whom: whether a statement turns it round."""

from __future__ import annotations

import regex

from providers.support.quantities import Quantity
from providers.support.sentence import Sentence
from providers.support.word_lists import phrases

# How a sentence says that the first named is the one it is done to.
_PASSIVE = {
    "en": regex.compile(r"\bby\b"),
    "de": regex.compile(r"\b(?:von|durch)\b"),
    "fr": regex.compile(r"\bpar\b"),
    "es": regex.compile(r"\bpor\b"),
    "zh": regex.compile(r"被|由|遭|受"),
    "ja": regex.compile(r"(?:され|られ|によ|われ|まれ)"),
    "ar": regex.compile(r"من قبل|على يد|بواسطة"),
}
# "Founder", "director": a noun has no voice.
_DOER = regex.compile(r"(?:er|or|ist|ion)$")
_LEAST_SAID = 0.8
_PARTICLES = frozenset({"は", "が", "を", "に", "から"})
_NEAR = 5
_NEAR_CHARACTERS = 12
_ARTICLES = frozenset({"the", "a", "an", "le", "la", "les", "el", "los", "las", "un", "une", "una", "al"})


def turned_round(statement: Sentence, quote: Sentence, words: tuple[float, ...], places: tuple[int, ...]) -> bool:
    """Whether the statement has the quote's words with two of them exchanged: "A pays B" for "B pays A", "6 % of A and 9 % of B"
    for "9 % of A and 6 % of B". The passive turns it back.
    """
    total = sum(token.weight for token in statement.tokens)
    if not total or sum(token.weight * words[i] for i, token in enumerate(statement.tokens)) / total < _LEAST_SAID:
        return False
    if statement.language == "ja" and _other_particles(statement, quote, places):
        return True
    return _exchanged(statement, quote, places) or _other_voice(statement, quote, places) or _other_side(statement, quote, places)


def _items(statement: Sentence, quote: Sentence, places: tuple[int, ...]) -> list[tuple[int, int, int, bool]]:
    """(place in the statement, place in the quote, index of the token or -1, whether it is a number), in order of the statement."""
    items = []
    used: set[int] = set()
    for i, token in enumerate(statement.tokens):
        j = places[i]
        if j < 0 or token.weight < 0.4 or j in used:
            continue
        used.add(j)
        items.append((token.start, quote.tokens[j].start, i, False))
    for quantity in statement.quantities:
        equal = [q for q in quote.quantities if _same(q, quantity)]
        if len(equal) == 1 and sum(_same(q, quantity) for q in statement.quantities) == 1:
            items.append((quantity.start, equal[0].start, -1, True))
    return sorted(items)


def _same(first: Quantity, second: Quantity) -> bool:
    return first.dimension == second.dimension and first.value == second.value


def _exchanged(statement: Sentence, quote: Sentence, places: tuple[int, ...]) -> bool:
    items = _items(statement, quote, places)
    order = sorted(range(len(items)), key=lambda n: items[n][1])
    rank = {n: r for r, n in enumerate(order)}
    # Neighbours that are neighbours in the quote move together: "supervisory authority".
    blocks: list[list[int]] = []
    for n in range(len(items)):
        if blocks and rank[n] == rank[blocks[-1][-1]] + 1 and items[n][3] == items[blocks[-1][-1]][3] and not items[n][3]:
            blocks[-1].append(n)
        else:
            blocks.append([n])
    ranks = [rank[block[0]] for block in blocks]
    moved = [b for b, r in enumerate(sorted(ranks)) if ranks[b] != r]
    if len(moved) not in (2, 3):
        return False
    first, last = moved[0], moved[-1]
    wanted = sorted(ranks)
    if ranks[first] != wanted[last] or ranks[last] != wanted[first]:
        return False
    if last - first < 2:
        return _joined_alike(statement, quote, [items[n] for n in blocks[first]], [items[n] for n in blocks[last]], places)
    ends = [items[n] for b in (first, last) for n in blocks[b]]
    numbers = {number for *_, number in ends}
    if len(numbers) > 1:
        return False
    if numbers == {True}:
        return True
    between = [items[n] for b in range(first + 1, last) for n in blocks[b]]
    telling = [i for _, _, i, number in between if number or (not statement.tokens[i].name and statement.tokens[i].weight >= 1)]
    pairs = any(number for *_, number in between) and any(
        item[3] for n, item in enumerate(items) if not blocks[first][0] <= n <= blocks[last][-1]
    )
    telling = [i for i in telling if i >= 0] if not pairs else [0]
    if not telling or (not pairs and _symmetric(statement, items[blocks[first][-1]][0], items[blocks[last][0]][0])):
        return False
    start, end = items[blocks[first][0]][0], items[blocks[last][-1]][0]
    low, high = sorted((items[blocks[first][0]][1], items[blocks[last][0]][1]))
    return _passive(statement, start, end) == _passive(quote, low, high)


def _joined_alike(
    statement: Sentence,
    quote: Sentence,
    first: list[tuple[int, int, int, bool]],
    last: list[tuple[int, int, int, bool]],
    places: tuple[int, ...],
) -> bool:
    """Whether the same words join two neighbours that have changed places: "light into heat" and "heat into light"."""
    if first[-1][3] or last[0][3]:
        return False
    ours = statement.text[statement.tokens[first[-1][2]].end : last[0][0]].strip().lower()
    theirs = quote.text[quote.tokens[places[last[-1][2]]].end : first[0][1]].strip().lower()
    return ours == theirs and ours.replace(" ", "").isalpha() and not _symmetric(statement, statement.tokens[first[-1][2]].end, last[0][0])


def _symmetric(statement: Sentence, start: int, end: int) -> bool:
    words = statement.text[start:end].lower()
    if statement.language in ("zh", "ja"):
        return any(word in words for word in phrases("symmetric", statement.language))
    return any(word in words.split() for word in phrases("symmetric", statement.language or "en"))


def _passive(sentence: Sentence, start: int, end: int) -> bool:
    pattern = _PASSIVE.get(sentence.language or "en")
    return bool(pattern and pattern.search(sentence.text, start, end))


def _other_voice(statement: Sentence, quote: Sentence, places: tuple[int, ...]) -> bool:
    """The same order, but done to the first in one and by the first in the other: "A acquired B" for "A was acquired by B"."""
    if statement.language not in ("en", "de", "fr", "es", "zh", ""):
        return False
    for i, token in enumerate(statement.tokens):
        j = places[i]
        if j < 0 or token.name or token.weight < 1 or _DOER.search(quote.tokens[j].text) or _DOER.search(token.text):
            continue
        before = next((k for k in range(i - 1, max(-1, i - _NEAR), -1) if _named(statement, k) and places[k] >= 0), -1)
        after = next((k for k in range(i + 1, min(len(places), i + _NEAR + 1)) if _named(statement, k) and places[k] >= 0), -1)
        if before < 0 or after < 0 or not places[before] < j < places[after] or places[after] - j > _NEAR or j - places[before] > _NEAR:
            continue
        ours = _passive(statement, token.start, statement.tokens[after].start)
        theirs = _passive(quote, quote.tokens[j].start, quote.tokens[places[after]].start)
        if ours != theirs:
            return True
    return False


def _other_particles(statement: Sentence, quote: Sentence, places: tuple[int, ...]) -> bool:
    """Japanese marks who does something to whom by particles: two words that have exchanged theirs."""
    pairs = set()
    for i, j in enumerate(places):
        ours, theirs = _particle(statement, i), _particle(quote, j) if j >= 0 else ""
        if ours and theirs and ours != theirs:
            pairs.add((ours, theirs))
    return any((theirs, ours) in pairs for ours, theirs in pairs)


def _particle(sentence: Sentence, i: int) -> str:
    following = sentence.tokens[i + 1] if i + 1 < len(sentence.tokens) else None
    if following is None or following.start != sentence.tokens[i].end or following.text not in _PARTICLES:
        return ""
    return "は" if following.text == "が" else following.text


def _other_side(statement: Sentence, quote: Sentence, places: tuple[int, ...]) -> bool:
    """A name just before a word in one and just after it in the other: "Nordlicht acquired" for "acquired Nordlicht"."""
    if statement.language not in ("en", "fr", "es", "zh", ""):
        return False
    for i in range(len(places) - 1):
        j, k = places[i], places[i + 1]
        if j < 0 or k < 0 or abs(j - k) > 2 or j < k or _named(statement, i) == _named(statement, i + 1):
            continue
        verb = i if _named(statement, i + 1) else i + 1
        if statement.tokens[verb].weight < 1 or not statement.meanings.get(verb):
            continue
        if _joined_by_nothing(statement, i, i + 1) and _joined_by_nothing(quote, k, j):
            following = statement.tokens[max(i, i + 1)].end
            return not _passive(statement, following, following + _NEAR_CHARACTERS) and not _passive(
                quote, quote.tokens[j].end, quote.tokens[j].end + _NEAR_CHARACTERS
            )
    return False


def _joined_by_nothing(sentence: Sentence, first: int, last: int) -> bool:
    between = sentence.text[sentence.tokens[first].end : sentence.tokens[last].start].lower().split()
    return all(word in _ARTICLES for word in between)


def _named(sentence: Sentence, i: int) -> bool:
    token = sentence.tokens[i]
    first = i == 0 and token.weight > 0 and token.text[:1].isupper()
    return token.name or (first and not (sentence.language in ("en", "") and i in sentence.meanings))
