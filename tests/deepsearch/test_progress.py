"""What a person sees of a run, and that replaying a journal notices when it does not fit."""

from __future__ import annotations

import io

import pytest
from docarray import DocList

from deepsearch.history import fields, replayed, write_replay, write_runs
from deepsearch.progress import Line, Progress, journal_event, place
from deepsearch.terminal import Terminal
from executors.controller.run import next_effects, replay
from executors.controller.state import digest
from providers.journal.base import StoredEvent
from schemas import events as ev
from schemas.events import JournalEvent, Limits, ResearchEvent
from schemas.planning import Decision, Understanding
from schemas.ranking import DedupeResponse
from schemas.research import Reference, ResearchAnswer, ResearchRequest, RunSummary
from schemas.search import QueryOutcome, SearchResponse, SearchResult
from schemas.usage import Usage

LIMITS = Limits(tokens=10_000, seconds=100, searches=10, pages=10, llm_calls=10, steps=5, attempts=1)


class Recorded:
    """A run's journal as it would be written: every call is made, every result belongs to it."""

    def __init__(self, question: str = "Why?") -> None:
        request = ResearchRequest(question=question, run_id="r1")
        self.stored = [StoredEvent(1, 1_000.0, ev.RunStarted(request=request, limits=LIMITS))]

    def add(self, event: JournalEvent) -> None:
        self.stored.append(StoredEvent(len(self.stored) + 1, 1_000.0 + len(self.stored), event))

    def call(self) -> str:
        effect = next_effects(replay(self.stored))[0]
        self.add(ev.StageCalled(effect=effect))
        return effect.id


def searched() -> Recorded:
    run = Recorded()
    understanding = Understanding(language_style="formal English", criteria=["definitive"], usage=Usage(prompt_tokens=2_500))
    run.add(ev.Understood(effect_id=run.call(), understanding=understanding))
    decision = Decision(action="search", think="I know\nnothing.", queries=["why \x1b[31mred"])
    run.add(ev.Decided(effect_id=run.call(), decision=decision))
    outcomes = [QueryOutcome(query="why \x1b[31mred", provider="local", results=1), QueryOutcome(query="how", errors=["jina: 429"])]
    found = [SearchResult(url="file:///corpus/a%20b.md", title="A", snippet="because", query="why")]
    response = SearchResponse(results=DocList[SearchResult](found), outcomes=DocList[QueryOutcome](outcomes))
    run.add(ev.Searched(effect_id=run.call(), response=response))
    return run


def test_each_thing_that_happens_is_a_line() -> None:
    progress = Progress()
    said = [str(line) for entry in searched().stored for line in progress.follow(entry.event, entry.time)]
    assert said == [
        "question: Why?",
        "plan: answer in formal English; check: definitive; no language model (extractive mode)",
        "think: I know nothing.",
        "step 1: search “why red”",
        "search: “why red” 1 result from local",
        "search: “how” 0 results (jina: 429)",
    ]


def test_what_is_under_way_and_spent() -> None:
    run = searched()
    progress = Progress()
    assert (progress.doing(), progress.spending()) == ("working", "")
    for entry in run.stored[:6]:
        progress.follow(entry.event, entry.time)
    assert progress.doing() == "searching “why \x1b[31mred”"  # sanitised where it is shown
    assert progress.spending(1_050) == "step 1 · 2,500 of 10,000 tokens (25%) · 50 of 100 s (50%) · 0 of 10 pages (0%)"


def test_events_of_a_later_version_are_ignored() -> None:
    assert journal_event(ResearchEvent(type="dreamed", data={"of": "sheep"})) is None
    known = journal_event(ResearchEvent(type="run_resumed", data={"new_field": 1}))
    assert known == ev.RunResumed()
    assert Progress().follow(ev.Understood(effect_id="?", understanding=Understanding()), 5.0) != []


def test_documents_that_were_left_out_for_being_empty_are_empty() -> None:
    assert journal_event(ResearchEvent(type="deduped", data={"effect_id": "3.dedupe.1"})) == ev.Deduped(
        effect_id="3.dedupe.1", response=DedupeResponse(id=None)
    )


def test_a_failure_is_said_unless_it_is_what_the_run_ends_with() -> None:
    run = searched()
    run.add(ev.CallFailed(effect_id=run.call(), code="model_unavailable", message="overloaded", usage=Usage(prompt_tokens=500)))
    progress = Progress()
    for entry in run.stored:
        said = progress.follow(entry.event, entry.time)
    assert said == []
    assert progress.spent.total_tokens == 3_000
    later = progress.follow(ev.RunCancelled(), 2_000.0)
    assert [str(line) for line in later] == ["failed: rewriting queries: overloaded", "stopped: the run was cancelled"]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("file:///corpus/a%20b.md", "a b.md"),
        ("https://example.com/x/?q=1", "example.com/x"),
        ("https://example.com/\x1b[31m%1b[31m", "example.com/"),
        ("http://[broken", "http://[broken"),
        ("", ""),
    ],
)
def test_a_url_is_shown_short_and_clean(url: str, shown: str) -> None:
    assert place(url) == shown


def test_a_line_on_a_terminal_wraps_under_itself() -> None:
    out = io.StringIO()
    console = Terminal(out)
    console.width = 30
    console.print(Line("think", "one two three four five six seven"))
    assert [line.rstrip() for line in out.getvalue().splitlines()] == ["think    one two three four", "         five six seven"]


def test_a_journal_that_fits_gives_its_digest() -> None:
    run = searched()
    state, misfit = replayed(run.stored)
    assert misfit == ""
    assert digest(state) == digest(replay(run.stored))
    out = io.StringIO()
    assert write_replay(Terminal(out), RunSummary(run_id="r1"), run.stored, digest(state))
    assert out.getvalue().splitlines()[-1] == "the stored digest is the same"


@pytest.mark.parametrize(
    ("broken", "where"),
    [
        (lambda stored: stored[:3] + stored[4:], "event 5 (decided) follows event 3"),
        (
            lambda stored: [*stored[:1], StoredEvent(2, 1.0, stored[3].event)],
            "event 2 (stage_called) makes a call",
        ),
        (
            lambda stored: [*stored[:1], StoredEvent(2, 1.0, stored[2].event)],
            "event 2 (understood) is the result of a call",
        ),
        (
            lambda stored: [
                *stored[:2],
                StoredEvent(3, 1.0, ev.Decided(effect_id=stored[2].event.effect_id, decision=Decision(action="search"))),
            ],
            "event 3 (decided) is no result of understand",
        ),
    ],
)
def test_a_journal_that_does_not_fit_says_where(broken: object, where: str) -> None:
    stored = broken(searched().stored)  # type: ignore[operator]
    out = io.StringIO()
    assert not write_replay(Terminal(out), RunSummary(run_id="r1"), stored, "0" * 64)
    assert where in out.getvalue().splitlines()[-1]


def test_a_digest_that_differs_says_what_differs() -> None:
    out = io.StringIO()
    summary = RunSummary(run_id="r1", question="Why?", state="running", steps=7)
    assert not write_replay(Terminal(out), summary, searched().stored, "0" * 64)
    assert out.getvalue().splitlines()[-1] == "first difference: steps is 1, was 7"


def test_runs_for_a_program_are_tab_separated() -> None:
    out = io.StringIO()
    run = RunSummary(
        run_id="r1", question="Why\tand\nhow?", state="finished", stop_reason="answered", steps=2, total_tokens=5, seconds=1.25
    )
    write_runs(Terminal(out), [run])
    heading, row = out.getvalue().splitlines()
    assert heading.split("\t") == ["run", "state", "ended by", "started", "seconds", "steps", "tokens", "question"]
    assert row.split("\t")[:3] + row.split("\t")[4:] == ["r1", "finished", "answered", "1.2", "2", "5", "Why and how?"]


def test_documents_become_json_without_random_ids() -> None:
    answer = ResearchAnswer(
        run_id="r1", stop_reason="answered", mode="extractive", references=DocList[Reference]([Reference(number=1, quote="q")])
    )
    values = fields(answer)
    assert "id" not in values
    assert values["references"][0] == {
        "number": 1, "evidence_id": "", "page_id": "", "url": "", "title": "", "quote": "q", "start": 0, "end": 0, "published": None,
        "modified": None, "read_at": None,
    }  # fmt: skip
    assert values["usage"]["prompt_tokens"] == 0
