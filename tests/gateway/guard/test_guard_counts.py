"""Counts in the memory of one gateway and counts that gateways share: one contract. And what Redis' failures do to the latter."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.guard.counts import Counts, MemoryCounts
from gateway.guard.limits import CallerLimits, create_counts
from gateway.guard.redis_counts import RedisCounts
from gateway.guard.shared_counts import SharedCounts
from schemas.errors import ConfigurationError, QuotaUsed, TooManyRequests, TooManyRuns
from schemas.settings import Settings
from tests.servers import PASSWORD, QUOTED_PASSWORD, RedisServer

DAY = 86_400
LONG = 600.0
"""Longer than any test takes: no place lapses."""


@pytest.fixture(autouse=True)
def patience(request: pytest.FixtureRequest) -> Iterator[None]:
    """However busy the machine is, a Redis that is there answers in time."""
    with pytest.MonkeyPatch.context() as patch:
        if "silent_redis" not in request.fixturenames:
            for module in ("redis_counts", "shared_counts"):
                patch.setattr(f"gateway.guard.{module}.ANSWER_SECONDS", 30.0)
        yield


@pytest.fixture
async def silent_redis() -> AsyncIterator[tuple[str, list[asyncio.StreamWriter]]]:
    """The URL of a server that never answers, and who waits for it."""
    waiting: list[asyncio.StreamWriter] = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        waiting.append(writer)
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0", waiting


def sharing(url: str, per_minute: int = 1_000, place_seconds: float = LONG) -> SharedCounts:
    """The counts of one gateway."""
    return SharedCounts(RedisCounts(url, per_minute, place_seconds), MemoryCounts(per_minute), place_seconds)


@asynccontextmanager
async def gateways(url: str, number: int = 2, **values: Any) -> AsyncIterator[list[SharedCounts]]:
    """The counts of several gateways over one Redis."""
    made = [sharing(url, **values) for _ in range(number)]
    try:
        yield made
    finally:
        for one in made:
            await one.close()


async def eventually(happened: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await happened():
            await asyncio.sleep(0.01)


@pytest.fixture(params=["memory", "redis"])
async def make_counts(request: pytest.FixtureRequest, redis_url: str) -> AsyncIterator[Callable[..., Counts]]:
    """Makes the counts of a gateway that allows so many requests in a minute."""
    made: list[Counts] = []

    def make(per_minute: int = 1_000) -> Counts:
        made.append(MemoryCounts(per_minute) if request.param == "memory" else sharing(redis_url, per_minute))
        return made[-1]

    yield make
    for one in made:
        await one.close()


# -- the contract ------------------------------------------------------------------------------------------------------


async def test_requests(make_counts: Callable[..., Counts]) -> None:
    counts = make_counts(3)
    assert [await counts.request("a") for _ in range(3)] == [0, 0, 0]
    assert 1 <= await counts.request("a") <= 60
    assert await counts.request("b") == 0


async def test_places(make_counts: Callable[..., Counts]) -> None:
    counts = make_counts()
    assert [await counts.take("a", place, 2) for place in "xyz"] == [True, True, False]
    assert await counts.take("b", "z", 1)
    counts.give_back("a", "x")
    counts.give_back("a", "unknown")
    assert [await counts.take("a", place, 2) for place in "uv"] == [True, False]


async def test_tokens_of_a_day(make_counts: Callable[..., Counts], monkeypatch: pytest.MonkeyPatch) -> None:
    counts, now = make_counts(), 1_000 * DAY + 86_000.0
    monkeypatch.setattr(time, "time", lambda: now)
    assert [await counts.spend("a", tokens) for tokens in (5, 0, -3, 2)] == [5, 0, 0, 2]
    assert (await counts.tokens("a"), await counts.tokens("b")) == (7, 0)
    now += 400
    assert await counts.tokens("a") == 0


async def test_a_run_is_paid_once(make_counts: Callable[..., Counts]) -> None:
    counts = make_counts()
    assert [await counts.spend("a", tokens, "r1") for tokens in (40, 100, 100, 70)] == [40, 60, 0, 0]
    assert await counts.spend("a", 10, "r2") == 10
    assert await counts.tokens("a") == 110


async def test_a_deleted_run_leaves_nothing_that_is_paid_for(make_counts: Callable[..., Counts]) -> None:
    counts = make_counts()
    assert await counts.spend("a", 90, "r1") == 90
    await counts.forget("r1")
    await counts.forget("unknown")
    assert await counts.spend("a", 90, "r1") == 90


async def test_what_was_used_before_is_not_paid(make_counts: Callable[..., Counts]) -> None:
    counts = make_counts()
    assert not await counts.knows("r1")
    assert [await counts.remember("r1", tokens) for tokens in (40, 30)] == [0, 40]
    assert await counts.knows("r1")
    assert [await counts.spend("a", tokens, "r1") for tokens in (40, 60)] == [0, 20]
    assert await counts.tokens("a") == 20


# -- several gateways --------------------------------------------------------------------------------------------------


async def test_the_limits_of_a_caller_hold_for_all_gateways(make_settings: Callable[..., Settings], redis_url: str) -> None:
    values = make_settings(
        deepsearch_limits_url=redis_url, deepsearch_key_requests_per_minute=5, deepsearch_key_runs=2, deepsearch_key_daily_tokens=100
    )
    one, two = CallerLimits(values), CallerLimits(values)
    for limits in (one, two, one, two, one):
        await limits.request("a")
    with pytest.raises(TooManyRequests, match="More than 5 requests"):
        await two.request("a")
    end = await one.begin_run("a")
    await two.begin_run("a")
    with pytest.raises(TooManyRuns, match="2 runs are under way"):
        await two.begin_run("a")
    end()
    await one.begin_run("a")
    assert [await limits.spend("a", 60, "r1") for limits in (one, two)] == [60, 0]
    assert [await limits.spend("a", tokens, "r2") for limits, tokens in ((two, 30), (one, 40), (two, 40))] == [30, 10, 0]
    for limits in (one, two):
        with pytest.raises(QuotaUsed, match="The 100 tokens of today"):
            await limits.check_quota("a")
    await one.close()
    restarted = CallerLimits(values)
    with pytest.raises(QuotaUsed):
        await restarted.begin_run("a")
    await restarted.close()
    await two.close()


MOST = 2
CALLERS = ("a", "b")
databases = itertools.count(5_000)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from(["take", "take", "give back", "both"]), st.sampled_from([0, 1]), st.sampled_from(CALLERS)), max_size=30
    )
)
def test_gateways_never_give_more_places_than_there_are(redis_server: RedisServer, steps: list[tuple[str, int, str]]) -> None:
    async def play() -> None:
        async with gateways(redis_server.url(next(databases))) as both:
            held: dict[str, list[tuple[SharedCounts, str]]] = {caller: [] for caller in CALLERS}
            names = (f"place-{number}" for number in itertools.count())

            async def take(counts: SharedCounts, caller: str) -> bool:
                place = next(names)
                if taken := await counts.take(caller, place, MOST):
                    held[caller].append((counts, place))
                return taken

            for step, number, caller in steps:
                free = MOST - len(held[caller])
                if step == "give back" and held[caller]:
                    counts, place = held[caller].pop(number % len(held[caller]))
                    counts.give_back(caller, place)
                    await asyncio.gather(*counts._releases)
                elif step == "take":
                    assert await take(both[number], caller) is (free > 0)
                elif step == "both":
                    taken = await asyncio.gather(*(take(counts, caller) for counts in both * 2))
                    assert sum(taken) == free
                assert len(held[caller]) <= MOST

    asyncio.run(play())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(["r1", "r2", "r3"]), st.integers(0, 1_000), st.booleans()), max_size=20))
def test_what_a_run_used_is_counted_once_whoever_sees_it(redis_server: RedisServer, seen: list[tuple[str, int, bool]]) -> None:
    async def play() -> None:
        async with gateways(redis_server.url(next(databases))) as both:
            new = await asyncio.gather(*(both[second].spend("a", tokens, run) for run, tokens, second in seen))
            used = {run: max(tokens for other, tokens, _ in seen if other == run) for run, _, _ in seen}
            assert sum(new) == sum(used.values()) == await both[0].tokens("a") == await both[1].tokens("a")

    asyncio.run(play())


async def test_the_places_of_a_gateway_that_died_lapse(redis_url: str) -> None:
    async with gateways(redis_url, place_seconds=3.0) as (dying, living):
        assert await dying.take("a", "x", 2) and await living.take("a", "y", 2)
        assert not await living.take("a", "z", 2)
        assert dying._looking is not None
        dying._looking.cancel()  # nobody renews its places any more
        await eventually(lambda: living.take("a", "z", 2))
        assert not await living.take("a", "u", 2)  # what is renewed does not lapse


async def test_a_gateway_that_stops_gives_its_places_back(redis_url: str) -> None:
    async with gateways(redis_url) as (stopping, staying):
        assert await stopping.take("a", "x", 1)
        assert not await staying.take("a", "y", 1)
        await stopping.close()
        assert await staying.take("a", "y", 1)


async def test_who_is_cancelled_while_it_takes_a_place_holds_none(redis_url: str) -> None:
    async with gateways(redis_url, 1) as (counts,):
        for number in range(20):
            taking = asyncio.create_task(counts.take("a", f"place-{number}", 1))
            for _ in range(number):
                await asyncio.sleep(0)
            if not taking.done():
                taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)
            counts.give_back("a", f"place-{number}")
        assert await counts.take("a", "last", 1)


async def test_everything_in_redis_expires_and_nothing_in_it_is_a_client_s(redis_url: str) -> None:
    async with gateways(redis_url, 1, per_minute=1) as (counts,):
        await counts.request("key 0123456789abcdef")
        await counts.request("key 0123456789abcdef")
        await counts.take("key 0123456789abcdef", "x", 1)
        await counts.spend("key 0123456789abcdef", 2**70, "what a client * chose \udcff" * 1_000)
        await counts.remember("another", 5)
        await counts._shared.renew([])
        async with Redis.from_url(redis_url) as server:
            keys = await server.keys("*")
            assert len(keys) == 6
            for key in keys:
                assert key.startswith(b"deepsearch:limits:") and len(key) < 120 and b"chose" not in key
                assert 0 < await server.ttl(key) <= 2 * DAY


# -- failures ----------------------------------------------------------------------------------------------------------


async def test_the_gateway_goes_on_while_redis_is_away(caplog: pytest.LogCaptureFixture) -> None:
    with RedisServer() as server:
        url = server.url()
        async with gateways(url, per_minute=8, place_seconds=1.0) as (one, two):
            assert await one.take("a", "x", 2)
            assert await one.spend("a", 70, "r1") == 70
            server.kill()
            with caplog.at_level(logging.WARNING):
                assert [await one.request("a") for _ in range(8)] == [0] * 8
                assert await one.request("a") > 0  # counted in memory
                assert (await one.take("a", "y", 2), await one.take("a", "z", 2)) == (True, False)
                assert await one.tokens("a") == 70  # what it has counted itself it still knows
                assert [await one.spend("a", tokens, "r1") for tokens in (70, 90)] == [0, 20]
                assert await one.knows("r1") and not await one.knows("r2")
                assert await one.remember("r2", 5) == 0
                await one.forget("r2")
            (warning,) = caplog.messages
            assert warning.startswith("DEEPSEARCH_LIMITS_URL: the server cannot be used")
            assert "until it is back this gateway counts limits by itself" in warning and PASSWORD not in warning and "se%2F" not in warning
            server.start()  # with nothing in it
            await eventually(lambda: _is_back(one))
            # The runs that were under way, and begun meanwhile, count for others too, and so does what is spent from here on.
            assert not await two.take("a", "u", 2)
            assert await one.spend("a", 30, "r3") == 30
            assert (await one.tokens("a"), await two.tokens("a")) == (120, 30)
            one.give_back("a", "x")
            await asyncio.gather(*one._releases)
            assert await two.take("a", "u", 2)


async def _is_back(counts: SharedCounts) -> bool:
    return not counts._is_away


async def test_a_redis_that_does_not_answer_is_waited_for_once(silent_redis: tuple[str, list[asyncio.StreamWriter]]) -> None:
    url, waiting = silent_redis
    async with gateways(url, 1) as (counts,):
        async with asyncio.timeout(60):
            assert [await counts.request("a") for _ in range(100)] == [0] * 100
            assert await counts.take("a", "x", 1) and not await counts.take("a", "y", 1)
        assert len(waiting) <= 2  # and that by one of a hundred


async def test_a_redis_that_takes_nothing_is_away(caplog: pytest.LogCaptureFixture) -> None:
    with RedisServer("--min-replicas-to-write", "1") as server:
        with pytest.raises(ConfigurationError, match="NOREPLICAS"):
            RedisCounts(server.url(), 10, LONG).check()
        async with gateways(server.url(), 1, place_seconds=0.1) as (counts,):
            with caplog.at_level(logging.INFO):
                assert await counts.request("a") == 0
                with pytest.raises(RedisError, match="NOREPLICAS"):  # so nobody takes it for one that is back
                    await counts._shared.renew([])
                assert await counts.take("a", "x", 1) and not await counts.take("a", "y", 1)
            assert len(caplog.messages) == 1


# -- the setting -------------------------------------------------------------------------------------------------------


def test_without_a_url_there_is_no_redis(make_settings: Callable[..., Settings]) -> None:
    assert isinstance(create_counts(make_settings()), MemoryCounts)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (f"postgresql://user:{QUOTED_PASSWORD}@127.0.0.1/x", "must begin with redis:// or rediss://"),
        ("127.0.0.1:6379", "must begin with redis:// or rediss://"),
        (f"redis://:{PASSWORD}@127.0.0.1:6379/0", "cannot be read: write redis://USER:PASSWORD@HOST:PORT/0"),
        ("redis:///0", "cannot be read"),
        ("redis://127.0.0.1:port/0", "cannot be read"),
        ("redis://127.0.0.1:1/0?password=very-secret&unheard_of=1", "cannot be read"),
        (f"redis://user:{QUOTED_PASSWORD}@127.0.0.1:1/0", "the server cannot be used .*127.0.0.1:1.*; check it, and that the server runs"),
        (f"rediss://user:{QUOTED_PASSWORD}@127.0.0.1:1/0", "the server cannot be used"),
    ],
)
def test_a_url_that_cannot_be_used_is_said_without_its_password(make_settings: Callable[..., Settings], url: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as raised:
        CallerLimits(make_settings(deepsearch_limits_url=url))
    assert raised.value.field == "DEEPSEARCH_LIMITS_URL" and str(raised.value).startswith("DEEPSEARCH_LIMITS_URL")
    assert not [part for part in ("secret", "se/cret", "cret@word", "se%2F", "user:") if part in str(raised.value)]


def test_a_wrong_password_is_said(make_settings: Callable[..., Settings], redis_server: RedisServer) -> None:
    with pytest.raises(ConfigurationError, match="DEEPSEARCH_LIMITS_URL: the server refuses the user or the password"):
        CallerLimits(make_settings(deepsearch_limits_url=redis_server.url(0).replace(QUOTED_PASSWORD, "wrong")))
