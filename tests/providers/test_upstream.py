"""Limits, pauses and circuits of one upstream, on a clock that the test turns."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import providers.upstream
from providers.upstream import Failure, Fault, NotAsked, Policy, Rate, Refusal, Rejection, Upstream


class Clock:
    """Seconds that pass only when told, for our code, the circuit breaker's and, in an event loop, the loop's."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 1_000_000.0
        frozen = SimpleNamespace(time=lambda: self.now, monotonic=lambda: self.now)
        patch.setattr(providers.upstream, "time", frozen)
        patch.setattr("purgatory.domain.model.time", frozen)

    async def pass_by(self, seconds: float = 0.0) -> None:
        """Let `seconds` pass, and whatever is due happen."""
        self.now += seconds
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock(monkeypatch)
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: made.now)
    return made


class Traffic:
    """Requests that are made when their turn comes and last until they are ended."""

    def __init__(self, upstream: Upstream, clock: Clock) -> None:
        self.upstream, self.clock = upstream, clock
        self.under_way: list[asyncio.Event] = []
        self.sent = 0
        self.tasks: list[asyncio.Task[None]] = []

    async def begin(self, count: int, seconds: float = 1e6) -> None:
        deadline = self.clock.now + seconds
        self.tasks += [asyncio.create_task(self._request(deadline)) for _ in range(count)]
        await self.clock.pass_by()

    async def end(self, count: int) -> None:
        for _ in range(count):
            self.under_way.pop(0).set()
        await self.clock.pass_by()

    async def _request(self, deadline: float) -> None:
        async with self.upstream.slot(deadline):
            await self.upstream.turn(deadline)
            self.sent += 1
            ended = asyncio.Event()
            self.under_way.append(ended)
            await ended.wait()


async def end(upstream: Upstream, failure: Failure | None = None) -> None:
    """A call that ends so."""
    entered = False
    with suppress(Failure):
        async with upstream.call():
            entered = True
            if failure is not None:
                raise failure
    assert entered


async def refusal(upstream: Upstream) -> str:
    with pytest.raises(NotAsked) as caught:
        async with upstream.call():
            pass
    return str(caught.value)


async def test_requests_at_a_time(clock: Clock) -> None:
    traffic = Traffic(Upstream(Policy(at_once=3)), clock)
    await traffic.begin(7)
    assert traffic.sent == 3
    await traffic.end(2)
    assert (traffic.sent, len(traffic.under_way)) == (5, 3)
    traffic.tasks[5].cancel()  # waiting: its turn goes to the next
    await traffic.end(3)
    assert (traffic.sent, len(traffic.under_way)) == (6, 1)
    await traffic.end(1)
    assert [task.cancelled() for task in traffic.tasks] == [False] * 5 + [True, False]


async def test_requests_in_a_period(clock: Clock) -> None:
    traffic = Traffic(Upstream(Policy(rate=Rate(5, 60))), clock)
    await traffic.begin(8)
    assert traffic.sent == 5
    await clock.pass_by(59.9)
    assert traffic.sent == 5
    await clock.pass_by(0.2)
    assert traffic.sent == 8
    await traffic.begin(3)
    assert traffic.sent == 10
    await clock.pass_by(59.9)
    assert traffic.sent == 10
    await clock.pass_by(0.2)
    assert traffic.sent == 11
    await traffic.end(11)


async def test_a_period_does_not_end_with_a_pause(clock: Clock) -> None:
    upstream = Upstream(Policy(rate=Rate(2, 10)))
    traffic = Traffic(upstream, clock)
    upstream.pause(100)
    await traffic.begin(6)
    await clock.pass_by(99.9)
    assert traffic.sent == 0
    for sent in (2, 4, 6):
        await clock.pass_by(0.2)
        assert traffic.sent == sent
        await clock.pass_by(9.9)
    await traffic.end(6)


async def test_who_gives_up_waiting_leaves_the_turn_to_the_next(clock: Clock) -> None:
    traffic = Traffic(Upstream(Policy(rate=Rate(1, 10))), clock)
    await traffic.begin(4)
    for task in traffic.tasks[1:3]:
        task.cancel()
    await clock.pass_by(10.1)
    assert traffic.sent == 2
    await traffic.end(2)


@given(
    requests=st.integers(1, 4),
    at_once=st.sampled_from([None, 1, 3]),
    steps=st.lists(
        st.tuples(st.integers(0, 6), st.sampled_from([0.0, 1.0, 4.0, 10.0, 25.0]), st.sampled_from([0.0, 0.0, 12.0])), max_size=12
    ),
)
def test_no_period_has_more_requests_than_the_rate(requests: int, at_once: int | None, steps: list[tuple[int, float, float]]) -> None:
    async def walk(clock: Clock) -> list[float]:
        upstream = Upstream(Policy(rate=Rate(requests, 10), at_once=at_once))
        sent: list[float] = []

        async def one() -> None:
            async with upstream.slot(clock.now + 1e6):
                await upstream.turn(clock.now + 1e6)
                sent.append(clock.now)

        loop = asyncio.get_running_loop()
        loop.time = lambda: clock.now  # type: ignore[method-assign]
        tasks: list[asyncio.Task[None]] = []
        for count, seconds, pause in steps:
            if pause:
                upstream.pause(pause)
            tasks += [asyncio.create_task(one()) for _ in range(count)]
            await clock.pass_by()
            await clock.pass_by(seconds)
        while not all(task.done() for task in tasks):
            await clock.pass_by(0.5)
        await asyncio.gather(*tasks)
        return sent

    with pytest.MonkeyPatch.context() as patch:
        sent = asyncio.run(walk(Clock(patch)))
    assert len(sent) == sum(count for count, _, _ in steps)
    assert all(later - earlier >= 10 for earlier, later in zip(sent, sent[requests:], strict=False))


async def test_a_queue_too_long_to_wait_in_is_left_at_once(clock: Clock) -> None:
    upstream = Upstream(Policy(at_once=9, rate=Rate(5, 60)))
    traffic = Traffic(upstream, clock)
    await traffic.begin(8)
    with pytest.raises(NotAsked, match=r"^has too many requests waiting for their turn \(9 at a time, 5 in 60 s\)$"):
        async with upstream.slot(clock.now + 59):
            pass
    await traffic.begin(2, seconds=61)
    with pytest.raises(NotAsked, match=r"^has too many requests waiting"):  # this one would be the sixth of the next period
        async with upstream.slot(clock.now + 61):
            pass
    await clock.pass_by(60.1)
    assert traffic.sent == 9
    await traffic.end(9)
    await traffic.begin(1)
    assert traffic.sent == 10
    await traffic.end(1)


async def test_a_turn_that_would_come_too_late_is_refused_at_once(clock: Clock) -> None:
    traffic = Traffic(Upstream(Policy(rate=Rate(1, 60))), clock)
    await traffic.begin(1)
    await traffic.begin(1, seconds=59)
    assert str(traffic.tasks[1].exception()) == "had no turn for it in time (1 in 60 s)"
    await traffic.end(1)


async def test_a_pause_holds_for_every_request(clock: Clock) -> None:
    upstream = Upstream(Policy(at_once=2))
    traffic = Traffic(upstream, clock)
    await traffic.begin(3)
    upstream.pause(10)
    upstream.pause(4)  # a shorter one does not end a longer one
    await traffic.end(2)
    assert traffic.sent == 2
    with pytest.raises(NotAsked, match=r"^is not asked for 10 s: it asked for that pause$"):
        await upstream.turn(clock.now + 9.9)
    await clock.pass_by(9.9)
    assert traffic.sent == 2
    await clock.pass_by(0.2)
    assert traffic.sent == 3
    await traffic.end(1)


async def test_who_waits_in_vain_from_now_on_is_told_at_once(clock: Clock) -> None:
    upstream = Upstream(Policy(at_once=2, rate=Rate(1, 60), failures=1))
    traffic = Traffic(upstream, clock)
    await traffic.begin(3, seconds=130)  # one under way, one waits for the rate, one for a slot
    await traffic.begin(1, seconds=1_000)
    upstream.pause(500)
    await clock.pass_by()
    assert [task.done() for task in traffic.tasks] == [False, True, True, False]
    assert {str(task.exception()) for task in traffic.tasks[1:3]} == {"is not asked for 500 s: it asked for that pause"}
    await upstream.retract(Fault("is down"))
    await clock.pass_by()
    assert str(traffic.tasks[3].exception()) == "is not asked for 30 s: it is down"
    assert traffic.sent == 1
    await traffic.end(1)
    await clock.pass_by(1_000)
    await traffic.begin(1)  # the slots are free again
    await clock.pass_by()
    assert traffic.sent == 2
    await traffic.end(1)


async def test_nobody_waits_beyond_the_deadline(clock: Clock) -> None:
    traffic = Traffic(Upstream(Policy(at_once=1, rate=Rate(9, 1))), clock)
    await traffic.begin(1)
    await traffic.begin(1, seconds=10)
    await clock.pass_by(9.9)
    assert not traffic.tasks[1].done()
    await clock.pass_by(0.2)
    assert str(traffic.tasks[1].exception()) == "had no turn for it in time (1 at a time, 9 in 1 s)"
    await traffic.end(1)
    await traffic.begin(1)
    assert traffic.sent == 2
    await traffic.end(1)


async def test_who_is_cancelled_while_told_is_cancelled(clock: Clock) -> None:
    upstream = Upstream(Policy(at_once=1))
    traffic = Traffic(upstream, clock)
    await traffic.begin(2, seconds=10)
    upstream.pause(30)
    traffic.tasks[1].cancel()
    await traffic.end(1)
    if sys.version_info >= (3, 11):
        assert traffic.tasks[1].cancelled()
    assert traffic.tasks[1].done()


async def test_it_is_left_alone_after_failing_in_a_row(clock: Clock) -> None:
    upstream = Upstream(Policy(failures=3, failing_seconds=30))
    for failure in (Fault("a"), Fault("b"), None, Fault("c"), Fault("d"), Refusal("no"), Fault("e"), Failure("?"), Fault("f")):
        await end(upstream, failure)
    await end(upstream, Fault("is failing: HTTP 500"))
    assert await refusal(upstream) == "is not asked for 30 s, after 3 failures in a row: it is failing: HTTP 500"
    await clock.pass_by(29.5)
    assert await refusal(upstream) == "is not asked for 1 s, after 3 failures in a row: it is failing: HTTP 500"


async def test_one_call_tries_whether_it_is_well_again(clock: Clock) -> None:
    upstream = Upstream(Policy(failures=1, failing_seconds=30))
    await end(upstream, Fault("is down"))
    await clock.pass_by(31)
    with pytest.raises(asyncio.CancelledError):
        async with upstream.call():
            assert await refusal(upstream) == "is just being tried again: it is down"
            raise asyncio.CancelledError
    await end(upstream, Fault("is still down"))
    assert await refusal(upstream) == "is not asked for 30 s: it is still down"
    await clock.pass_by(31)
    await end(upstream)
    await end(upstream)


async def test_requests_that_wait_while_it_comes_to_be_left_alone_are_not_sent(clock: Clock) -> None:
    upstream = Upstream(Policy(at_once=1, failures=1))
    traffic = Traffic(upstream, clock)
    await traffic.begin(2)
    await upstream.retract(Fault("is down"))
    await traffic.end(1)
    assert isinstance(traffic.tasks[1].exception(), NotAsked)


async def test_an_answer_that_is_none_counts_as_a_failure(clock: Clock) -> None:
    upstream = Upstream(Policy(failures=3))
    await end(upstream, Fault("a"))
    for _ in range(2):
        await end(upstream)
        await upstream.retract(Fault("sent nonsense"))
    assert await refusal(upstream) == "is not asked for 30 s, after 3 failures in a row: it sent nonsense"
    upstream = Upstream(Policy(failures=2))
    await end(upstream)
    await upstream.retract(Fault("a"))
    await end(upstream)
    await end(upstream, Fault("b"))
    await end(upstream)


async def test_no_pause_is_longer_than_an_hour(clock: Clock) -> None:
    upstream = Upstream()
    upstream.pause(1e9)
    await clock.pass_by(3_601)
    await upstream.turn(clock.now)


async def test_a_rejection_lasts(clock: Clock) -> None:
    upstream = Upstream(Policy(failures=5, rejected_seconds=60))
    await end(upstream, Rejection("rejected the key"))
    assert await refusal(upstream) == "is not asked for 60 s: it rejected the key"
    await clock.pass_by(61)
    await end(upstream, Fault("is down"))  # says nothing about the key: the next call tries it
    async with upstream.call():
        assert await refusal(upstream) == "is just being tried again: it rejected the key"
    await end(upstream)


async def test_without_a_policy_only_pauses_are_kept(clock: Clock) -> None:
    upstream = Upstream()
    traffic = Traffic(upstream, clock)
    for failure in [Fault("x")] * 9 + [Rejection("y")] * 9:
        await end(upstream, failure)
    await traffic.begin(500)
    assert (traffic.sent, upstream.limits) == (500, "")
    await traffic.end(500)
    upstream.pause(5)
    await traffic.begin(1, seconds=4)
    assert isinstance(traffic.tasks[-1].exception(), NotAsked)


STEPS = st.lists(st.tuples(st.sampled_from([0.0, 7.0, 31.0]), st.sampled_from([None, Fault, Refusal, Failure])), max_size=40)


@given(STEPS)
def test_a_circuit_is_open_exactly_while_its_failures_say_so(steps: list[tuple[float, type[Failure] | None]]) -> None:
    async def walk(clock: Clock) -> None:
        upstream = Upstream(Policy(failures=3, failing_seconds=30))
        failed, opened = 0, float("-inf")
        for seconds, kind in steps:
            clock.now += seconds
            if failed >= 3 and clock.now - opened <= 30:
                assert "after 3 failures in a row" in await refusal(upstream)
                continue
            await end(upstream, kind("x") if kind else None)
            if kind is Fault:
                failed, opened = failed + 1, clock.now
            elif kind is not Failure:
                failed = 0

    with pytest.MonkeyPatch.context() as patch:
        asyncio.run(walk(Clock(patch)))
