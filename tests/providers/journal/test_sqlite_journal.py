"""The journal on a real SQLite file, shared by processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from providers.journal import SQLiteJournal, StoredEvent, create_journal
from schemas import events as ev
from schemas.errors import ConfigurationError, InvalidRequest, JournalError, RunNotFound
from schemas.reading import Page
from schemas.research import ResearchRequest, RunSummary
from schemas.settings import Settings

LIMITS = ev.Limits(tokens=1_000, seconds=10, searches=1, pages=1, llm_calls=1, steps=1, attempts=1)


def started(number: int = 1) -> StoredEvent:
    return StoredEvent(number, 5.0, ev.RunStarted(request=ResearchRequest(question="ü 網"), limits=LIMITS))


async def test_round_trip(tmp_path: Path) -> None:
    journal = SQLiteJournal(tmp_path / "deep" / "runs.db")
    await journal.create(RunSummary(run_id="a", question="q", started_at=1.0), started(), {})
    await journal.append("a", StoredEvent(2, 6.0, ev.RunCancelled()))
    page = Page(page_id="p", url="file:///x", text="text")
    await journal.save_page("a", page)
    await journal.save_page("a", page)
    await journal.update(RunSummary(run_id="a", question="q", state="cancelled", started_at=1.0, steps=3), "digest")
    await journal.close()

    again = SQLiteJournal(tmp_path / "deep" / "runs.db")
    stored = await again.events("a")
    assert [(e.sequence, e.time, e.event.type) for e in stored] == [(1, 5.0, "run_started"), (2, 6.0, "run_cancelled")]
    assert stored[0].event == started().event
    assert (await again.page("a", "p")).text == "text"
    assert (await again.summary("a")).steps == 3 and await again.state_digest("a") == "digest"
    await again.close()


async def test_a_sequence_number_is_used_once(tmp_path: Path) -> None:
    journal = SQLiteJournal(tmp_path / "runs.db")
    await journal.create(RunSummary(run_id="a"), started(), {})
    with pytest.raises(JournalError):
        await journal.append("a", started())
    await journal.close()


async def test_what_is_not_there(tmp_path: Path) -> None:
    journal = SQLiteJournal(tmp_path / "runs.db")
    for asked in (journal.events("x"), journal.summary("x"), journal.state_digest("x"), journal.page("x", "y")):
        with pytest.raises(RunNotFound, match="x"):
            await asked
    await journal.create(RunSummary(run_id="x"), started(), {})
    with pytest.raises(InvalidRequest, match="taken"):
        await journal.create(RunSummary(run_id="x"), started(), {})
    await journal.close()


async def test_newest_first(tmp_path: Path) -> None:
    journal = SQLiteJournal(tmp_path / "runs.db")
    for number in range(5):
        await journal.create(RunSummary(run_id=str(number), started_at=float(number)), started(), {}))
    assert [run.run_id for run in await journal.runs(3)] == ["4", "3", "2"]
    await journal.close()


async def test_a_run_whose_process_died_is_interrupted(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys; from pathlib import Path\n"
        "from providers.journal import SQLiteJournal; from schemas.research import RunSummary\n"
        "asyncio.run(SQLiteJournal(Path(sys.argv[1])).create(RunSummary(run_id='dead'), started(), {}))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "runs.db")], check=True, cwd=Path(__file__).parents[3])
    journal = SQLiteJournal(tmp_path / "runs.db")
    await journal.create(RunSummary(run_id="alive"), started(), {})
    assert (await journal.summary("dead")).state == "interrupted"
    assert (await journal.summary("alive")).state == "running"
    await journal.close()


async def test_a_file_that_is_no_journal(tmp_path: Path) -> None:
    (tmp_path / "runs.db").write_text("this is no database, but it is long enough to look at" * 20)
    with pytest.raises(JournalError, match="DEEPSEARCH_STATE_URL"):
        SQLiteJournal(tmp_path / "runs.db")


async def test_urls(tmp_path: Path) -> None:
    journal = create_journal(Settings(_env_file=None, deepsearch_state_url=f"sqlite:////{str(tmp_path)[1:]}/four.db"))
    await journal.close()
    journal = create_journal(Settings(_env_file=None, deepsearch_home=tmp_path))
    await journal.close()
    assert {path.name for path in tmp_path.glob("*.db")} == {"four.db", "runs.db"}
    for url in ("postgres://x", "runs.db", "sqlite://"):
        with pytest.raises(ConfigurationError, match="DEEPSEARCH_STATE_URL"):
            create_journal(Settings(_env_file=None, deepsearch_state_url=url))
