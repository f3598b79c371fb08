"""Watching a run: what happens, as it happens, and the answer at the end."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.markdown import Markdown
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from deepsearch.progress import Line, Progress, journal_event, place
from deepsearch.terminal import Terminal, one_line, printable, write
from providers.journal.base import StoredEvent
from schemas.events import ResearchEvent, RunEnded
from schemas.research import ResearchAnswer

_MARKER = re.compile(r"\[\^(\d+)\]")
_QUOTE_CHARACTERS = 400
_TAIL_LINES = 12
"""How much of an answer is shown while it is being written; the whole follows when it is finished."""


class Watch:
    """Shows one run on a console: a line for each thing that happens; below them, on a terminal, what is under way."""

    def __init__(self, console: Terminal) -> None:
        self._console = console
        self._progress = Progress()
        self._written = ""
        self._steps = 0
        self._spending = ""
        self._spinner = Spinner("dots")
        self.run_id = ""
        self._display: AbstractContextManager[Any] = (
            Live(self, console=console, transient=True, refresh_per_second=8) if console.is_interactive else nullcontext()
        )

    def recall(self, stored: list[StoredEvent]) -> None:
        """Take what happened before, of a run that is resumed, without showing it again."""
        for entry in stored:
            self._progress.follow(entry.event, entry.time)

    async def follow(self, events: AsyncIterator[ResearchEvent]) -> RunEnded | None:
        """Show the events as they come and return the last; None when the stream ended without its end."""
        ended = None
        with self._display:
            async for event in events:
                self.run_id = event.run_id or self.run_id
                if event.type == "run_ended":
                    ended = RunEnded.model_validate(event.data)
                elif event.type == "answer_delta":
                    # A text that is given out again begins at its place, not behind itself.
                    self._written = self._written[: int(event.data.get("offset", 0))] + str(event.data.get("text", ""))
                elif known := journal_event(event):
                    lines = self._progress.follow(known, event.time)
                    self._show(lines if known.type != "run_started" else [])  # who asks knows the question
        return ended

    def _show(self, lines: list[Line]) -> None:
        if not self._console.is_interactive and self._progress.steps > self._steps:
            if self._steps:
                write(self._console, f"budget: {self._spending}")
            self._steps = self._progress.steps
        self._spending = self._progress.spending()
        write(self._console, *lines)

    def __rich__(self) -> RenderableType:
        status = Table.grid(padding=(0, 1))
        doing, spending = one_line(self._progress.doing(), 100), self._progress.spending(time.time())
        status.add_row(self._spinner, Text(f"{doing} · {spending}".rstrip(" ·"), "dim", no_wrap=True, overflow="ellipsis"))
        if not self._written:
            return status
        tail = printable(self._written).splitlines()[-_TAIL_LINES:]
        return Group(Text("\n".join(tail)), status)


def write_answer(console: Terminal, answer: ResearchAnswer) -> None:
    """The answer with its footnotes: rendered for a window, plain Markdown for a file or a pipe."""
    notice = one_line(answer.notice, 2_000)
    if not console.is_terminal:
        from executors.answer_finalizer.markdown.rendering import render_markdown  # noqa: PLC0415  (used by no other command)

        text = render_markdown(answer.text, answer.references)
        write(console, f"{text.rstrip()}\n\n> {notice}" if notice else text.rstrip())
        return
    console.print()
    console.print(Markdown(_MARKER.sub(r"[\1]", printable(answer.text)), hyperlinks=False))
    if answer.references:
        notes = Table.grid(padding=(0, 1))
        notes.add_column(justify="right", style="cyan")
        notes.add_column(overflow="fold")
        for reference in answer.references:
            title = one_line(reference.title or place(reference.url), 120)
            notes.add_row(
                f"[{reference.number}]",
                Group(
                    Text(f"“{one_line(reference.quote, _QUOTE_CHARACTERS)}”", style="italic"),
                    Text.assemble((title, "bold"), f" {one_line(reference.url, 2_000)}"),
                ),
            )
        console.print()
        console.print(notes)
    if notice:
        console.print()
        console.print(Text(notice, style="yellow"))
    console.print()


_VERDICTS = {"supported": "yes", "partly": "partly", "unsupported": "no", "contradicted": "contradicted"}


def write_support(console: Terminal, answer: ResearchAnswer) -> None:
    """For every statement of the answer whether its sources say it, how much of it, and what is missing."""
    table = Table.grid(padding=(0, 1))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(justify="right")
    table.add_column(overflow="fold")
    for statement in answer.support.statements:
        if statement.verdict == "no_claim":
            continue
        verdict = "left out" if statement.removed else _VERDICTS[statement.verdict]
        missing = f" (not in any source: {', '.join(statement.missing)})" if statement.missing else ""
        table.add_row(verdict, f"{statement.score:.2f}", Text(one_line(f"{statement.text}{missing}", 400)))
    console.print(table)


def closing_line(answer: ResearchAnswer) -> str:
    """How the answer came about, on one line."""
    mode = "extractive: no language model used" if answer.mode == "extractive" else "written by a language model"
    steps = "1 step" if answer.steps == 1 else f"{answer.steps} steps"
    spent = f"{steps} · {answer.usage.total_tokens:,} tokens · {answer.seconds:.1f} s"
    money = f" · ${answer.usage.cost_usd:.4f}" if answer.usage.cost_usd else ""
    support = answer.support
    claims = support.supported + support.partly + support.unsupported
    checked = f" · {support.supported} of {claims} statements supported" if claims else ""
    left_out = f", {support.removed} left out" if support.removed else ""
    return f"{mode} · {answer.stop_reason}{checked}{left_out} · {spent}{money} · run {answer.run_id}"
