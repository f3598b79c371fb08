"""Every kind of upstream in bad weather, over real sockets: how often it is asked, when it is left alone, and when it is asked again."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from tenacity import RetryCallState

from providers.embedding.jina import JinaEmbedding
from providers.llm import create_model
from providers.llm.base import Prompt
from providers.policies import model_server, page_service, search_provider, text_service
from providers.reader.base import ReadOptions
from providers.reader.jina import JinaReader
from providers.rerank.jina import JinaRerank
from providers.search.base import SearchOptions
from providers.search.jina import JinaSearch
from providers.upstream import UPSTREAMS, Policy, Upstream, backoff
from schemas.errors import DeepSearchError, UpstreamError
from schemas.search import SearchQuery
from schemas.settings import Settings
from schemas.usage import Allowance
from tests.scripted import Delay, Drip, Drop, Json, Reply, ScriptedServer, Status

KINDS = ("model", "search", "reader", "embedding", "rerank")
STORMS: dict[str, Callable[[], Reply]] = {
    "overloaded": lambda: Status(503, {"error": {"message": "busy"}}),
    "limited": lambda: Status(429, {"error": {"message": "slow down"}}),
    "reset": Drop,
    "silent": lambda: Delay(3600, Status(500)),
    "dripping": Drip,
}
SECONDS = 0.4
"""Longest one call may take, in storms that are sat out."""


class Verdict(BaseModel):
    passed: bool


@dataclass
class Kind:
    """One kind of upstream: the provider that asks it, and the service of the scripted server that it asks."""

    ask: Callable[[], Awaitable[Any]]
    service: Any
    well: Callable[[Any], Reply]
    path: str
    upstream: Callable[[], Upstream]
    close: Callable[[], Awaitable[None]]


def kind_of(name: str, server: ScriptedServer, settings: Settings) -> Kind:
    if name == "model":
        model: Any = create_model(settings)

        def well(_: Any) -> Reply:
            return Json({"passed": True})

        ask = partial(model.generate, "evaluator", Prompt("You judge.", "Is it good?"), Verdict, Allowance(seconds=20.0))
        return Kind(ask, server.llm, well, "/v1/chat/completions", lambda: model._upstream, model.close)
    provider: Any
    service: Any
    if name == "search":
        provider = JinaSearch(settings)
        ask = partial(provider.search, SearchQuery(text="tea"), SearchOptions(timeout_seconds=settings.search_timeout_seconds))
        service, path = server.search, "/search/"
    elif name == "reader":
        provider = JinaReader(settings)
        ask = partial(provider.read, "https://example.org/tea", ReadOptions(timeout_seconds=settings.reader_timeout_seconds))
        service, path = server.reader, "/reader/"
    elif name == "embedding":
        provider = JinaEmbedding(settings)
        ask = partial(provider.embed, ["tea"], "query")
        service, path = server.embeddings, "/v1/embeddings"
    else:
        provider = JinaRerank(settings)
        ask = partial(provider.rerank, "tea", ["green tea"])
        service, path = server.rerank, "/v1/rerank"
    return Kind(ask, service, service.default, path, lambda: provider._endpoint.upstream, provider.close)


@pytest.fixture
async def kind(make_settings: Callable[..., Settings], scripted: ScriptedServer) -> AsyncIterator[Callable[..., Kind]]:
    """`kind("model", seconds=0.4)`: a provider of that kind, whose calls may take so long."""
    scripted.add_page("https://example.org/tea", "Tea", "Green tea is tea.")
    made: list[Kind] = []

    def make(name: str, seconds: float = 20.0, **more: Any) -> Kind:
        settings = make_settings(
            llm_model="m", openai_base_url=scripted.llm_url, jina_api_key="key", jina_api_url=scripted.llm_url,
            jina_search_url=scripted.search_url, jina_reader_url=scripted.reader_url,
            llm_timeout_seconds=seconds, search_timeout_seconds=seconds, reader_timeout_seconds=seconds, embedding_timeout_seconds=seconds,
            **more,
        )  # fmt: skip
        made.append(kind_of(name, scripted, settings))
        return made[-1]

    yield make
    for one in made:
        await one.close()


class Clock:
    """The time of day, by which it is known how long an upstream has been left alone; it can be put forward."""

    ahead = 0.0
    monotonic = staticmethod(time.monotonic)

    def time(self) -> float:
        return time.time() + self.ahead


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock for circuits; and pauses between attempts are short."""
    made = Clock()
    monkeypatch.setattr("providers.upstream.time", made)
    monkeypatch.setattr("purgatory.domain.model.time", made)
    monkeypatch.setattr("providers.upstream._LONGEST_BACKOFF_SECONDS", 0.02)
    return made


async def failed(one: Kind) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        async with asyncio.timeout(30):
            await one.ask()
    return caught.value


async def failure(one: Kind) -> str:
    return str(await failed(one))


@pytest.mark.parametrize("storm", STORMS)
@pytest.mark.parametrize("name", KINDS)
async def test_a_storm_is_sat_out(name: str, storm: str, kind: Callable[..., Kind], scripted: ScriptedServer, clock: Clock) -> None:
    """Calls end in time, each with a bounded number of requests; after enough of them nothing is sent; then one call finds it well."""
    one = kind(name, SECONDS if storm in ("silent", "dripping") else 20.0)
    one.service.script(lambda _: STORMS[storm]())
    sent: list[int] = []
    policy = None
    for _ in range(14):
        before = len(scripted.sent(one.path))
        said = await failure(one)
        policy = one.upstream().policy
        sent.append(len(scripted.sent(one.path)) - before)
        if one.upstream().state == "open":
            break
    assert policy is not None and policy.failures is not None
    attempts = 1 if storm in ("silent", "dripping") else policy.attempts
    if storm == "limited":  # it is well: it only has no time for us
        assert sent == [attempts] * 14 and one.upstream().state == "closed"
    else:
        assert sent == [attempts] * policy.failures
        refused = await failed(one)
        said = str(refused)
        assert name != "model" or refused.retry_after == policy.failing_seconds
        assert re.search(rf"is not asked for \d+ s, after {policy.failures} failures in a row: it ", said), said
        assert len(scripted.sent(one.path)) == sum(sent)
        assert one.upstream().state == "open"
        clock.ahead += policy.failing_seconds
        assert one.upstream().state == "half-open"
    one.service.script(one.well)
    await one.ask()
    assert one.upstream().state == "closed"
    assert len(scripted.sent(one.path)) == sum(sent) + 1


@pytest.mark.parametrize("name", KINDS)
async def test_when_it_may_be_well_again_one_call_tries(
    name: str, kind: Callable[..., Kind], scripted: ScriptedServer, clock: Clock
) -> None:
    one = kind(name)
    one.service.script(lambda _: Drop())
    for _ in range(12):
        with suppress(UpstreamError):
            await one.ask()
    clock.ahead += one.upstream().policy.failing_seconds
    before = len(scripted.sent(one.path))
    ended = await asyncio.gather(*(one.ask() for _ in range(20)), return_exceptions=True)
    assert all(isinstance(error, UpstreamError) for error in ended)
    assert len(scripted.sent(one.path)) - before == one.upstream().policy.attempts
    assert one.upstream().state == "open"


@pytest.mark.parametrize("name", KINDS)
async def test_many_calls_at_once_are_few_requests_at_once(name: str, kind: Callable[..., Kind], scripted: ScriptedServer) -> None:
    limits = {"llm_concurrency": 3, "search_concurrency": 3, "reader_concurrency": 3}
    one = kind(name, **limits)
    most = 16 if name in ("embedding", "rerank") else 3
    seen: list[int] = []

    def slowly(request: Any) -> Reply:
        seen.append(scripted.under_way)
        return Delay(0.5 if len(seen) <= most else 0.02, one.well(request))  # the first meet, however slowly they come

    one.service.script(slowly)
    await asyncio.gather(*(one.ask() for _ in range(2 * most + 3)))
    assert len(seen) == 2 * most + 3
    assert max(seen) == most
    assert (one.upstream().under_way, one.upstream().waiting) == (0, 0)


async def test_a_queue_has_an_end() -> None:
    upstream = Upstream(Policy(at_once=1, waiting=2), "some service")
    deadline = asyncio.get_running_loop().time() + 60
    ended = asyncio.Event()

    async def call() -> None:
        async with upstream.slot(deadline):
            await ended.wait()

    calls = [asyncio.create_task(call()) for _ in range(5)]
    await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    assert [str(call.exception()) for call in calls if call.done()] == ["has too many requests waiting for their turn (1 at a time)"] * 2
    assert (upstream.under_way, upstream.waiting) == (1, 2)
    assert upstream in UPSTREAMS
    ended.set()
    await asyncio.gather(*calls, return_exceptions=True)


async def test_one_that_fails_leaves_the_others_alone(kind: Callable[..., Kind], scripted: ScriptedServer) -> None:
    every = {name: kind(name) for name in KINDS}
    for failing in ("embedding", "search"):
        every[failing].service.script(lambda _: Drop())
        for _ in range(6):
            with suppress(UpstreamError):
                await every[failing].ask()
    for name, one in every.items():
        if name not in ("embedding", "search"):
            one.service.script(one.well)
            await one.ask()
    assert {name: one.upstream().state for name, one in every.items()} == {
        "model": "closed", "search": "open", "reader": "closed", "embedding": "open", "rerank": "closed",
    }  # fmt: skip


async def test_what_it_asks_for_holds_for_all_and_nobody_comes_early(kind: Callable[..., Kind], scripted: ScriptedServer) -> None:
    one = kind("model")
    script = iter([Status(429, {"error": {"message": "slow down"}}, {"retry-after": "1"})])
    one.service.script(lambda _: next(script, Json({"passed": True})))
    first = asyncio.create_task(one.ask())  # type: ignore[arg-type]
    while not scripted.sent():
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
    await asyncio.gather(first, one.ask(), one.ask())
    times = [request.time for request in scripted.sent()]
    assert len(times) == 4
    assert min(times[1:]) - times[0] >= 0.99


async def test_a_pause_beyond_the_deadline_is_not_waited_for(kind: Callable[..., Kind], scripted: ScriptedServer) -> None:
    for name in KINDS:
        one = kind(name)
        one.service.script(lambda _: Status(503, {"error": {"message": "busy"}}, {"retry-after": "3000"}))
        before = len(scripted.sent(one.path))
        with pytest.raises(DeepSearchError):
            await one.ask()
        assert "is not asked for 3000 s: it asked for that pause" in await failure(one)
        assert len(scripted.sent(one.path)) - before == 1


def test_pauses_grow_and_no_two_clients_make_the_same() -> None:
    pause = backoff(0.01)
    state = RetryCallState(None, None, (), {})  # type: ignore[arg-type]
    first = [pause(state) for _ in range(200)]
    assert all(0.005 <= seconds <= 0.01 for seconds in first)
    assert len(set(first)) > 150 and max(first) - min(first) > 0.003
    state.attempt_number = 2
    assert all(0.01 <= pause(state) <= 0.02 for _ in range(200))
    state.attempt_number = 60
    assert all(pause(state) <= 0.02 for _ in range(200))  # here the longest


def test_the_table_says_what_every_upstream_gets(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings()
    text = (Path(__file__).parents[2] / "docs" / "resilience.md").read_text()
    rows = {cells[0]: cells[1:] for line in text.splitlines() if line.startswith("| ") and len(cells := line.strip("| ").split(" | ")) == 7}
    for name, policy, seconds in (
        ("language model", model_server(settings), settings.llm_timeout_seconds),
        ("search provider", search_provider(settings, None), settings.search_timeout_seconds),
        ("embeddings, reranker", text_service(settings.embedding_timeout_seconds), settings.embedding_timeout_seconds),
        ("Jina reader", page_service(settings), settings.reader_timeout_seconds),
    ):
        numbers = [re.findall(r"^\d+(?:\.\d+)?", cell)[:1] for cell in rows[name][:5]]
        expected = (seconds, policy.attempts, policy.at_once, policy.waiting, policy.failures)
        assert numbers == [[f"{number:g}"] for number in expected], (name, rows[name])
        assert rows[name][4].endswith(f"{policy.failing_seconds:g} s")
