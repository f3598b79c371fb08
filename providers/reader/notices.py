"""Notices that stand in place of a page: captchas, denials, cookie walls, demands to log in, to pay or to run scripts, error pages.

A notice speaks to its reader ("verify you are human", "we use cookies"), an article about the same thing does not; and a notice
says little else. So the sentences that address the reader in such a way are counted, and their share of the text decides, however
long it is. A long text whose title says that it is about cookies or privacy is about them.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from providers.lexical import sentences

# Of a longer text its beginning and a part of its middle are looked at.
_BEGINNING_CHARACTERS = 2_000
_MIDDLE_CHARACTERS = 1_000
# Up to these lengths, in characters, a text is a notice when at least this share of it are signs. Names and addresses take a part.
_SHARES = ((300, 0.2), (1_000, 0.3))
_LONG_SHARE = 0.5
_SHORT_CHARACTERS = 1_000
# A text with a notice's title is one when it is short, or not very long and has a sign as well.
_TITLED_CHARACTERS = 5_000
# What a wall lets through of a page, before it says what is needed for the rest.
_TEASER_CHARACTERS = 1_500
_WALL_CHARACTERS = 300
_SENTENCE_CHARACTERS = 600

_COOKIES, _PAYWALL = "a cookie notice", "a paywall"
# There is no page at that address, so no other reader can have it either.
_GONE = frozenset({"page not found", "a parked domain"})
_ABOUT_PRIVACY = re.compile(
    r"cookie|privacy|datenschutz|confidentialité|privacidad|riservatezza|конфиденциальн|隐私|クッキー|プライバシー", re.I
)


@dataclass(frozen=True)
class Notice:
    """What stands in place of the page."""

    what: str
    gone: bool
    """Whether there is no page at that address; otherwise another reader may get it."""


@cache
def _phrases(place: str) -> list[tuple[str, re.Pattern[str]]]:
    """Kinds of notices and what they say in `place`, "title" or "sentence", from the list beside this file."""
    found: dict[str, list[str]] = {}
    into: list[str] = []
    for line in Path(__file__).with_suffix(".txt").read_text("utf-8").splitlines():
        if line.startswith("["):
            where, _, kind = line.strip("[]").partition(": ")
            into = found.setdefault(kind, []) if where == place else []
        elif line and not line.startswith("#"):
            into.append(line)
    # A title may go on after a mark: "Just a moment... | Example".
    form = r"(?:{})\s*(?:[|.:!?…–-].{{0,60}})?" if place == "title" else "{}"
    return [(kind, re.compile(form.format("|".join(phrases)))) for kind, phrases in found.items()]


def notice_in_place(title: str, text: str) -> Notice | None:
    """What keeps the page back, when `text` is not the page but a notice in its place; None for a page."""
    kind = _kind(title.strip()[:200].lower(), _sample(text).replace("\u2019", "'"), len(text))
    return Notice(kind, kind in _GONE) if kind else None


def _sample(text: str) -> str:
    if len(text) <= _BEGINNING_CHARACTERS + _MIDDLE_CHARACTERS:
        return text
    middle = len(text) // 2
    return f"{text[:_BEGINNING_CHARACTERS]}\n{text[middle : middle + _MIDDLE_CHARACTERS]}"


def _kind(title: str, sample: str, length: int) -> str | None:
    titled = next((kind for kind, names in _phrases("title") if names.fullmatch(title)), None)
    if titled and length < _SHORT_CHARACTERS:
        return titled
    said: Counter[str] = Counter()
    # Where sentences end is seen by their capitals; a few letters change their length with them.
    lowered = sample.lower()
    sample = sample if len(lowered) == len(sample) else lowered
    # Most pages have no sign of any kind, which is found out soonest in one go.
    signs = [(kind, phrases) for kind, phrases in _phrases("sentence") if phrases.search(lowered)]
    for start, end in sentences(sample) if signs else ():
        sentence = lowered[start : min(end, start + _SENTENCE_CHARACTERS)]
        kind = next((kind for kind, phrases in signs if phrases.search(sentence)), None)
        if kind:
            said[kind] += end - start
    if not said:
        return None
    if titled and length < _TITLED_CHARACTERS:
        return titled
    most, _ = said.most_common(1)[0]
    share = said.total() / len(sample)
    if share >= next((least for longest, least in _SHARES if length < longest), _LONG_SHARE):
        about = most == _COOKIES and length >= _SHORT_CHARACTERS and _ABOUT_PRIVACY.search(title)
        return None if about else most
    # The beginning of the page, and then the wall: what is there is not the page.
    wall = dict(signs).get(_PAYWALL)
    if wall and length < _TEASER_CHARACTERS and wall.search(lowered[-_WALL_CHARACTERS:]):
        return _PAYWALL
    return None
