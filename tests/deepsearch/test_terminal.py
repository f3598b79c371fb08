"""Nothing from outside may drive the terminal."""

from __future__ import annotations

import io
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.live import Live
from rich.markdown import Markdown
from rich.text import Text

from deepsearch.terminal import Terminal, one_line, printable, write

OWN_STYLES = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|\x1b\[[0-9]*[ABK]|\x1b\[2K|\r")
"""What rich itself may write: styles, and the cursor movements of a live display."""


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b2Jgone", "gone"),
        ("\x1bPq#0\x1b\\sixel", "sixel"),
        ("\x1b]0;never ended", "]0;never ended"),
        ("a\rb\x08c\x00d\x7f", "abcd"),
        ("\u202egnp.exe\u2066x\u200f", "gnp.exex"),
        ("\ud800lone", "lone"),
        ("line\n\tindented, naïve 日本語 👍", "line\n\tindented, naïve 日本語 👍"),
        ("\x1b\x1b[31m", ""),
    ],
)
def test_escape_sequences_and_controls_are_taken_out(hostile: str, shown: str) -> None:
    assert printable(hostile) == shown


@given(st.text())
def test_what_is_printable_holds_no_control_and_stays_the_same(text: str) -> None:
    shown = printable(text)
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t"]
    assert printable(shown) == shown


def test_one_line_collapses_and_cuts() -> None:
    assert one_line(" a\n\n b\tc ") == "a b c"
    assert one_line("x" * 20, 10) == "x" * 9 + "…"


@pytest.mark.parametrize("colour", [True, False])
def test_a_console_writes_only_its_own_escapes(colour: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    if not colour:
        monkeypatch.setenv("NO_COLOR", "1")
    hostile = "\x1b]0;owned\x07 [bold red]markup[/] \x1b[5mblink <http://example.com/%1b[31m> &#27;[31m :smile:"
    stream = Tty()
    console = Terminal(stream)
    with Live(Text(hostile), console=console, auto_refresh=False, transient=True):
        console.print(Text(hostile, style="red"))
        write(console, hostile)
        console.print(Markdown(hostile, hyperlinks=False))
    left = OWN_STYLES.sub("", stream.getvalue())
    assert not [c for c in left if unicodedata.category(c) == "Cc" and c not in "\n\t"]
    assert "[bold red]markup[/]" in left
    assert ":smile:" in left
    assert ("\x1b[31m" in stream.getvalue()) is colour  # its own style


def test_lines_for_programs_are_not_wrapped() -> None:
    stream = io.StringIO()
    write(Terminal(stream), "word " * 100)
    assert stream.getvalue().count("\n") == 1
