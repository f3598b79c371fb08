"""A finished answer as a file of this machine."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.answering import Export, ExportRequest
from schemas.errors import InvalidRequest
from schemas.research import ResearchAnswer, RunQuery, RunReport

if TYPE_CHECKING:
    from deepsearch.flow_calls import FlowCalls
    from providers.journal.base import Journal

_FORMATS = {".md": "markdown", ".html": "html", ".txt": "text", ".pdf": "pdf", ".docx": "docx"}


def format_of(file: Path) -> Any:
    """The format that the ending of `file` stands for.

    Raises `InvalidRequest` for another ending, and for a file that could not be written: its folder is not there, or it is one.
    """
    wanted = _FORMATS.get(file.suffix.lower())
    if wanted is None:
        raise InvalidRequest(f"{file}: no format has the ending {file.suffix!r}; give one of {', '.join(_FORMATS)}", field="output")
    try:
        if file.is_dir():
            raise InvalidRequest(f"{file}: it is a folder; name a file", field="output")
        if not file.parent.is_dir():
            raise InvalidRequest(f"{file}: there is no folder {file.parent}; make it first", field="output")
    except OSError as error:  # a name that is too long
        raise InvalidRequest(f"{file}: {error.strerror or error}", field="output") from error
    return wanted


async def write(answer: ResearchAnswer, file: Path, calls: FlowCalls | None) -> None:
    """Write `answer` to `file`, made by the Flow behind `calls`, or in a thread of this process. Raises `InvalidRequest`."""
    wanted = format_of(file)
    if calls is not None:
        made = await calls.call("/export", ExportRequest(answer=answer, format=wanted), Export)
    else:
        from executors.answer_finalizer.exporting import export  # noqa: PLC0415  (a client of a Flow needs none of it)

        made = await asyncio.to_thread(export, answer, wanted)
    try:
        await asyncio.to_thread(file.write_bytes, base64.b64decode(made.content))
    except OSError as error:
        kept = f"; the answer is kept: deepsearch export answer {answer.run_id} FILE" if answer.run_id else ""
        raise InvalidRequest(f"{file}: {error.strerror or error}{kept}", field="output") from error


async def answer_of(run_id: str, calls: FlowCalls) -> ResearchAnswer:
    """The answer of a run that a Flow keeps. Raises `RunNotFound`, and `InvalidRequest` when it has none."""
    report = await calls.call("/run", RunQuery(run_id=run_id), RunReport)
    return _there(report.answer, run_id, report.run.state)


async def kept_answer(run_id: str, journal: Journal) -> ResearchAnswer:
    """The answer of a run in the journal. Raises `RunNotFound`, and `InvalidRequest` when it has none."""
    from executors.controller.run import replay  # noqa: PLC0415  (nor of this)

    summary, events = await journal.summary(run_id), await journal.events(run_id)
    ended = summary.state not in ("running", "interrupted", "waiting")
    return _there(replay(events).answer if ended else None, run_id, summary.state)


def _there(answer: ResearchAnswer | None, run_id: str, state: str) -> ResearchAnswer:
    if answer is None:
        raise InvalidRequest(f"run {run_id!r} has no answer: it is {state}", field="run")
    return answer
