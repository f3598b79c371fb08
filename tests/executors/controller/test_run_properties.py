"""Whatever the stages answer, in whatever order: the run ends, keeps its limits, and can be rebuilt from its journal."""

from __future__ import annotations

import random
from typing import Any

import pytest
from docarray import DocList
from hypothesis import given, settings
from hypothesis import strategies as st

from executors.controller.answer import answer_of
from executors.controller.run import apply, begin, next_effects, replay
from executors.controller.state import RunState, digest
from executors.controller.step import MOST_OPEN_QUESTIONS, allowed_actions, is_unsourced
from providers.journal import StoredEvent
from schemas import events as ev
from schemas.answering import Draft
from schemas.errors import ERRORS
from schemas.evaluation import Analysis, Evaluation
from schemas.events import Effect, Limits
from schemas.planning import Cluster, Clustering, CodeResult, Decision, Decomposition, Rewriting, Understanding
from schemas.ranking import DedupeResponse, RankedUrl, Ranking
from schemas.reading import Illustration, Image, Link, Page, Passage
from schemas.reporting import Digest, Outline, Section, Synthesis
from schemas.research import Reference, ResearchAnswer, ResearchRequest
from schemas.search import QueryOutcome, SearchQuery, SearchResponse, SearchResult
from schemas.support import SupportReport
from schemas.usage import Usage

MOST_EVENTS = 3_000


class Chaos:
    """Stages that answer at random, within what they are allowed to spend, plausibly or not."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.words = ["alpha", "beta", "gamma", "delta", "why", "how", ""]
        self.model = self.random.random() < 0.8
        self.appetite = self.random.choice([0.0, 0.001, 0.03, 1.0])
        self.failures = self.random.choice([0.0, 0.03, 0.3])

    def text(self) -> str:
        return " ".join(self.random.choices(self.words, k=self.random.randint(0, 3)))

    def texts(self, most: int) -> list[str]:
        return [self.text() for _ in range(self.random.randint(0, most))]

    def url(self) -> str:
        form = self.random.choice(["https://a.test/{}", "http://b.test/{}", "file:///{}", "nonsense {}", ""])
        return form.format(self.random.randint(0, 30))

    def usage(self, effect: Effect) -> Usage:
        greed = self.random.random() < self.appetite
        tokens = effect.tokens if greed else int(effect.tokens * self.appetite * self.random.random())
        prompt = self.random.randint(0, tokens)
        return Usage(
            prompt_tokens=prompt,
            completion_tokens=tokens - prompt,
            llm_calls=effect.llm_calls if greed else min(effect.llm_calls, 1),
            searches=self.random.randint(0, effect.searches),
            pages=self.random.randint(0, effect.pages),
            cost_usd=(effect.usd or 0.0) * (1.0 if greed else self.appetite),
        )

    def event(self, effect: Effect, state: RunState) -> Any:
        usage = self.usage(effect)
        if self.random.random() < self.failures:
            code = self.random.choice([error.code for error in ERRORS.values()])
            return ev.CallFailed(effect_id=effect.id, code=code, message=self.text(), usage=usage)
        return getattr(self, effect.kind)(effect, state, usage)

    def understand(self, effect: Effect, state: RunState, usage: Usage) -> Any:
        criteria = self.random.sample(
            ["definitive", "freshness", "plurality", "completeness", "attribution", "strict"], self.random.randint(0, 6)
        )
        found = Understanding(mode="model" if self.model else "extractive", criteria=criteria, usage=usage)
        return ev.Understood(effect_id=effect.id, understanding=found)

    def rank(self, effect: Effect, state: RunState, usage: Usage) -> Any:
        urls = [RankedUrl(url=candidate.url) for candidate in state.pool.values()]
        ranking = Ranking(urls=DocList[RankedUrl](urls[: self.random.randint(0, 20)]), candidates=len(urls), usage=usage)
        return ev.Ranked(effect_id=effect.id, ranking=ranking)

    def decide(self, effect: Effect, state: RunState, usage: Usage) -> Any:
        allowed = effect.items if self.random.random() < 0.9 else ["search", "visit", "reflect", "answer", "coding"]
        urls = [candidate.url for candidate in state.pool.values()] + [self.url()]
        decision = Decision(
            action=self.random.choice(allowed),
            queries=self.texts(7),
            urls=self.random.sample(urls, min(len(urls), self.random.randint(0, 7))),
            questions=self.texts(4),
            answer=self.text(),
            code_issue=self.text(),
            usage=usage,
        )
        return ev.Decided(effect_id=effect.id, decision=decision)

    def dedupe(self, effect: Effect, state: RunState, usage: Usage) -> Any:
        new = [text for text in effect.items if self.random.random() < 0.7]
        return ev.Deduped(effect_id=effect.id, response=DedupeResponse(texts=new, usage=usage))

    def search(self, effect: Effect, state: RunState, usage: Usage) -> Any:
        query, count = self.random.choice(effect.items), self.random.randint(0, 5)
        found = DocList[SearchResult]([SearchResult(url=self.url(), snippet=self.text(), query=query) for _ in range(count)])
        outcomes = DocList[QueryOutcome]([QueryOutcome(query=query, errors=self.texts(1)) for query in effect.items])
        return ev.Searched(effect_id=effect.id, response=SearchResponse(results=found, outcomes=outcomes, usage=usage))

    def rewrite(self, effect: Effect, state: RunState, usage: Usage) -> Any:
        queries = DocList[SearchQuery]([SearchQuery(text=text) for text in self.texts(7)])
        return ev.Rewritten(effect_id=effect.id, rewriting=Rewriting(queries=queries, usage=usage))

    def cluster(self, effect: Effect, state: RunState, usage: Usage) -> Any:
        clusters = DocList[Cluster]([Cluster(insight=self.text()) for _ in range(2)])
        return ev.Clustered(effect_id=effect.id, clustering=Clustering(clusters=clusters, usage=usage))

    def read(self, effect: Effect, state: RunState, usage: Usage) -> Any:
        passages = [Passage(text="quote", start=0, end=5)] * self.random.randint(0, 2)
        links = [Link(url=self.url()) for _ in range(self.random.randint(0, 3))]
        page = Page(page_id=effect.id, url=effect.items[0], title=self.text())
        images = [Image(url=self.url())]
        return ev.PageRead(effect_id=effect.id, page=page, passages=passages, links=links, images=images, usage=usage)

    def code(self, effect: Effect, state: RunState, usage: Usage) -> Any:
        return ev.Computed(effect_id=effect.id, result=CodeResult(output=self.text(), usage=usage))

    def compose(self, effect: Effect, state: RunState, usage: Usage) -> Any:
        return ev.Composed(effect_id=effect.id, draft=Draft(text=self.text(), guessed=self.random.random() < 0.3, usage=usage))

    def evaluate(self, effect: Effect, state: RunState, usage: Usage) -> Any:
        failed = self.random.choice([*effect.items, "freshness", None])
        verdict = Evaluation(passed=self.random.random() < 0.4, failed_criterion=failed, improvement_plan=self.text(), usage=usage)
        return ev.Evaluated(effect_id=effect.id, evaluation=verdict)

    def analyze(self, effect: Effect, state: RunState, usage: Usage) -> Any:
        return ev.Analyzed(effect_id=effect.id, analysis=Analysis(recap=self.text(), usage=usage))

    def check(self, effect: Effect, state: RunState, usage: Usage) -> Any:
        report = SupportReport(supported=1, unsupported=self.random.choice([0, 0, 1, 3]), usage=usage)
        return ev.Checked(effect_id=effect.id, support=report)

    def revise(self, effect: Effect, state: RunState, usage: Usage) -> Any:
        return ev.Revised(effect_id=effect.id, draft=Draft(text=self.text(), usage=usage))

    def decompose(self, effect: Effect, state: RunState, usage: Usage) -> Any:
        return ev.Decomposed(effect_id=effect.id, decomposition=Decomposition(questions=self.texts(5), usage=usage))

    def delegate(self, effect: Effect, state: RunState, usage: Usage) -> Any:
        references = DocList[Reference]([Reference(number=n, quote="q") for n in range(1, self.random.randint(1, 4))])
        answer = ResearchAnswer(stop_reason="answered", mode="model", text="It is so [^1][^9].", references=references)
        return ev.Delegated(effect_id=effect.id, answer=answer, usage=usage)

    def reduce(self, effect: Effect, state: RunState, usage: Usage) -> Any:
        return ev.Reduced(effect_id=effect.id, draft=Draft(text=self.text(), usage=usage))

    def digest(self, effect: Effect, state: RunState, usage: Usage) -> Any:
        return ev.Digested(effect_id=effect.id, digest=Digest(findings=self.texts(2), usage=usage))

    def synthesize(self, effect: Effect, state: RunState, usage: Usage) -> Any:
        return ev.Synthesized(effect_id=effect.id, synthesis=Synthesis(gaps=self.texts(3), usage=usage))

    def outline(self, effect: Effect, state: RunState, usage: Usage) -> Any:
        sections = DocList[Section]([Section(heading=text) for text in self.texts(4)])
        return ev.Outlined(effect_id=effect.id, outline=Outline(sections=sections, usage=usage))

    def section(self, effect: Effect, state: RunState, usage: Usage) -> Any:
        return ev.SectionWritten(effect_id=effect.id, draft=Draft(text=self.text(), usage=usage))

    def illustrate(self, effect: Effect, state: RunState, usage: Usage) -> Any:
        return ev.Illustrated(effect_id=effect.id, illustration=Illustration(usage=usage))

    def finalize(self, effect: Effect, state: RunState, usage: Usage) -> Any:
        references = [Reference(number=1)] if state.evidence_count else []
        return ev.Finalized(effect_id=effect.id, text="text", references=references, composed_by="rules", usage=usage)


def run_to_its_end(seed: int, limits: Limits) -> tuple[RunState, list[StoredEvent]]:
    """Drive a run with random answers in random order; some events come twice, some come from nowhere."""
    chaos = Chaos(seed)
    now = 1_000.0
    kind = chaos.random.choice([{}, {"team_size": 3}, {"mode": "report"}, {"mode": "report", "plan_first": True}, {"polish": True}])
    wishes = {"citations": chaos.random.choice(["strict", "off"]), "allow_guess": chaos.random.random() < 0.5}
    request = ResearchRequest(question="See https://a.test/1 please", run_id="r", **wishes, **kind)
    started = ev.RunStarted(request=request, limits=limits)
    journal = [StoredEvent(1, now, started)]
    state = begin(started, now)
    in_flight: list[Effect] = []
    unproved: list[StoredEvent] = []

    def happen(event: Any) -> None:
        nonlocal state, now
        now += chaos.random.choice([0.0, 0.01, 1.0])
        journal.append(StoredEvent(state.sequence + 1, now, event))
        state = apply(state, journal[-1])
        check(state)
        last = [e for e in journal[-1:] if isinstance(e.event, ev.CallFailed) and ".check." in e.event.effect_id]
        if any(effect.kind == "finalize" for effect in state.pending) and not last and not unproved:
            assert is_unsourced(state) or not state.draft or state.support is not None or state.request.citations == "off"
        unproved.extend(last)

    while state.outcome == "running":
        assert len(journal) < MOST_EVENTS, "the run does not end"
        ready = next_effects(state)
        if state.waiting:
            happen(ev.OutlineApproved(outline=Outline()))
            continue
        assert ready or in_flight, "the run is stuck"
        if ready and (not in_flight or chaos.random.random() < 0.7):
            effect = chaos.random.choice(ready)
            happen(ev.StageCalled(effect=effect))
            in_flight.append(effect)
            continue
        if chaos.random.random() < 0.02:
            happen(ev.RunResumed())
            in_flight = []
            continue
        effect = in_flight.pop(chaos.random.randrange(len(in_flight)))
        event = chaos.event(effect, state)
        happen(event)
        if chaos.random.random() < 0.1 and state.outcome == "running":
            before = state
            happen(event)
            assert (state.pending, state.budget.spent.total_tokens) == (before.pending, before.budget.spent.total_tokens)
    return state, journal


def check(state: RunState) -> None:
    """What holds after every single event."""
    budget, limits = state.budget, state.limits
    reserved = budget.reserved.values()
    assert budget.spent.total_tokens + sum(effect.tokens for effect in reserved) <= limits.tokens
    assert budget.spent.searches + sum(effect.searches for effect in reserved) <= limits.searches
    assert budget.spent.pages + sum(effect.pages for effect in reserved) <= limits.pages
    assert budget.spent.llm_calls + sum(effect.llm_calls for effect in reserved) <= limits.llm_calls
    assert state.total_step <= limits.steps
    assert len(state.visited) == len(set(state.visited))
    assert state.outcome != "running" or state.question in state.gaps
    assert not (state.draft_is_direct and state.evidence_count), "what was read has to be checked"
    assert state.request.allow_guess or not state.draft_is_guess
    assert len(state.gaps) <= MOST_OPEN_QUESTIONS + 3
    if state.outcome == "running":
        assert allowed_actions(state)
    for effect in state.pending:
        assert effect.tokens >= 0 and effect.seconds >= 0
        if effect.kind == "read":
            assert effect.items[0] in [candidate.url for candidate in state.pool.values()]


LIMITS = st.builds(
    Limits,
    tokens=st.sampled_from([1_000, 5_000, 100_000]),
    seconds=st.sampled_from([1.0, 30.0, 100_000.0]),
    usd=st.sampled_from([None, 0.01]),
    searches=st.integers(0, 40),
    pages=st.integers(0, 20),
    llm_calls=st.sampled_from([1, 2, 10, 400]),
    steps=st.sampled_from([1, 5, 60]),
    attempts=st.integers(1, 3),
)


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), limits=LIMITS)
def test_every_run_ends_within_its_limits_and_replays(seed: int, limits: Limits) -> None:
    state, journal = run_to_its_end(seed, limits)
    assert state.outcome in ("finished", "failed")
    assert (state.answer is not None and state.answer.stop_reason != "answered") or state.outcome == "finished"
    assert state.budget.spent.total_tokens <= limits.tokens
    read_back = [StoredEvent(s, t, ev.JOURNAL_EVENT.validate_json(e.model_dump_json())) for s, t, e in journal]
    assert digest(replay(read_back)) == digest(state)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), limits=LIMITS, shuffle=st.randoms(use_true_random=False))
def test_apply_is_total(seed: int, limits: Limits, shuffle: random.Random) -> None:
    """Events in any order, from any place of a run, never raise and never break a limit."""
    _, journal = run_to_its_end(seed, limits)
    rest = journal[1:]
    shuffle.shuffle(rest)
    state = begin(journal[0].event, journal[0].time)  # type: ignore[arg-type]
    for number, entry in enumerate(rest, start=2):
        state = apply(state, StoredEvent(number, entry.time, entry.event))
        check(state)


def test_apply_does_not_change_its_input() -> None:
    _, journal = run_to_its_end(7, Limits(tokens=100_000, seconds=1e6, searches=40, pages=20, llm_calls=400, steps=20, attempts=2))
    states = [begin(journal[0].event, journal[0].time)]  # type: ignore[arg-type]
    digests = [digest(states[0])]
    for entry in journal[1:]:
        states.append(apply(states[-1], entry))
        digests.append(digest(states[-1]))
    assert [digest(state) for state in states] == digests


def test_nothing_changes_after_the_end() -> None:
    state, journal = run_to_its_end(11, Limits(tokens=5_000, seconds=1e6, searches=4, pages=2, llm_calls=40, steps=3, attempts=1))
    for entry in journal[1:]:
        after = apply(state, entry)
        assert digest(after.model_copy(update={"sequence": 0, "budget": state.budget})) == digest(state.model_copy(update={"sequence": 0}))
    assert answer_of(state).run_id == "r"


def test_a_journal_that_does_not_begin_with_a_start() -> None:
    with pytest.raises(ValueError, match="empty"):
        replay([])
    with pytest.raises(ValueError, match="run_resumed"):
        replay([StoredEvent(1, 0.0, ev.RunResumed())])


def test_the_time_of_an_interruption_does_not_count() -> None:
    limits = Limits(tokens=100_000, seconds=100.0, searches=40, pages=20, llm_calls=400, steps=20, attempts=2)
    started = ev.RunStarted(request=ResearchRequest(question="q", run_id="r"), limits=limits)
    state = begin(started, 1_000.0)
    state = apply(state, StoredEvent(2, 1_010.0, ev.StageCalled(effect=next_effects(state)[0])))
    state = apply(state, StoredEvent(3, 90_000.0, ev.RunResumed()))
    assert state.budget.elapsed == pytest.approx(10.0) and len(next_effects(state)) == 1
