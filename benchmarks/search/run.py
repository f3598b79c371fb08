"""What the searcher adds to the time of its providers, as ratios against bare httpx in the same run. See README.md beside this file."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from pydantic import SecretStr

from providers.search import SearchChain, SearchOptions, create_search
from schemas.search import SearchQuery
from schemas.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
QUERIES = 50
LATENCY_SECONDS = 0.3
OPTIONS = SearchOptions()


@contextmanager
def upstream(seconds: float) -> Iterator[str]:
    """The URL of a search service of its own process that answers after `seconds`."""
    command = [sys.executable, "-m", "benchmarks.search.upstream", str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


async def bare(url: str, count: int, at_once: int) -> tuple[float, float]:
    """Wall and CPU seconds of `count` requests with httpx alone, `at_once` at a time, their answers decoded."""
    slots = asyncio.Semaphore(at_once)

    async def one(client: httpx.AsyncClient, number: int) -> int:
        async with slots:
            response = await client.post(f"{url}/search/", json={"q": f"query {number}", "num": 10})
            return len(response.json()["data"])

    async with httpx.AsyncClient(limits=httpx.Limits(max_keepalive_connections=32), timeout=10) as client:
        wall, cpu = time.perf_counter(), time.process_time()
        found = await asyncio.gather(*(one(client, number) for number in range(count)))
        assert found == [10] * count
        return time.perf_counter() - wall, time.process_time() - cpu


async def searched(settings: Settings, count: int, *, prepared: bool = False) -> tuple[float, float]:
    """The same through the chain of `settings`, made anew; `prepared`: after one query."""
    search: SearchChain = create_search(settings)
    try:
        if prepared:
            await search.search([SearchQuery(text="first")], OPTIONS)
        queries = [SearchQuery(text=f"query {number}") for number in range(count)]
        wall, cpu = time.perf_counter(), time.process_time()
        response = await search.search(queries, OPTIONS)
        assert len(response.results) == 10 * count, response.outcomes[0].errors
        return time.perf_counter() - wall, time.process_time() - cpu
    finally:
        await search.close()


def settings_for(url: str, **values: object) -> Settings:
    """Jina search with a key at `url`, every other setting its default."""
    return Settings(_env_file=None, jina_api_key=SecretStr("scripted"), jina_search_url=f"{url}/search/", use_duckduckgo=False, **values)


async def measure(slow: str, fast: str) -> dict[str, float]:
    """One run."""
    default = settings_for(slow)
    bare_slow, _ = await bare(slow, QUERIES, default.search_concurrency)
    searched_slow, _ = await searched(default, QUERIES)
    # Jina fails every query (its address is a service that is down), so that each goes on to the next provider.
    failing = settings_for(slow, searxng_url=slow).model_copy(update={"jina_search_url": f"{slow}/reader/"})
    failed_over, _ = await searched(failing, QUERIES)
    count = 400
    _, bare_cpu = await bare(fast, count, default.search_concurrency)
    _, searched_cpu = await searched(settings_for(fast, search_per_minute=100_000), count, prepared=True)
    return {
        "bare_seconds": bare_slow,
        "search_seconds": searched_slow,
        "search_ratio": searched_slow / bare_slow,
        "failover_seconds": failed_over,
        "bare_cpu_ms": bare_cpu / count * 1_000,
        "search_cpu_ms": searched_cpu / count * 1_000,
        "search_cpu_ratio": searched_cpu / bare_cpu,
    }


def main() -> None:
    """Print the medians of several runs as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one run")
    arguments = parser.parse_args()
    runs = 1 if arguments.quick else 5
    with upstream(LATENCY_SECONDS) as slow, upstream(0) as fast:
        results = [asyncio.run(measure(slow, fast)) for _ in range(runs)]
    medians = {name: round(statistics.median(result[name] for result in results), 3) for name in results[0]}
    print(json.dumps({"queries": QUERIES, "latency_seconds": LATENCY_SECONDS, "runs": runs, **medians}, indent=2))


if __name__ == "__main__":
    main()
