"""Watching runs, and runs that nobody waits for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from docarray import DocList
from scripted_stages import ScriptedStages

from executors.controller import following
from executors.controller.jobs import Jobs
from executors.controller.research import Research
from providers.journal import SQLiteJournal
from schemas.answering import FinalizeChunk
from schemas.errors import InvalidRequest, RunNotFound
from schemas.events import ResearchEvent
from schemas.research import Reference, ResearchRequest
from schemas.settings import Settings

PIECES = ["It ", "is ", "forty-two ", "[^1]."]


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SQLiteJournal]:
    made = SQLiteJournal(tmp_path / "runs.db")
    yield made
    await made.close()


class WritingStages(ScriptedStages):
    """Stages whose finalizer writes in pieces, each when it is told to."""

    def __init__(self, **script: Any) -> None:
        super().__init__(**script)
        self.write = asyncio.Semaphore(0)

    async def stream(self, endpoint: str, request: Any, returns: Any, *, timeout: float) -> AsyncIterator[Any]:
        self.requests.append(("finalize", request))
        for piece in PIECES:
            await self.write.acquire()
            yield FinalizeChunk(delta=piece)
        await self.write.acquire()
        evidence = next(e for item in request.knowledge for e in item.evidence)
        references = DocList[Reference]([Reference(number=1, evidence_id="e1", url=evidence.url, quote=evidence.quote, end=evidence.end)])
        yield FinalizeChunk(done=True, text="".join(PIECES), references=references, composed_by="draft")

    def release(self, pieces: int = 5) -> None:
        for _ in range(pieces):
            self.write.release()


def research(stages: ScriptedStages, journal: SQLiteJournal) -> Research:
    return Research(stages, journal, Settings(_env_file=None))


async def collect(
    stream: AsyncIterator[ResearchEvent], until: Callable[[ResearchEvent], bool] = lambda event: False
) -> list[ResearchEvent]:
    events = []
    async for event in stream:
        events.append(event)
        if until(event):
            break
    return events


def journaled(events: list[ResearchEvent]) -> list[int]:
    return [event.sequence for event in events if event.type not in ("answer_delta", "run_ended")]


def written(events: list[ResearchEvent]) -> str:
    text = ""
    for event in events:
        if event.type == "answer_delta":
            assert event.data.get("offset", 0) == len(text)
            text += event.data["text"]
    return text


def is_delta(number: int) -> Callable[[ResearchEvent], bool]:
    seen: list[ResearchEvent] = []

    def counted(event: ResearchEvent) -> bool:
        if event.type == "answer_delta":
            seen.append(event)
        return len(seen) == number

    return counted


async def test_a_follower_sees_every_event_once_whenever_it_comes(journal: SQLiteJournal) -> None:
    stages = WritingStages()
    runs = research(stages, journal)
    run = asyncio.create_task(collect(runs.run(ResearchRequest(question="q", run_id="r1"))))
    while not stages.of("finalize"):
        await asyncio.sleep(0)
    early = asyncio.create_task(collect(runs.follow("r1")))
    stages.release(2)
    await collect(runs.follow("r1"), is_delta(1))
    late = asyncio.create_task(collect(runs.follow("r1", after=5)))
    await asyncio.sleep(0)
    stages.release(3)
    events = await run
    for followed, after in ((await early, 0), (await late, 5)):
        assert journaled(followed) == journaled(events)[after:]
        assert written(followed) == "".join(PIECES)
        assert followed[-1].type == "run_ended" and followed[-1].data == events[-1].data
    assert [event.type for event in await collect(runs.follow("r1", after=events[-1].sequence))] == ["run_ended"]
    assert runs._followers._followers == {} and runs._followers._written == {}


async def test_who_reconnects_in_the_middle_of_the_answer_gets_the_rest_of_it(journal: SQLiteJournal) -> None:
    stages = WritingStages()
    runs = research(stages, journal)
    run = asyncio.create_task(collect(runs.run(ResearchRequest(question="q", run_id="r1"))))
    while not stages.of("finalize"):
        await asyncio.sleep(0)
    stages.release(3)
    before = await collect(runs.follow("r1"), lambda event: event.type == "answer_delta" and event.data["text"].endswith("forty-two "))
    last = before[-1]
    known = last.data.get("offset", 0) + len(last.data["text"])
    again = asyncio.create_task(collect(runs.follow("r1", after=last.sequence, after_offset=known)))
    await asyncio.sleep(0)
    stages.release(2)
    events = await run
    rest = await again
    assert written(before) + "".join(event.data["text"] for event in rest if event.type == "answer_delta") == "".join(PIECES)
    assert journaled(before) + journaled(rest) == journaled(events)


async def test_a_follower_that_is_too_slow_reads_on_in_the_journal(journal: SQLiteJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "MOST_WAITING", 2)
    stages = WritingStages()
    stages.release()
    runs = research(stages, journal)
    run = runs.run(ResearchRequest(question="q", run_id="r1"))
    await anext(run)
    slow = runs.follow("r1")
    first = await anext(slow)
    events = await collect(run)
    rest = await collect(slow)
    assert journaled([first, *rest]) == [1, *journaled(events)]
    assert rest[-1].type == "run_ended"


async def test_following_what_is_not_under_way(journal: SQLiteJournal) -> None:
    stages = ScriptedStages()
    runs = research(stages, journal)
    with pytest.raises(RunNotFound):
        await anext(runs.follow("r1"))
    run = runs.run(ResearchRequest(question="q", run_id="r1"))
    await anext(run)
    await run.aclose()
    events = await collect(runs.follow("r1"))
    assert [event.type for event in events] == ["run_started", "run_ended"] and events[-1].data["outcome"] == "interrupted"


async def test_a_job_goes_on_without_a_client(journal: SQLiteJournal) -> None:
    stages = ScriptedStages()
    runs = research(stages, journal)
    jobs = Jobs(runs, journal, stages)
    summary = await jobs.submit(ResearchRequest(question="q", run_id="r1"))
    assert (summary.run_id, summary.state, summary.background) == ("r1", "running", True)
    assert (await runs.report("r1")).answer is None
    events = await collect(runs.follow("r1"))
    report = await runs.report("r1")
    assert events[-1].data["outcome"] == "finished" and report.run.state == "finished"
    assert report.answer is not None and report.answer.text == "It is 42 [^1]."
    with pytest.raises(InvalidRequest, match="question is empty"):
        await jobs.submit(ResearchRequest(question=" "))
    await jobs.close()


async def test_jobs_survive_their_process_and_other_runs_wait_to_be_resumed(journal: SQLiteJournal) -> None:
    begun = asyncio.Event()

    async def hanging(request: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    stages = ScriptedStages(decide=[hanging])
    runs = research(stages, journal)
    asked = runs.run(ResearchRequest(question="q", run_id="asked"))
    await anext(asked)
    await asked.aclose()
    jobs = Jobs(runs, journal, stages)
    await jobs.submit(ResearchRequest(question="q", run_id="job"))
    await begun.wait()
    await jobs.close()
    assert {run.run_id: run.state for run in await journal.runs(9)} == {"asked": "interrupted", "job": "interrupted"}

    later = research(ScriptedStages(), journal)
    recovered = Jobs(later, journal, ScriptedStages())
    recovered.recover()
    while (await journal.summary("job")).state != "finished":
        await asyncio.sleep(0)
    assert (await journal.summary("asked")).state == "interrupted", "its asker has gone and may come back"
    await recovered.close()


async def test_cancelling_what_is_not_under_way(journal: SQLiteJournal) -> None:
    runs = research(ScriptedStages(), journal)
    run = runs.run(ResearchRequest(question="q", run_id="r1"))
    await anext(run)
    await run.aclose()
    await runs.cancel("r1")
    assert (await journal.summary("r1")).state == "cancelled"
    (ended,) = [event async for event in runs.follow("r1") if event.type == "run_ended"]
    assert ended.data["outcome"] == "cancelled"
    finished = await collect(runs.run(ResearchRequest(question="q", run_id="r2")))
    await runs.cancel("r2")
    assert (await journal.summary("r2")).state == finished[-1].data["outcome"] == "finished"
