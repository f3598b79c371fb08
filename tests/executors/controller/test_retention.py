"""How long runs are kept: what is asked for, and what DEEPSEARCH_KEEP_DAYS says."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from executors.controller import retention
from executors.controller.retention import Retention, forget
from providers.journal import SQLiteJournal, StoredEvent
from schemas import events as ev
from schemas.errors import ConfigurationError, InvalidRequest, JournalError, RunNotFound, RunUnderWay
from schemas.research import ResearchRequest, RunSummary

_DAY = 86_400.0
_WAIT_SECONDS = 30.0


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SQLiteJournal]:
    opened = SQLiteJournal(tmp_path / "runs.db")
    yield opened
    await opened.close()


async def keep(journal: SQLiteJournal, run_id: str, state: str, *, parent: str = "", days_ago: float = 0.0) -> None:
    limits = ev.Limits(tokens=1, seconds=1, searches=1, pages=1, llm_calls=1, steps=1, attempts=1)
    first = StoredEvent(1, 1.0, ev.RunStarted(request=ResearchRequest(question="q", run_id=run_id), limits=limits))
    await journal.create(RunSummary(run_id=run_id, question="q", parent=parent), first, {})
    if state != "running":
        await journal.update(RunSummary(run_id=run_id, question="q", parent=parent, state=state))
    journal._connection.execute("UPDATE runs SET updated_at = ? WHERE run_id = ?", (time.time() - days_ago * _DAY, run_id))


async def kept(journal: SQLiteJournal) -> set[str]:
    return {run.run_id for run in await journal.runs(99)}


async def test_a_run_is_deleted_with_those_that_worked_for_it(journal: SQLiteJournal) -> None:
    await keep(journal, "a", "finished")
    await keep(journal, "a-1", "finished", parent="a")
    await keep(journal, "b", "running")
    with pytest.raises(InvalidRequest, match="run a-1 works for run a: delete that one"):
        await forget(journal, "a-1")
    with pytest.raises(RunUnderWay, match="cancel it first"):
        await forget(journal, "b")
    forgotten = await forget(journal, "a")
    assert (forgotten.run_id, forgotten.state) == ("a", "finished")
    assert await kept(journal) == {"b"} and await journal.children("a") == []
    with pytest.raises(RunNotFound):
        await forget(journal, "a")


async def test_a_run_whose_parent_is_gone_can_be_deleted(journal: SQLiteJournal) -> None:
    await keep(journal, "a-1", "finished", parent="a")
    await forget(journal, "a-1")
    with pytest.raises(RunNotFound):
        await journal.summary("a-1")


async def until(journal: SQLiteJournal, runs: set[str]) -> None:
    async with asyncio.timeout(_WAIT_SECONDS):
        while await kept(journal) != runs:
            await asyncio.sleep(0.01)


async def test_old_runs_are_deleted_at_once_and_again_and_again(
    journal: SQLiteJournal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(retention, "_PAUSE_SECONDS", 0.01)
    for state in ("finished", "failed", "interrupted", "waiting", "running"):
        await keep(journal, state, state, days_ago=3.0)
    await keep(journal, "young", "finished", days_ago=1.9)
    deleting = Retention(journal, 2.0)
    deleting.begin()
    await until(journal, {"waiting", "running", "young"})
    async with asyncio.timeout(_WAIT_SECONDS):
        while not caplog.records:  # it is told after they are gone
            await asyncio.sleep(0.01)
    assert [record.message for record in caplog.records] == ["3 runs were older than DEEPSEARCH_KEEP_DAYS and are deleted"]
    await keep(journal, "later", "cancelled", days_ago=2.1)
    await until(journal, {"waiting", "running", "young"})
    await deleting.close()
    await keep(journal, "stopped", "finished", days_ago=9.0)
    await asyncio.sleep(0.05)
    assert "stopped" in await kept(journal)


@pytest.mark.parametrize("error", [JournalError("cannot be used"), ConfigurationError("cannot be used"), ValueError("cannot be used")])
async def test_whatever_fails_is_tried_again(
    journal: SQLiteJournal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    monkeypatch.setattr(retention, "_PAUSE_SECONDS", 0.01)
    await keep(journal, "old", "finished", days_ago=9.0)
    real, failures = journal.forget_before, 2

    async def failing(at: float) -> int:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise error
        return await real(at)

    monkeypatch.setattr(journal, "forget_before", failing)
    deleting = Retention(journal, 2.0)
    deleting.begin()
    await until(journal, set())
    await deleting.close()
    is_ours = isinstance(error, ValueError)
    message = f"old runs could not be deleted, in an hour they are tried again{'' if is_ours else ': cannot be used'}"
    assert [(record.message, record.exc_info is not None) for record in caplog.records] == [(message, is_ours)] * 2


async def test_runs_are_kept_when_nobody_says_for_how_long(journal: SQLiteJournal) -> None:
    await keep(journal, "old", "finished", days_ago=10_000.0)
    deleting = Retention(journal, None)
    deleting.begin()
    await deleting.close()
    assert await kept(journal) == {"old"}
