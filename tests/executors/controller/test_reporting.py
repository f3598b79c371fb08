"""Report mode: from keywords to sections, the approval of the plan, and what happens when a part fails."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from docarray import DocList
from scripted_runs import Runner, collect
from scripted_stages import ScriptedStages, page, results

from executors.controller.jobs import Jobs
from executors.controller.research import Research
from executors.controller.run import apply, replay
from providers.journal import SQLiteJournal, StoredEvent
from schemas.answering import Draft
from schemas.errors import BudgetExceeded, InvalidRequest, ModelOutputInvalid, NotWaiting, ReadError, SearchError
from schemas.events import OutlineApproved, RunCancelled
from schemas.planning import Rewriting
from schemas.reading import Attachment
from schemas.reporting import Outline, OutlineApproval, Section, Synthesis
from schemas.research import Message, ResearchAnswer, ResearchRequest, RunSummary
from schemas.search import SearchQuery
from schemas.usage import Usage

KEYWORDS = Rewriting(queries=DocList[SearchQuery]([SearchQuery(text="first"), SearchQuery(text="second")]))


def numbered(request: Any) -> Any:
    """Pages that say different things."""
    return page(request.url, f"On {request.url} it says that the answer is 42.")


def stages(**script: Any) -> ScriptedStages:
    script.setdefault("rewrite", [KEYWORDS])
    script.setdefault("read", [numbered] * 50)
    return ScriptedStages(**script)


async def test_keywords_pages_digests_outline_sections(runner: Runner) -> None:
    scripted = stages()
    _, final = await runner.run(scripted, mode="report", words=600)
    assert final is not None and final.stop_reason == "answered"
    assert scripted.of("rewrite")[0].most == 8
    search = scripted.of("search")[0]
    assert [query.text for query in search.queries] == ["first", "second"] and search.max_results == 3
    assert [request.url for request in scripted.of("digest")] == ["https://first.test/page", "https://second.test/page"]
    assert len(scripted.of("synthesize")) == 1 and scripted.of("outline")[0].words == 600
    assert [request.number for request in scripted.of("section")] == [0, 1, 2]
    assert scripted.of("section")[2].written.startswith("## Section 1") and "## Section 2" in scripted.of("section")[2].written
    assert final.text == "\n\n".join(f"## Section {n}\n\nIt is 42 [^1]." for n in (1, 2, 3))
    assert len(scripted.of("check")) == 3 and not scripted.of("decide")
    await runner.state()


async def test_the_text_grows_by_sections_and_never_changes(runner: Runner) -> None:
    scripted = stages()
    await runner.run(scripted, mode="report")
    finals = scripted.of("finalize")
    assert [len(request.support.statements) for request in finals] == [1, 2, 3, 3]
    assert all(later.draft.startswith(earlier.draft) for earlier, later in pairwise(finals))
    assert finals[0].done_characters == 0 and finals[1].done_characters > 0
    spans = [finals[3].draft[s.start : s.end] for s in finals[3].support.statements]
    assert spans == [f"## Section {n}\n\nIt is 42 [e1]." for n in (1, 2, 3)]


async def test_gaps_are_searched_for_in_further_rounds(runner: Runner) -> None:
    scripted = stages(synthesize=[Synthesis(gaps=["what else", "first"]), Synthesis(gaps=["and then"]), Synthesis()])
    await runner.run(scripted, mode="report", reasoning_effort="high")
    asked = [[query.text for query in request.queries] for request in scripted.of("search")]
    assert asked == [["first", "second"], ["what else"], ["and then"]]
    low = stages(synthesize=[Synthesis(gaps=["what else"])])
    request = ResearchRequest(run_id="low", question="q", mode="report", reasoning_effort="low")
    await collect(Research(low, runner.journal, runner.settings).run(request))
    assert len(low.of("search")) == 1


async def test_a_plan_waits_for_its_approval(runner: Runner) -> None:
    scripted = stages()
    events, final = await runner.run(scripted, mode="report", plan_first=True)
    assert events[-1].data["outcome"] == "waiting" and final is None and not scripted.of("section")
    assert (await runner.journal.summary("r1")).state == "waiting"
    research = Research(scripted, runner.journal, runner.settings)
    assert [event.type for event in await collect(research.resume("r1"))] == ["run_ended"], "only an approval goes on"
    report = await research.report("r1")
    assert report.run.state == "waiting" and report.answer is None
    jobs = Jobs(research, runner.journal, scripted)
    sections = DocList[Section]([Section(heading="Only this", brief="short")])
    approved = await jobs.approve(OutlineApproval(run_id="r1", outline=Outline(title="Mine", sections=sections)))
    assert approved.state == "running"
    followed = await collect(research.follow("r1"))
    assert followed[-1].data["outcome"] == "finished" and "outline_approved" in {event.type for event in followed}
    outline = scripted.of("section")[0].outline
    assert outline.title == "Mine" and [section.heading for section in outline.sections] == ["Only this"]
    with pytest.raises(NotWaiting, match="no outline that waits"):
        await jobs.approve(OutlineApproval(run_id="r1"))
    await runner.state()


async def test_the_time_that_an_approval_takes_does_not_count(runner: Runner) -> None:
    await runner.run(stages(), mode="report", plan_first=True, budget_seconds=60)
    whole = await runner.journal.events("r1")
    state = replay(whole)
    later = StoredEvent(state.sequence + 1, whole[-1].time + 86_400, OutlineApproved(outline=Outline()))
    approved = apply(state, later)
    assert [effect.kind for effect in approved.pending] == ["section"] and approved.budget.elapsed < 60
    cancelled = apply(state, later._replace(event=RunCancelled()))
    assert cancelled.answer is not None and cancelled.answer.seconds < 60


async def test_a_plan_is_approved_once(runner: Runner, tmp_path: Any) -> None:
    """Two at once, each with a journal of its own: one goes on, the other is refused, and nothing is written twice."""
    await runner.run(stages(), mode="report", plan_first=True)
    scripted, other = stages(), SQLiteJournal(tmp_path / "runs.db")
    approval = OutlineApproval(run_id="r1")
    tries = [collect(Research(scripted, journal, runner.settings).approve(approval)) for journal in (runner.journal, other)]
    ended = await asyncio.gather(*tries, return_exceptions=True)
    refused = [end for end in ended if isinstance(end, InvalidRequest)]
    assert len(refused) == 1
    assert [entry.event.type for entry in await other.events("r1")].count("outline_approved") == 1
    assert len(scripted.of("section")) == 3
    await other.close()


async def test_who_hears_of_the_waiting_may_approve_or_cancel_at_once(runner: Runner) -> None:
    research = Research(stages(), runner.journal, runner.settings)
    events = research.run(ResearchRequest(run_id="r1", question="q", mode="report", plan_first=True))
    async for event in events:
        if event.type == "run_ended":
            await research.cancel("r1")
            assert (await runner.journal.summary("r1")).state == "cancelled"


def section_of(**fields: Any) -> Outline:
    return Outline(sections=DocList[Section]([Section(**{"heading": "h", **fields})]))


@pytest.mark.parametrize(
    "outline",
    [
        Outline(sections=DocList[Section]([Section(heading=str(n)) for n in range(10_000)])),
        Outline(title="t" * 100_000),
        Outline(title="\ud800"),
        section_of(heading="h" * 100_000),
        section_of(heading="\udfff"),
        section_of(heading="\x00 \n"),
        section_of(brief="b" * 100_000),
        section_of(words=-1),
        section_of(words=2**31),
        section_of(evidence=["e1"] * 10_000),
        section_of(evidence=["\ud800"]),
    ],
)
async def test_a_hostile_plan_is_refused_and_the_run_still_waits(runner: Runner, outline: Outline) -> None:
    await runner.run(stages(), mode="report", plan_first=True)
    research = Research(stages(), runner.journal, runner.settings)
    with pytest.raises(InvalidRequest) as refused:
        await collect(research.approve(OutlineApproval(run_id="r1", outline=outline)))
    assert refused.value.field == "outline" and len(str(refused.value)) < 200
    assert (await runner.journal.summary("r1")).state == "waiting"
    odd = section_of(heading=" A\x00\nheading\u200d ")
    ended = (await collect(research.approve(OutlineApproval(run_id="r1", outline=odd))))[-1]
    assert ended.data["outcome"] == "finished" and ended.data["answer"]["text"].startswith("## A heading\u200d\n")


async def test_a_section_that_the_budget_forbids_ends_the_report_with_its_reason(runner: Runner) -> None:
    scripted = stages(section=[Draft(text="## Section 1\n\nIt is 42 [e1]."), *[BudgetExceeded("too little", field="tokens")] * 9])
    _, final = await runner.run(scripted, mode="report")
    assert final is not None and final.stop_reason == "token_budget" and final.text == "## Section 1\n\nIt is 42 [^1]."


async def test_a_section_that_is_missing_is_named(runner: Runner) -> None:
    scripted = stages(section=[Draft(text="## Section 1\n\nIt is 42 [e1]."), Draft(), Draft(error="the model cited nothing")])
    _, final = await runner.run(scripted, mode="report")
    assert final is not None and final.stop_reason == "answered" and final.text == "## Section 1\n\nIt is 42 [^1]."
    assert (
        "Section “Section 2” was left out: nothing" in final.notice and "Section “Section 3” was left out: the model cited" in final.notice
    )


async def test_a_report_of_which_no_section_could_be_written_says_why(runner: Runner) -> None:
    _, final = await runner.run(stages(section=[ModelOutputInvalid("garbage")] * 9), mode="report")
    assert final is not None and final.stop_reason == "model_error" and final.text == "Composed [^1]." and "garbage" in final.notice


async def test_what_is_attached_is_digested_like_any_page(runner: Runner) -> None:
    file = Attachment(name="a.txt", media_type="text/plain", content="QQ==")
    messages = [Message(content="What is the answer?", attachments=DocList[Attachment]([file]))]
    scripted = stages(search=[SearchError("no provider answers")] * 9)
    _, final = await runner.run(scripted, mode="report", messages=messages)
    assert [request.url for request in scripted.of("digest")] == ["attachment:1/a.txt"]
    assert final is not None and final.text.startswith("## Section 1")


async def test_no_more_pages_are_read_than_calls_can_digest(runner: Runner) -> None:
    found = results(*(f"https://a.test/{n}" for n in range(20)))
    for result in found.results:
        result.query = "first"
    scripted = stages(search=[found])
    await runner.run(scripted, mode="report", max_llm_calls=6)
    assert len(scripted.of("digest")) == 5 and all(request.allowance.llm_calls for request in scripted.of("digest"))


async def test_nothing_found_is_said(runner: Runner) -> None:
    scripted = stages(search=[SearchError("no provider answers")])
    _, final = await runner.run(scripted, mode="report")
    assert final is not None and final.stop_reason == "no_evidence" and "no provider answers" in final.notice
    assert not scripted.of("section")


async def test_parts_that_fail_cost_only_themselves(runner: Runner) -> None:
    invalid = ModelOutputInvalid("garbage")
    scripted = stages(
        rewrite=[invalid],
        search=[results("https://a.test/1", "https://a.test/2")],
        read=[ReadError("gone"), numbered],
        digest=[invalid],
        synthesize=[invalid],
        section=[invalid, Draft(text="## Section 1\n\nFrom a second try [e1]."), invalid, invalid],
    )
    scripted.script["search"][0].results[0].query = scripted.script["search"][0].results[1].query = "What is the answer?"
    _, final = await runner.run(scripted, mode="report")
    assert final is not None and final.text == "## Section 1\n\nFrom a second try [^1].\n\n## Section 3\n\nIt is 42 [^1]."


async def test_a_budget_that_ends_in_the_middle_keeps_what_was_written(runner: Runner) -> None:

    scripted = stages(section=[Draft(text="## Section 1\n\nIt is 42 [e1].", usage=Usage(prompt_tokens=90_000))])
    _, final = await runner.run(scripted, mode="report", budget_tokens=100_000)
    assert final is not None and final.stop_reason == "token_budget" and final.text == "## Section 1\n\nIt is 42 [^1]."
    assert final.support is not None and len(scripted.of("check")) == 1, "what was written is checked with what is kept for the end"
    scripted = stages(
        section=[
            Draft(text="## Section 1\n\nIt is 42 [e1]."),
            Draft(text="## Section 2\n\nIt is 42 [e1].", usage=Usage(prompt_tokens=90_000)),
        ]
    )
    request = ResearchRequest(run_id="r2", question="q", mode="report", budget_tokens=100_000)
    ended = (await collect(Research(scripted, runner.journal, runner.settings).run(request)))[-1]
    answer = ResearchAnswer(**ended.data["answer"])
    assert answer.stop_reason == "token_budget" and answer.text == "## Section 1\n\nIt is 42 [^1].\n\n## Section 2\n\nIt is 42 [^1]."


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("words", {"words": 500}),
        ("plan_first", {"plan_first": True}),
        ("words", {"words": 5, "mode": "report"}),
        ("team_size", {"team_size": 2, "mode": "report"}),
        ("team_size", {"team_size": 9}),
        ("team_size", {"team_size": 0}),
    ],
)
async def test_options_that_do_not_fit_are_refused(runner: Runner, field: str, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await runner.run(stages(), **fields)
    assert refused.value.field == field


async def test_a_report_can_be_resumed_from_every_event(runner: Runner, tmp_path: Any) -> None:
    """Section by section: what was written is not written again."""

    await runner.run(stages(), mode="report")
    whole = await runner.journal.events("r1")
    final = (await runner.state()).answer
    for length in range(1, len(whole)):
        journal = SQLiteJournal(tmp_path / f"{length}.db")
        await journal.restore(RunSummary(run_id="r1", state="interrupted"), "", whole[:length], [], {})
        scripted = stages(rewrite=[KEYWORDS])
        ended = (await collect(Research(scripted, journal, runner.settings).resume("r1")))[-1]
        assert ended.data["outcome"] == "finished" and ended.data["answer"]["text"] == final.text, length
        written = sum(entry.event.type == "section_written" for entry in whole[:length])
        assert len(scripted.of("section")) == 3 - written, length
        await journal.close()
