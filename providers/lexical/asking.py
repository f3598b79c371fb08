"""What a question asks about, and what kind of answer it wants: "How long is the warranty?" asks of a warranty, for a duration."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path

import regex

from providers.lexical.function_words import all_function_words
from providers.lexical.terms import content_terms

_WORD = regex.compile(r"[\p{L}\p{M}\p{N}]+")
_UNSPACED = {"zh", "ja"}
# Before 多 these make "more", "most", "many" of it, before 几 "some".
_NOT_ASKING = r"(?<![更很许許最众眾])(?<![十好这這那近前后後](?=[几幾]))"
# A noun follows these: "combien de mesures".
_OF = {"de", "d", "di"}
_CLAUSE_ENDS = r"(?=[呢啊]?(?:[^\p{L}\p{N}]|$))"
# Alone between two removed words, a character of a script without spaces is the rest of a word.
_RESTS = regex.compile(r"(?<![\p{L}\p{N}])[\p{Han}\p{Hiragana}\p{Katakana}](?![\p{L}\p{N}])")


@dataclass(frozen=True)
class Asked:
    """A question apart from how it asks."""

    about: str
    """The question without the words that a source need not have to answer it; never without any content."""
    searched: str
    """The question without verbs that say nothing; words such as "long" and "heavy" stay, since they help to search the web."""
    kinds: frozenset[str] = frozenset()
    """Of the quantity asked for: dimensions (`duration`, `length` ...), `money`, `number`; empty when it asks for none."""


@dataclass
class _Words:
    """How a language asks for quantities."""

    openers: dict[str, dict[str, frozenset[str]]] = field(default_factory=dict)
    """Of an opener, the words after it and their kinds; the word "" where it asks alone."""
    verbs: dict[str, frozenset[str]] = field(default_factory=dict)
    light: set[str] = field(default_factory=set)
    between: set[str] = field(default_factory=set)
    being: set[str] = field(default_factory=set)
    why: dict[str, frozenset[str]] = field(default_factory=dict)
    """Of an opener, the words before it that make it ask for a reason."""
    relative: set[str] = field(default_factory=set)
    whole: set[str] = field(default_factory=set)


_SETS = {"light", "between", "being", "relative", "whole"}
"""The lines of `asking.txt` that are lists of words and no more."""


@lru_cache(maxsize=2_000)
def asked(question: str, language_code: str = "en") -> Asked:
    """What `question` asks about and for, in the language `language_code` (ISO 639-1); one without such words is as it was."""
    code = language_code[:2].lower()
    words = _languages().get(code)
    if words is None:
        return Asked(question, question)
    needless, light, kinds = (_in_unspaced if code in _UNSPACED else _in_spaced)(question, words)
    about = _without(question, [*needless, *light], code)
    searched = question if code in _UNSPACED else _without(question, light, code)
    return Asked(about, searched, kinds)


def _in_spaced(question: str, words: _Words) -> tuple[list[tuple[int, int]], list[tuple[int, int]], frozenset[str]]:
    """Spans of the words of quantity and of light verbs, and the kinds of quantity asked for."""
    found = [(match.start(), match.end(), match.group().casefold()) for match in _WORD.finditer(question)]
    needless: list[tuple[int, int]] = []
    kinds: set[str] = set()
    for place, (begin, finish, opener) in enumerate(found):
        after = words.openers.get(opener, {})
        if not after or not _opens(question, found, place, words):
            continue
        asking: set[str] = set()
        last = place
        if "" in after:
            asking = {*after[""]}
            needless.append((begin, finish))
        for there, (start, end, word) in enumerate(found[place + 1 :], place + 1):
            if word in after:
                asking = {*after[word]}
                needless.append((start, end))
                last = there
            if word in after or word not in words.between:
                break
        if asking and (verb := _verb(found[last + 1 :], words)):
            start, end, word = verb
            needless.append((start, end))
            asking = {*words.verbs[word]}
        kinds = asking or kinds
    light = [(start, end) for start, end, word in found if word in words.light]
    return needless, light, frozenset(kinds)


def _opens(question: str, found: list[tuple[int, int, str]], place: int, words: _Words) -> bool:
    """Whether the opener at `place` asks for a quantity, and neither for a reason nor goes on with a clause."""
    if place == 0:
        return True
    opener = found[place][2]
    _, before, previous = found[place - 1]
    if previous in words.why.get(opener, ()):
        return False
    return opener not in words.relative or bool(question[before : found[place][0]].strip())


def _verb(rest: list[tuple[int, int, str]], words: _Words) -> tuple[int, int, str] | None:
    """The verb of "how much does it cost"; none where a noun, or a form of "to be", follows the words that ask."""
    if not rest or rest[0][2] in words.verbs:
        return rest[0] if rest else None
    if rest[0][2] not in all_function_words() or rest[0][2] in words.being | _OF:
        return None
    ends = [*(word in all_function_words() for _, _, word in rest[1:]), True]
    return next((found for found, ending in zip(rest, ends, strict=True) if ending and found[2] in words.verbs), None)


def _in_unspaced(question: str, words: _Words) -> tuple[list[tuple[int, int]], list[tuple[int, int]], frozenset[str]]:
    forms = {
        (opener.removesuffix("$") + word, opener.endswith("$")): kinds
        for opener, after in words.openers.items()
        for word, kinds in after.items()
    }
    forms |= {(word.removesuffix("$"), word.endswith("$")): frozenset() for word in words.light}
    kinds_of = {form: kinds for (form, _), kinds in forms.items()}
    patterns = {regex.escape(form) + (_CLAUSE_ENDS if at_end else ""): len(form) for form, at_end in forms}
    # What is as long as a form stands behind it.
    patterns |= {f"(?P<whole>{'|'.join(words.whole)})": 2} if words.whole else {}
    longest_first = "|".join(sorted(patterns, key=lambda pattern: -patterns[pattern]))
    found = [match for match in regex.finditer(f"{_NOT_ASKING}(?:{longest_first})", question) if match.lastgroup != "whole"]
    kinds = frozenset(kind for match in found for kind in kinds_of[match.group()])
    return [match.span() for match in found], [], kinds


def _without(question: str, spans: list[tuple[int, int]], code: str) -> str:
    """`question` with blanks for the spans; as it was when nothing would be left that it asks about."""
    if not spans:
        return question
    characters = list(question)
    for start, end in spans:
        characters[start:end] = " " * (end - start)
    left = "".join(characters)
    if code in _UNSPACED:
        left = _RESTS.sub(" ", left)
    left = " ".join(left.split())
    return left if any(term not in all_function_words() for term in content_terms(left, "")) else question


@cache
def _languages() -> dict[str, _Words]:
    languages: dict[str, _Words] = {}
    words = _Words()
    for line in (Path(__file__).parent / "asking.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            words = languages.setdefault(line.strip("[]"), _Words())
        elif line and not line.startswith("#"):
            openers, kinds, names = (part.split() for part in line.split("|"))
            if openers[0] in _SETS:
                getattr(words, openers[0]).update(names)
            elif openers == ["why"]:
                words.why.update(dict.fromkeys(names, frozenset(kinds)))
            elif openers == ["verb"]:
                words.verbs.update(dict.fromkeys(names, frozenset(kinds)))
            else:
                for opener in openers:
                    words.openers.setdefault(opener, {}).update(dict.fromkeys(names or [""], frozenset(kinds)))
    return languages
