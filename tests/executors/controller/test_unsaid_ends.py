"""A run that has ended although its process could not say so any more: whoever asks for it is told how it ended."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from scripted_runs import answer, collect, search, visit
from scripted_stages import ScriptedStages

from executors.controller.research import Research
from executors.controller.run import replay
from executors.controller.state import digest
from providers.journal import SQLiteJournal
from schemas.errors import JournalError
from schemas.research import ResearchRequest, RunSummary
from schemas.settings import Settings


class Failing(SQLiteJournal):
    """A journal that is away when a run is given up."""

    async def update(self, summary: RunSummary, state_digest: str = "") -> None:
        raise JournalError("the journal cannot be reached")


@pytest.fixture
async def journals(tmp_path: Path) -> AsyncIterator[tuple[SQLiteJournal, SQLiteJournal]]:
    """The journal of a process that loses it, and that of another."""
    made = Failing(tmp_path / "runs.db", lease_seconds=0.2), SQLiteJournal(tmp_path / "runs.db", lease_seconds=0.2)
    yield made
    for journal in made:
        await journal.close()


async def test_a_run_that_has_ended_is_reported_as_ended(journals: tuple[SQLiteJournal, SQLiteJournal]) -> None:
    losing, other = journals
    settings: Any = Settings(_env_file=None, deepsearch_lease_seconds=1)
    stages = ScriptedStages(decide=[search("a"), visit("https://a.test/page"), answer()])
    events = await collect(Research(stages, losing, settings).run(ResearchRequest(question="What?", run_id="r1")))
    assert events[-1].data["outcome"] == "finished"
    while (await other.summary("r1")).state == "running":  # until the lease is over
        pass
    research = Research(stages, other, settings)
    report = await research.report("r1")
    assert report.run.state == "finished" and report.answer is not None and report.answer.text
    assert (await other.summary("r1")).state == "finished"
    assert await other.state_digest("r1") == digest(replay(await other.events("r1")))
