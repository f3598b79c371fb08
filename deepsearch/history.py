"""Looking at runs that are kept: the list, one run's story, and the proof that its journal still gives the same state."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from docarray import BaseDoc
from pydantic import BaseModel
from rich.table import Table

from deepsearch.progress import Line, Progress
from deepsearch.terminal import Terminal, one_line, write
from deepsearch.watching import closing_line, write_answer
from executors.controller.run import apply, begin, next_effects, replay
from executors.controller.state import RunState, digest
from providers.journal.base import StoredEvent
from schemas.events import RESULT_OF_EFFECT, CallFailed, RunStarted, StageCalled
from schemas.research import RunSummary


def fields(document: BaseModel, *, defaults: bool = True) -> dict[str, Any]:
    """A document or an event as JSON values, without the random ids that docarray gives to documents.

    Without `defaults`, what has its default is left out.
    """

    def without_ids(value: Any, of: Any) -> Any:
        if isinstance(value, Mapping):
            return {
                key: without_ids(item, getattr(of, key, None)) for key, item in value.items() if key != "id" or not isinstance(of, BaseDoc)
            }
        if isinstance(value, list):
            return [without_ids(item, one) for item, one in zip(value, of, strict=True)]
        return value

    values: dict[str, Any] = without_ids(json.loads(document.model_dump_json(exclude_defaults=not defaults)), document)
    return values


def write_runs(console: Terminal, runs: Iterable[RunSummary]) -> None:
    """One row for each run; tab-separated values when no person is reading."""
    headings = ("run", "state", "ended by", "started", "seconds", "steps", "tokens", "question")
    rows = [
        (
            run.run_id,
            run.state,
            run.stop_reason or "-",
            datetime.fromtimestamp(run.started_at).astimezone().strftime("%Y-%m-%d %H:%M"),
            f"{run.seconds:.1f}",
            str(run.steps),
            f"{run.total_tokens}",
            one_line(run.question, 200),
        )
        for run in runs
    ]
    if not console.is_terminal:
        write(console, *("\t".join(row) for row in (headings, *rows)))
        return
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        # An id that is cut is of no use: on a narrow window the question gives way.
        width = max((len(row[0]) for row in rows), default=0) if heading == "run" else None
        right = heading in ("seconds", "steps", "tokens")
        grid.add_column(heading, no_wrap=True, min_width=width, justify="right" if right else "left")
    for row in rows:
        grid.add_row(*row)
    console.print(grid)


def write_story(console: Terminal, summary: RunSummary, stored: list[StoredEvent]) -> None:
    """A run's steps as they happened, its answer and what each stage used."""
    progress = Progress()
    for entry in stored:
        write(console, *progress.follow(entry.event, entry.time))
    state = replay(stored)
    write(console, Line("budget", progress.spending()))
    by_stage = ", ".join(f"{stage} {tokens:,}" for stage, tokens in state.usage_by_stage.items() if tokens)
    if by_stage:
        write(console, Line("tokens", by_stage))
    if state.answer is not None and state.answer.text:
        if not console.is_terminal:
            write(console, "")
        write_answer(console, state.answer)
        write(console, closing_line(state.answer))
    else:
        write(console, Line("end", f"{summary.state} {state.error_message}".rstrip(), wrong=True))


def replayed(stored: list[StoredEvent]) -> tuple[RunState, str]:
    """The state that a journal leads to, and the first event that the state machine did not ask for ("" when there is none).

    Raises `ValueError` when the journal does not begin with the start of a run.
    """
    if not stored or not isinstance(stored[0].event, RunStarted):
        raise ValueError("the journal does not begin with the start of a run")
    state = begin(stored[0].event, stored[0].time)
    misfit = ""
    for entry in stored[1:]:
        misfit = misfit or _misfit(state, entry)
        state = apply(state, entry)
    return state, misfit


def _misfit(state: RunState, entry: StoredEvent) -> str:
    event, here = entry.event, f"event {entry.sequence} ({entry.event.type})"
    if entry.sequence != state.sequence + 1:
        return f"{here} follows event {state.sequence}"
    if state.outcome != "running":
        return f"{here} comes after the run's end"
    if isinstance(event, StageCalled):
        return "" if event.effect in next_effects(state) else f"{here} makes a call that the state does not ask for: {event.effect.id}"
    effect_id = getattr(event, "effect_id", None)
    if effect_id is None:
        return ""
    effect = state.budget.reserved.get(effect_id)
    if effect is None:
        return f"{here} is the result of a call that is not in flight: {effect_id}"
    if not isinstance(event, CallFailed) and event.type != RESULT_OF_EFFECT[effect.kind]:
        return f"{here} is no result of {effect.kind}"
    return ""


def write_replay(console: Terminal, summary: RunSummary, stored: list[StoredEvent], kept_digest: str) -> bool:
    """Replay a journal without any call and say what it leads to; False when that is not what was kept."""
    state, misfit = replayed(stored)
    reached = digest(state)
    evidence = sum(len(item.evidence) for item in state.knowledge)
    write(
        console,
        f"{len(stored)} events replayed, no call was made",
        f"outcome: {state.outcome}{f' ({state.stop_reason})' if state.stop_reason else ''} · steps: {state.total_step}",
        f"queries: {len(state.queries)} · pages visited: {len(state.visited)}, read: {len(state.read)}",
        f"knowledge: {len(state.knowledge)} · quotes: {evidence} · open questions: {len(state.gaps)}",
        f"spent: {state.budget.spent.total_tokens:,} tokens, {state.budget.elapsed:.1f} s",
        f"digest: {reached}",
    )
    if kept_digest == reached:
        write(console, "the stored digest is the same")
        return True
    if not kept_digest and not misfit and state.outcome == "running":
        write(console, f"there is no stored digest: the run is {summary.state}; `deepsearch resume {summary.run_id}` goes on with it")
        return True
    where = misfit or _difference(state, summary) or "no single event stands out; the events' content or the code has changed"
    write(console, f"the stored digest differs: {kept_digest or 'none'}", f"first difference: {where}")
    return False


def _difference(state: RunState, summary: RunSummary) -> str:
    pairs = {
        "state": (state.outcome, summary.state),
        "stop_reason": (state.stop_reason or "", summary.stop_reason),
        "steps": (state.total_step, summary.steps),
        "total_tokens": (state.budget.spent.total_tokens, summary.total_tokens),
        "question": (state.question, summary.question),
    }
    return next((f"{name} is {now!r}, was {kept!r}" for name, (now, kept) in pairs.items() if now != kept), "")
