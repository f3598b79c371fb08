"""How an answer cites evidence: one grammar for every stage that reads citations."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import regex

# One id or several: e1 | e1, e2 | e1; 2 | e1-e3 | E1, with or without the caret of a footnote.
_IDS = r"\^?[eE]\d{1,6}(?:\s*(?:[,;，、]|[-–—])\s*\^?[eE]?\d{1,6})*"
MARKER = rf"(?:\[\s*(?P<ids>{_IDS})\s*\]|【\s*(?P<ids>{_IDS})\s*(?:†[^】]{{0,80}})?】|\(\s*(?P<ids>{_IDS})\s*\))"
"""Pattern (of the `regex` package) of a citation in any of its forms; the group `ids` holds what stands in its brackets."""
IDS = regex.compile(_IDS)
"""What may stand in the brackets of a citation."""
_MARKER = regex.compile(MARKER)
_ID = regex.compile(r"(?P<dash>[-–—])?\s*\^?[eE]?(?P<number>\d+)")


def expand(ids: str, known: Collection[str]) -> Iterator[str]:
    """The single ids, such as `e3`, in the brackets of a citation; a range gives the `known` ids within it."""
    previous = 0
    for match in _ID.finditer(ids):
        number = int(match.group("number"))
        if match.group("dash") and previous:
            numbers = sorted(int(key[1:]) for key in known if key[1:].isdecimal())
            yield from (f"e{n}" for n in numbers if previous < n <= number)
        else:
            yield f"e{number}"
        previous = number


def cited_ids(text: str, known: Collection[str]) -> list[str]:
    """The `known` ids that `text` cites, in order, each once. Round brackets cite only when every id in them is known."""
    found: dict[str, None] = {}
    for marker in _MARKER.finditer(text):
        ids = list(expand(marker.group("ids"), known))
        if marker.group()[0] != "(" or all(key in known for key in ids):
            found.update(dict.fromkeys(key for key in ids if key in known))
    return list(found)
