"""Teams over real runs whose stages fail, spend and stop at random: limits hold for parent and children together."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from docarray import BaseDoc
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_stages import ScriptedStages

from executors.controller.research import Research
from executors.controller.run import _usage_of, replay
from executors.controller.state import RunState, digest
from providers.journal import SQLiteJournal
from schemas import events as ev
from schemas.answering import FinalizeChunk
from schemas.errors import BudgetExceeded, ModelOutputInvalid, ModelUnavailable, RunNotFound, StageUnavailable
from schemas.evaluation import Evaluation
from schemas.research import ResearchRequest
from schemas.settings import Settings
from schemas.usage import Usage

MOST_TRIES = 60
_FIELDS = ("searches", "pages", "llm_calls", "total_tokens")


class Unreliable(ScriptedStages):
    """Answers as the scripted stages do, spends at random within what it may, and fails at random."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random = random.Random(seed)
        self.appetite = self.random.choice([0.0, 0.01, 0.3, 1.0])
        self.failures = self.random.choice([0.0, 0.0, 0.05, 0.2])

    def spent(self, kind: str, request: Any) -> Usage:
        allowance = request.allowance
        tokens = int(allowance.tokens * self.appetite * self.random.random())
        money = (allowance.cost_usd or 0.0) * self.appetite * self.random.random()
        usage = Usage(prompt_tokens=tokens, llm_calls=self.random.randint(0, min(2, allowance.llm_calls)), cost_usd=money)
        usage.searches = len(request.queries) if kind == "search" else 0
        usage.pages = 1 if kind == "read" else 0
        return usage

    async def call(self, endpoint: str, request: BaseDoc, returns: type[BaseDoc], *, timeout: float) -> Any:
        kind = endpoint.strip("/")
        await asyncio.sleep(0)
        usage = self.spent(kind, request)
        if self.random.random() < self.failures:
            error = self.random.choice([BudgetExceeded, ModelOutputInvalid, ModelUnavailable, StageUnavailable])
            raise error("by chance", field="tokens", usage=usage)
        answer = await super().call(endpoint, request, returns, timeout=timeout)
        if isinstance(answer, Evaluation) and self.random.random() < 0.3:
            answer = Evaluation(passed=False, failed_criterion=self.random.choice(["definitive", "strict"]))
        answer.usage = usage
        return answer

    async def stream(self, endpoint: str, request: BaseDoc, returns: type[BaseDoc], *, timeout: float) -> AsyncIterator[FinalizeChunk]:
        if self.random.random() < self.failures:
            raise StageUnavailable("by chance")
        async for chunk in super().stream(endpoint, request, returns, timeout=timeout):
            yield chunk


async def to_its_end(seed: int, request: ResearchRequest, folder: Path) -> dict[str, RunState]:
    """Run a question, stopped at random and resumed with new objects each time; return the states of all its runs."""
    chance = random.Random(seed)
    hold = chance.choice([0.0, 0.02, 0.1])
    journal = SQLiteJournal(folder / "runs.db")
    ended = None
    for attempt in range(MOST_TRIES):
        research = Research(Unreliable(seed + attempt), journal, Settings(_env_file=None))
        events = research.resume(request.run_id) if attempt else research.run(request)
        async for event in events:
            if event.type == "run_ended":
                ended = event
            elif attempt < MOST_TRIES - 1 and chance.random() < hold:
                break
        await events.aclose()
        if ended:
            break
        assert (await journal.summary(request.run_id)).state != "running", "whoever leaves, and whenever, leaves no run under way"
    assert ended is not None, "the run does not end"
    states = {}
    for run_id in [request.run_id, *(f"{request.run_id}-{n}" for n in range(1, 9))]:
        try:
            stored = await journal.events(run_id)
        except RunNotFound:
            continue
        states[run_id] = replay(stored)
        if states[run_id].outcome != "running":
            assert await journal.state_digest(run_id) == digest(states[run_id])
        spent = Usage()
        for entry in stored[1:]:
            if not isinstance(entry.event, ev.StageCalled | ev.RunResumed | ev.RunCancelled | ev.OutlineApproved):
                spent = spent + _usage_of(entry.event)
        for field in _FIELDS:
            assert getattr(states[run_id].budget.spent, field) == getattr(spent, field), "every call is counted, once"
    await journal.close()
    return states


def check(states: dict[str, RunState], run_id: str) -> None:
    parent = states.pop(run_id)
    assert parent.outcome in ("finished", "failed")
    for state in (parent, *states.values()):
        spent, limits = state.budget.spent, state.limits
        assert spent.total_tokens <= limits.tokens and spent.llm_calls <= limits.llm_calls
        assert spent.searches <= limits.searches and spent.pages <= limits.pages
        assert limits.usd is None or spent.cost_usd <= limits.usd * (1 + 1e-9)
        ids = [piece.evidence_id for item in state.knowledge for piece in item.evidence]
        assert len(ids) == len(set(ids)), "an id stands for one piece of evidence"
    if states:
        for field, name in (("tokens", "tokens"), ("searches", "searches"), ("pages", "pages"), ("llm_calls", "llm_calls")):
            assert sum(getattr(child.limits, field) for child in states.values()) <= getattr(parent.limits, name)
        assert all(child.parent == run_id and child.outcome != "running" for child in states.values())
        for field in _FIELDS:
            assert sum(getattr(child.budget.spent, field) for child in states.values()) <= getattr(parent.budget.spent, field)


REQUESTS = st.builds(
    dict,
    budget_tokens=st.sampled_from([500_000] * 4 + [20_000, 1_000]),
    max_llm_calls=st.sampled_from([400] * 4 + [40, 9, 1]),
    max_searches=st.sampled_from([60] * 6 + [7, 0]),
    max_pages=st.sampled_from([60] * 6 + [9, 0]),
    budget_usd=st.sampled_from([None, 0.01]),
    citations=st.sampled_from(["strict", "flag", "off"]),
    max_references=st.sampled_from([None, 0, 3]),
    polish=st.booleans(),
    allow_guess=st.booleans(),
)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), team_size=st.integers(2, 4), fields=REQUESTS)
def test_a_team_keeps_its_limits_whatever_happens(seed: int, team_size: int, fields: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        request = ResearchRequest(run_id="r", question="What is the answer?", team_size=team_size, **fields)
        check(asyncio.run(to_its_end(seed, request, Path(folder))), "r")


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), fields=REQUESTS)
def test_a_report_keeps_its_limits_whatever_happens(seed: int, fields: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        request = ResearchRequest(run_id="r", question="What is the answer?", mode="report", **fields)
        check(asyncio.run(to_its_end(seed, request, Path(folder))), "r")
