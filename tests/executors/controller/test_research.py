"""The loop as its callers see it: requests to stages in, events and an answer out."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from docarray import DocList
from scripted_runs import Runner, answer, collect, search, visit
from scripted_stages import ScriptedStages, page, results

from executors.controller.research import Research
from executors.controller.run import replay
from executors.controller.state import digest
from providers.journal import SQLiteJournal
from schemas.answering import StructuredAnswer
from schemas.errors import (
    BudgetExceeded,
    ConfigurationError,
    InvalidRequest,
    ModelOutputInvalid,
    ModelRejected,
    ModelUnavailable,
    ReadError,
    RunNotFound,
    SandboxError,
    SearchError,
    StageUnavailable,
)
from schemas.evaluation import Evaluation
from schemas.planning import Cluster, Clustering, Decision, Rewriting, Understanding
from schemas.research import Message, ResearchRequest, RunSummary
from schemas.search import SearchQuery
from schemas.usage import Usage


async def test_searches_reads_answers(runner: Runner) -> None:
    stages = ScriptedStages()
    events, final = await runner.run(stages)
    assert final.text == "It is 42 [^1]." and final.stop_reason == "answered" and final.mode == "model"
    assert final.references[0].quote == "The answer is 42."
    assert final.steps == 3 and final.queries == ["query 0"] and final.read_urls == ["https://query-0.test/page"]
    journaled = [event.sequence for event in events if event.type not in ("answer_delta", "run_ended")]
    assert journaled == list(range(1, len(journaled) + 1))
    assert events[-2].type == "finalized" and events[-1].type == "run_ended" and events[-1].data["outcome"] == "finished"
    state = await runner.state()
    assert state.outcome == "finished" and state.diary[-1].outcome == "accepted"
    assert (await runner.journal.page("r1", "page-https://query-0.test/page")).text == "The answer is 42."


async def test_flags_after_each_action(runner: Runner) -> None:
    stages = ScriptedStages(
        decide=[
            search("a"),
            visit("https://a.test/page"),
            Decision(action="reflect", questions=["why?"]),
            Decision(action="coding", code_issue="x"),
            answer(),
        ]
    )
    await runner.run(stages)
    allowed = [set(request.allowed_actions) for request in stages.of("decide")]
    assert allowed[0] == {"search", "reflect", "answer"}, "coding is off and nothing can be visited at the start"
    assert allowed[1] == {"visit", "reflect", "coding"}, "after a search neither search nor answer"
    assert "visit" not in allowed[2]
    assert "reflect" not in allowed[3]
    assert "coding" not in allowed[4]


async def test_freshness_forbids_an_answer_in_the_first_step(runner: Runner) -> None:
    stages = ScriptedStages(understand=[Understanding(criteria=["definitive", "freshness", "strict"], mode="model")])
    await runner.run(stages)
    assert stages.of("decide")[0].allowed_actions == ["search"]


async def test_first_answer_is_accepted_unless_forbidden(runner: Runner, tmp_path: Path) -> None:
    stages = ScriptedStages(decide=[answer("Hello!")])
    _, final = await runner.run(stages)
    assert final.direct and final.text == "Hello!" and not stages.of("evaluate")
    other = Runner(tmp_path / "other")
    stages = ScriptedStages(decide=[answer("Hello!")])
    await other.run(stages, no_direct_answer=True)
    assert len(stages.of("evaluate")) == 1
    await other.journal.close()


async def test_two_rounds_of_search_and_filters_only_when_asked(runner: Runner) -> None:
    """The rewriter's filters travel; without them there is no time range."""
    rewritten = Rewriting(queries=DocList[SearchQuery]([SearchQuery(text="fresh", time_range="week"), SearchQuery(text="a")]))
    stages = ScriptedStages(decide=[search("a", "b", "a ")], rewrite=[rewritten])
    await runner.run(stages)
    first, second = stages.of("search")[:2]
    assert [(q.text, q.time_range) for q in first.queries] == [("a", None), ("b", None)]
    assert [(q.text, q.time_range) for q in second.queries] == [("fresh", "week")], "a was sent before"
    assert stages.of("rewrite")[0].soundbites == ["snippet of https://a.test/page", "snippet of https://b.test/page"]


async def test_clusters_and_snippets_become_knowledge_without_evidence(runner: Runner) -> None:
    clustering = Clustering(clusters=DocList[Cluster]([Cluster(insight="All say 42.", question="What do they say?", urls=["u"])]))
    stages = ScriptedStages(decide=[search("a")], cluster=[clustering])
    await runner.run(stages)
    knowledge = stages.of("decide")[1].knowledge
    assert [(item.kind, item.answer) for item in knowledge] == [
        ("side-info", "All say 42."),
        ("side-info", "snippet of https://a.test/page"),
    ]
    assert not any(item.evidence for item in knowledge)


async def test_gaps_rotate_and_sub_answers_become_knowledge(runner: Runner) -> None:
    """B14: the answer to a sub-question is evaluated too."""
    stages = ScriptedStages(
        decide=[
            Decision(action="reflect", questions=["why?", "how?"]),
            search("a"),
            visit("https://a.test/page"),
            answer("Because [e1]."),
            answer("So [e1]."),
        ]
    )
    await runner.run(stages)
    # gaps are [original, why, how]: step n works on gaps[n mod 3].
    questions = [request.current_question for request in stages.of("decide")]
    assert questions[:4] == ["What is the answer?", "how?", "What is the answer?", "why?"]
    judged = stages.of("evaluate")
    assert judged[0].question == "why?" and judged[0].criteria == ["definitive", "attribution"]
    state = await runner.state()
    assert next(item.answer for item in state.knowledge if item.kind == "qa") == "Because [e1]."
    assert "why?" not in state.gaps


async def test_rejected_sub_question_is_given_up_after_its_attempts(runner: Runner) -> None:
    no = Evaluation(passed=False, failed_criterion="definitive", think="vague")
    coding = Decision(action="coding", code_issue="x")
    stages = ScriptedStages(decide=[Decision(action="reflect", questions=["why?"]), coding, answer("dunno")], evaluate=[no])
    await runner.run(stages, max_attempts=1)
    state = await runner.state()
    assert state.gaps == ("What is the answer?",)
    assert not any(item.kind == "qa" for item in state.knowledge)


async def test_rejection_is_analysed_and_attempts_run_out(runner: Runner) -> None:
    """Two criteria with two attempts each allow four rejections, then the best answer from what is known."""
    no = Evaluation(passed=False, failed_criterion="definitive", think="vague")
    strict = Evaluation(passed=False, failed_criterion="strict", think="thin", improvement_plan="add numbers")
    stages = ScriptedStages(decide=[search("a"), visit("https://a.test/page")], evaluate=[no, no, strict, strict])
    _, final = await runner.run(stages, max_attempts=2)
    assert final.stop_reason == "attempts" and final.text == "Composed [^1]."
    assert [request.criteria for request in stages.of("evaluate")] == [["definitive", "strict"]] * 2 + [["strict"]] * 2
    assert len(stages.of("analyze")) == 3
    assert stages.of("decide")[-1].improvements == ["add numbers"]
    after = stages.of("decide")[3]
    assert "answer" not in after.allowed_actions and "coding" not in after.allowed_actions and not after.diary
    assert any(item.question.startswith("Why was this answer rejected") for item in after.knowledge)
    assert stages.of("finalize")[0].draft == "Composed [e1]."


async def test_b3_white_space_around_the_question(runner: Runner) -> None:
    stages = ScriptedStages()
    messages = DocList[Message]([Message(role="user", content="  What is the answer?\n ")])
    _, final = await runner.run(stages, question="", messages=messages)
    assert final.question == "What is the answer?" and final.stop_reason == "answered"
    assert stages.of("evaluate")[0].criteria == ["definitive", "strict"]
    assert not stages.of("decide")[0].messages


async def test_b4_an_action_without_its_payload_is_not_fatal(runner: Runner) -> None:
    stages = ScriptedStages(
        decide=[Decision(action="search"), Decision(action="reflect"), Decision(action="visit"), Decision(action="answer")]
    )
    _, final = await runner.run(stages)
    assert final.text


async def test_b9_only_the_chosen_page_is_read(runner: Runner) -> None:
    stages = ScriptedStages(
        search=[results(*(f"https://host{i}.test/" for i in range(9)))], decide=[search("a"), visit("https://host3.test/")]
    )
    _, final = await runner.run(stages)
    assert [request.url for request in stages.of("read")] == ["https://host3.test/"]
    assert final.visited_urls == ["https://host3.test/"]


async def test_b10_visited_are_the_visited(runner: Runner) -> None:
    stages = ScriptedStages(search=[results("https://a.test/", "https://b.test/")], decide=[search("a"), visit("https://a.test/")])
    events, final = await runner.run(stages)
    assert final.visited_urls == ["https://a.test/"] and final.found_urls == ["https://b.test/"]
    called = [event.data["effect"] for event in events if event.type == "stage_called"]
    assert [e["items"] for e in called if e["kind"] == "read"] == [["https://a.test/"]]
    sent = [query for e in called if e["kind"] == "search" for query in e["items"]]
    assert len(sent) == len(set(sent))


async def test_b19_the_same_answers_give_the_same_run(runner: Runner, tmp_path: Path) -> None:
    first, _ = await runner.run(ScriptedStages())
    other = Runner(tmp_path / "other")
    second, _ = await other.run(ScriptedStages())
    await other.journal.close()
    assert [(e.type, e.data.get("effect_id")) for e in first] == [(e.type, e.data.get("effect_id")) for e in second]


async def test_candidates_that_are_not_offered_are_never_visited(runner: Runner) -> None:
    stages = ScriptedStages(decide=[search("a"), visit("http://169.254.169.254/", "file:///etc/passwd", "nonsense")])
    await runner.run(stages)
    assert all("169.254" not in request.url and "passwd" not in request.url for request in stages.of("read"))


async def test_urls_in_the_conversation_can_be_visited_at_once(runner: Runner) -> None:
    stages = ScriptedStages(decide=[visit("https://example.org/b")])
    await runner.run(stages, question="What does (https://example.org/b). say?")
    assert "visit" in stages.of("decide")[0].allowed_actions
    assert stages.of("read")[0].url == "https://example.org/b"


async def test_a_page_that_fails_is_said_and_the_run_goes_on(runner: Runner) -> None:
    stages = ScriptedStages(
        search=[results("https://a.test/", "https://b.test/")],
        decide=[search("a"), visit("https://a.test/", "https://b.test/")],
        read=[ReadError("a.test answered 500", usage=Usage(pages=1)), page("https://b.test/")],
    )
    _, final = await runner.run(stages)
    assert final.read_urls == ["https://b.test/"] and final.usage.pages == 2
    assert "a.test answered 500" in stages.of("decide")[2].diary[-1].note


async def test_failures_of_optional_calls_cost_nothing_but_themselves(runner: Runner) -> None:
    failing = ModelUnavailable("the model is overloaded")
    stages = ScriptedStages(
        decide=[search("a", "b"), visit("https://a.test/page"), Decision(action="coding", code_issue="x")],
        rewrite=[failing], cluster=[failing], dedupe=[StageUnavailable("gone")], code=[SandboxError("ran out of time")],
    )  # fmt: skip
    _, final = await runner.run(stages)
    assert final.stop_reason == "answered"
    assert stages.of("decide")[3].diary[-1].outcome == "failed"


async def test_a_search_that_fails_is_said(runner: Runner) -> None:
    stages = ScriptedStages(decide=[search("a")], search=[SearchError("jina: out of credit (402)")])
    await runner.run(stages)
    entry = stages.of("decide")[1].diary[-1]
    assert entry.outcome == "failed" and "402" in entry.note


async def test_nothing_to_search_is_an_error_of_its_own(runner: Runner) -> None:
    stages = ScriptedStages(search=[ConfigurationError("nothing to search: set DEEPSEARCH_CORPUS")])
    events, _ = await runner.run(stages)
    assert events[-1].data["outcome"] == "failed" and events[-1].data["code"] == "configuration"
    assert "DEEPSEARCH_CORPUS" in events[-1].data["message"]
    assert (await runner.journal.summary("r1")).state == "failed"
    await runner.state()


async def test_a_model_that_rejects_us_fails_the_run_at_once(runner: Runner) -> None:
    stages = ScriptedStages(understand=[ModelRejected("the key was rejected: check OPENAI_API_KEY")])
    events, final = await runner.run(stages)
    assert events[-1].data["outcome"] == "failed" and events[-1].data["message"] == "the key was rejected: check OPENAI_API_KEY"
    assert len(stages.requests) == 1 and final.text == ""


async def test_a_model_that_cannot_be_reached_twice_fails_a_run_that_has_not_begun(runner: Runner) -> None:
    stages = ScriptedStages(understand=[ModelUnavailable("it took too long"), ModelUnavailable("cannot reach it")])
    events, final = await runner.run(stages)
    assert events[-1].data["outcome"] == "failed" and events[-1].data["message"] == "cannot reach it"
    assert len(stages.requests) == 2 and final.text == ""


async def test_a_run_begins_although_its_first_call_failed(runner: Runner) -> None:
    stages = ScriptedStages(understand=[ModelUnavailable("it took too long")])
    _, final = await runner.run(stages)
    assert final.stop_reason == "answered"
    assert len(stages.of("understand")) == 2


async def test_a_model_that_is_spared_is_asked_when_it_may_be(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was sent for the call: that is no failure of it."""
    monkeypatch.setattr("executors.controller.calling.random.random", lambda: 0.0)
    spared = ModelUnavailable("the model server is not asked for 0 s, after 5 failures in a row", retry_after=0)
    stages = ScriptedStages(understand=[spared] * 3, decide=[spared] * 4)
    events, final = await runner.run(stages)
    assert final.stop_reason == "answered"
    assert "call_failed" not in [event.type for event in events]


async def test_a_model_lost_on_the_way_leaves_an_answer_without_it(runner: Runner) -> None:
    gone = ModelUnavailable("cannot reach the model")
    stages = ScriptedStages(decide=[search("a"), visit("https://a.test/page"), gone, gone, gone])
    _, final = await runner.run(stages)
    assert final.stop_reason == "model_error" and final.text == "Composed [^1]." and final.references
    assert stages.of("compose")[0].allowance.llm_calls == 0
    assert "cannot reach the model" in final.notice


async def test_an_answer_that_cannot_be_evaluated_is_still_an_answer(runner: Runner) -> None:
    stages = ScriptedStages(decide=[search("a"), visit("https://a.test/page"), answer()], evaluate=[BudgetExceeded("no tokens")])
    _, final = await runner.run(stages)
    assert final.stop_reason == "token_budget" and final.text == "It is 42 [^1]."


async def test_finalizer_is_asked_again(runner: Runner) -> None:
    stages = ScriptedStages(finalize=[StageUnavailable("answer_finalizer is gone")])
    _, final = await runner.run(stages)
    assert final.text and len(stages.of("finalize")) == 2
    stages = ScriptedStages(decide=[answer("Hi")], finalize=[StageUnavailable("gone"), StageUnavailable("gone")])
    research = Research(stages, runner.journal, runner.settings)
    last = [event async for event in research.run(ResearchRequest(question="q"))][-1]
    assert last.data["outcome"] == "failed" and last.data["code"] == "stage_unavailable"


async def test_a_fault_of_ours_ends_the_call_and_not_the_run(runner: Runner, caplog: pytest.LogCaptureFixture) -> None:
    stages = ScriptedStages(decide=[search("a"), visit("https://a.test/page")], read=[KeyError("secret page text")])
    stages.script["read"].append(KeyError("again"))
    _, final = await runner.run(stages)
    assert final is not None
    assert any("internal error in read: KeyError" in entry.note for request in stages.of("decide") for entry in request.diary)


async def test_a_run_that_learns_nothing_ends(runner: Runner) -> None:
    from schemas.search import SearchResponse

    nothing = [SearchResponse(usage=Usage(searches=1)) for _ in range(40)]
    stages = ScriptedStages(search=nothing)
    _, final = await runner.run(stages)
    assert final.stop_reason in {"no_evidence", "no_progress"}
    assert final.steps < 12


@pytest.mark.parametrize(
    ("field", "request_fields"),
    [
        ("question", {"question": " \n"}),
        ("question", {"question": "x" * 20_001}),
        ("budget_tokens", {"budget_tokens": 0}),
        ("budget_tokens", {"budget_tokens": 999}),
        ("budget_seconds", {"budget_seconds": 0.5}),
        ("budget_seconds", {"budget_seconds": float("nan")}),
        ("budget_seconds", {"budget_seconds": float("inf")}),
        ("budget_usd", {"budget_usd": 0.0}),
        ("max_attempts", {"max_attempts": 0}),
        ("max_llm_calls", {"max_llm_calls": 0}),
        ("max_searches", {"max_searches": -1}),
        ("messages", {"messages": DocList[Message]([Message(role="user", content="x"), Message(role="assistant", content="y")])}),
        ("json_schema", {"json_schema": "[]"}),
        ("today", {"today": "tomorrow"}),
        ("today", {"today": "20260131"}),
    ],
)
async def test_bad_requests_name_their_field(runner: Runner, field: str, request_fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await runner.run(ScriptedStages(), **request_fields)
    assert raised.value.field == field and field in str(raised.value)
    assert await runner.journal.runs(10) == []


async def test_run_ids_are_checked_and_unique(runner: Runner) -> None:
    research = Research(ScriptedStages(), runner.journal, runner.settings)
    with pytest.raises(InvalidRequest, match="run_id"):
        await anext(research.run(ResearchRequest(question="q", run_id="../../etc")))
    await runner.run(ScriptedStages())
    with pytest.raises(InvalidRequest, match="taken"):
        await runner.run(ScriptedStages())


class Hanging:
    """A stage call that never ends, and tells when it has begun."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    async def __call__(self, request: Any) -> None:
        self.begun.set()
        await asyncio.Event().wait()


async def test_cancel_stops_the_calls(runner: Runner) -> None:
    hanging = Hanging()
    stages = ScriptedStages(decide=[hanging])
    research = Research(stages, runner.journal, runner.settings)
    with pytest.raises(RunNotFound):
        await research.cancel("r1")
    run = asyncio.create_task(collect(research.run(ResearchRequest(question="q", run_id="r1"))))
    await hanging.begun.wait()
    await research.cancel("r1")
    events = await run
    assert events[-1].data["outcome"] == "cancelled" and stages.cancelled == ["decide"]
    assert (await runner.journal.summary("r1")).state == "cancelled"
    await runner.state()


async def test_leaving_interrupts_and_resume_finishes(runner: Runner) -> None:
    hanging = Hanging()
    stages = ScriptedStages(decide=[search("a"), hanging])
    research = Research(stages, runner.journal, runner.settings)
    run = asyncio.create_task(collect(research.run(ResearchRequest(question="q", run_id="r1"))))
    await hanging.begun.wait()
    with pytest.raises(InvalidRequest, match="under way"):
        await anext(research.resume("r1"))
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    assert stages.cancelled == ["decide"]
    assert (await runner.journal.summary("r1")).state == "interrupted"
    searches = len(stages.of("search"))
    events = await collect(research.resume("r1"))
    assert events[0].type == "run_resumed" and events[-1].data["outcome"] == "finished"
    assert len(stages.of("search")) == searches, "what was done is not done again"
    await runner.state()
    again = await collect(research.resume("r1"))
    assert [event.type for event in again] == ["run_ended"] and again[0].data == events[-1].data
    with pytest.raises(RunNotFound):
        await anext(research.resume("nobody"))


async def test_a_run_can_be_resumed_from_every_event(runner: Runner, tmp_path: Path) -> None:
    """As after kill -9: the journal ends anywhere. What was done is not done again; only calls in flight are."""
    decisions = [search("a", "b"), visit("https://a.test/page", "https://b.test/page"), Decision(action="coding", code_issue="x"), answer()]
    first = ScriptedStages(decide=list(decisions))
    await runner.run(first)
    whole = await runner.journal.events("r1")
    final = (await runner.state()).answer
    for length in range(1, len(whole)):
        journal = SQLiteJournal(tmp_path / f"{length}.db")
        await journal.restore(RunSummary(run_id="r1", state="interrupted"), "", whole[:length], [], {})
        decided = sum(entry.event.type == "decided" for entry in whole[:length])
        stages = ScriptedStages(decide=decisions[decided:])
        events = await collect(Research(stages, journal, runner.settings).resume("r1"))
        assert events[-1].data["outcome"] == "finished", length
        done = {entry.event.type for entry in whole[:length]}
        answered = [
            kind for kind, result in (("understand", "understood"), ("code", "computed"), ("evaluate", "evaluated")) if result in done
        ]
        assert not [kind for kind, _ in stages.requests if kind in answered], length
        read = [entry.event.page.url for entry in whole[:length] if entry.event.type == "page_read"]
        assert not {request.url for request in stages.of("read")} & set(read), length
        resumed = replay(await journal.events("r1"))
        begun = (await journal.events("r1"))[0].time
        assert (await journal.summary("r1")).started_at == begun, "not later by the time that nobody worked on it"
        assert resumed.answer is not None and (resumed.answer.text, resumed.answer.steps) == (final.text, final.steps)
        assert digest(resumed) == await journal.state_digest("r1")
        await journal.close()


SCHEMA = '{"type": "object", "properties": {"answer": {"type": "integer"}}}'


async def test_an_answer_is_wanted_as_json_too(runner: Runner) -> None:
    stages = ScriptedStages(structure=[StructuredAnswer(json_text='{"answer": 42}', usage=Usage(prompt_tokens=9))])
    events, final = await runner.run(stages, json_schema=SCHEMA)
    assert (final.json_text, final.json_error, final.text) == ('{"answer": 42}', "", "It is 42 [^1].")
    assert stages.of("structure")[0].text == final.text
    assert [event.type for event in events][-3:] == ["stage_called", "structured", "run_ended"]
    await runner.state()


async def test_b11_a_failure_to_make_json_is_said_and_the_answer_kept(runner: Runner) -> None:
    _, final = await runner.run(ScriptedStages(structure=[ModelOutputInvalid("no valid Answer")]), json_schema=SCHEMA)
    assert (final.json_text, final.json_error, final.text) == ("", "no valid Answer", "It is 42 [^1].")


async def test_json_needs_a_model(runner: Runner) -> None:
    stages = ScriptedStages(understand=[Understanding(mode="extractive")])
    _, final = await runner.run(stages, json_schema=SCHEMA)
    assert final.json_error.endswith("no language model is configured (LLM_MODEL)") and not stages.of("structure")


async def test_system_messages_reach_the_stages_that_decide_and_write(runner: Runner) -> None:
    stages = ScriptedStages()
    messages = DocList[Message]([Message(role="system", content="Be terse."), Message(role="user", content="q")])
    await runner.run(stages, question="", messages=messages)
    for kind in ("decide", "finalize"):
        assert [(m.role, m.content) for m in stages.of(kind)[0].messages] == [("system", "Be terse.")]
