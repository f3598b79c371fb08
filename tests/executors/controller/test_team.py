"""Team mode: sub-problems as runs of their own, and what becomes of their answers."""

from __future__ import annotations

import asyncio
from typing import Any

from scripted_runs import Runner, answer, collect, search, visit
from scripted_stages import ScriptedStages

from executors.controller.research import Research
from schemas.errors import ModelUnavailable, StageUnavailable
from schemas.planning import DecideRequest, Decision, Decomposition
from schemas.research import Message, ResearchAnswer, ResearchRequest


def researcher(request: DecideRequest) -> Decision:
    """Search for the very question, read what is found, answer from it."""
    if "visit" in request.allowed_actions and request.urls:
        return visit(request.urls[0].url)
    if "answer" in request.allowed_actions and request.knowledge:
        return answer(f"{request.question} It is 42 [e1].")
    return search(request.question)


def team(**script: Any) -> ScriptedStages:
    return ScriptedStages(decide=[researcher] * 100, **script)


async def test_b2_every_researcher_works_on_its_own_sub_problem(runner: Runner) -> None:
    """As many sub-problems as asked for, each run asks its own question, and every answer is in the text, each source once."""
    stages = team(finalize=[])
    _, final = await runner.run(
        stages, team_size=4, messages=[Message(role="system", content="Be brief."), Message(content="What is the answer?")]
    )
    assert final is not None and final.stop_reason == "answered"
    parts = [f"What is the answer? Part {n}" for n in range(1, 5)]
    asked = [request.question for request in stages.of("decide")]
    assert sorted(set(asked)) == parts
    assert all(request.messages[0].content == "Be brief." and len(request.messages) == 1 for request in stages.of("decide"))
    merged = stages.of("reduce")[0]
    assert [part.question for part in merged.parts] == parts
    assert [part.text for part in merged.parts] == [f"{part} It is 42 [e{n}]." for n, part in enumerate(parts, start=1)]
    assert [item.evidence[0].evidence_id for item in merged.knowledge if item.evidence] == ["e1", "e2", "e3", "e4"]
    children = [await runner.journal.summary(f"r1-{n}") for n in range(1, 5)]
    assert [child.question for child in children] == parts and all(child.parent == "r1" for child in children)
    assert [run.run_id for run in await runner.journal.runs(10)] == ["r1"], "the runs of a team are not listed with the others"


async def test_shares_of_the_budget_never_exceed_it(runner: Runner) -> None:
    events, _ = await runner.run(team(), team_size=3, budget_tokens=100_000, max_pages=9, max_searches=30, max_llm_calls=60)
    given = [event.data["effect"] for event in events if event.type == "stage_called" and event.data["effect"]["kind"] == "delegate"]
    assert len(given) == 3
    for field, most in (("tokens", 100_000), ("pages", 9), ("searches", 30), ("llm_calls", 60)):
        assert 0 < sum(effect[field] for effect in given) <= most
    assert {event.type for event in events} >= {"decomposed", "delegated", "reduced", "evaluated", "checked"}
    await runner.state()


async def test_the_pages_that_are_cited_are_kept_with_the_run(runner: Runner) -> None:
    _, final = await runner.run(team(finalize=[]), team_size=2)
    child = ResearchAnswer(**(await collect(Research(team(), runner.journal, runner.settings).resume("r1-1")))[-1].data["answer"])
    assert final is not None and (await runner.journal.page("r1", child.references[0].page_id)).text == "The answer is 42."


async def test_a_question_that_cannot_be_split_is_researched_by_one(runner: Runner) -> None:
    stages = team(decompose=[Decomposition(questions=["What is the answer?"])])
    events, final = await runner.run(stages, team_size=3)
    assert final is not None and final.text and "delegated" not in {event.type for event in events}


async def test_a_researcher_that_fails_is_told_and_the_others_count(runner: Runner) -> None:
    def understand(request: Any) -> Any:
        if request.question.endswith("Part 2"):
            raise ModelUnavailable("the model is gone")
        return stages._understand(request)

    stages = team(understand=[understand] * 9)
    _, final = await runner.run(stages, team_size=3)
    assert final is not None and final.stop_reason == "answered" and "Part 2: the model is gone" in final.notice
    assert len(stages.of("reduce")[0].parts) == 2


async def test_a_draft_of_the_team_that_cannot_be_merged_leaves_the_loop(runner: Runner) -> None:
    stages = team(reduce=[StageUnavailable("gone")])
    _, final = await runner.run(stages, team_size=2)
    assert final is not None and final.text and any(request.question == "What is the answer?" for request in stages.of("decide"))


async def test_an_interrupted_team_goes_on_where_its_researchers_were(runner: Runner) -> None:
    """What a researcher has done is not done again, and what it spent is counted once."""
    held = asyncio.Event()

    async def hold(request: Any) -> Any:
        if request.question.endswith("Part 2"):
            held.set()
            await asyncio.sleep(3600)
        return stages._evaluate(request)

    stages = team(evaluate=[hold] * 9)
    research = Research(stages, runner.journal, runner.settings)
    events = research.run(ResearchRequest(run_id="r1", question="What is the answer?", team_size=2))
    following = asyncio.ensure_future(collect(events))
    await held.wait()
    while (await runner.journal.summary("r1-1")).state != "finished":
        await asyncio.sleep(0)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    assert (await runner.journal.summary("r1-2")).state == "interrupted"
    again = team()
    ended = (await collect(Research(again, runner.journal, runner.settings).resume("r1")))[-1]
    assert ended.data["outcome"] == "finished" and ended.data["answer"]["stop_reason"] == "answered"
    assert not again.of("read") and not again.of("decompose") and not again.of("decide")
    assert ended.data["answer"]["usage"]["pages"] == 2
    await runner.state()


async def test_cancelling_a_team_cancels_its_researchers(runner: Runner) -> None:
    begun = asyncio.Event()

    async def hold(request: Any) -> Any:
        begun.set()
        await asyncio.sleep(3600)

    stages = ScriptedStages(decide=[hold] * 9)
    research = Research(stages, runner.journal, runner.settings)
    following = asyncio.ensure_future(collect(research.run(ResearchRequest(run_id="r1", question="What is the answer?", team_size=2))))
    await begun.wait()
    await research.cancel("r1")
    assert (await following)[-1].data["outcome"] == "cancelled"
    assert {(await runner.journal.summary(run)).state for run in ("r1", "r1-1", "r1-2")} == {"cancelled"}
