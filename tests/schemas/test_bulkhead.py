"""Places for calls: never more than there are, in order, and a refusal as soon as it is known that there is none in time."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import schemas.bulkhead
from schemas.bulkhead import WAITED, Bulkhead
from schemas.errors import Overloaded, from_wire


class Clock:
    """Seconds that pass only when told, for the bulkhead and its event loop."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        patch.setattr(schemas.bulkhead, "time", SimpleNamespace(monotonic=lambda: self.now))
        patch.setattr(asyncio.get_running_loop(), "time", lambda: self.now)

    async def pass_by(self, seconds: float = 0.0) -> None:
        self.now += seconds
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def bulkhead(at_once: int, waiting: int) -> Bulkhead:
    return Bulkhead(at_once, waiting, name="reader", settings=("AT_ONCE", "WAITING"))


class Call:
    """A call that lasts until it is ended."""

    def __init__(self, places: Bulkhead, seconds: float | None = None) -> None:
        self.ended = asyncio.Event()
        self.began = False
        self.waited = 0.0
        self.task = asyncio.create_task(self._run(places, seconds))

    async def _run(self, places: Bulkhead, seconds: float | None) -> None:
        async with places.place(seconds):
            self.began, self.waited = True, WAITED.get()
            await self.ended.wait()


async def test_calls_wait_in_order_and_know_how_long_they_have_waited(clock: Clock) -> None:
    places = bulkhead(2, 9)
    calls = [Call(places) for _ in range(5)]
    await clock.pass_by()
    assert [call.began for call in calls] == [True, True, False, False, False]
    assert (places.under_way, places.waiting) == (2, 3)
    calls[2].task.cancel()
    await clock.pass_by(3)
    calls[0].ended.set()
    await clock.pass_by()
    assert [call.began for call in calls] == [True, True, False, True, False]
    assert (calls[0].waited, calls[3].waited) == (0.0, 3.0)
    for call in calls:
        call.ended.set()
    await clock.pass_by()
    assert (places.under_way, places.waiting, places.refused) == (0, 0, 0)


async def test_a_full_queue_refuses_at_once(clock: Clock) -> None:
    places = bulkhead(1, 1)
    calls = [Call(places) for _ in range(3)]
    await clock.pass_by()
    refusal = calls[2].task.exception()
    assert isinstance(refusal, Overloaded)
    assert str(refusal) == "reader has 1 calls under way and 1 waiting (AT_ONCE, WAITING)."
    assert (refusal.http_status, refusal.grpc_status, refusal.retry_after, places.refused) == (503, "UNAVAILABLE", 1, 1)
    for call in calls[:2]:
        call.ended.set()
    await clock.pass_by()
    assert [call.task.done() for call in calls] == [True] * 3


async def test_a_call_waits_half_of_its_time_at_most(clock: Clock) -> None:
    places = bulkhead(1, 9)
    calls = [Call(places), Call(places, 10.0), Call(places)]
    await clock.pass_by()
    await clock.pass_by(4.9)
    assert not calls[1].task.done()
    await clock.pass_by(0.2)
    assert isinstance(calls[1].task.exception(), Overloaded)
    await clock.pass_by(25)
    assert isinstance(calls[2].task.exception(), Overloaded)  # nobody waits without end
    calls[0].ended.set()
    await clock.pass_by()
    assert (places.under_way, places.waiting) == (0, 0)


async def test_a_call_whose_turn_would_come_too_late_is_refused_at_once(clock: Clock) -> None:
    places = bulkhead(1, 99)
    first = Call(places)
    await clock.pass_by()
    await clock.pass_by(8)
    first.ended.set()
    await clock.pass_by()  # calls take 8 seconds
    calls = [Call(places), Call(places, 20.0), Call(places, 20.0), Call(places, 60.0)]
    await clock.pass_by()
    assert [call.task.done() for call in calls] == [False, False, True, False]
    refusal = calls[2].task.exception()
    assert isinstance(refusal, Overloaded) and refusal.retry_after == 16
    for call in calls:
        call.ended.set()
    await clock.pass_by()


def test_a_refusal_crosses_processes_with_the_time_to_come_back() -> None:
    refusal = Overloaded("Full.", retry_after=7)
    found = from_wire("Overloaded", list(refusal.args))
    assert (type(found), str(found), found.retry_after) == (Overloaded, "Full.", 7)
    assert from_wire("Overloaded", list(Overloaded("Full.").args)).retry_after is None


@settings(deadline=None)  # a busy machine is no failure
@given(
    at_once=st.integers(1, 4),
    waiting=st.integers(0, 4),
    steps=st.lists(
        st.tuples(st.sampled_from(["begin", "end", "leave"]), st.integers(0, 9), st.sampled_from([None, 2.0, 8.0])), max_size=30
    ),
)
def test_there_are_never_more_calls_than_places(at_once: int, waiting: int, steps: list[tuple[str, int, float | None]]) -> None:
    async def walk(clock: Clock) -> None:
        places = bulkhead(at_once, waiting)
        calls: list[Call] = []
        for step, which, seconds in steps:
            if step == "begin":
                calls.append(Call(places, seconds))
            elif calls and step == "end":
                calls[which % len(calls)].ended.set()
            elif calls:
                calls[which % len(calls)].task.cancel()
            await clock.pass_by(which / 4)
            under_way = [call for call in calls if call.began and not call.task.done()]
            assert places.under_way == len(under_way) <= at_once
            assert places.waiting == sum(not call.began and not call.task.done() for call in calls) <= waiting
        for call in calls:
            call.ended.set()
        while any(not call.task.done() for call in calls):
            await clock.pass_by(1)
        await asyncio.gather(*(call.task for call in calls), return_exceptions=True)
        assert (places.under_way, places.waiting) == (0, 0)

    async def run() -> None:
        with pytest.MonkeyPatch.context() as patch:
            await walk(Clock(patch))

    asyncio.run(run())
