"""Two owners who do anything to a few runs, on each storage, against a model in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from journal_storage import NAMES, Storage, attachment, line, page, resumed, started

from schemas.errors import DeepSearchError, InvalidRequest, JournalError, RunLost, RunNotFound, RunUnderWay
from schemas.research import RunSummary

RUNS = {"a": "", "b": "", "a-1": "a", "a-2": "a"}
OWNERS = st.sampled_from([0, 1])
ASKERS = st.sampled_from(["", "key a", "key b"])
IDS = st.sampled_from(list(RUNS))
STATES = st.sampled_from(["running", "waiting", "interrupted", "finished", "failed", "cancelled"])
_FAR = 1_000_000.0


class Kept:
    """What the model knows of a run."""

    def __init__(self, summary: RunSummary, owner: int) -> None:
        self.summary, self.owner = summary, owner
        self.digest, self.cancel_asked, self.has_lease = "", False, True
        self.events = [started()]
        self.pages: set[str] = set()
        self.files: set[str] = set()
        self.asked_by = ""

    @property
    def state(self) -> str:
        return "interrupted" if self.summary.state == "running" and not self.has_lease else self.summary.state


class Machine(RuleBasedStateMachine):
    """Leases do not run out here: what an owner has, it has until it gives it up."""

    storage: Storage
    loop: asyncio.AbstractEventLoop

    @initialize()
    def begin(self) -> None:
        self.model: dict[str, Kept] = {}
        self.order = 0.0
        self.journals = [self.storage.open(_FAR), self.storage.open(_FAR)]
        for run_id in RUNS:  # another example has been here
            try:
                self.do(self.journals[0].forget(run_id))
            except RunNotFound:
                continue
            except RunUnderWay as error:
                raise AssertionError("the example before has not cleaned up") from error

    def teardown(self) -> None:
        for kept in self.model.values():
            self.do(self.journals[kept.owner].update(kept.summary.model_copy(update={"state": "cancelled"})))
        for run_id in self.model:
            if not RUNS[run_id] or RUNS[run_id] not in self.model:
                self.do(self.journals[0].forget(run_id))
        self.do(self.storage.close())

    def do(self, call: Any) -> Any:
        return self.loop.run_until_complete(call)

    def fails(self, call: Any, *errors: type[DeepSearchError]) -> None:
        with pytest.raises(errors[0]) as raised:
            self.do(call)
        assert type(raised.value) is errors[0]

    def summary_of(self, run_id: str, state: str, steps: int = 0) -> RunSummary:
        self.order += 1
        kept = self.model.get(run_id)
        at = kept.summary.started_at if kept else self.order
        return line(run_id, parent=RUNS[run_id], state=state, steps=steps, started_at=at, background=not RUNS[run_id])

    @rule(owner=OWNERS, run_id=IDS, file=st.booleans(), asked_by=ASKERS)
    def create(self, owner: int, run_id: str, file: bool, asked_by: str) -> None:
        summary = self.summary_of(run_id, "running")
        call = self.journals[owner].create(summary, started(), {"attachment:1/x": attachment()} if file else {}, asked_by)
        if run_id in self.model:
            self.fails(call, InvalidRequest)
            return
        self.do(call)
        self.model[run_id] = Kept(summary, owner)
        self.model[run_id].files = {"attachment:1/x"} if file else set()
        self.model[run_id].asked_by = asked_by

    @rule(owner=OWNERS, run_id=IDS, state=STATES, count=st.integers(1, 4))
    def restore(self, owner: int, run_id: str, state: str, count: int) -> None:
        summary = self.summary_of(run_id, state)
        events = [started(), *map(resumed, range(2, count + 1))]
        call = self.journals[owner].restore(summary, "d", events, [page("p0")], {})
        if run_id in self.model:
            self.fails(call, InvalidRequest)
            return
        self.do(call)
        kept = self.model[run_id] = Kept(summary.model_copy(), owner)
        kept.summary.state = "interrupted" if state == "running" else state  # type: ignore[assignment]
        kept.digest, kept.events, kept.pages, kept.has_lease = "d", events, {"p0"}, False

    @rule(owner=OWNERS, run_id=IDS, skip=st.sampled_from([0, 0, 0, 0, 1, -1]), state=st.none() | STATES)
    def append(self, owner: int, run_id: str, skip: int, state: str | None) -> None:
        kept = self.model.get(run_id)
        event = resumed((len(kept.events) if kept else 0) + 1 + skip)
        summary = self.summary_of(run_id, state, event.sequence) if state else None
        call = self.journals[owner].append(run_id, event, summary)
        if kept is None or kept.owner != owner:
            self.fails(call, RunLost)
        elif skip:
            self.fails(call, JournalError)
        else:
            self.do(call)
            kept.events.append(event)
            kept.summary = summary or kept.summary

    @rule(owner=OWNERS, run_id=IDS, state=STATES, digest=st.sampled_from(["", "x"]))
    def update(self, owner: int, run_id: str, state: str, digest: str) -> None:
        summary = self.summary_of(run_id, state, 7)
        self.do(self.journals[owner].update(summary, digest))
        kept = self.model.get(run_id)
        if kept is not None and kept.owner == owner:
            kept.summary, kept.digest = summary, digest

    @rule(owner=OWNERS, run_id=IDS)
    def claim(self, owner: int, run_id: str) -> None:
        kept = self.model.get(run_id)
        if kept is None:
            self.fails(self.journals[owner].claim(run_id), RunNotFound)
        elif kept.state == "running":
            self.fails(self.journals[owner].claim(run_id), RunUnderWay)
        else:
            assert self.do(self.journals[owner].claim(run_id)) is (kept.summary.state == "running")
            kept.owner, kept.cancel_asked, kept.has_lease = owner, False, True
            kept.summary = kept.summary.model_copy(update={"state": "running"})

    @rule(owner=OWNERS, run_id=IDS)
    def claim_at_once(self, owner: int, run_id: str) -> None:
        kept = self.model.get(run_id)
        if kept is None or kept.state == "running":
            return

        async def both() -> list[Any]:
            return await asyncio.gather(*(journal.claim(run_id) for journal in self.journals), return_exceptions=True)

        claims = self.do(both())
        (kept.owner,) = (number for number, claim in enumerate(claims) if isinstance(claim, bool))
        kept.cancel_asked, kept.has_lease = False, True
        kept.summary = kept.summary.model_copy(update={"state": "running"})

    @rule(owner=OWNERS)
    def renew(self, owner: int) -> None:
        ours = {run_id for run_id, kept in self.model.items() if kept.owner == owner}
        asked = {run_id for run_id in ours if self.model[run_id].cancel_asked}
        for run_id in ours:
            self.model[run_id].has_lease = True
        assert self.do(self.journals[owner].renew(list(RUNS))) == (frozenset(RUNS.keys() - ours), frozenset(asked))

    @rule(owner=OWNERS, run_id=IDS)
    def ask_to_cancel(self, owner: int, run_id: str) -> None:
        if run_id in self.model:
            self.do(self.journals[owner].ask_to_cancel(run_id))
            self.model[run_id].cancel_asked = True
        else:
            self.fails(self.journals[owner].ask_to_cancel(run_id), RunNotFound)

    @rule(owner=OWNERS, run_id=IDS, page_id=st.sampled_from(["p1", "p2"]))
    def save_page(self, owner: int, run_id: str, page_id: str) -> None:
        self.do(self.journals[owner].save_page(run_id, page(page_id)))
        if run_id in self.model:
            self.model[run_id].pages.add(page_id)

    def family(self, run_id: str) -> list[str]:
        return [run_id, *(child for child, parent in RUNS.items() if parent == run_id and child in self.model)]

    @rule(owner=OWNERS, run_id=IDS)
    def forget(self, owner: int, run_id: str) -> None:
        call = self.journals[owner].forget(run_id)
        if run_id not in self.model:
            self.fails(call, RunNotFound)
        elif any(self.model[one].state == "running" for one in self.family(run_id)):
            self.fails(call, RunUnderWay)
        else:
            self.do(call)
            for one in self.family(run_id):
                del self.model[one]

    @rule(owner=OWNERS)
    def forget_old(self, owner: int) -> None:
        old = [
            run_id
            for run_id, kept in self.model.items()
            if not RUNS[run_id]
            and kept.summary.state != "waiting"
            and all(self.model[one].state != "running" for one in self.family(run_id))
        ]
        assert self.do(self.journals[owner].forget_before(time.time() + 1_000)) == len(old)
        for run_id in old:
            for one in self.family(run_id):
                del self.model[one]

    @invariant()
    def is_what_the_model_says(self) -> None:
        if not hasattr(self, "model"):
            return
        self.do(self.compare())

    async def compare(self) -> None:
        journal = self.journals[1]
        for run_id, kept in self.model.items():
            assert await journal.summary(run_id) == kept.summary.model_copy(update={"state": kept.state})
            assert await journal.state_digest(run_id) == kept.digest and await journal.asked_by(run_id) == kept.asked_by
            assert await journal.events(run_id) == kept.events
            assert [one.page_id async for one in journal.pages(run_id)] == sorted(kept.pages)
            assert set(await journal.attachments(run_id)) == kept.files
        newest = sorted((run_id for run_id in self.model if not RUNS[run_id]), key=lambda run_id: -self.model[run_id].summary.started_at)
        assert [run.run_id for run in await journal.runs(9)] == newest
        for names in (["", "key a"], ["key b"]):
            assert [run.run_id for run in await journal.runs(9, names)] == [one for one in newest if self.model[one].asked_by in names]
        left = [run_id for run_id in reversed(newest) if self.model[run_id].state == "interrupted"]
        assert [run.run_id for run in await journal.unfinished(9)] == left
        assert [run.run_id for run in await journal.children("a")] == [run_id for run_id in ("a-1", "a-2") if run_id in self.model]


@pytest.fixture
def own_loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


@pytest.mark.parametrize("name", NAMES)
def test_two_owners_against_a_model(name: str, own_loop: asyncio.AbstractEventLoop, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    url = str(tmp_path / "runs.db") if name == "sqlite" else request.getfixturevalue(f"{name}_url")

    class OnStorage(Machine):
        storage = Storage(name, url)
        loop = own_loop

    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much]
    few = settings(max_examples=10, stateful_step_count=30, deadline=None, suppress_health_check=checks)
    run_state_machine_as_test(OnStorage, settings=few)
