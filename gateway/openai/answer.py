"""The content of an answer: its text as it is written, its footnotes, and where in it each source is cited."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote as percent_encoded

from schemas.research import Reference

RESTART = "\n\n---\n\n"
"""Stands between a text that was given up when some of it had been sent already, and the one that takes its place."""

_MARKER = re.compile(r"\[\^(\d{1,6})\]")
_MARKUP = re.compile(r"([\\`*_\[\]<>|~&$])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_URL_SAFE = "/:?#@!$&+,;=%-._~*'"


@dataclass(frozen=True)
class Citation:
    """Where the content rests on a source: `content[start:end]`, counted in Unicode characters."""

    start: int
    end: int
    reference: Reference


class AnswerText:
    """What has been sent of an answer. Nothing that was sent can be taken back, but an answer may be begun anew.

    A text that begins anew is held back as long as it repeats what was sent; when it differs, `RESTART` and the whole new
    text are sent. So the last part of the content is always the answer as the run ended with it.
    """

    def __init__(self) -> None:
        self.content = ""
        """Everything that was sent."""
        self.start = 0
        """Where the answer begins in `content`."""
        self._written = ""

    def write(self, text: str, offset: int) -> str:
        """Take a piece that begins at `offset` of the answer; returns what is to be sent."""
        self._written = self._written[:offset] + text
        return self._send()

    def finish(self, text: str) -> str:
        """Take the whole answer; returns what is still to be sent."""
        sent = self.content[self.start :]
        self._written = text
        if len(sent) > len(text) and sent.startswith(text) and sent[len(text) :].strip():
            return self._restart()
        return self._send()

    def cite(self, references: Iterable[Reference]) -> tuple[str, list[Citation]]:
        """Take the footnotes; returns what is to be sent for them, and a citation for each marker in the answer."""
        numbered = {reference.number: reference for reference in references}
        citations = [
            Citation(marker.start(), marker.end(), numbered[int(marker[1])])
            for marker in _MARKER.finditer(self.content, self.start)
            if int(marker[1]) in numbered
        ]
        notes = "\n".join(_footnote(reference) for reference in numbered.values())
        sent = f"\n\n{notes}" if notes else ""
        self.content += sent
        return sent, citations

    def _send(self) -> str:
        sent = self.content[self.start :]
        if self._written.startswith(sent):
            new = self._written[len(sent) :]
            self.content += new
            return new
        return "" if sent.startswith(self._written) else self._restart()

    def _restart(self) -> str:
        new = RESTART + self._written
        self.start = len(self.content) + len(RESTART)
        self.content += new
        return new


def _footnote(reference: Reference) -> str:
    """A footnote definition in Markdown, on one line: `[^1]: "quote" — [title](url)`."""
    url = "".join(c if c > "\x7f" and not c.isspace() else percent_encoded(c, safe=_URL_SAFE) for c in reference.url.strip())
    return f'[^{reference.number}]: "{_plain(reference.quote)}" — [{_plain(reference.title) or _plain(reference.url)}]({url})'


def _plain(text: str) -> str:
    """`text` on one line, its markup escaped, without characters that reorder or hide what follows."""
    return _MARKUP.sub(r"\\\1", " ".join(_CONTROL.sub(" ", text).split()))
