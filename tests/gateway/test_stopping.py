"""What is seen of a Flow that stops, is killed, or has too much to do, from outside and on real sockets."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

import flow_process
import httpx
import pytest

from gateway.health import serving

pytestmark = pytest.mark.flow

PATIENCE = 60.0
"""Seconds until something must have happened that takes a moment; the machine may be busy."""


@contextmanager
def echoing(home: Path, **environment: str) -> Iterator[tuple[Popen[str], dict[str, str]]]:
    """The echo Flow, ready, and its settings."""
    ports = flow_process.free_port_settings()
    flow_file = flow_process.HERE / "echo_flow.yml"
    process = flow_process.start(flow_process.SERVE, str(flow_file), home=home, **ports, **environment)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("DeepSearch is ready")
        yield process, ports
    finally:
        for number in flow_process.processes_of(process.pid):
            os.kill(number, signal.SIGKILL)
        process.communicate()


def accepts(port: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(port))) == 0


async def stream(url: str, draft: str, begun: asyncio.Event) -> list[str]:
    """Every line of a stream; says when the first has come."""
    found: list[str] = []
    async with (
        httpx.AsyncClient(timeout=PATIENCE) as client,
        client.stream("GET", f"{url}/finalize", params={"draft": draft, "max_references": "500"}) as response,
    ):
        async for line in response.aiter_lines():
            found.append(line)
            begun.set()
    return found


async def test_readiness_turns_false_before_the_doors_close(tmp_path: Path) -> None:
    with echoing(tmp_path, LEAVING_SECONDS="5", DRAIN_SECONDS="60") as (process, ports):
        url = f"http://127.0.0.1:{ports['DEEPSEARCH_HTTP_PORT']}"
        grpc = f"127.0.0.1:{ports['DEEPSEARCH_GRPC_PORT']}"
        begun = asyncio.Event()
        draft = "word " * 30  # 15 seconds: longer than the door stays open
        streaming = asyncio.ensure_future(stream(url, draft, begun))
        await begun.wait()
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as client:
            assert (await client.get("/health/ready")).status_code == 200
            assert await serving(grpc)
            process.send_signal(signal.SIGTERM)
            while (ready := await client.get("/health/ready")).status_code == 200:
                await asyncio.sleep(0.02)
            assert (ready.status_code, ready.json()["error"]["message"]) == (503, "The gateway is stopping; ask another one.")
            assert not await serving(grpc)
            assert (await client.get("/health/live")).status_code == 200
            async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as another:  # a new connection: the door is still open
                answer = await another.post("/dedupe", json={"data": [{"texts": ["a", "b"], "existing": ["a"]}]})
            assert answer.json()["data"][0]["texts"] == ["b"]
        while accepts(ports["DEEPSEARCH_HTTP_PORT"]) or accepts(ports["DEEPSEARCH_GRPC_PORT"]):
            await asyncio.sleep(0.05)
        lines = await streaming
        assert (lines.count("event: update"), lines.count("event: end")) == (31, 1)
        assert await asyncio.to_thread(process.wait, PATIENCE) == 0
        assert flow_process.processes_of(process.pid) == []


async def test_when_the_first_process_is_killed_the_others_finish_their_calls_and_stop(tmp_path: Path) -> None:
    with echoing(tmp_path, DRAIN_SECONDS="30") as (process, ports):
        assert len(flow_process.processes_of(process.pid)) >= 6
        begun = asyncio.Event()
        streaming = asyncio.ensure_future(stream(f"http://127.0.0.1:{ports['DEEPSEARCH_HTTP_PORT']}", "a b c d", begun))
        await begun.wait()
        os.kill(process.pid, signal.SIGKILL)
        lines = await streaming
        assert (lines.count("event: update"), lines.count("event: end")) == (5, 1)
        deadline = time.monotonic() + PATIENCE
        while (left := flow_process.processes_of(process.pid)) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        assert left == []


async def test_when_the_first_process_is_killed_the_controller_answers_until_the_gateway_has_ended(tmp_path: Path) -> None:
    with echoing(tmp_path, LEAVING_SECONDS="0", DRAIN_SECONDS="60") as (process, ports):
        begun = asyncio.Event()
        url = f"http://127.0.0.1:{ports['DEEPSEARCH_HTTP_PORT']}"
        streaming = asyncio.ensure_future(stream(url, "word " * 10, begun))  # five seconds
        await begun.wait()
        os.kill(process.pid, signal.SIGKILL)
        while accepts(ports["DEEPSEARCH_HTTP_PORT"]):
            await asyncio.sleep(0.02)
        assert not streaming.done(), "the gateway finishes what it has begun"
        while not streaming.done():
            answers = accepts(ports["DEEPSEARCH_CONTROLLER_PORT"])
            await asyncio.sleep(0.1)
            assert answers or streaming.done()
        lines = await streaming
        assert (lines.count("event: update"), lines.count("event: end")) == (11, 1)
        async with asyncio.timeout(PATIENCE):
            while flow_process.processes_of(process.pid):
                await asyncio.sleep(0.05)


async def test_probes_and_metrics_are_answered_when_nothing_else_is(tmp_path: Path) -> None:
    """Every place for runs is taken and nobody may wait; the page reader has more than it can do."""
    limits = {
        "DEEPSEARCH_MAX_RUNS": "1",
        "DEEPSEARCH_MAX_WAITING": "0",
        "DEEPSEARCH_STAGE_CONCURRENCY": "2",
        "DEEPSEARCH_STAGE_WAITING": "1",
    }
    with echoing(tmp_path, DRAIN_SECONDS="0", DEEPSEARCH_PAGE_READER_REPLICAS="2", **limits) as (_, ports):
        url = f"http://127.0.0.1:{ports['DEEPSEARCH_HTTP_PORT']}"
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE, limits=httpx.Limits(max_connections=None)) as client:
            hanging = [asyncio.ensure_future(client.post("/read", json={"data": [{"url": "u", "question": "600"}]})) for _ in range(40)]
            while sum(call.done() for call in hanging) < 34:  # two replicas with two places and one that waits
                await asyncio.sleep(0.02)
            refused = [call.result() for call in hanging if call.done()]
            assert {(answer.status_code, answer.json()["error"]["code"]) for answer in refused} == {(503, "overloaded")}
            assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
            assert (await client.get("/health/ready")).status_code == 200
            assert (await client.get("/metrics")).status_code == 200
            answer = await client.post("/research", json={"data": [{"question": "still there"}]})
            assert answer.json()["data"][0]["text"] == "STILL THERE"
            for call in hanging:
                call.cancel()
            await asyncio.gather(*hanging, return_exceptions=True)
