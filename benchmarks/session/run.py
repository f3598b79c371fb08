"""What a five-step session costs: our CPU over all processes of the Flow, sessions per second, memory at rest, one stage call."""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.processes import cpu_seconds, free_ports, resident_megabytes, started


def environment(home: str, upstream: int) -> tuple[dict[str, str], int]:
    """Settings that point every stage at the scripted upstreams, and the gateway's gRPC port."""
    ports = free_ports(10)
    names = ["HTTP", "GRPC", "CONTROLLER", "QUERY_PLANNER", "JINA_SEARCHER", "URL_RANKER", "EVALUATOR", "ANSWER_FINALIZER"]
    values = {f"DEEPSEARCH_{name}_PORT": str(port) for name, port in zip(names, ports, strict=False)}
    values |= {
        "DEEPSEARCH_PAGE_READER_PORTS": f"{ports[8]},{ports[9]}",
        "DEEPSEARCH_HOME": home,
        "OPENAI_BASE_URL": f"http://127.0.0.1:{upstream}/v1",
        "OPENAI_API_KEY": "scripted",
        "LLM_MODEL": "scripted",
        "JINA_API_KEY": "scripted",
        "JINA_SEARCH_URL": f"http://127.0.0.1:{upstream}/search/",
        "JINA_READER_URL": f"http://127.0.0.1:{upstream}/reader/",
        "EMBEDDING_PROVIDER": "none",
        "RERANK_PROVIDER": "none",
        "USE_DUCKDUCKGO": "false",
        "SEARCH_PER_MINUTE": "1000000",
        "DEEPSEARCH_KEY_REQUESTS_PER_MINUTE": "1000000",
        "DEEPSEARCH_KEY_RUNS": "64",
    }
    return {**os.environ, **values}, ports[1]


async def session(client: object, number: int) -> int:
    """One question through the gateway; how many events it streamed."""
    from schemas.events import ResearchEvent
    from schemas.research import ResearchRequest

    events = []
    request = ResearchRequest(question=f"How do I scale the page readers? ({number})", no_direct_answer=True)
    async for event in client.stream_doc(on="/research/stream", inputs=request, return_type=ResearchEvent):  # type: ignore[attr-defined]
        events.append(event)
    answer = events[-1].data.get("answer", {})
    assert answer.get("steps") == 5, f"not the session this benchmark is about: {events[-1].data}"
    return len(events)


async def flow_figures(grpc_port: int, root: int, sessions: int) -> dict[str, float]:
    """Sessions one after another, then 16 at a time."""
    from jina import Client

    client = Client(host="127.0.0.1", port=grpc_port, protocol="grpc", asyncio=True)
    for number in range(3):
        events = await session(client, number)
    cpu, walls = cpu_seconds(root), []
    for number in range(sessions):
        begin = time.perf_counter()
        await session(client, number)
        walls.append(time.perf_counter() - begin)
    cpu_each = (cpu_seconds(root) - cpu) / sessions
    rates = []
    for _ in range(3):
        begin = time.perf_counter()
        queue = iter(range(64))

        async def worker(numbers: Iterator[int]) -> None:
            for number in numbers:
                await session(client, number)

        await asyncio.gather(*(worker(queue) for _ in range(16)))
        rates.append(64 / (time.perf_counter() - begin))
    return {"cpu": cpu_each, "wall": statistics.median(walls), "rate": statistics.median(rates), "events": events}


async def in_process_figures(sessions: int) -> dict[str, float]:
    """The same sessions with the same Executors called directly: the baseline."""
    from deepsearch.local import LocalDeepSearch
    from schemas.research import ResearchRequest
    from schemas.settings import Settings

    async with LocalDeepSearch(Settings()) as research:

        async def one(number: int) -> None:
            request = ResearchRequest(question=f"How do I scale the page readers? ({number})", no_direct_answer=True)
            async for _ in research.stream(request):
                pass

        await one(0)
        cpu, walls = time.process_time(), []
        for number in range(sessions):
            begin = time.perf_counter()
            await one(number)
            walls.append(time.perf_counter() - begin)
        return {"cpu": (time.process_time() - cpu) / sessions, "wall": statistics.median(walls)}


async def call_figures(calls: int) -> tuple[float, float]:
    """Median milliseconds of `/dedupe` over gRPC and in process, the same request."""
    from executors.controller.local_stages import LocalStages
    from executors.controller.remote_stages import RemoteStages
    from executors.url_ranker.executor import URLRanker
    from schemas.ranking import DedupeRequest, DedupeResponse
    from schemas.settings import Settings

    request = DedupeRequest(texts=["scale page readers", "reader replicas"], existing=["how to scale"])
    medians = []
    for stages in (RemoteStages(Settings()), LocalStages({"url_ranker": URLRanker()})):
        times = []
        for _ in range(calls):
            begin = time.perf_counter()
            await stages.call("/dedupe", request, DedupeResponse, timeout=10)
            times.append(time.perf_counter() - begin)
        await stages.close()
        medians.append(statistics.median(times) * 1000)
    return medians[0], medians[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=20, help="sessions per measurement")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as home,
        started([sys.executable, "-m", "benchmarks.session.upstream"], {**os.environ}, r"^\d+$") as up,
    ):
        values, grpc_port = environment(home, int(up[1]))
        serve = [str(Path(sys.executable).with_name("deepsearch")), "serve"]
        with started(serve, values, "ready") as (flow, line, seconds):
            print(line)
            rest = resident_megabytes(flow.pid)
            os.environ.update({key: value for key, value in values.items() if os.environ.get(key) != value})
            over_flow = asyncio.run(flow_figures(grpc_port, flow.pid, arguments.sessions))
            remote, local = asyncio.run(call_figures(200))
            loaded = resident_megabytes(flow.pid)
        in_process = asyncio.run(in_process_figures(arguments.sessions))
    print(f"Flow ready after                    {seconds:8.2f} s")
    print(f"memory of the Flow at rest (PSS)    {rest:8.0f} MB, after the load {loaded:.0f} MB")
    print(f"CPU of a five-step session          {over_flow['cpu']:8.3f} s in the Flow, {in_process['cpu']:.3f} s in process: "
          f"ratio {over_flow['cpu'] / in_process['cpu']:.2f}")  # fmt: skip
    print(f"wall time of a session              {over_flow['wall']:8.3f} s in the Flow, {in_process['wall']:.3f} s in process, "
          f"{over_flow['events']:.0f} events")  # fmt: skip
    print(f"sessions per second, 16 at once     {over_flow['rate']:8.2f}")
    print(f"one stage call (/dedupe)            {remote:8.2f} ms over gRPC, {local:.3f} ms in process: ratio {remote / local:.1f}")


if __name__ == "__main__":
    main()
