"""A question taken apart by its own words: several questions in one, things that are compared, and things that are enumerated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise

import regex

from executors.query_planner.joining_words import LANGUAGES, Words
from providers.lexical import SURE, identify, sentences

MAX_CHARACTERS = 500
"""Longest sub-problem."""
_LONGEST_SENTENCE = 300
_LONGEST_ITEM = 80
_MOST_ITEMS = 20
_SECONDS_PER_PATTERN = 0.05
_NAME = r"(?:the |die |der |das |le |la |les |el |los |las )?[\p{Lu}\p{N}][\p{L}\p{N}.+#'’&-]*(?: [\p{Lu}\p{N}][\p{L}\p{N}.+#'’&-]*)*"
_VERSUS = r"(?P<items>\S.*?\s*(?:vs\.?|VS|versus)\s*.*?\S)(?:\s*[:：,，]\s*ASPECT)?"


def parts(question: str, most: int) -> list[str]:
    """What `question` is made of, at most `most` parts of at most 500 characters that together ask the same.

    Only the question itself when it asks one thing, when that cannot be told, or in a language whose words are not known
    here (en, de, fr, es, zh, ja and ar are).
    """
    question = question.strip()
    code, certainty = identify(question)
    # A few names and no more, as in "A vs B", are not sure to be English, but no worse taken for it.
    words = LANGUAGES.get(code) or (LANGUAGES["en"] if certainty < SURE and question.isascii() else None)
    if words is None or most < 2 or not question:
        return [question]
    text = question.replace("؟", "؟\n")  # no end of a sentence elsewhere
    asked = [text[start:end].strip() for start, end in sentences(text)]
    questions = [sentence for sentence in asked if _asks(sentence)] or asked[-1:]
    context = " ".join(sentence for sentence in asked if sentence not in questions)
    found = _standing_alone(questions, words) if len(questions) > 1 else _taken_apart(questions[0], words, most)
    grouped = [" ".join(filter(None, [context, *group])) for group in _groups(found, most)]
    fits = len(grouped) > 1 and all(len(part) <= MAX_CHARACTERS for part in grouped)
    return grouped if fits else [question]


def _asks(sentence: str) -> bool:
    return sentence.rstrip("\"'”’」』)）").endswith(("?", "？", "؟"))


def _groups(found: Sequence[str], most: int) -> list[list[str]]:
    """`found` in at most `most` groups of neighbours, as equal in number as can be."""
    count = min(most, len(found))
    bounds = [number * len(found) // count for number in range(count + 1)] if count else []
    return [list(found[start:end]) for start, end in pairwise(bounds)]


def _standing_alone(questions: Sequence[str], words: Words) -> list[str]:
    """The questions, each with those after it that speak of it."""
    found: list[str] = []
    for question in questions:
        if found and regex.search(words.pronouns, question, regex.IGNORECASE):
            found[-1] += f" {question}"
        else:
            found.append(question)
    return found


def _taken_apart(sentence: str, words: Words, most: int) -> list[str]:
    """A sentence as one sentence per thing that it compares or enumerates; when there are too many, several things share one."""
    bare = sentence.strip("¿?？؟.。!！ ")
    if not bare or len(bare) > _LONGEST_SENTENCE:
        return [sentence]
    before, _, after = sentence.partition(bare)
    comma, colon = (", ", ": ") if words.spaced else ("、", "：")

    def by_aspect(match: regex.Match[str]) -> Callable[[str], str]:
        aspect = (match.groupdict().get("aspect") or "").strip()
        return lambda item: f"{item}{colon}{aspect}" if aspect else words.alone.format(item=item)

    def by_whole(match: regex.Match[str]) -> Callable[[str], str]:
        return lambda item: words.of.format(item=item, whole=match["whole"], of=match.groupdict().get("of") or "")

    def by_name(match: regex.Match[str]) -> Callable[[str], str]:
        head, tail = bare[: match.start("items")], bare[match.end("items") :]
        return lambda item: before + " ".join(regex.sub(words.each, "", f"{head}{item}{tail}").split()) + after

    joint_of_compared = words.joint_of_compared or words.joint
    for patterns, joint, framed_by, least in (
        ((_VERSUS, *words.compared), joint_of_compared, by_aspect, 2),
        (words.shared, words.joint, by_whole, 2),
        ((_enumeration(words),), words.joint, by_name, 2 if regex.search(words.each, bare) else 3),
    ):
        for pattern in patterns:
            match = _match(pattern, joint, bare, whole=framed_by is not by_name)
            items = _items(match["items"], joint) if match else []
            if match and len(items) >= least:
                frame = framed_by(match)
                return [frame(comma.join(group)) for group in _groups(items, most)]
    return [sentence]


def _enumeration(words: Words) -> str:
    if words.spaced:
        return rf"(?P<items>{_NAME}(?:JOINT{_NAME})+)"
    return r"(?P<items>[^的の在は]+?JOINT[^的の在は]+?)(?=[的の])"


def _match(pattern: str, joint: str, text: str, *, whole: bool) -> regex.Match[str] | None:
    compiled = _compiled(pattern, joint)
    try:
        return compiled.fullmatch(text, timeout=_SECONDS_PER_PATTERN) if whole else compiled.search(text, timeout=_SECONDS_PER_PATTERN)
    except TimeoutError:
        return None  # a text made to be slow is not taken apart


@cache
def _compiled(pattern: str, joint: str) -> regex.Pattern[str]:
    pattern = pattern.replace("ITEMS", r"(?P<items>.+?JOINT.+?)").replace("ASPECT", r"(?P<aspect>.+?)").replace("JOINT", joint)
    return regex.compile(pattern)


def _items(text: str, joint: str) -> list[str]:
    """The things joined in `text`, or none when they are no list of short, different things."""
    found = [item.strip() for item in regex.split(joint, text) if item.strip()]
    plain = {item.casefold() for item in found}
    fine = len(plain) == len(found) <= _MOST_ITEMS and all(len(item) <= _LONGEST_ITEM for item in found)
    return found if fine else []
