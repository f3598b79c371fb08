"""A finished text as the small pieces in which a reader watches it appear."""

from __future__ import annotations

from collections.abc import Iterator

import regex

# A few words; of a long text more, so that no text takes more pieces than this.
_CHARACTERS = 24
_MOST = 400
# Neither a marker nor a word is divided; scripts without spaces divide anywhere.
_UNIT = regex.compile(
    r"\s*(?:\[\^\d{1,6}\]|[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
    r"|[^\s\[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]+|\[)|\s+"
)


def deltas(text: str) -> Iterator[str]:
    """Pieces of `text`, none empty; joined they are the text."""
    size = max(_CHARACTERS, -(-len(text) // _MOST))
    held = ""
    for unit in _UNIT.finditer(text):
        held += unit.group()
        if len(held) >= size:
            yield held
            held = ""
    if held:
        yield held
