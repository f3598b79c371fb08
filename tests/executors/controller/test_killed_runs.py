"""Processes that die between two writes: what the journal's events say counts, whatever its line about the run says."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from docarray import DocList
from scripted_runs import Runner, collect, researcher
from scripted_stages import ScriptedStages, page

from executors.controller.jobs import Jobs
from executors.controller.research import Research
from executors.controller.run import MOST_DEATHS_IN_VAIN, replay
from executors.controller.state import digest
from providers.journal import SQLiteJournal, StoredEvent
from schemas import events as ev
from schemas.errors import InvalidRequest, JournalError
from schemas.planning import Rewriting
from schemas.reading import Attachment, Page
from schemas.reporting import OutlineApproval
from schemas.research import ResearchRequest, RunSummary
from schemas.search import SearchQuery
from schemas.settings import Settings

KINDS: dict[str, dict[str, Any]] = {"answer": {}, "waiting": {"mode": "report", "plan_first": True}}


async def killed(folder: Path, whole: list[StoredEvent], *, background: bool = False) -> SQLiteJournal:
    """A journal with these events, of a run whose process died before it could say how it ended."""
    journal = SQLiteJournal(folder / "killed.db")
    await journal.restore(RunSummary(run_id="r1", state="interrupted", background=background), "", whole, [], {})
    return journal


@pytest.mark.parametrize(("kind", "state"), [("answer", "finished"), ("waiting", "waiting")])
async def test_an_end_that_was_not_told_is_told_when_the_run_is_resumed(runner: Runner, tmp_path: Path, kind: str, state: str) -> None:
    await runner.run(ScriptedStages(), **KINDS[kind])
    journal = await killed(tmp_path, await runner.journal.events("r1"))
    research = Research(ScriptedStages(), journal, runner.settings)
    events = await collect(research.resume("r1"))
    assert [(event.type, event.data["outcome"]) for event in events] == [("run_ended", state)]
    report = await research.report("r1")
    assert report.run.state == state and (report.answer is not None) is (state == "finished")
    replayed = replay(await journal.events("r1"))
    assert await journal.state_digest("r1") == (digest(replayed) if state == "finished" else "")
    assert (await collect(research.resume("r1")))[-1].data["outcome"] == state
    await journal.close()


@pytest.mark.parametrize(("kind", "state"), [("answer", "finished"), ("waiting", "waiting")])
async def test_who_follows_such_a_job_hears_of_its_end(runner: Runner, tmp_path: Path, kind: str, state: str) -> None:
    await runner.run(ScriptedStages(), **KINDS[kind])
    journal = await killed(tmp_path, await runner.journal.events("r1"), background=True)
    stages = ScriptedStages()
    research = Research(stages, journal, runner.settings)
    jobs = Jobs(research, journal, stages)
    jobs.recover()
    followed = await asyncio.wait_for(collect(research.follow("r1")), 30)
    assert followed[-1].data["outcome"] == state
    await jobs.close()
    await journal.close()


async def test_cancelling_such_a_run_leaves_it_as_it_ended(runner: Runner, tmp_path: Path) -> None:
    await runner.run(ScriptedStages())
    journal = await killed(tmp_path, await runner.journal.events("r1"))
    await Research(ScriptedStages(), journal, runner.settings).cancel("r1")
    assert (await journal.summary("r1")).state == "finished"
    await journal.close()


async def test_a_write_that_fails_does_not_keep_a_run_under_way(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    await runner.run(ScriptedStages(), mode="report", plan_first=True)
    research = Research(ScriptedStages(), runner.journal, runner.settings)

    async def full(run_id: str, stored: StoredEvent) -> None:
        raise InvalidRequest("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(runner.journal, "append", full)
        with pytest.raises(InvalidRequest, match="disk"):
            await collect(research.approve(OutlineApproval(run_id="r1")))
    assert (await runner.journal.summary("r1")).state == "waiting"
    assert (await collect(research.approve(OutlineApproval(run_id="r1"))))[-1].data["outcome"] == "finished"


def team() -> ScriptedStages:
    return ScriptedStages(decide=[researcher] * 200)


def parent_of(run_id: str) -> str:
    return run_id.rpartition("-")[0] if "-" in run_id else ""


async def test_a_team_goes_on_from_every_event_of_every_of_its_runs(runner: Runner, tmp_path: Path) -> None:
    """Whatever was written last, by the run or by one of its researchers: the same answer, and every page counted once."""
    written: list[tuple[str, StoredEvent]] = []
    pages: list[tuple[str, Page]] = []
    create, append, save_page = runner.journal.create, runner.journal.append, runner.journal.save_page

    async def beginning(summary: RunSummary, first: StoredEvent, attachments: dict[str, Attachment], asked_by: str) -> None:
        await create(summary, first, attachments, asked_by)
        written.append((summary.run_id, first))

    async def noting(run_id: str, stored: StoredEvent, summary: RunSummary | None = None) -> None:
        await append(run_id, stored, summary)
        written.append((run_id, stored))

    async def keeping(run_id: str, read: Page) -> None:
        await save_page(run_id, read)
        pages.append((run_id, read))

    runner.journal.create, runner.journal.append, runner.journal.save_page = beginning, noting, keeping  # type: ignore[method-assign]
    _, whole = await runner.run(team(), team_size=2)
    assert whole is not None and {run_id for run_id, _ in written} == {"r1", "r1-1", "r1-2"}
    for length in range(1, len(written)):
        journal = SQLiteJournal(tmp_path / f"{length}.db")
        for run_id in dict.fromkeys(run_id for run_id, _ in written[:length]):
            summary = RunSummary(run_id=run_id, state="interrupted", parent=parent_of(run_id))
            entries = [entry for of, entry in written[:length] if of == run_id]
            await journal.restore(summary, "", entries, {read.page_id: read for of, read in pages if of == run_id}.values(), {})
        ended = (await collect(Research(team(), journal, Settings(_env_file=None)).resume("r1")))[-1]
        assert ended.data["outcome"] == "finished", length
        assert ended.data["answer"]["text"] == whole.text and ended.data["answer"]["usage"]["pages"] == whole.usage.pages, length
        assert {replay(await journal.events(run_id)).outcome for run_id in ("r1", "r1-1", "r1-2")} == {"finished"}, length
        await journal.close()


async def test_a_report_goes_on_from_every_event_around_its_approval(runner: Runner, tmp_path: Path) -> None:
    """Before the approval it waits again, after it the sections that are missing are written."""

    def stages() -> ScriptedStages:
        keywords = Rewriting(queries=DocList[SearchQuery]([SearchQuery(text="first"), SearchQuery(text="second")]))
        return ScriptedStages(rewrite=[keywords], read=[lambda request: page(request.url, f"On {request.url} it is 42.")] * 9)

    await runner.run(stages(), mode="report", plan_first=True)
    research = Research(stages(), runner.journal, runner.settings)
    final = (await collect(research.approve(OutlineApproval(run_id="r1"))))[-1].data["answer"]["text"]
    whole = await runner.journal.events("r1")
    for length in range(1, len(whole)):
        folder = tmp_path / str(length)
        folder.mkdir()
        journal = await killed(folder, whole[:length])
        research = Research(stages(), journal, runner.settings)
        ended = (await collect(research.resume("r1")))[-1]
        approved = any(entry.event.type == "outline_approved" for entry in whole[:length])
        assert ended.data["outcome"] == ("finished" if approved else "waiting"), length
        if not approved:
            ended = (await collect(research.approve(OutlineApproval(run_id="r1"))))[-1]
        assert ended.data["answer"]["text"] == final, length
        await journal.close()


async def test_a_run_that_its_controllers_die_of_does_not_go_round_for_ever(runner: Runner, tmp_path: Path) -> None:
    await runner.run(ScriptedStages())
    first = next(number for number, entry in enumerate(await runner.journal.events("r1")) if entry.event.type == "stage_called")
    events = (await runner.journal.events("r1"))[: first + 1]
    for number in range(MOST_DEATHS_IN_VAIN):
        events.append(StoredEvent(events[-1].sequence + 1, events[-1].time + number, ev.RunResumed(after_death=True)))
    journal = await killed(tmp_path, events, background=True)
    await journal.claim("r1")
    journal._connection.execute("UPDATE runs SET lease_until = 0")
    stages = ScriptedStages()
    ended = (await collect(Research(stages, journal, runner.settings).resume("r1")))[-1]
    assert (ended.data["outcome"], ended.data["code"]) == ("failed", "stage_unavailable")
    assert "lost its controller 11 times in a row during /understand" in ended.data["message"] and not stages.requests
    assert (await journal.summary("r1")).state == "failed" and await journal.unfinished(10) == []
    await journal.close()


async def test_a_client_whose_connection_breaks_again_and_again_ends_no_run(runner: Runner) -> None:
    """Nobody has died: each time the run is given up, and taken up again where it was."""
    stages = ScriptedStages(decide=[lambda request: asyncio.Event().wait()] * 99)
    research = Research(stages, runner.journal, runner.settings)
    seen = 0
    for _ in range(MOST_DEATHS_IN_VAIN + 3):
        async with aclosing(research.go_on("r1", seen) if seen else research.run(ResearchRequest(question="What?", run_id="r1"))) as events:
            async for event in events:
                seen = event.sequence
                assert event.type != "run_ended"
                if event.type == "run_resumed" or (event.type == "stage_called" and event.data["effect"]["kind"] == "decide"):
                    break
        assert (await runner.journal.summary("r1")).state == "interrupted"
    resumed = [entry.event for entry in await runner.journal.events("r1") if isinstance(entry.event, ev.RunResumed)]
    assert len(resumed) == MOST_DEATHS_IN_VAIN + 2 and not any(event.after_death for event in resumed)
    stages.script.clear()
    assert (await collect(research.resume("r1")))[-1].data["outcome"] == "finished"


@pytest.mark.parametrize("kind", ["resume", "go_on", "cancel", "approve"])
async def test_a_run_that_this_release_cannot_read_is_left_to_one_that_can(tmp_path: Path, runner: Runner, kind: str) -> None:
    await runner.run(ScriptedStages(), mode="report", plan_first=True)
    events = await runner.journal.events("r1")
    journal = await killed(tmp_path, events, background=True)
    await journal.claim("r1")
    connection = journal._connection
    connection.execute("UPDATE runs SET lease_until = 0, cancel_asked = 1")
    connection.execute("INSERT INTO events VALUES ('r1', ?, 1.0, 'x', '{\"type\": \"of_a_newer_release\"}')", (len(events) + 1,))
    before = connection.execute("SELECT * FROM runs").fetchall()
    research = Research(ScriptedStages(), journal, runner.settings)
    with pytest.raises(JournalError, match="holds an event that this version cannot read"):
        match kind:
            case "cancel":
                await research.cancel("r1")
            case "approve":
                await collect(research.approve(OutlineApproval(run_id="r1")))
            case _:
                await collect(getattr(research, kind)("r1"))
    assert connection.execute("SELECT * FROM runs").fetchall() == before, "nobody has claimed it"
    await journal.close()


class ReadsOnce(SQLiteJournal):
    """A journal that fails as soon as a run is claimed."""

    claimed = False

    async def claim(self, run_id: str) -> bool:
        self.claimed = True
        return await super().claim(run_id)

    async def events(self, run_id: str, after: int = 0) -> list[StoredEvent]:
        if self.claimed:
            raise JournalError("the storage is out of reach")
        return await super().events(run_id, after)

    async def append(self, run_id: str, stored: StoredEvent, summary: RunSummary | None = None) -> None:
        raise JournalError("the storage is out of reach")


@pytest.mark.parametrize("kind", ["resume", "go_on", "cancel"])
async def test_a_run_that_cannot_be_read_when_it_is_claimed_is_given_up(tmp_path: Path, runner: Runner, kind: str) -> None:
    await runner.run(ScriptedStages())
    journal = await killed(tmp_path, (await runner.journal.events("r1"))[:4])
    failing = ReadsOnce(tmp_path / "killed.db")
    research = Research(ScriptedStages(), failing, runner.settings)
    with pytest.raises(JournalError, match="out of reach"):
        await research.cancel("r1") if kind == "cancel" else await collect(getattr(research, kind)("r1"))
    assert failing.claimed and (await journal.summary("r1")).state == "interrupted"
    await failing.close()
    await journal.close()
