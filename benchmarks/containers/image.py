"""The image: its size, how long a container of it takes until it is ready, and what each container takes at rest and under load."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.processes import free_ports
from tests.containers.project import Project, compose_command, docker
from tests.containers.questions import Load

_CONFINED = ("--read-only", "--cap-drop", "ALL", "--tmpfs", "/tmp")


def megabytes(image: str) -> float:
    return float(json.loads(docker("image", "inspect", image))[0]["Size"]) / 1e6


def seconds_until_ready(image: str) -> float:
    """From `docker run` until the Flow in one container says that it is ready."""
    begin = time.perf_counter()
    container = docker("run", "--detach", *_CONFINED, "--env", "USE_DUCKDUCKGO=false", image).strip()
    try:
        while "is ready" not in docker("logs", container):
            if time.perf_counter() > begin + 120:
                raise SystemExit(f"not ready after 120 s: {docker('logs', container)}")
            time.sleep(0.05)
        return time.perf_counter() - begin
    finally:
        docker("rm", "--force", "--volumes", container)


def seconds_of_nothing(image: str) -> float:
    """The same container with nothing to do: what the engine takes."""
    begin = time.perf_counter()
    docker("run", "--rm", *_CONFINED, image, "python", "-c", "pass")
    return time.perf_counter() - begin


def memory(project: Project) -> dict[str, float]:
    """Megabytes of each service: what its control group has beyond files that the kernel may drop."""
    used = {}
    for container in project.containers():
        service = container["Config"]["Labels"]["com.docker.compose.service"]
        used[service] = _megabytes(docker("stats", "--no-stream", "--format", "{{.MemUsage}}", container["Id"]).partition("/")[0].strip())
    used.pop("upstream")
    return used


def _megabytes(text: str) -> float:
    """Of a number with a unit, such as 97.6MiB."""
    number = text.rstrip("BGMKi")
    return float(number) * {"G": 1073.741824, "M": 1.048576, "K": 0.001024}.get(text[len(number)], 1e-6)


def processor_seconds(project: Project) -> dict[str, float]:
    """What the processes of each service have used since their containers were started."""
    used = {}
    for container in project.containers():
        service = container["Config"]["Labels"]["com.docker.compose.service"]
        fields = docker("exec", container["Id"], "sh", "-c", "cat /proc/[0-9]*/stat 2>/dev/null").splitlines()
        ticks = [sum(map(int, line.rpartition(")")[2].split()[11:15])) for line in fields]
        used[service] = sum(ticks) / os.sysconf("SC_CLK_TCK")
    used.pop("upstream")
    return used


async def loaded(project: Project, seconds: float) -> tuple[dict[str, float], dict[str, float], int]:
    """Memory after that many seconds of questions from two clients, processor seconds used by then, and the questions answered."""
    before = await asyncio.to_thread(processor_seconds, project)
    async with Load(project.url).asked() as load:
        await asyncio.sleep(seconds)
        used = await asyncio.to_thread(memory, project)
    after = await asyncio.to_thread(processor_seconds, project)
    if load.failures:
        raise SystemExit(f"a question failed: {load.failures[0]}")
    return used, {service: after[service] - before[service] for service in before}, load.answered


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", default="deepsearch", help="as `docker compose build gateway` makes it")
    parser.add_argument("--base", default="python:3.11-slim", help="what it was built from")
    parser.add_argument("--runs", type=int, default=5, help="measurements of the start; the median counts")
    parser.add_argument("--seconds", type=float, default=60, help="length of the load")
    arguments = parser.parse_args()
    size, base = megabytes(arguments.image), megabytes(arguments.base)
    print(f"image {size:.0f} MB, {size / base:.2f} of its base image ({base:.0f} MB)", flush=True)
    nothing = statistics.median(seconds_of_nothing(arguments.image) for _ in range(arguments.runs))
    starts = [seconds_until_ready(arguments.image) for _ in range(arguments.runs)]
    start = statistics.median(starts)
    each = ", ".join(f"{seconds:.1f}" for seconds in starts)
    print(
        f"one container ready after {start:.1f} s, {start / nothing:.1f} times one that does nothing ({nothing:.1f} s; runs: {each})",
        flush=True,
    )
    http, grpc = free_ports(2)
    with tempfile.NamedTemporaryFile() as env_file:
        project = Project(f"deepsearch-image-{os.getpid()}", compose_command(), arguments.image, http, grpc, Path(env_file.name))
        try:
            project.up()
            print(f"all services ready after {project.seconds:.1f} s, {project.seconds / start:.1f} times one container", flush=True)
            rest = memory(project)
            load, processor, answered = asyncio.run(loaded(project, arguments.seconds))
        finally:
            project.run("down", "--volumes", "--timeout", "3")
    each_run = {service: seconds / answered for service, seconds in processor.items()}
    for service in sorted(rest):
        print(
            f"{service}: {rest[service]:.0f} MB at rest, {load[service]:.0f} MB under load, ratio {load[service] / rest[service]:.2f};"
            f" {1000 * each_run[service]:.0f} ms of processor time a question, {each_run[service] / sum(each_run.values()):.2f} of all"
        )
    total = sum(rest.values()), sum(load.values())
    print(
        f"all: {total[0]:.0f} MB at rest, {total[1]:.0f} MB under load, ratio {total[1] / total[0]:.2f};"
        f" {sum(each_run.values()):.3f} s of processor time a question ({answered} questions)"
    )


if __name__ == "__main__":
    main()
