"""Clients that stream through one gateway, against the same streams straight from the controller; and idle connections.

python -m benchmarks.gateway.run [--clients 200] [--seconds 15] [--interval 1] [--idle 2000]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import grpc
from jina.proto.jina_pb2 import SingleDocumentRequestProto

from benchmarks.processes import free_ports, started
from schemas.research import ResearchRequest

HERE = Path(__file__).parent
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Seen:
    """What all clients together saw."""

    first: list[float] = field(default_factory=list)
    """Seconds from the request to its first event."""
    delays: list[float] = field(default_factory=list)
    """Seconds from the making of an event to its arrival; first events are not counted."""
    events: int = 0
    finished: int = 0
    missing: int = 0
    """Events that a client should have had and did not."""

    def event(self, begun: float, made: float, number: int) -> None:
        now = time.time()
        self.events += 1
        (self.first if number == 1 else self.delays).append(now - (begun if number == 1 else made))


class Process:
    """One process of the Flow."""

    def __init__(self, port: int) -> None:
        line = subprocess.run(["ss", "-ltnpH", f"sport = :{port}"], capture_output=True, text=True, check=True).stdout
        self.pid = int(line.partition("pid=")[2].partition(",")[0])

    @property
    def kilobytes(self) -> int:
        lines = Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))

    @property
    def cpu(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    @property
    def files(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))


async def over_http(port: int, query: dict[str, str], seen: Seen) -> None:
    """One client of the gateway, as light as can be."""
    begun = time.time()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /research/stream?{urlencode(query)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    number = 0
    try:
        async for line in reader:
            if line.startswith(b"data: {"):
                event = json.loads(line[6:])
                if event["type"] == "run_ended":
                    seen.finished += 1
                    seen.missing += event["sequence"] - number
                    return
                number += 1
                seen.event(begun, event["time"], number)
    finally:
        writer.close()


async def over_grpc(stub: grpc.aio.UnaryStreamMultiCallable, query: dict[str, str], seen: Seen) -> None:
    """One client of the controller itself."""
    begun, number = time.time(), 0
    request = SingleDocumentRequestProto()
    request.header.exec_endpoint = "/research/stream"
    request.document.CopyFrom(
        ResearchRequest(
            question="q", run_id=query["run_id"], budget_seconds=float(query["budget_seconds"]), budget_usd=float(query["budget_usd"])
        ).to_protobuf()
    )
    async for response in stub(request):
        event = response.document.data
        if event["type"].text == "run_ended":
            seen.finished += 1
            seen.missing += event["sequence"].integer - number
            return
        number += 1
        seen.event(begun, event["time"].float, number)


def queries(options: argparse.Namespace) -> list[dict[str, str]]:
    common = {"question": "q", "budget_seconds": str(options.seconds), "budget_usd": str(options.interval)}
    return [{**common, "run_id": f"r{number}"} for number in range(options.clients)]


def percentile(values: list[float], percent: float) -> float:
    """In milliseconds."""
    ordered = sorted(values) or [0.0]
    return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def tell(name: str, options: argparse.Namespace, seen: Seen) -> None:
    print(
        f"{name:<11} {seen.finished}/{options.clients} streams ended, {seen.missing} of {seen.events + seen.missing} events missing; "
        f"first event p50 {percentile(seen.first, 50):.0f} ms, p99 {percentile(seen.first, 99):.0f} ms; "
        f"later ones p50 {percentile(seen.delays, 50):.1f} ms, p99 {percentile(seen.delays, 99):.1f} ms",
        flush=True,
    )


async def streams(ports: dict[str, int], options: argparse.Namespace) -> None:
    gateway, controller = Process(ports["HTTP"]), Process(ports["CONTROLLER"])
    bare, through = Seen(), Seen()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{ports['CONTROLLER']}") as channel:
        stub = channel.unary_stream(
            "/jina.JinaSingleDocumentRequestRPC/stream_doc",
            SingleDocumentRequestProto.SerializeToString,
            SingleDocumentRequestProto.FromString,
        )
        await asyncio.gather(*(over_grpc(stub, query, bare) for query in queries(options)), return_exceptions=True)
    tell("controller", options, bare)
    await over_http(ports["HTTP"], {"question": "q", "budget_seconds": "0.1", "run_id": "warm"}, Seen())
    memory, cpu, others = gateway.kilobytes, gateway.cpu, controller.cpu
    running = asyncio.gather(*(over_http(ports["HTTP"], query, through) for query in queries(options)), return_exceptions=True)
    await asyncio.sleep(options.seconds / 2)
    held = gateway.kilobytes - memory
    failures = [failure for failure in await running if failure]
    tell("gateway", options, through)
    spent = gateway.cpu - cpu
    here, there = (1000 * seconds / max(1, through.events) for seconds in (spent, controller.cpu - others))
    print(
        f"gateway: {held / options.clients:.1f} kB a stream ({memory / 1024:.0f} MB before); "
        f"{here:.3f} ms CPU an event, controller {there:.3f} ms"
    )
    if failures:
        print(f"{len(failures)} clients failed, such as: {failures[0]!r}")


async def idle(ports: dict[str, int], options: argparse.Namespace) -> None:
    gateway = Process(ports["HTTP"])
    memory, files = gateway.kilobytes, gateway.files
    begun, connections = time.time(), []
    for number in range(options.idle):
        connections.append(await asyncio.open_connection("127.0.0.1", ports["HTTP"]))
        if number % 500 == 0:
            await asyncio.sleep(0)
    while gateway.files - files < options.idle and time.time() - begun < 60:  # noqa: ASYNC110
        await asyncio.sleep(0.1)  # another process accepts them
    took, accepted = time.time() - begun, gateway.files - files
    held, seen = gateway.kilobytes - memory, Seen()
    for number in range(50):
        await over_http(ports["HTTP"], {"question": "q", "budget_seconds": "0.01", "budget_usd": "0.01", "run_id": f"i{number}"}, seen)
    print(
        f"idle: {accepted} of {options.idle} connections held, opened in {took:.1f} s, {held / max(1, options.idle):.2f} kB each; "
        f"meanwhile first event p50 {percentile(seen.first, 50):.0f} ms, p99 {percentile(seen.first, 99):.0f} ms"
    )
    for _, writer in connections:
        writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--interval", type=float, default=1.0, help="seconds between two events of one stream")
    parser.add_argument("--idle", type=int, default=2_000)
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    names = ("GRPC", "HTTP", "CONTROLLER", "QUERY_PLANNER", "JINA_SEARCHER", "URL_RANKER", "EVALUATOR", "ANSWER_FINALIZER")
    found = free_ports(len(names) + 2)
    ports = dict(zip(names, found, strict=False))
    limits = {"MAX_RUNS": 100_000, "KEY_RUNS": 100_000, "KEY_REQUESTS_PER_MINUTE": 1_000_000}
    values = {f"DEEPSEARCH_{name}_PORT": port for name, port in ports.items()} | {f"DEEPSEARCH_{name}": n for name, n in limits.items()}
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **os.environ,
            **{name: str(value) for name, value in values.items()},
            "DEEPSEARCH_PAGE_READER_PORTS": f"{found[-2]},{found[-1]}",
            "DEEPSEARCH_HOME": home,
            "PYTHONPATH": str(HERE.parents[1]),
            "DRAIN_SECONDS": "2",
        }
        command = [sys.executable, "-m", "deepsearch", "serve", "--flow", str(HERE / "flow.yml")]
        with started(command, environment, "ready"):
            asyncio.run(streams(ports, options))
            asyncio.run(idle(ports, options))


if __name__ == "__main__":
    main()
