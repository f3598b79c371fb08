"""What a reasoning model writes for itself, between `<think>` and `</think>`, kept apart from what it says."""

from __future__ import annotations

import re

_TAG = re.compile(r"<(?P<end>/?)think(?:ing)?>", re.IGNORECASE)
_OPEN = re.compile(r"<think(?:ing)?>", re.IGNORECASE)
_CLOSE = re.compile(r"</think(?:ing)?>", re.IGNORECASE)
_LONGEST_TAG = len("</thinking>")


def split_thinking(text: str) -> tuple[str, str]:
    """What is said, and an unfinished thought at the end (empty when every block is closed).

    A closing tag without its opening one ends a thought that began with the text: many chat templates put the opening
    tag into the prompt.
    """
    said: list[str] = []
    start, thinking = 0, False
    for tag in _TAG.finditer(text):
        if tag["end"]:
            if not thinking:
                said.clear()
            start, thinking = tag.end(), False
        elif not thinking:
            said.append(text[start : tag.start()])
            start, thinking = tag.end(), True
    if thinking:
        return "".join(said).strip(), text[start:].strip()
    return "".join([*said, text[start:]]).strip(), ""


class ThinkingFilter:
    """Removes `<think>` blocks from text that comes in pieces; a tag may be split anywhere."""

    def __init__(self) -> None:
        self._held = ""
        self._thinking = False
        self._started = False

    def feed(self, piece: str) -> str:
        """What of the text so far can be said now."""
        said: list[str] = []
        text = self._held + piece
        while True:
            tag = (_CLOSE if self._thinking else _OPEN).search(text)
            if tag is None:
                break
            if not self._thinking:
                said.append(text[: tag.start()])
            text = text[tag.end() :]
            self._thinking = not self._thinking
        # The last few characters may be the beginning of a tag.
        start = text.rfind("<", max(0, len(text) - _LONGEST_TAG + 1))
        self._held = text[start:] if start >= 0 and ">" not in text[start:] else ""
        if not self._thinking:
            said.append(text[: len(text) - len(self._held)])
        return self._trim("".join(said))

    def finish(self) -> str:
        """What was held back, once the text is complete."""
        held, self._held = self._held, ""
        return "" if self._thinking else self._trim(held)

    def _trim(self, said: str) -> str:
        if not self._started:
            said = said.lstrip()
            self._started = bool(said)
        return said
