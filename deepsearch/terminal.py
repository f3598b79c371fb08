"""Everything that is shown to a person passes through here, so that no page, model or server can drive the terminal.

Text from outside may hold escape sequences, control characters, direction overrides or markup. `printable` takes them
out; `Terminal` applies it to every character that it writes, after all rendering, and interprets no markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import IO, Protocol

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"  # OSC, DCS and other strings, with terminator
    r"|\x1b[ -/]*[0-Z\\^-~]"  # two-character escapes
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Line(Protocol):
    """Something with a plain and a styled form."""

    def __str__(self) -> str: ...
    def __rich__(self) -> RenderableType: ...


def printable(text: str) -> str:
    """`text` without escape sequences, control characters (newline and tab stay), direction overrides and lone surrogates."""
    return _CONTROL.sub("", _SEQUENCE.sub("", text))


def one_line(text: str, limit: int = 300) -> str:
    """`text` on one line, white space collapsed, cut to `limit` characters with an ellipsis."""
    line = " ".join(printable(text).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


class Terminal(Console):
    """A console that writes nothing but printable text and its own styles and cursor movements.

    Colour, width and liveness follow the stream and `NO_COLOR`.
    """

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(file=stream, markup=False, highlight=False, emoji=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments that everything rich prints is made of, sanitised: Markdown can make control characters of its own."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)


def write(console: Terminal, *lines: str | Line) -> None:
    """Print lines: to a terminal with style and wrapped to the window, to anything else as plain text, exactly as they are."""
    for line in lines:
        if console.is_terminal:
            console.print(line)
        else:
            console.file.write(f"{printable(str(line))}\n")
            console.file.flush()
