"""Requests in a minute, runs at a time, tokens in a day, and places for runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import httpx
import pytest
from docarray import DocList
from hypothesis import given, settings
from hypothesis import strategies as st
from jina import Client
from jina.proto.jina_pb2 import DataRequestProto, SingleDocumentRequestProto
from websockets.asyncio.client import connect

from gateway.guard.admission import Admission
from gateway.guard.call import CURRENT, Call
from gateway.guard.limits import CallerLimits
from gateway.guard.runs import Runs
from schemas.errors import ClientLeft, Overloaded, QuotaUsed, TooManyFollowers, TooManyRequests, TooManyRuns
from schemas.reading import ReadRequest, ReadResponse
from schemas.research import ResearchAnswer, ResearchRequest, RunQuery
from schemas.settings import Settings


async def test_requests_in_a_minute(make_settings: Callable[..., Settings]) -> None:
    limits = CallerLimits(make_settings(deepsearch_key_requests_per_minute=3))
    for _ in range(3):
        await limits.request("a")
    with pytest.raises(TooManyRequests, match="More than 3 requests in a minute") as raised:
        await limits.request("a")
    assert 1 <= raised.value.retry_after <= 60
    await limits.request("b")


async def test_runs_at_a_time(make_settings: Callable[..., Settings]) -> None:
    limits = CallerLimits(make_settings(deepsearch_key_runs=2))
    end = await limits.begin_run("a")
    await limits.begin_run("a")
    with pytest.raises(TooManyRuns, match="2 runs are under way"):
        await limits.begin_run("a")
    await limits.begin_run("b")
    end()
    await limits.begin_run("a")


async def test_tokens_in_a_day(make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    limits = CallerLimits(make_settings(deepsearch_key_daily_tokens=100))
    now = 1_000 * 86_400.0 + 86_000
    monkeypatch.setattr(time, "time", lambda: now)
    assert await limits.spend("a", 99) == 99
    await limits.begin_run("a")
    assert await limits.spend("a", 1) == 1
    with pytest.raises(QuotaUsed, match="The 100 tokens of today") as raised:
        await limits.begin_run("a")
    assert raised.value.retry_after == 400
    await limits.begin_run("b")
    now += 401
    await limits.begin_run("a")


def test_followers_at_a_time(make_settings: Callable[..., Settings]) -> None:
    limits = CallerLimits(make_settings(deepsearch_key_followers=2))
    with limits.following("a"):
        with limits.following("a"):
            with pytest.raises(TooManyFollowers, match="2 runs are followed") as raised:
                limits.check_followers("a")
            assert (raised.value.http_status, raised.value.retry_after) == (429, 10)
            limits.check_followers("b")
        limits.check_followers("a")
    assert not limits._followers


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(["enter", "leave", "cancel"]), max_size=40), st.integers(1, 3), st.integers(0, 3))
def test_places_are_never_lost_nor_given_twice(steps: list[str], most: int, waiting: int) -> None:
    async def play() -> None:
        admission = Admission(Settings(_env_file=None, deepsearch_max_runs=most, deepsearch_max_waiting=waiting))
        tasks: list[asyncio.Task[None]] = []
        for step in steps:
            entered = [task for task in tasks if task.done()]
            waits = [task for task in tasks if not task.done()]
            if step == "enter":
                task = asyncio.create_task(admission.enter())
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                full = len(entered) >= most and len(waits) >= waiting
                assert full == (task.done() and isinstance(task.exception(), Overloaded))
                tasks += [] if full else [task]
            elif step == "leave" and entered:
                tasks.remove(entered[0])
                admission.leave()
                if waits:
                    await waits[0]  # the one that has waited for longest
            elif step == "cancel" and waits:
                tasks.remove(waits[-1])
                waits[-1].cancel()
                await asyncio.gather(waits[-1], return_exceptions=True)
            assert admission.under_way == len([task for task in tasks if task.done()]) <= most
            assert admission.waiting == len([task for task in tasks if not task.done()]) <= waiting
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(play())


async def test_who_leaves_while_waiting_gives_up_its_turn(make_settings: Callable[..., Settings]) -> None:
    values = make_settings(deepsearch_max_runs=1, deepsearch_max_waiting=5)
    runs = Runs(values, CallerLimits(values))
    first = await runs.enter()
    gone = asyncio.Event()

    async def left() -> None:
        await gone.wait()

    CURRENT.set(Call("a", left))
    leaver = asyncio.create_task(runs.enter())
    CURRENT.set(None)
    stayer = asyncio.create_task(runs.enter())
    cancelled = asyncio.create_task(runs.enter())
    await asyncio.sleep(0)
    gone.set()
    with pytest.raises(ClientLeft):
        await leaver
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    first.close()
    (await stayer).close()
    assert (runs._admission.under_way, runs._admission.waiting, runs.limits._counts.held()) == (0, 0, [])


# -- the real gateway --------------------------------------------------------------------------------------------------


def ask(question: str, run_id: str = "") -> dict[str, Any]:
    return {"data": {"question": question, "run_id": run_id}}


@pytest.mark.flow
def test_b23_the_request_over_the_limit_says_when_to_come_back(start: Any) -> None:
    flow = start(DEEPSEARCH_API_KEYS="k1,k2", DEEPSEARCH_KEY_REQUESTS_PER_MINUTE="3")
    statuses = [httpx.get(f"{flow.http}/v1/research", headers={"x-api-key": "k1"}).status_code for _ in range(3)]
    assert 429 not in statuses
    refused = httpx.get(f"{flow.http}/v1/models", headers={"x-api-key": "k1"})
    assert (refused.status_code, refused.json()["error"]["type"]) == (429, "rate_limit_error")
    assert 1 <= int(refused.headers["retry-after"]) <= 60 and refused.headers["x-should-retry"] == "true"
    assert httpx.get(f"{flow.http}/v1/models", headers={"x-api-key": "k2"}).status_code == 200
    guesses = [httpx.get(f"{flow.http}/v1/models", headers={"x-api-key": f"guess-{n}"}).status_code for n in range(5)]
    assert guesses == [401, 401, 401, 429, 429]


@pytest.mark.flow
def test_requests_on_one_grpc_call_are_counted_each(start: Any) -> None:
    flow = start(DEEPSEARCH_KEY_REQUESTS_PER_MINUTE="5", CASE="grpc")
    client = Client(host="127.0.0.1", port=flow.grpc, protocol="grpc", log_config="quiet")
    questions = DocList[ResearchRequest]([ResearchRequest(question="q") for _ in range(5)])
    assert len(client.post("/research", questions, request_size=1, return_type=DocList[ResearchAnswer])) == 5
    with pytest.raises(Exception, match="More than 5 requests in a minute"):
        client.post("/research", ResearchRequest(question="q"), return_type=DocList[ResearchAnswer])


@pytest.mark.flow
async def test_one_callers_runs_do_not_take_anothers(start: Any, until: Any) -> None:
    flow = start(DEEPSEARCH_API_KEYS="k1,k2", DEEPSEARCH_KEY_RUNS="1")
    async with httpx.AsyncClient(base_url=flow.http, timeout=30) as http:
        held = asyncio.create_task(http.post("/research", json=ask("hold one"), headers={"x-api-key": "k1"}))
        await until(lambda: flow.measured("deepsearch_runs_under_way") == 1)
        for path in ("/research/stream?question=q", "/resume?run_id=r"):
            refused = await http.get(path, headers={"x-api-key": "k1"})
            assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_runs")
            assert (refused.headers["retry-after"], refused.json()["error"]["message"]) == (
                "10",
                "1 runs are under way (DEEPSEARCH_KEY_RUNS).",
            )
        body = {"messages": [{"role": "user", "content": "q"}]}
        refused = await http.post("/v1/chat/completions", json=body, headers={"x-api-key": "k1"})
        assert (refused.status_code, refused.json()["error"]["code"], refused.headers["x-should-retry"]) == (429, "too_many_runs", "true")
        assert (await http.post("/research", json=ask("q"), headers={"x-api-key": "k2"})).status_code == 200
        flow.let_end("one")
        assert (await held).status_code == 200
        assert (await http.post("/research", json=ask("q"), headers={"x-api-key": "k1"})).status_code == 200


@pytest.fixture(scope="module")
def small(start: Any) -> Any:
    """A gateway with two places and two to wait for them."""
    return start(DEEPSEARCH_MAX_RUNS="2", DEEPSEARCH_MAX_WAITING="2")


@pytest.mark.flow
async def test_runs_wait_in_order_and_then_are_refused(small: Any, until: Any) -> None:
    order: list[str] = []

    async def run(http: httpx.AsyncClient, question: str) -> int:
        async with http.stream("GET", "/research/stream", params={"question": question, "run_id": question[-1]}) as response:
            order.append(question)
            async for _ in response.aiter_lines():
                pass
            return response.status_code

    def counts(under_way: int, waiting: int) -> Callable[[], bool]:
        return lambda: (small.measured("deepsearch_runs_under_way"), small.measured("deepsearch_runs_waiting")) == (under_way, waiting)

    async with httpx.AsyncClient(base_url=small.http, timeout=30) as http:
        first = [asyncio.create_task(run(http, f"hold {name}")) for name in ("a", "b")]
        await until(counts(2, 0))
        waiting = []
        for number, name in enumerate(("c", "d"), 1):
            waiting.append(asyncio.create_task(run(http, f"hold {name}")))
            await until(counts(2, number))
        refused = await http.post("/research", json=ask("q"))
        assert (refused.status_code, refused.json()["error"]["code"], refused.headers["retry-after"]) == (503, "overloaded", "10")
        chat = await http.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "q"}]})
        assert (chat.status_code, chat.json()["error"]["type"], chat.headers["retry-after"]) == (503, "server_error", "10")
        assert (await http.post("/v1/research", json={"question": "q", "run_id": "job"})).status_code == 503
        waiting[0].cancel()  # the first in the queue leaves
        await until(counts(2, 1))
        small.let_end("a")
        await until(counts(2, 0))
        assert sorted(order) == ["hold a", "hold b", "hold d"]
        for name in "bd":
            small.let_end(name)
        assert await asyncio.gather(*first, waiting[1]) == [200, 200, 200]
        await until(counts(0, 0))


@pytest.mark.flow
async def test_a_unary_call_and_a_grpc_call_that_leave_the_queue_give_up_their_turn(small: Any, until: Any) -> None:
    def counts(under_way: int, waiting: int) -> Callable[[], bool]:
        return lambda: (small.measured("deepsearch_runs_under_way"), small.measured("deepsearch_runs_waiting")) == (under_way, waiting)

    request = SingleDocumentRequestProto()
    request.header.exec_endpoint = "/research/stream"
    request.document.CopyFrom(ResearchRequest(question="hold e", run_id="e").to_protobuf())
    async with (
        httpx.AsyncClient(base_url=small.http, timeout=30) as http,
        grpc.aio.insecure_channel(f"127.0.0.1:{small.grpc}") as channel,
    ):
        stream = channel.unary_stream("/jina.JinaSingleDocumentRequestRPC/stream_doc", SingleDocumentRequestProto.SerializeToString)
        calls = [stream(request) for _ in range(2)]
        await asyncio.gather(*(call.read() for call in calls))
        await until(counts(2, 0))
        unary = asyncio.create_task(http.post("/research", json=ask("q")))
        await until(counts(2, 1))
        queued = stream(request)
        await until(counts(2, 2))
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stream(request).read()
        assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
        assert ("retry-after", "10") in list(raised.value.trailing_metadata())
        unary.cancel()
        await until(counts(2, 1))
        queued.cancel()
        await until(counts(2, 0))
        for call in calls:
            call.cancel()
        await until(counts(0, 0))


@pytest.mark.flow
async def test_a_job_holds_its_place_until_its_run_ends(small: Any, until: Any) -> None:
    async with httpx.AsyncClient(base_url=small.http, timeout=30) as http:
        tokens = small.measured("deepsearch_tokens_total")
        for name in ("job-1", "job-2"):
            assert (await http.post("/v1/research", json={"question": f"hold {name}", "run_id": name})).status_code == 202
        assert small.measured("deepsearch_runs_under_way") == 2
        small.let_end("job-1")
        await until(lambda: small.measured("deepsearch_runs_under_way") == 1)
        small.let_end("job-2")
        await until(lambda: small.measured("deepsearch_tokens_total") == tokens + 200)
        several = await http.post("/submit", json={"data": [{"question": "q"}, {"question": "q"}]})
        assert (several.status_code, several.json()["error"]["message"]) == (400, "/submit takes one question at a time.")
        await until(lambda: small.measured("deepsearch_runs_under_way") == 0)


@pytest.mark.flow
async def test_tokens_are_counted_whoever_carries_them(start: Any, until: Any) -> None:
    flow = start(DEEPSEARCH_API_KEYS="k1,k2", DEEPSEARCH_KEY_DAILY_TOKENS="450")
    key = {"x-api-key": "k1"}

    def tokens() -> float:
        return flow.measured("deepsearch_tokens_total")

    async with httpx.AsyncClient(base_url=flow.http, timeout=30, headers=key) as http:
        await http.post("/research", json=ask("q", "r1"))
        assert tokens() == 100
        await http.get("/research/stream", params={"question": "q", "run_id": "r2"})
        assert tokens() == 200
        await http.get("/research/stream", params={"question": "q", "run_id": "r2"})
        assert tokens() == 200  # the same run, seen again
        chat = await http.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "q"}]})
        assert chat.status_code == 200 and tokens() == 300
        async with http.stream("GET", "/research/stream", params={"question": "hold never", "run_id": "r3"}) as response:
            await anext(response.aiter_lines())
        await until(lambda: tokens() == 400)  # a client that leaves pays as well
        assert flow.notes.count("reported r3") == 1
        await http.post("/v1/research", json={"question": "q", "run_id": "r4"})
        await until(lambda: tokens() == 500)
        refused = await http.post("/research", json=ask("q"))
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "daily_tokens_used")
        assert "The 450 tokens of today (UTC) are used up" in refused.json()["error"]["message"]
        assert 1 <= int(refused.headers["retry-after"]) <= 86_400
        assert (await http.get("/v1/research/r4")).status_code == 200  # what spends nothing is not refused
        assert (await http.post("/research", json=ask("q"), headers={"x-api-key": "k2"})).status_code == 200


@pytest.mark.flow
async def test_only_what_a_run_uses_from_here_on_is_counted(start: Any, until: Any) -> None:
    flow = start(DEEPSEARCH_KEY_DAILY_TOKENS="1000", CASE="going on")

    def tokens() -> float:
        return flow.measured("deepsearch_tokens_total")

    async with httpx.AsyncClient(base_url=flow.http, timeout=30) as http:
        await http.get("/resume", params={"run_id": "begun-elsewhere"})  # it had used 70 of its 100 tokens
        assert tokens() == 30
        await http.get("/resume", params={"run_id": "begun-elsewhere"})
        assert tokens() == 30
        await http.post("/research", json=ask("q", "r1"))
        await http.post("/research", json=ask("q", "r1"))
        assert tokens() == 130  # the same run, seen again
        assert (await http.delete("/v1/research/r1/record")).status_code == 204
        await http.post("/research", json=ask("q", "r1"))
        assert tokens() == 230  # another run
        await http.get("/resume", params={"run_id": "under-way"})
        assert tokens() == 330  # nobody has paid for any of it: to ask for it meanwhile makes it no cheaper


@pytest.mark.flow
async def test_followers_are_bounded_whatever_the_protocol(start: Any, until: Any) -> None:
    flow = start(DEEPSEARCH_API_KEYS="k1,k2", DEEPSEARCH_KEY_FOLLOWERS="2", DEEPSEARCH_STAGE_CONCURRENCY="3", DEEPSEARCH_STAGE_WAITING="0")
    key, message = {"x-api-key": "k1"}, "2 runs are followed (DEEPSEARCH_KEY_FOLLOWERS)."
    request = SingleDocumentRequestProto()
    request.header.exec_endpoint = "/events"
    request.document.CopyFrom(RunQuery(run_id="followed").to_protobuf())
    async with (
        httpx.AsyncClient(base_url=flow.http, timeout=30, headers=key) as http,
        grpc.aio.insecure_channel(f"127.0.0.1:{flow.grpc}") as channel,
    ):
        asked = {"question": "hold followed", "run_id": "followed"}
        assert (await http.post("/v1/research", json=asked)).status_code == 202  # the gateway follows it too, for itself
        follow = channel.unary_stream("/jina.JinaSingleDocumentRequestRPC/stream_doc", SingleDocumentRequestProto.SerializeToString)
        metadata = (("authorization", "Bearer k1"),)
        by_grpc = follow(request, metadata=metadata)
        reading = asyncio.create_task(by_grpc.read())
        by_http = asyncio.create_task(http.get("/v1/research/followed/events"))
        await until(lambda: flow.notes.count("held followed") == 3)
        for path in ("/v1/research/followed/events", "/events?run_id=followed"):
            refused = await http.get(path)
            assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_followers")
            assert (refused.json()["error"]["message"], refused.headers["retry-after"]) == (message, "10")
        with pytest.raises(grpc.aio.AioRpcError, match="2 runs are followed") as raised:
            await follow(request, metadata=metadata).read()
        assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        # Every place for watching is taken at the controller; that is no reason to refuse a run.
        other = {"x-api-key": "k2"}
        full = await http.get("/events", params={"run_id": "followed"}, headers=other)
        assert (full.status_code, full.json()["error"]["code"]) == (503, "overloaded")
        run = await http.get("/research/stream", params={"question": "q", "run_id": "r"}, headers=other)
        assert run.status_code == 200 and "finished" in run.text
        by_grpc.cancel()
        await until(lambda: flow.notes.count("cut followed") == 1)
        again = asyncio.create_task(http.get("/events", params={"run_id": "followed"}))
        await until(lambda: flow.notes.count("held followed") == 4)
        flow.let_end("followed")
        assert [response.status_code for response in await asyncio.gather(by_http, again)] == [200, 200]
        await asyncio.gather(reading, return_exceptions=True)


@pytest.mark.flow
async def test_single_stages_count_and_are_refused_too(start: Any) -> None:
    flow = start(DEEPSEARCH_API_KEYS="k1,k2", DEEPSEARCH_KEY_DAILY_TOKENS="250", CASE="single stages")
    metadata = (("authorization", "Bearer k1"),)
    client = Client(host="127.0.0.1", port=flow.grpc, protocol="grpc", asyncio=True, log_config="quiet")

    async def read(url: str) -> None:
        async for _ in client.post("/read", ReadRequest(url=url), return_type=DocList[ReadResponse], metadata=metadata):
            pass

    async with httpx.AsyncClient(base_url=flow.http, timeout=30, headers={"x-api-key": "k1"}) as http:
        assert (await http.post("/read", json={"data": {"url": "u"}})).status_code == 200
        assert flow.measured("deepsearch_tokens_total") == 100
        await read("u")
        with pytest.raises(Exception, match="The URL fails"):
            await read("fail")
        assert flow.measured("deepsearch_tokens_total") == 300  # a failure is not free of charge
        refused = await http.post("/read", json={"data": {"url": "u"}})
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "daily_tokens_used")
        assert int(refused.headers["retry-after"]) >= 1
        with pytest.raises(Exception, match="The 250 tokens of today"):
            await read("u")
        assert (await http.get("/v1/research")).status_code != 429
        assert (await http.post("/read", json={"data": {"url": "u"}}, headers={"x-api-key": "k2"})).status_code == 200


@asynccontextmanager
async def over_http(flow: Any, endpoint: str, name: str) -> AsyncIterator[None]:
    async with httpx.AsyncClient(base_url=flow.http, timeout=30) as http:
        call = asyncio.create_task(http.post(endpoint, json=ask(f"hold {name}")))
        yield
        call.cancel()


@asynccontextmanager
async def over_grpc(flow: Any, endpoint: str, name: str) -> AsyncIterator[None]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{flow.grpc}") as channel:
        post = channel.unary_unary("/jina.JinaSingleDataRequestRPC/process_single_data", DataRequestProto.SerializeToString)
        call = post(wire(endpoint, name))
        yield
        call.cancel()


@asynccontextmanager
async def over_grpc_stream(flow: Any, endpoint: str, name: str) -> AsyncIterator[None]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{flow.grpc}") as channel:
        call = channel.stream_stream("/jina.JinaRPC/Call", DataRequestProto.SerializeToString)(iter([wire(endpoint, name)]))
        yield
        call.cancel()


@asynccontextmanager
async def over_websocket(flow: Any, endpoint: str, name: str) -> AsyncIterator[None]:
    async with connect(f"ws://127.0.0.1:{flow.http_port}/") as socket:
        await socket.send(wire(endpoint, name).SerializeToString())
        await socket.send(wire(endpoint, "next").SerializeToString())
        await socket.send(b"\x00")
        yield


def wire(endpoint: str, name: str) -> DataRequestProto:
    request = DataRequestProto()
    request.header.exec_endpoint = endpoint
    document = ReadRequest if endpoint == "/read" else ResearchRequest
    request.data.docs.docs.append(document(question=f"hold {name}").to_protobuf())
    return request


PROTOCOLS = [over_http, over_grpc, over_grpc_stream, over_websocket]


@pytest.mark.flow
@pytest.mark.parametrize("ask_and_leave", PROTOCOLS)
async def test_a_unary_run_is_stopped_when_its_client_leaves(small: Any, until: Any, ask_and_leave: Any) -> None:
    name = ask_and_leave.__name__
    tokens = small.measured("deepsearch_tokens_total")
    async with ask_and_leave(small, "/research", name):
        await until(lambda: small.measured("deepsearch_runs_under_way") == 1)
    await until(lambda: f"cut {name}" in small.notes and small.measured("deepsearch_runs_under_way") == 0)
    await until(lambda: small.measured("deepsearch_tokens_total") == tokens + 100)  # and paid for
    assert "cut next" not in small.notes


@pytest.mark.flow
@pytest.mark.parametrize("ask_and_leave", PROTOCOLS)
async def test_a_single_stage_is_stopped_when_its_client_leaves(small: Any, until: Any, ask_and_leave: Any) -> None:
    name = f"read-{ask_and_leave.__name__}"
    async with ask_and_leave(small, "/read", name):
        await until(lambda: f"held {name}" in small.notes)
    await until(lambda: f"cut {name}" in small.notes)


@pytest.mark.flow
@pytest.mark.parametrize("ask_and_leave", [over_http, over_grpc])
async def test_a_job_begins_also_for_a_client_that_leaves(small: Any, until: Any, ask_and_leave: Any) -> None:
    name = f"submission-{ask_and_leave.__name__}"
    async with ask_and_leave(small, "/submit", name):
        await until(lambda: f"held {name}" in small.notes)
    small.let_end(name)
    await until(lambda: f"submitted {name}" in small.notes)
    assert f"cut {name}" not in small.notes
    await until(lambda: small.measured("deepsearch_runs_under_way") == 0)


@pytest.mark.flow
async def test_a_run_that_fails_gives_its_place_back(small: Any, until: Any) -> None:
    async with httpx.AsyncClient(base_url=small.http, timeout=30) as http:
        for _ in range(5):
            assert (await http.post("/research", json=ask("fail"))).status_code == 400
            assert (await http.post("/research", json={"data": {"question": 5}})).status_code == 422
        await until(lambda: small.measured("deepsearch_runs_under_way") == 0)
        small.measured("deepsearch_tokens_total")
