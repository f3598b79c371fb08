"""What keeps two texts apart however many words they share: negations, numbers, signs, names of variants, and the order of words.

To take two texts for one loses one of them, and to take one for two only costs a little. So what is doubtful is a difference.
"""

from __future__ import annotations

from functools import cache

import regex

from providers.lexical import terms
from providers.lexical.function_words import all_function_words, function_words

_LETTER = r"[\p{L}--[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]]"
_TOKEN = regex.compile(
    rf"""
    (?P<number> (?:(?<![\p{{L}}\p{{N}}])[-+−±<>≤≥])? \p{{Sc}}? {_LETTER}*+ \p{{N}} (?:{_LETTER}|\p{{N}})*+
                (?:[-–.,:/]\p{{N}}+)*+ [%‰°]? )
    | (?P<excluded> (?<=^|\s) [-−] (?=\p{{L}}) )
    | (?P<word> (?:(?<![\p{{L}}\p{{N}}])\.)? {_LETTER}(?:{_LETTER}|\p{{M}})*+ (?:['’]{_LETTER}+)*+ )
      (?P<suffix> [+#]+ | [-−*](?![\p{{L}}\p{{N}}*]) )?
    | (?P<unspaced_not> [不没沒未無无非否] | ない | ません )
    | (?P<unspaced_number> [〇一二三四五六七八九十百千万億]+ )
    | (?P<operator> [\p{{Sm}}--[|~]] )
    """,
    regex.VERBOSE | regex.V1,
)
_ROMAN = regex.compile(r"(?=..)x{0,3}(?:ix|iv|v?i{0,3})")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NEGATIONS = _words(
    # English, also as it is typed in haste
    "no not never none nor neither cannot without non nothing nobody nowhere except excluding unless hardly "
    "dont doesnt didnt cant wont isnt arent wasnt werent shouldnt couldnt wouldnt "
    "nicht kein keine keinen keinem keiner keines nie niemals ohne weder "  # German
    "ne pas sans jamais aucun aucune ni sin nunca ningún ninguna tampoco não sem nem senza nessun nessuno "  # Romance
    "niet geen zonder nooit inte ingen utan ikke uden ej "  # Dutch and Nordic
    "не нет без ни никогда nie bez nigdy değil"  # Slavic and Turkish
)
_NUMBER_WORDS = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen "
    "twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion trillion dozen half double triple twice "
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth "
    "seventeenth eighteenth nineteenth twentieth thirtieth fortieth fiftieth sixtieth seventieth eightieth ninetieth hundredth "
    "zwei drei vier fünf sechs sieben acht neun zehn elf zwölf erste ersten zweite zweiten dritte dritten vierte vierten "
    "deux trois quatre cinq sept huit neuf dix premier première deuxième troisième "
    "dos tres cuatro cinco seis siete ocho nueve diez primer primera segundo segunda tercer tercera"
)
# Words that two texts with one meaning may differ by. Prepositions of direction, question words of reason, manner, time and place, modal
# verbs and third persons are not among them.
_SMALL = frozenset(
    terms(
        "a an the of in at on for is are was were be been being do does did has have had i me my we our you your its this that these those "
        "what which there here please tell explain describe give show s "
        "der die das den dem des ein eine einen einem einer eines von ist sind le la les un une du de est sont el los las una del es son "
        "il lo gli uno di della dei um uma os as do da het een van"
    )
)
_DIRECTIONS = frozenset(terms("to from into onto than over under versus vs before after by against until nach zu vers hacia desde verso"))
_NEGATING_PREFIXES = ("un", "in", "im", "ir", "il", "non", "dis", "anti", "mis")


def marks(text: str) -> tuple[str, ...]:
    """What `text` negates, counts, signs and names by a letter, sorted; texts with different marks never say the same.

    Those are negations (all alike: "not"), numbers in digits, in words and in Roman numerals, with sign and unit of money, single
    letters (but for the article "a" and the pronoun "I"), names such as C++, C# and .NET, and signs of mathematics.
    """
    found = []
    tokens = list(_TOKEN.finditer(text))
    for place, token in enumerate(tokens):
        kind, written = token.lastgroup, token.group()
        folded = written.casefold().replace("−", "-")
        if kind in ("excluded", "unspaced_not"):
            found.append("not")
        elif token["word"] is None:
            found.append(folded)
        elif (word := token["word"].casefold()) in _NEGATIONS or word.endswith(("n't", "n’t")):
            found.append("not")
        elif token["suffix"] and (len(word) == 1 or token["suffix"][0] in "+#"):
            found.append(folded)
        elif len(word) == 1:
            if word not in "ai" or _is_name(tokens, place):
                found.append(word)
        elif word[0] == "." or word in _NUMBER_WORDS or _ROMAN.fullmatch(word):
            found.append(word)
    return tuple(sorted(found))


def content(text: str) -> tuple[str, ...]:
    """The terms of `text` in order, without the small words that do not change what it says; all terms when there are no others."""
    found = terms(text)
    return tuple(term for term in found if term not in _SMALL) or tuple(found)


def opposed(one: str, other: str) -> bool:
    """Whether texts of the same marks, which may use different words, are likely to say different things nevertheless.

    They are when one has a word that the other negates (safe, unsafe), when all they differ by are function words on both sides (to
    Paris, from Paris), and when a text with a direction has the words of the other in another order (north to south, south to north).
    """
    first, second = content(one), content(other)
    here, there = set(first), set(second)
    only_here, only_there = here - there, there - here
    if any(_negates(a, b) or _negates(b, a) for a in only_here for b in only_there):
        return True
    if only_here and only_there and (only_here | only_there) <= _function_terms():
        return True
    if _DIRECTIONS.isdisjoint(here | there):
        return False
    return [term for term in first if term in there] != [term for term in second if term in here]


@cache
def _function_terms() -> frozenset[str]:
    return frozenset(terms(" ".join(all_function_words())))


def _negates(word: str, plain: str) -> bool:
    if word.endswith("less") and plain.removesuffix("ful") == word.removesuffix("less"):
        return True
    # Stems of one word may differ in the last letter: "safe", but "unsaf".
    roots = (word.removeprefix(prefix) for prefix in _NEGATING_PREFIXES if word.startswith(prefix))
    return any(root in (plain, plain[:-1]) for root in roots if len(root) > 2)


def _is_name(tokens: list[regex.Match[str]], place: int) -> bool:
    """Whether an "a" or "i" is a name, as in "vitamin A" and "world war i": it follows a word of content; an "a" is also written large,
    or nothing follows that it could be the article of."""
    grammar = function_words()["en"]
    before = tokens[place - 1].group().casefold() if place else ""
    if not before or before in grammar:
        return False
    letter = tokens[place].group()
    after = tokens[place + 1].group().casefold() if place + 1 < len(tokens) else ""
    return letter != "a" or not after or after in grammar
