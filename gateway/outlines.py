"""The outline of a report that waits for its owner's approval."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

from gateway.calls import Calls
from schemas.events import ResearchEvent
from schemas.reporting import Outline
from schemas.research import RunQuery, RunReport


class RunView(RunReport):
    """A run as far as it has come."""

    outline: Outline | None = None
    """The outline that a run in state `waiting` proposes."""


async def view(calls: Calls, run_id: str) -> RunView:
    """A run, with its outline when it waits for approval. Raises `RunNotFound`."""
    report = await calls.call("/run", RunQuery(run_id=run_id), RunReport)
    outline = await _proposed(calls, run_id) if report.run.state == "waiting" else None
    return RunView(run=report.run, answer=report.answer, code=report.code, message=report.message, outline=outline)


def outline_text(outline: Outline) -> str:
    """An outline in Markdown."""
    lines = [f"# {_line(outline.title)}", ""] if outline.title else []
    for number, section in enumerate(outline.sections, start=1):
        length = f" (about {section.words:,} words)" if section.words else ""
        brief = f": {_line(section.brief)}" if section.brief else ""
        lines.append(f"{number}. **{_line(section.heading)}**{length}{brief}")
    return "\n".join(lines)


async def _proposed(calls: Calls, run_id: str) -> Outline:
    """The outline that a waiting run proposes: it is the last one in its events."""
    found: dict[str, Any] = {}
    events: Any = calls.stream("/events", RunQuery(run_id=run_id), ResearchEvent)
    async with aclosing(events):
        async for event in events:
            if event.type == "outlined":
                found = event.data["outline"]
    return Outline(**found)


def _line(text: str) -> str:
    return " ".join(text.split())
