"""A client that leaves while something is sent to it ends the stage's work at once. The garbage collector, which would end it some
time, is off here."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from jina.logging.logger import JinaLogger
from jina.proto import jina_pb2_grpc
from jina.proto.jina_pb2 import SingleDocumentRequestProto
from jina.serve.networking import GrpcConnectionPool
from jina.types.request.data import SingleDocumentRequest

from gateway import sse
from gateway.calls import StageCalls
from gateway.gateway import RequestHandler
from gateway.guard.access import Access
from gateway.guard.limits import CallerLimits
from gateway.guard.rpc import RpcGuard
from gateway.jina_patches import EndpointStreamer
from schemas.events import ResearchEvent
from schemas.research import RunQuery
from schemas.settings import Settings

PATIENCE = 30.0
"""Seconds; the machine may be busy."""


@pytest.fixture(autouse=True)
def _without_garbage_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class Stage(jina_pb2_grpc.JinaSingleDocumentRequestRPCServicer):
    """A stage that tells of a run without end, as fast as it is heard."""

    def __init__(self) -> None:
        self.told = 0
        self.ended = asyncio.Event()

    async def stream_doc(self, request: Any, context: Any) -> AsyncGenerator[Any, None]:
        event = ResearchEvent(run_id="r", sequence=1, type="answer_delta", data={"text": "x" * 100_000})
        try:
            while True:
                response = SingleDocumentRequest()
                response.document_cls = ResearchEvent
                response.data.doc = event
                self.told += 1
                yield response
        finally:
            self.ended.set()

    async def is_not_heard_any_more(self) -> None:
        """Wait until nothing has been told for a while: what was told last is on its way to a client that does not read."""
        told = 0
        async with asyncio.timeout(PATIENCE):
            while not self.told or told != self.told:
                told = self.told
                await asyncio.sleep(0.5)

    async def ends(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.ended.wait()


class Streamer(EndpointStreamer):
    """A streamer to one stage, without a Flow around it."""

    def __init__(self, address: str) -> None:
        pool = GrpcConnectionPool("gateway", JinaLogger("test", log_config="quiet"))
        pool.add_connection("stage", address, head=True)
        (connection,) = pool._connections.get_replicas("stage", True).get_all_connections()
        connection.stream_doc_stub = jina_pb2_grpc.JinaSingleDocumentRequestRPCStub(connection.channel)
        connection._initialized = True
        self._connection_pool = pool
        self._executor_addresses = {"stage": [address]}
        self._endpoints_models_map = {"/events": {"input": RunQuery, "output": ResearchEvent, "is_generator": True}}

    def stage_of(self, endpoint: str) -> Any:
        return SimpleNamespace(name="stage", _timeout_send=None, _retries=0)


@pytest.fixture
async def stage() -> AsyncIterator[tuple[Stage, Streamer]]:
    server, served = grpc.aio.server(), Stage()
    jina_pb2_grpc.add_JinaSingleDocumentRequestRPCServicer_to_server(served, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    streamer = Streamer(f"127.0.0.1:{port}")
    yield served, streamer
    await streamer.close()
    await server.stop(None)


async def test_a_gateways_own_route_that_stops_listening(stage: tuple[Stage, Streamer]) -> None:
    served, streamer = stage
    events = StageCalls(streamer).stream("/events", RunQuery(run_id="r"), ResearchEvent)
    assert (await anext(events)).type == "answer_delta"
    await events.aclose()
    await served.ends()


async def test_a_grpc_client_that_leaves_while_an_event_is_sent(
    stage: tuple[Stage, Streamer], make_settings: Callable[..., Settings]
) -> None:
    served, streamer = stage
    settings = make_settings()
    handler: Any = SimpleNamespace(streamer=streamer)
    under_way: list[Any] = []  # keeps the generator: it must be closed, not only be forgotten

    class Door(jina_pb2_grpc.JinaSingleDocumentRequestRPCServicer):
        async def stream_doc(self, request: Any, context: Any) -> AsyncGenerator[Any, None]:
            answers: Any = RequestHandler.stream_doc(handler, request, context)
            under_way.append(answers)
            try:
                async for answer in answers:
                    yield answer
            finally:
                await answers.aclose()

    server = grpc.aio.server(interceptors=[RpcGuard(Access(settings), CallerLimits(settings))])
    jina_pb2_grpc.add_JinaSingleDocumentRequestRPCServicer_to_server(Door(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    request = SingleDocumentRequestProto()
    request.header.exec_endpoint = "/events"
    request.document.CopyFrom(RunQuery(run_id="r").to_protobuf())
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        ask = channel.unary_stream("/jina.JinaSingleDocumentRequestRPC/stream_doc", SingleDocumentRequestProto.SerializeToString)
        call = ask(request)
        assert await call.read()
        await served.is_not_heard_any_more()
        call.cancel()
        await served.ends()
    await server.stop(None)
    assert len(under_way) == 1


async def test_an_http_client_that_leaves_while_an_event_is_sent() -> None:
    sending, left, closed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def frames() -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield b"data: {}\n\n"
        finally:
            await asyncio.sleep(0)  # as what closes a call to a stage does
            closed.set()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            sending.set()
            await asyncio.Event().wait()  # the client reads nothing

    async def receive() -> dict[str, str]:
        await left.wait()
        return {"type": "http.disconnect"}

    response = sse.response(frames())
    serving = asyncio.create_task(response({"type": "http", "asgi": {"spec_version": "2.3"}}, receive, send))
    async with asyncio.timeout(PATIENCE):
        await sending.wait()
        left.set()
        await serving
    assert closed.is_set()
