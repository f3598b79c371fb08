"""Texts on their way to a model: fit to be sent, and divided into requests."""

from __future__ import annotations

from collections.abc import Sequence


def sendable(text: str, characters: int) -> str:
    """The first `characters` of `text`, without the lone surrogates and NULs that no service takes; all else stays, digits too."""
    return text[:characters].encode("utf-8", "ignore").decode().replace("\0", "")


def has_words(text: str) -> bool:
    """Whether `text` has a letter or digit of any script: without one there is nothing to embed or to judge."""
    return any(map(str.isalnum, text))


def divided(texts: Sequence[str], most_texts: int, most_bytes: int) -> list[list[str]]:
    """`texts` in order, in runs of at most `most_texts` and `most_bytes` of UTF-8; a text that is longer has a run of its own."""
    runs: list[list[str]] = []
    room = 0
    for text in texts:
        size = len(text.encode())
        if not runs or len(runs[-1]) == most_texts or size > room:
            runs.append([])
            room = most_bytes
        runs[-1].append(text)
        room -= size
    return runs
