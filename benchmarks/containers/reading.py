"""Inside a container of the project: has pages read as the controller does, for some seconds, and prints how many a second it were."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import time

from executors.controller.remote_stages import RemoteStages
from schemas.reading import ReadRequest, ReadResponse


async def pages_per_second(seconds: float, at_once: int) -> float:
    """Pages a second in the second half of twice `seconds`; in the first half the readers' queues fill."""
    stages = RemoteStages({"page_reader": "dns:///page-reader:8094"})
    numbers = itertools.count(time.time_ns())
    begin = time.perf_counter() + seconds
    read = 0

    async def reader() -> None:
        nonlocal read
        while time.perf_counter() < begin + seconds:
            number = next(numbers)
            request = ReadRequest(url=f"https://site-{number % 20}.test/{number}", question="How is the work shared by replicas?")
            response = await stages.call("/read", request, ReadResponse, timeout=60)
            assert response.passages, "a page without passages"
            read += begin <= time.perf_counter() < begin + seconds

    await asyncio.gather(*(reader() for _ in range(at_once)))
    await stages.close()
    return read / seconds


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--at-once", type=int, default=64)
    arguments = parser.parse_args()
    print(asyncio.run(pages_per_second(arguments.seconds, arguments.at_once)))
