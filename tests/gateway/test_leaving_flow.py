"""A client that leaves, or a time limit that is over, ends everything that was begun for it: counted at the upstreams of a real Flow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
import pytest
from docarray import BaseDoc
from jina.proto.jina_pb2 import DataRequestProto
from websockets.asyncio.client import connect

from schemas.evaluation import EvaluateRequest
from schemas.reading import ReadRequest
from schemas.research import ResearchRequest
from schemas.search import SearchQuery, SearchRequest
from tests.gateway.flow_process import flow_of, scripted_settings
from tests.scripted.five_steps import add_session, reply
from tests.scripted.replies import Delay
from tests.scripted.server import ScriptedServer

pytestmark = pytest.mark.flow

QUESTION = "How do I scale the page readers?"
SOON = 1.0
"""Seconds in which nothing more may begin."""
PATIENCE = 30.0
"""Seconds that a busy machine has to end everything; no call ends so soon by its own time limit."""


@dataclass
class Served:
    """A Flow that is ready, and the upstreams it talks to."""

    http: str
    grpc: str
    upstream: ScriptedServer


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("home")
    with ScriptedServer() as upstream:
        add_session(upstream)
        settings = scripted_settings(upstream, home, SEARCH_TIMEOUT_SECONDS="600")
        with flow_of(settings, home / "log"):
            http, rpc = settings["DEEPSEARCH_HTTP_PORT"], settings["DEEPSEARCH_GRPC_PORT"]
            yield Served(f"http://127.0.0.1:{http}", f"127.0.0.1:{rpc}", upstream)


@contextmanager
def silent(upstream: ScriptedServer, service: str) -> Iterator[None]:
    """Within the block the model, the search or the reader takes requests and never answers."""
    which: Any = {"model": upstream.llm, "search": upstream.search, "reader": upstream.reader}[service]
    usual = reply if service == "model" else which.default
    which.script(lambda request: Delay(3600, usual(request)))
    try:
        yield
    finally:
        which.script(usual)


# -- the ways to ask, and to leave ---------------------------------------------------------------------------------------


@asynccontextmanager
async def chat(served: Served, stream: bool = True) -> AsyncIterator[None]:
    body = {"messages": [{"role": "user", "content": QUESTION}], "no_direct_answer": True, "stream": stream}
    async with httpx.AsyncClient(base_url=served.http, timeout=60) as client:
        call = asyncio.create_task(client.post("/v1/chat/completions", json=body))
        yield
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)


@asynccontextmanager
async def over_http(served: Served, endpoint: str, document: BaseDoc) -> AsyncIterator[None]:
    async with httpx.AsyncClient(base_url=served.http, timeout=60) as client:
        call = asyncio.create_task(client.post(endpoint, json={"data": [document.model_dump(mode="json")]}))
        yield
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)


@asynccontextmanager
async def over_grpc(served: Served, endpoint: str, document: BaseDoc) -> AsyncIterator[None]:
    async with grpc.aio.insecure_channel(served.grpc) as channel:
        post = channel.stream_stream("/jina.JinaRPC/Call", DataRequestProto.SerializeToString)
        call = post(iter([wire(endpoint, document)]))
        yield
        call.cancel()


@asynccontextmanager
async def over_websocket(served: Served, endpoint: str, document: BaseDoc) -> AsyncIterator[None]:
    async with connect(f"{served.http.replace('http', 'ws')}/") as socket:
        await socket.send(wire(endpoint, document).SerializeToString())
        await socket.send(b"\x00")
        yield


def wire(endpoint: str, document: BaseDoc) -> DataRequestProto:
    request = DataRequestProto()
    request.header.exec_endpoint = endpoint
    request.data.docs.docs.append(document.to_protobuf())
    return request


RESEARCH = ResearchRequest(question=QUESTION, no_direct_answer=True)
SEARCH = SearchRequest(queries=[SearchQuery(text="page readers"), SearchQuery(text="replicas"), SearchQuery(text="ports")])
READ = ReadRequest(url="https://host1.org/readers", question=QUESTION)
EVALUATE = EvaluateRequest(question=QUESTION, answer="By their number of replicas.", criteria=["definitive"])
CASES: dict[str, tuple[str, Any]] = {
    "streamed chat, thinking": ("model", chat),
    "streamed chat, searching": ("search", chat),
    "streamed chat, reading": ("reader", chat),
    "whole chat, searching": ("search", lambda served: chat(served, stream=False)),
    "research over gRPC, thinking": ("model", lambda served: over_grpc(served, "/research", RESEARCH)),
    "research over gRPC, reading": ("reader", lambda served: over_grpc(served, "/research", RESEARCH)),
    "search over HTTP": ("search", lambda served: over_http(served, "/search", SEARCH)),
    "search over WebSocket": ("search", lambda served: over_websocket(served, "/search", SEARCH)),
    "read over gRPC": ("reader", lambda served: over_grpc(served, "/read", READ)),
    "read over HTTP": ("reader", lambda served: over_http(served, "/read", READ)),
    "evaluate over gRPC": ("model", lambda served: over_grpc(served, "/evaluate", EVALUATE)),
}


@pytest.mark.parametrize("case", CASES)
async def test_nothing_goes_on_for_a_client_that_has_left(served: Served, case: str) -> None:
    service, asking = CASES[case]
    upstream = served.upstream
    silent_path = {"model": "/v1/chat/completions", "search": "/search/", "reader": "/reader/"}[service]
    with silent(upstream, service):
        lost, before = upstream.streams_lost, len(upstream.sent(silent_path))
        async with asking(served):
            async with asyncio.timeout(PATIENCE):
                while len(upstream.sent(silent_path)) == before:
                    await asyncio.to_thread(upstream.wait_for_requests, len(upstream.requests) + 1, 0.1)
            assert upstream.under_way > 0 and upstream.streams_lost == lost
        left = time.monotonic()
        assert await asyncio.to_thread(upstream.wait_until_idle, PATIENCE), f"{upstream.under_way} calls are still under way"
        assert upstream.streams_lost > lost
        await asyncio.to_thread(upstream.wait_for_requests, len(upstream.requests) + 1_000, max(0.0, left + SOON - time.monotonic()))
        sent = len(upstream.requests)
        assert not await asyncio.to_thread(upstream.wait_for_requests, sent + 1, SOON), upstream.requests[sent:]
        assert upstream.under_way == 0


@contextmanager
def silent_after_reading(upstream: ScriptedServer) -> Iterator[None]:
    """Within the block the model never answers once a page has been read."""
    read = len(upstream.sent("/reader/"))
    upstream.llm.script(lambda request: Delay(3600, reply(request)) if len(upstream.sent("/reader/")) > read else reply(request))
    try:
        yield
    finally:
        upstream.llm.script(reply)


ENDINGS = {
    "reading": (lambda upstream: silent(upstream, "reader"), {"time_budget", "answered", "no_evidence"}),
    "thinking about what was read": (silent_after_reading, {"time_budget", "answered"}),
    "searching": (lambda upstream: silent(upstream, "search"), {"time_budget", "no_evidence"}),
    "thinking from the first": (lambda upstream: silent(upstream, "model"), {"time_budget", "no_evidence", "deadline_exceeded"}),
}
"""What hangs, and how the run may end by that."""


@pytest.mark.parametrize("hanging", ENDINGS)
async def test_nothing_goes_on_when_the_time_is_over(served: Served, hanging: str) -> None:
    upstream = served.upstream
    hang, endings = ENDINGS[hanging]
    body = {"messages": [{"role": "user", "content": QUESTION}], "no_direct_answer": True, "budget_seconds": 3}
    with hang(upstream):
        async with httpx.AsyncClient(base_url=served.http, timeout=60) as client:
            asked = time.monotonic()
            response = await client.post("/v1/chat/completions", json=body)
            took = time.monotonic() - asked
        sent = len(upstream.requests)
        assert took < PATIENCE, took
        ended = response.json()
        assert (ended["stop_reason"] if response.status_code == 200 else ended["error"]["code"]) in endings, response.text
        assert await asyncio.to_thread(upstream.wait_until_idle, PATIENCE), f"{upstream.under_way} calls are still under way"
        assert not await asyncio.to_thread(upstream.wait_for_requests, sent + 1, SOON), upstream.requests[sent:]
