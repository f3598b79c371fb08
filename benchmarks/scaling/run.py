"""Pages per second with 1, 2 and 4 replicas of the page reader, when every page takes 500 ms outside."""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.processes import cpu_seconds, free_ports, started

_AT_ONCE = 64
"""Readings in flight, over all replicas: more than four replicas take at once by default."""
_STAGES = ["CONTROLLER", "QUERY_PLANNER", "JINA_SEARCHER", "URL_RANKER", "EVALUATOR", "ANSWER_FINALIZER"]


def environment(home: str, upstream: int, replicas: int) -> tuple[dict[str, str], list[int]]:
    """Settings of a Flow with that many page readers, and their ports."""
    ports = free_ports(8 + replicas)
    values = {f"DEEPSEARCH_{name}_PORT": str(port) for name, port in zip(["HTTP", "GRPC", *_STAGES], ports, strict=False)}
    readers = ports[8:]
    values |= {
        "DEEPSEARCH_PAGE_READER_REPLICAS": str(replicas),
        "DEEPSEARCH_PAGE_READER_PORTS": ",".join(map(str, readers)),
        "DEEPSEARCH_HOME": home,
        "JINA_READER_URL": f"http://127.0.0.1:{upstream}/reader/",
    }
    return {**os.environ, **values}, readers


async def pages_per_second(ports: list[int], pages: int) -> float:
    """Read `pages` different pages as the controller does, spread over the replicas."""
    from executors.controller.remote_stages import RemoteStages
    from schemas.reading import ReadRequest, ReadResponse

    stages = RemoteStages({"page_reader": ",".join(f"127.0.0.1:{port}" for port in ports)})
    numbers = iter(range(pages))
    read: Counter[str] = Counter()

    async def reader() -> None:
        for number in numbers:
            request = ReadRequest(url=f"https://site-{number % 20}.test/{number}", question="How is the work shared by replicas?")
            response = await stages.call("/read", request, ReadResponse, timeout=60)
            assert response.passages, "a page without passages"
            read[response.page.url] += 1

    begin = time.perf_counter()
    await asyncio.gather(*(reader() for _ in range(_AT_ONCE)))
    seconds = time.perf_counter() - begin
    await stages.close()
    assert len(read) == pages
    return pages / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="measurements per number of replicas; the median counts")
    parser.add_argument("--seconds", type=float, default=0.5, help="what a page takes outside")
    arguments = parser.parse_args()
    upstream = [sys.executable, "-m", "benchmarks.scaling.upstream", str(arguments.seconds)]
    medians: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as home, started(upstream, {**os.environ}, r"^\d+$") as up:
        for replicas in (1, 2, 4):
            values, ports = environment(home, int(up[1]), replicas)
            serve = [str(Path(sys.executable).with_name("deepsearch")), "serve"]
            with started(serve, values, "ready") as (flow, _, _):
                asyncio.run(pages_per_second(ports, _AT_ONCE))  # warm: the first call of a replica imports what it needs
                cpu, rates = cpu_seconds(flow.pid), []
                pages = 64 * replicas
                for _ in range(arguments.runs):
                    rates.append(asyncio.run(pages_per_second(ports, pages)))
                cpu = (cpu_seconds(flow.pid) - cpu) / (arguments.runs * pages)
            medians[replicas] = statistics.median(rates)
            each = ", ".join(f"{rate:.1f}" for rate in rates)
            ratio = medians[replicas] / medians[1]
            print(f"{replicas} readers: {medians[replicas]:6.1f} pages/s, ratio {ratio:.2f}, {1000 * cpu:.1f} ms CPU a page (runs: {each})")


if __name__ == "__main__":
    main()
