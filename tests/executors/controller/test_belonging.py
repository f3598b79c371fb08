"""Whose a run is: the journal knows, its events and its state do not."""

from __future__ import annotations

import pytest
from scripted_runs import Runner, collect, researcher
from scripted_stages import ScriptedStages

from executors.controller import belonging
from executors.controller.jobs import Jobs
from executors.controller.research import Research
from executors.controller.run import replay
from schemas.errors import RunNotFound
from schemas.research import ResearchRequest


async def test_a_run_belongs_to_who_asked_and_tells_nobody(runner: Runner) -> None:
    events, final = await runner.run(ScriptedStages(), owner="key of alice")
    assert final is not None and await runner.journal.asked_by("r1") == "key of alice"
    assert not any("alice" in event.model_dump_json() for event in events)
    assert "alice" not in str(await runner.journal.events("r1")) and "alice" not in (await runner.journal.summary("r1")).model_dump_json()
    assert (await runner.state()).request.owner == ""


async def test_the_researchers_of_a_team_belong_to_who_asked_for_it(runner: Runner) -> None:
    await runner.run(ScriptedStages(decide=[researcher] * 100, finalize=[]), owner="key a", team_size=3)
    assert [await runner.journal.asked_by(f"r1-{number}") for number in range(1, 4)] == ["key a"] * 3
    assert replay(await runner.journal.events("r1-1")).request.owner == ""


async def test_who_may_change_a_run(runner: Runner) -> None:
    await runner.run(ScriptedStages(), owner="key a")
    research = Research(ScriptedStages(), runner.journal, runner.settings)
    await collect(research.run(ResearchRequest(question="What?", run_id="free")))
    for run_id, owner in (("r1", "key a"), ("free", "key a"), ("free", "key b"), ("free", "")):
        await belonging.check(runner.journal, run_id, owner)
        assert (await collect(belonging.events_of(runner.journal, run_id, owner, research.resume(run_id))))[-1].type == "run_ended"
    for owner in ("key b", "", "key", "key A"):
        with pytest.raises(RunNotFound) as refused:
            await belonging.check(runner.journal, "r1", owner)
        with pytest.raises(RunNotFound) as unknown:
            await belonging.check(runner.journal, "none", owner)
        assert str(refused.value).replace("r1", "none") == str(unknown.value) and refused.value.field == unknown.value.field
        with pytest.raises(RunNotFound):
            await collect(belonging.events_of(runner.journal, "r1", owner, research.resume("r1")))


async def test_a_job_goes_on_whosever_it_is(runner: Runner) -> None:
    """A controller that takes up the jobs of another asks nobody for a key."""
    research = Research(ScriptedStages(), runner.journal, runner.settings)
    events = research.run(ResearchRequest(question="What?", run_id="job", owner="key a"), background=True)
    await anext(events)
    await events.aclose()
    assert (await runner.journal.summary("job")).state == "interrupted"
    stages = ScriptedStages()
    jobs = Jobs(Research(stages, runner.journal, runner.settings), runner.journal, stages)
    await jobs._take_up()
    await jobs._taken_up["job"]
    assert (await runner.journal.summary("job")).state == "finished" and await runner.journal.asked_by("job") == "key a"
    await jobs.close()
