"""Clients that send too much, too slowly, half of it, or read nothing: each costs the gateway little, and the others nothing."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import uvicorn
from jina.proto.jina_pb2 import DataRequestProto

from gateway.guard.bodies import Bodies
from gateway.guard.connections import Connection
from schemas.research import ResearchRequest


@pytest.fixture(scope="module")
def flow(start: Any) -> Any:
    return start(DEEPSEARCH_MAX_BODY_BYTES="20000")


def resident(process: int) -> float:
    """Megabytes."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def files(process: int) -> int:
    return len(list(Path(f"/proc/{process}/fd").iterdir()))


def exchange(port: int, *parts: bytes) -> bytes:
    """Everything that comes back for these bytes, until the server closes the connection or is silent for ten seconds."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for part in parts:
            connection.sendall(part)
        connection.settimeout(10)
        received = b""
        try:
            while more := connection.recv(65_536):
                received += more
        except TimeoutError:
            received += b"(open)"
        except ConnectionResetError:
            pass
        return received


# -- bodies ------------------------------------------------------------------------------------------------------------


@pytest.mark.flow
def test_a_body_that_is_too_large_is_refused_before_it_is_read(flow: Any) -> None:
    response = httpx.post(f"{flow.http}/research", json={"data": {"question": "x" * 20_000}})
    assert (response.status_code, response.json()["error"]) == (
        413,
        {"code": "too_large", "message": "The body has more than 20,000 bytes (DEEPSEARCH_MAX_BODY_BYTES).", "field": None},
    )
    head = b"POST /research HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n"
    refused = exchange(flow.http_port, head)
    assert refused.startswith(b"HTTP/1.1 413") and b"connection: close" in refused.lower() and not refused.endswith(b"(open)")


@pytest.mark.flow
def test_a_body_without_a_length_is_counted_as_it_comes(flow: Any) -> None:
    def endless() -> Any:
        while True:
            yield b"x" * 5_000

    response = httpx.post(f"{flow.http}/v1/responses", content=endless())
    assert (response.status_code, response.json()["error"]["type"]) == (413, "invalid_request_error")
    small = httpx.post(
        f"{flow.http}/research", content=iter([b'{"data": {"ques', b'tion": "q"}}']), headers={"Content-Type": "application/json"}
    )
    assert small.status_code == 200


@pytest.mark.flow
async def test_a_grpc_message_that_is_too_large_is_refused(flow: Any) -> None:
    request = DataRequestProto()
    request.header.exec_endpoint = "/research"
    request.data.docs.docs.append(ResearchRequest(question="x" * 20_000).to_protobuf())
    async with grpc.aio.insecure_channel(f"127.0.0.1:{flow.grpc}") as channel:
        call = channel.unary_unary("/jina.JinaSingleDataRequestRPC/process_single_data", DataRequestProto.SerializeToString)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call(request)
    assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.flow
def test_headers_that_are_too_large_are_refused(flow: Any) -> None:
    assert httpx.get(f"{flow.http}/health/live", headers={"X-Large": "x" * 20_000}).status_code == 200
    head = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-Large: " + b"x" * 40_000
    assert exchange(flow.http_port, head).startswith(b"HTTP/1.1 400")
    for size in (33_000, 120_000):  # also when all of it comes at once
        whole = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-Large: " + b"x" * size + b"\r\n\r\n"
        answer = exchange(flow.http_port, whole)
        assert answer.startswith(b"HTTP/1.1 400") and b"live" not in answer and not answer.endswith(b"(open)")


@pytest.mark.flow
async def test_aborted_uploads_leak_nothing(flow: Any, until: Any) -> None:
    exchange(flow.http_port, b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    before = files(flow.gateway)
    for number in range(50):
        with socket.create_connection(("127.0.0.1", flow.http_port)) as connection:
            connection.sendall(b"POST /research HTTP/1.1\r\nHost: localhost\r\nContent-Length: 15000\r\n\r\n" + b"x" * (number * 200))
    await until(lambda: files(flow.gateway) <= before)
    assert flow.measured("deepsearch_runs_under_way") == 0


# -- deadlines, with a server that has short ones ----------------------------------------------------------------------


@asynccontextmanager
async def server(app: Any, protocol: type[Connection]) -> AsyncIterator[int]:
    config = uvicorn.Config(app, port=0, http=protocol, ws="none", log_level="error", lifespan="off", timeout_keep_alive=1)
    one = uvicorn.Server(config)
    one.install_signal_handlers = lambda: None  # type: ignore[method-assign]
    task = asyncio.create_task(one.serve())
    while not one.started and not task.done():
        await asyncio.sleep(0.001)
    try:
        yield one.servers[0].sockets[0].getsockname()[1]
    finally:
        one.should_exit = one.force_exit = True
        await task


class Quick(Connection):
    request_seconds = 0.2
    stall_seconds = 0.2


async def empty(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


async def test_a_body_that_comes_too_slowly_is_refused() -> None:
    async with server(Bodies(empty, 1_000, seconds=0.2), Connection) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nslow")
        answer = await asyncio.wait_for(reader.read(), 30)
        assert answer.startswith(b"HTTP/1.1 408") and b"did not arrive within 0.2 seconds" in answer
        writer.close()


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHo", b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HT"])
async def test_headers_that_come_too_slowly_end_the_connection(sent: bytes) -> None:
    async with server(empty, Quick) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        try:
            answer = await asyncio.wait_for(reader.read(), 30)
        except ConnectionResetError:
            answer = b""
        assert answer.count(b"HTTP/1.1 204") == sent.count(b"\r\n\r\n")
        writer.close()


async def test_a_client_that_reads_nothing_is_cut_off() -> None:
    ended = asyncio.Event()

    async def flood(scope: Any, receive: Any, send: Any) -> None:
        gone = asyncio.ensure_future(_gone(receive))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not gone.done():
            await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
        ended.set()

    async def _gone(receive: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async with server(flood, Quick) as port:
        connection = socket.create_connection(("127.0.0.1", port))
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.wait_for(ended.wait(), 30)
        connection.close()


# -- readers and idlers ------------------------------------------------------------------------------------------------


@pytest.mark.flow
async def test_slow_readers_cost_little_and_stall_nobody(start: Any, until: Any) -> None:
    flow = start(CASE="slow readers")
    await asyncio.to_thread(httpx.get, f"{flow.http}/research/stream", params={"question": "q"})
    before = resident(flow.gateway)
    sockets = []
    for number in range(10):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_192)
        connection.connect(("127.0.0.1", flow.http_port))
        connection.sendall(f"GET /research/stream?question=flood&run_id=s{number} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        sockets.append(connection)

    def sent() -> int:
        return len(flow.notes)

    last = -1
    while last != sent():  # until no stream moves any more
        last = sent()
        answer = await asyncio.to_thread(httpx.post, f"{flow.http}/research", json={"data": {"question": "q"}}, timeout=30)
        assert answer.status_code == 200
        await asyncio.sleep(0.3)
    assert last < 10 * 1_000, "everything was taken from the stage, although nobody reads"
    assert resident(flow.gateway) - before < 100  # of the 1,000 MB that wait
    for connection in sockets:
        connection.close()
    await until(lambda: flow.measured("deepsearch_runs_under_way") == 0)


@pytest.mark.flow
async def test_a_half_closed_connection_counts_as_left(flow: Any, until: Any) -> None:
    with socket.create_connection(("127.0.0.1", flow.http_port)) as connection:
        connection.sendall(b"GET /research/stream?question=hold+half&run_id=half HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await until(lambda: flow.measured("deepsearch_runs_under_way") == 1)
        connection.shutdown(socket.SHUT_WR)
        await until(lambda: flow.measured("deepsearch_runs_under_way") == 0)
    await until(lambda: "reported half" in flow.notes)


@pytest.mark.flow
async def test_two_thousand_idle_connections(flow: Any, until: Any) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4_096)), hard))
    gateway = flow.gateway
    before, opened = resident(gateway), files(gateway)
    connections = []
    try:
        for _ in range(2_000):
            connections.append(socket.create_connection(("127.0.0.1", flow.http_port)))
        await until(lambda: files(gateway) >= opened + 2_000)
        assert (await asyncio.to_thread(httpx.post, f"{flow.http}/research", json={"data": {"question": "q"}})).status_code == 200
        assert resident(gateway) - before < 100
    finally:
        for connection in connections:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    await until(lambda: files(gateway) <= opened + 10)


# -- request smuggling -------------------------------------------------------------------------------------------------

_HEAD = b"POST /research HTTP/1.1\r\nHost: localhost\r\n"
_HIDDEN = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.flow
@pytest.mark.parametrize(
    "request_bytes",
    [
        _HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello" + _HIDDEN,
        _HEAD + b"Content-Length: 5, 6\r\n\r\nhello" + _HIDDEN,
        _HEAD + b"Content-Length: +5\r\n\r\nhello" + _HIDDEN,
        _HEAD + b"Content-Length: 0x5\r\n\r\nhello" + _HIDDEN,
        _HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + _HIDDEN,
        _HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + _HIDDEN,
        _HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + _HIDDEN,
        _HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + _HIDDEN,
        _HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + _HIDDEN,
        _HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + _HIDDEN,
        _HEAD + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n\r\n" + _HIDDEN,
        _HEAD + b"X: y\r\rContent-Length: 5\r\n\r\nhello" + _HIDDEN,
        b"POST /research HTTP/1.1\r\nContent-Length: 0\r\n\r\n" + _HIDDEN,
        b"POST /research HTTP/1.1\r\nHost: localhost\r\nHost: evil.org\r\n\r\n" + _HIDDEN,
        b"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n" + _HIDDEN,
    ],
)
def test_what_can_be_read_in_two_ways_is_not_read(flow: Any, request_bytes: bytes) -> None:
    answer = exchange(flow.http_port, request_bytes)
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 501")), answer
    assert answer.count(b"HTTP/1.1") == 1 and b"live" not in answer
    assert not answer.endswith(b"(open)")
