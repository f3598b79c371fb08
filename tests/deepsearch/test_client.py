"""The client against real servers on this machine: what a stream becomes, and what each failure becomes."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import grpc
import pytest
from jina.proto import jina_pb2_grpc
from jina.types.request.data import SingleDocumentRequest

from deepsearch.client import DeepSearchClient, final_answer
from schemas.errors import DeadlineExceeded, DeepSearchError, InvalidRequest, ModelRejected, StageUnavailable, Unauthorized
from schemas.events import ResearchEvent
from schemas.research import ResearchRequest

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
BIG = "event: update\n" * 20_000
"""More than one network chunk, and full of what looks like framing."""


@asynccontextmanager
async def http_server(body: bytes, status: str = "200 OK", kind: str = "text/event-stream") -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that answers every request with `body`; also the requests that it got."""
    requests: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0)
        requests.append(head + await reader.readexactly(length))
        writer.write(f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", requests


def sse(*events: ResearchEvent) -> bytes:
    framed = [f": hello\r\nevent: update\r\ndata: {event.model_dump_json()}\r\n\r\n" for event in events]
    return "".join([*framed, "event: end\r\n\r\n"]).encode()


def ended(**data: object) -> ResearchEvent:
    return ResearchEvent(run_id="r1", sequence=7, type="run_ended", data=data)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_events_of_any_size_arrive_whole_over_http() -> None:
    delta = ResearchEvent(run_id="r1", sequence=6, type="answer_delta", data={"text": BIG})
    answer = {
        "run_id": "r1",
        "stop_reason": "answered",
        "mode": "model",
        "text": "Yes [^1].",
        "references": [{"number": 1, "quote": "yes"}],
    }
    async with (
        http_server(sse(delta, ended(outcome="finished", answer=answer))) as (url, requests),
        DeepSearchClient(url) as client,
    ):
        request = ResearchRequest(question="Is it?", budget_tokens=5_000)
        events = [event async for event in client.stream(request)]
        assert [event.type for event in events] == ["answer_delta", "run_ended"]
        assert events[0].data["text"] == BIG
        found = await client.ask(request)
    assert (found.text, found.references[0].quote) == ("Yes [^1].", "yes")
    head, _, body = requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"GET /research/stream HTTP/1.1")
    assert json.loads(body)["question"] == "Is it?"
    assert json.loads(body)["budget_tokens"] == 5_000


@pytest.mark.parametrize(
    ("event", "kind", "message"),
    [
        (ended(outcome="failed", code="model_rejected", message="wrong key"), ModelRejected, "wrong key"),
        (ended(outcome="failed", code="invalid_request", message="question is empty"), InvalidRequest, "question is empty"),
        (ended(outcome="failed", code="new_in_a_later_version", message="odd"), DeepSearchError, "odd"),
        (ended(outcome="cancelled"), DeepSearchError, "cancelled"),
        (ResearchEvent(type="answer_delta", data={"text": "half"}), StageUnavailable, "ended before"),
    ],
)
async def test_a_run_that_did_not_finish_raises_its_error(event: ResearchEvent, kind: type[DeepSearchError], message: str) -> None:
    async def stream() -> AsyncIterator[ResearchEvent]:
        yield event

    with pytest.raises(kind, match=message) as raised:
        await final_answer(stream())
    assert type(raised.value) is kind


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        ("400 Bad", b'{"error": {"code": "invalid_request", "message": "budget_tokens is 0"}}', InvalidRequest, "budget_tokens is 0"),
        ("401 No", b'{"error": {"code": "unauthorized", "message": "give a key"}}', Unauthorized, "give a key"),
        ("404 No", b"<html>nginx</html>", DeepSearchError, "answered 404 .* is it a DeepSearch Flow"),
        ("200 OK", b'event: error\r\ndata: {"error": {"code": "stage_unavailable", "message": "down"}}\r\n\r\n', StageUnavailable, "down"),
    ],
)
async def test_what_http_refuses_is_an_error_of_the_tree(status: str, body: bytes, kind: type[DeepSearchError], message: str) -> None:
    async with http_server(body, status) as (url, _), DeepSearchClient(url) as client:
        with pytest.raises(kind, match=message):
            await client.ask(ResearchRequest(question="Is it?"))


@pytest.mark.parametrize("scheme", ["grpc", "http"])
async def test_a_dead_host_is_one_clear_error(scheme: str, capfd: pytest.CaptureFixture[str]) -> None:
    address = f"{scheme}://127.0.0.1:{free_port()}"
    async with DeepSearchClient(address) as client:
        with pytest.raises(StageUnavailable, match=f"no Flow answers at {address} .*deepsearch serve"):
            await client.ask(ResearchRequest(question="Is it?"))
    assert capfd.readouterr() == ("", "")


class Gateway(jina_pb2_grpc.JinaSingleDocumentRequestRPCServicer):
    """The streaming side of a Flow's gateway: `events`, then the end or a status."""

    def __init__(self, events: list[ResearchEvent], status: grpc.StatusCode | None = None, details: str = "") -> None:
        self.events, self.status, self.details = events, status, details
        self.asked: list[tuple[str, str]] = []
        self.cancelled = asyncio.Event()

    async def stream_doc(self, request: Any, context: grpc.aio.ServicerContext) -> AsyncIterator[Any]:
        request.document_cls = ResearchRequest
        self.asked.append((request.header.exec_endpoint, request.data.doc.question))
        for event in self.events:
            answer = SingleDocumentRequest()
            answer.document_cls = ResearchEvent
            answer.data.doc = event
            yield answer
        if self.status is not None:
            await context.abort(self.status, self.details)
        if not any(event.type == "run_ended" for event in self.events):
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled.set()


@asynccontextmanager
async def grpc_server(gateway: Gateway) -> AsyncIterator[str]:
    server = grpc.aio.server()
    jina_pb2_grpc.add_JinaSingleDocumentRequestRPCServicer_to_server(gateway, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"grpc://127.0.0.1:{port}"
    finally:
        await server.stop(grace=None)


async def test_events_arrive_over_grpc() -> None:
    gateway = Gateway(
        [
            ResearchEvent(type="answer_delta", data={"text": BIG}),
            ended(outcome="finished", answer={"text": "Yes.", "stop_reason": "answered", "mode": "model"}),
        ]
    )
    async with grpc_server(gateway) as address, DeepSearchClient(address) as client:
        events = [event async for event in client.stream(ResearchRequest(question="Is it?"))]
        assert [event.type for event in events] == ["answer_delta", "run_ended"]
        assert events[0].data["text"] == BIG
        assert (await client.ask(ResearchRequest(question="Really?"))).text == "Yes."
    assert gateway.asked == [("/research/stream", "Is it?"), ("/research/stream", "Really?")]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, InvalidRequest),
        (grpc.StatusCode.UNAUTHENTICATED, Unauthorized),
        (grpc.StatusCode.UNAVAILABLE, StageUnavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineExceeded),
        (grpc.StatusCode.INTERNAL, DeepSearchError),
        (grpc.StatusCode.UNKNOWN, DeepSearchError),
    ],
)
async def test_a_grpc_status_is_an_error_of_the_tree(
    status: grpc.StatusCode, kind: type[DeepSearchError], capfd: pytest.CaptureFixture[str]
) -> None:
    async with grpc_server(Gateway([], status, "it says why")) as address, DeepSearchClient(address) as client:
        with pytest.raises(kind, match="it says why") as raised:
            await client.ask(ResearchRequest(question="Is it?"))
        assert type(raised.value) is kind
    assert "gRPC error" not in capfd.readouterr().err


async def test_leaving_early_ends_the_call() -> None:
    gateway = Gateway([ResearchEvent(type="answer_delta", data={"text": "half"})])
    async with grpc_server(gateway) as address, DeepSearchClient(address) as client:
        async with aclosing(client.stream(ResearchRequest(question="Is it?"))) as events:
            assert (await anext(events)).data == {"text": "half"}
        await asyncio.wait_for(gateway.cancelled.wait(), 30)


async def test_another_server_on_the_grpc_port_is_told() -> None:
    async with http_server(b"hello", kind="text/plain") as (url, _), DeepSearchClient(url.replace("http", "grpc")) as client:
        with pytest.raises(StageUnavailable):
            await client.ask(ResearchRequest(question="Is it?"))


@pytest.mark.parametrize("address", ["", "localhost:8081", "grpc://", "grpc://host", "ftp://host:1", "http://[", "grpc://host:99999"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(InvalidRequest, match="grpc://host:port or http://host:port") as raised:
        DeepSearchClient(address)
    assert raised.value.field == "host"
