"""Runs belong to one process at a time: leases that are kept, lost and taken over, and runs that are cancelled from elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted_runs import collect, researcher
from scripted_stages import ScriptedStages

from executors.controller.checking import checked_limit
from executors.controller.jobs import Jobs
from executors.controller.research import Research
from executors.controller.run import replay
from executors.controller.state import digest
from providers.journal import SQLiteJournal
from providers.journal.base import Renewal
from schemas import events as ev
from schemas.errors import ConfigurationError, InvalidRequest, JournalError, NotWaiting, RunUnderWay
from schemas.events import ResearchEvent
from schemas.reporting import OutlineApproval
from schemas.research import ResearchRequest
from schemas.settings import Settings

LEASE_SECONDS = 1.0


class Silent:
    """A journal's connection that can be cut off from its storage."""

    def __init__(self, journal: SQLiteJournal) -> None:
        self._renew = journal.renew
        self.cut = False
        journal.renew = self.renew  # type: ignore[method-assign]

    async def renew(self, runs: Collection[str]) -> Renewal:
        if self.cut:
            raise JournalError("the storage is out of reach")
        return await self._renew(runs)


class Process:
    """What a controller's process has; its journal takes it for one on another machine."""

    def __init__(self, path: Path, name: str, stages: ScriptedStages) -> None:
        self.stages = stages
        self.journal = SQLiteJournal(path, LEASE_SECONDS)
        self.journal._owner = f"{name}:1:1"
        self.connection = Silent(self.journal)
        self.research = Research(stages, self.journal, Settings(_env_file=None, deepsearch_lease_seconds=LEASE_SECONDS))
        self.jobs = Jobs(self.research, self.journal, stages, LEASE_SECONDS)

    async def close(self) -> None:
        await self.jobs.close()
        await self.research.close()
        await self.journal.close()

    async def state(self, run_id: str = "r1") -> str:
        return (await self.journal.summary(run_id)).state

    async def until(self, state: str, run_id: str = "r1") -> None:
        async with asyncio.timeout(30):
            while await self.state(run_id) != state:
                await asyncio.sleep(0.01)


class Hanging:
    """A stage call that never ends, and tells when it has begun."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    async def __call__(self, request: Any) -> None:
        self.begun.set()
        await asyncio.Event().wait()


@pytest.fixture
def hanging() -> Hanging:
    return Hanging()


@pytest.fixture
async def here(tmp_path: Path, hanging: Hanging) -> AsyncIterator[Process]:
    made = Process(tmp_path / "runs.db", "here", ScriptedStages(decide=[hanging]))
    yield made
    await made.close()


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[Process]:
    made = Process(tmp_path / "runs.db", "there", ScriptedStages())
    yield made
    await made.close()


def ask(run_id: str = "r1", **fields: Any) -> ResearchRequest:
    return ResearchRequest(question="What is the answer?", run_id=run_id, **fields)


def kinds(events: list[ResearchEvent]) -> list[str]:
    return [event.type for event in events]


async def whole(process: Process, run_id: str = "r1") -> list[str]:
    """The kinds of a run's events, which are checked: no gap, no repeat, and the state that they lead to is the stored one."""
    stored = await process.journal.events(run_id)
    assert [entry.sequence for entry in stored] == list(range(1, len(stored) + 1))
    assert await process.journal.state_digest(run_id) == digest(replay(stored))
    return [entry.event.type for entry in stored]


async def test_a_run_outlives_its_first_lease(here: Process, there: Process, hanging: Hanging) -> None:
    running = asyncio.create_task(collect(here.research.run(ask())))
    await hanging.begun.wait()
    await asyncio.sleep(1.5 * LEASE_SECONDS)
    await there.until("running")  # a busy machine may renew late
    with pytest.raises(RunUnderWay):
        await anext(there.research.resume("r1"))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert await there.state() == "interrupted"


async def test_a_run_whose_lease_cannot_be_renewed_stops_and_goes_on_elsewhere(here: Process, there: Process, hanging: Hanging) -> None:
    running = asyncio.create_task(collect(here.research.run(ask())))
    await hanging.begun.wait()
    watched = asyncio.create_task(collect(here.research.follow("r1")))
    here.connection.cut = True
    async with asyncio.timeout(30):
        events = await running
        assert events[-1].data["outcome"] == "interrupted" and events[-1].data["code"] == "run_lost"
        assert here.stages.cancelled == ["decide"]
        rest = await collect(there.research.go_on("r1", events[-2].sequence))
        followed = await watched
    assert rest[0].type == "run_resumed" and rest[-1].data["outcome"] == "finished"
    seen = [event.sequence for event in [*events[:-1], *rest[:-1]] if event.type != "answer_delta"]
    assert seen == list(range(1, len(seen) + 1))
    assert kinds(followed)[:-1] == await whole(there) and followed[-1].data == rest[-1].data, "who followed here follows elsewhere"


async def test_who_has_lost_a_run_writes_nothing_more(here: Process, there: Process, hanging: Hanging) -> None:
    """As a process that was frozen: it has not noticed that its lease is over, and a result arrives."""
    events: list[ResearchEvent] = []

    async def into() -> None:
        async for event in here.research.run(ask()):
            events.append(event)

    running = asyncio.create_task(into())
    await hanging.begun.wait()
    here.connection.cut = True
    driven = here.research._active["r1"]
    here.journal._connection.execute("UPDATE runs SET lease_until = 0")
    finished = await collect(there.research.go_on("r1"))
    calls = len(here.stages.requests)
    driven.tell(ev.CallFailed(effect_id=next(iter(driven.calls)), code="read", message="late"))
    async with asyncio.timeout(30):
        await running
    assert events[-1].data["outcome"] == "interrupted" and events[-1].data["code"] == "run_lost"
    assert len(here.stages.requests) == calls and "late" not in str(await there.journal.events("r1"))
    assert kinds(finished)[:-1] == await whole(there) or "answer_delta" in kinds(finished)
    assert await there.state() == "finished"


async def test_a_run_is_cancelled_from_another_process(here: Process, there: Process, hanging: Hanging) -> None:
    running = asyncio.create_task(collect(here.research.run(ask())))
    await hanging.begun.wait()
    await there.research.cancel("r1")
    assert await there.state() == "cancelled" and here.stages.cancelled == ["decide"]
    events = await running
    assert kinds(events)[-2:] == ["run_cancelled", "run_ended"] and events[-1].data["outcome"] == "cancelled"
    assert (await whole(there)).count("run_cancelled") == 1


async def test_a_run_is_cancelled_when_its_owner_has_died(here: Process, there: Process, hanging: Hanging) -> None:
    running = asyncio.create_task(collect(here.research.run(ask())))
    await hanging.begun.wait()
    cancelling = asyncio.create_task(there.research.cancel("r1"))
    here.journal.append = here.journal.update = None  # type: ignore[method-assign, assignment]  # nothing of it gets through any more
    here.connection.cut = True
    async with asyncio.timeout(30):
        await cancelling
        await asyncio.gather(running, return_exceptions=True)
    assert await there.state() == "cancelled"
    assert (await whole(there))[-1] == "run_cancelled"


async def test_a_team_is_cancelled_from_another_process(tmp_path: Path, there: Process, hanging: Hanging) -> None:
    here = Process(tmp_path / "runs.db", "here", ScriptedStages(decide=[hanging] * 9))
    running = asyncio.create_task(collect(here.research.run(ask(team_size=2))))
    await hanging.begun.wait()
    await there.research.cancel("r1")
    assert (await running)[-1].data["outcome"] == "cancelled"
    assert {await there.state(run) for run in ("r1", "r1-1", "r1-2")} == {"cancelled"}
    await here.close()


async def test_jobs_are_taken_up_as_soon_as_their_process_hands_them_over(here: Process, there: Process, hanging: Hanging) -> None:
    await here.jobs.submit(ask())
    await hanging.begun.wait()
    there.jobs.recover()
    watched = asyncio.create_task(collect(here.research.follow("r1")))
    await asyncio.sleep(0)
    here.research.hand_over()
    await here.jobs.hand_over()
    assert here.stages.cancelled == ["decide"]
    async with asyncio.timeout(30):
        before = await watched
        assert "run_ended" not in kinds(before), "who follows is to go elsewhere"
        rest = await collect(there.research.follow("r1", before[-1].sequence))
    assert rest[-1].data["outcome"] == "finished"
    assert [kind for kind in kinds(before + rest) if kind not in ("answer_delta", "run_ended")] == await whole(there)


async def test_of_many_processes_one_takes_a_job_up(tmp_path: Path, here: Process, hanging: Hanging) -> None:
    await here.jobs.submit(ask())
    await hanging.begun.wait()
    others = [Process(tmp_path / "runs.db", f"other-{number}", ScriptedStages()) for number in range(4)]
    for other in others:
        other.jobs.recover()
    here.connection.cut = True  # its lease runs out, and it notices
    await others[0].until("finished")
    assert (await whole(others[0])).count("run_resumed") == 1
    assert sum(len(other.stages.of("finalize")) for other in others) == 1
    for other in others:
        await other.close()


async def test_a_job_that_cannot_be_read_does_not_keep_the_others(here: Process, there: Process) -> None:
    first = here.jobs
    await first.submit(ask("broken"))
    await first.submit(ask("good"))
    await first.hand_over()
    here.journal._connection.execute("UPDATE events SET event = '{}' WHERE run_id = 'broken' AND sequence = 1")
    there.jobs.recover()
    await there.until("finished", "good")


async def test_a_team_waits_for_a_researcher_whose_dead_owner_still_has_its_lease(tmp_path: Path, here: Process, hanging: Hanging) -> None:
    """The parent's lease is over and that of one of its researchers is not."""
    owner = Process(tmp_path / "runs.db", "owner", ScriptedStages(decide=[hanging] * 9))
    running = asyncio.create_task(collect(owner.research.run(ask(team_size=2))))
    await hanging.begun.wait()
    owner.connection.cut = True
    await running
    await here.journal.claim("r1-1")  # as if its owner had died just now
    there = Process(tmp_path / "runs.db", "there", ScriptedStages(decide=[researcher] * 99))
    async with asyncio.timeout(30):
        events = await collect(there.research.resume("r1"))
    assert events[-1].data["outcome"] == "finished" and events[-1].data["answer"]["stop_reason"] == "answered"
    assert {await there.state(run) for run in ("r1-1", "r1-2")} == {"finished"}
    await owner.close()
    await there.close()


async def test_a_run_that_waits_has_no_owner(here: Process, there: Process) -> None:
    here.stages.script.pop("decide", None)
    await collect(here.research.run(ask(mode="report", plan_first=True)))
    assert await there.state() == "waiting"
    there.jobs.recover()
    await asyncio.sleep(2 * LEASE_SECONDS)
    assert await there.state() == "waiting" and "run_resumed" not in [entry.event.type for entry in await there.journal.events("r1")]
    assert [event.data.get("outcome") for event in await collect(there.research.go_on("r1", 10**6))] == ["waiting"]
    await there.research.cancel("r1")
    with pytest.raises(NotWaiting):
        await collect(there.research.approve(OutlineApproval(run_id="r1")))


async def test_a_process_that_stops_interrupts_its_runs(here: Process, there: Process, hanging: Hanging) -> None:
    running = asyncio.create_task(collect(here.research.run(ask())))
    await hanging.begun.wait()
    await here.research.close()
    events = await running
    assert events[-1].data["outcome"] == "interrupted" and await there.state() == "interrupted"


class Clinging:
    """A stage call that, when it is cut, does not end before it is let go."""

    def __init__(self) -> None:
        self.begun, self.cut, self.let_go = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def __call__(self, request: Any) -> None:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cut.set()
            while not self.let_go.is_set():
                try:
                    await self.let_go.wait()
                except asyncio.CancelledError:
                    continue


@pytest.fixture
def clinging() -> Iterator[Clinging]:
    made = Clinging()
    yield made
    made.let_go.set()


async def test_a_lost_run_is_not_taken_up_where_it_has_not_ended_yet(tmp_path: Path, there: Process, clinging: Clinging) -> None:
    here = Process(tmp_path / "runs.db", "here", ScriptedStages(decide=[clinging]))
    await here.jobs.submit(ask())
    await clinging.begun.wait()
    here.connection.cut = True
    await there.until("interrupted")  # its lease is over, and here it is about to be given up
    await clinging.cut.wait()
    here.connection.cut = False
    with pytest.raises(RunUnderWay):
        await anext(here.research.resume("r1"))
    here.jobs.recover()
    clinging.let_go.set()
    await there.until("finished")
    assert (await whole(there)).count("run_resumed") == 1
    await here.close()


async def test_a_process_that_stops_waits_until_its_runs_are_given_up(tmp_path: Path, there: Process, clinging: Clinging) -> None:
    here = Process(tmp_path / "runs.db", "here", ScriptedStages(decide=[clinging]))
    running = asyncio.create_task(collect(here.research.run(ask())))
    await clinging.begun.wait()
    closing = asyncio.create_task(here.research.close())
    await clinging.cut.wait()
    asyncio.get_running_loop().call_later(0.2, clinging.let_go.set)
    await closing
    assert await there.state() == "interrupted"
    await running
    await here.close()


async def test_a_takeover_from_a_process_that_is_gone_says_so(here: Process, there: Process, hanging: Hanging) -> None:
    running = asyncio.create_task(collect(here.research.run(ask())))
    await hanging.begun.wait()
    here.journal.append = here.journal.update = None  # type: ignore[method-assign, assignment]  # nothing of it gets through any more
    here.connection.cut = True
    await there.until("interrupted")
    events = await collect(there.research.resume("r1"))
    assert (events[0].type, events[0].data) == ("run_resumed", {"after_death": True}) and events[-1].data["outcome"] == "finished"
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("error", [JournalError("down"), ConfigurationError("full"), ValueError("a state of a later release")])
async def test_whatever_fails_jobs_are_looked_for_again(
    here: Process, there: Process, hanging: Hanging, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    await here.jobs.submit(ask())
    await hanging.begun.wait()
    await here.jobs.hand_over()
    real, failures = there.journal.unfinished, 2

    async def failing(limit: int) -> Any:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise error
        return await real(limit)

    there.journal.unfinished = failing  # type: ignore[method-assign]
    there.jobs.recover()
    await there.until("finished")
    told = [record for record in caplog.records if "cannot be looked for" in record.message]
    assert len(told) == 2 and all((record.exc_info is not None) is isinstance(error, ValueError) for record in told)


async def test_a_job_that_fails_by_an_error_of_ours_is_not_tried_for_ever(here: Process, there: Process, hanging: Hanging) -> None:
    await here.jobs.submit(ask("broken"))
    await hanging.begun.wait()
    await here.jobs.hand_over()
    attempts = 0

    async def broken(run_id: str) -> Any:
        nonlocal attempts
        attempts += 1
        raise ValueError("of ours")
        yield

    there.research.resume = broken  # type: ignore[method-assign]
    there.jobs.recover()
    async with asyncio.timeout(30):
        while attempts < 3:
            await asyncio.sleep(0.01)
    await asyncio.sleep(2 * LEASE_SECONDS)
    assert attempts == 3


@pytest.mark.parametrize(
    ("field", "position"), [("after", (-1, 0)), ("after", (2**31, 0)), ("after_offset", (0, -1)), ("after_offset", (0, 2**31))]
)
async def test_a_position_that_no_run_has_is_refused(there: Process, field: str, position: tuple[int, int]) -> None:
    await collect(there.research.run(ask()))
    for events in (there.research.follow("r1", *position), there.research.go_on("r1", *position)):
        with pytest.raises(InvalidRequest, match=f"^{field} is .*; it must be from 0 to 2,147,483,647") as refused:
            await anext(events)
        assert refused.value.field == field


@pytest.mark.parametrize("limit", [-1, 0, 1_001, 2**63])
def test_a_list_that_is_not_one_is_refused(limit: int) -> None:
    with pytest.raises(InvalidRequest, match=f"limit is {limit}; it must be from 1 to 1,000") as refused:
        checked_limit(limit)
    assert refused.value.field == "limit" and checked_limit(1_000) == 1_000
