"""Team mode: sub-problems as runs of their own, and what becomes of their answers."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from docarray import DocList
from scripted_runs import Runner, collect, researcher
from scripted_stages import ScriptedStages, page

from executors.controller.research import Research
from executors.controller.team import _citing
from schemas.errors import ModelUnavailable, RunNotFound, StageUnavailable
from schemas.planning import Decomposition, Understanding
from schemas.reading import Image, ReadResponse
from schemas.research import Message, ResearchAnswer, ResearchRequest, RunSummary
from schemas.usage import Usage


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


@pytest.mark.parametrize(
    "limits", [{"max_llm_calls": 4}, {"max_pages": 2}, {"max_searches": 2}, {"budget_tokens": 3_000}, {"budget_seconds": 1}]
)
async def test_a_budget_too_small_to_share_is_spent_by_one(runner: Runner, limits: dict[str, Any]) -> None:
    def spending(request: Any) -> Understanding:
        return Understanding(mode="model", criteria=["definitive"], usage=Usage(llm_calls=1))

    stages = team(understand=[spending] * 9)
    events, final = await runner.run(stages, team_size=3, **limits)
    assert final is not None and not [event for event in events if event.type == "delegated"]
    assert not await children_of(runner, 3) and not final.notice.count("must be at least")


async def children_of(runner: Runner, most: int) -> list[RunSummary]:
    found = []
    for number in range(1, most + 1):
        with contextlib.suppress(RunNotFound):
            found.append(await runner.journal.summary(f"r1-{number}"))
    return found


@pytest.mark.parametrize(
    ("wish", "theirs"), [({"max_references": 0}, "strict"), ({"citations": "flag"}, "strict"), ({"citations": "off"}, "off")]
)
async def test_researchers_cite_whatever_the_answer_is_to_show(runner: Runner, wish: dict[str, Any], theirs: str) -> None:
    stages = team(finalize=[])
    await runner.run(stages, team_size=2, **wish)
    assert len(stages.of("reduce")[0].parts) == 2
    *own, last = stages.of("finalize")
    assert {request.max_references for request in own} == {10} and {request.citations for request in own} == {theirs}
    assert last.max_references == wish.get("max_references", 10) and last.citations == wish.get("citations", "strict")


async def test_what_two_researchers_found_is_one_source(runner: Runner) -> None:
    def both(request: Any) -> Any:
        return page("https://a.test/page", "The answer is 42.")

    stages = team(read=[both] * 9)
    _, final = await runner.run(stages, team_size=2)
    merged = stages.of("reduce")[0]
    assert [part.text.rpartition(" ")[2] for part in merged.parts] == ["[e1].", "[e1]."]
    assert [piece.evidence_id for item in merged.knowledge for piece in item.evidence] == ["e1"]
    assert final is not None and final.usage.pages == 2


async def test_a_run_of_somebody_else_is_no_researcher(runner: Runner) -> None:
    """Whoever names a run as one of a team would be named neither gives it an answer nor is cancelled with it."""
    foreign = ResearchRequest(run_id="r1-1", question="Something else?", mode="report", plan_first=True)
    await collect(Research(team(), runner.journal, runner.settings).run(foreign))
    before = len(await runner.journal.events("r1-1"))
    _, final = await runner.run(team(), team_size=2)
    assert final is not None and "run_id 'r1-1' is taken" in final.notice and "Something else?" not in final.text
    await Research(team(), runner.journal, runner.settings).cancel("r1")
    assert (await runner.journal.summary("r1-1")).state == "waiting" and len(await runner.journal.events("r1-1")) == before


async def test_an_answer_after_a_team_without_a_draft_is_evaluated_and_checked(runner: Runner) -> None:
    stages = team(reduce=[StageUnavailable("gone")])
    _, final = await runner.run(stages, team_size=2)
    assert final is not None and not final.direct and stages.of("finalize")[-1].citations == "strict"
    assert any(request.question == "What is the answer?" for request in stages.of("evaluate"))


async def test_images_that_researchers_found_are_offered_to_the_answer(runner: Runner) -> None:
    def with_image(request: Any) -> ReadResponse:
        read = page(request.url)
        read.images = DocList[Image]([Image(url="https://a.test/p.png", text="a picture", page_url=request.url)])
        return read

    _, final = await runner.run(team(read=[with_image] * 9), team_size=2, with_images=True)
    assert final is not None and [image.url for image in final.images] == ["https://a.test/p.png"]


@pytest.mark.parametrize(
    ("text", "cited"),
    [
        ("It is so [^1][^3].", "It is so [e7]."),
        ("- In `a[^1]` it is so [^2]\n", "- In `a[^1]` it is so [e8]\n"),
        ("So [^1]:\n\n```\nx[^1] = y[^3]\n```\n[^2]", "So [e7]:\n\n```\nx[^1] = y[^3]\n```\n[e8]"),
        ("    x[^1]\n", "    x[^1]\n"),
        ("> ~~~\n> [^1]\n> ~~~\n\n| a [^1] | `[^1]` |\n|---|---|\n| `b` | [^2] |", None),
        (f"[^{'9' * 5_000}] `[^{'9' * 5_000}]`", f"[^{'9' * 5_000}] `[^{'9' * 5_000}]`"),
        ("\ue0000\ue001 [^1]", " [e7]"),
        ("`" * 3_000 + "[^1]", "`" * 3_000 + "[e7]"),
    ],
)
def test_markers_in_code_are_code(text: str, cited: str | None) -> None:
    expected = "> ~~~\n> [^1]\n> ~~~\n\n| a [e7] | `[^1]` |\n|---|---|\n| `b` | [e8] |" if cited is None else cited
    assert _citing(text, {1: "e7", 2: "e8"}) == expected


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
