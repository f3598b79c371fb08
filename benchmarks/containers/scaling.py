"""Pages per second with 1, 2 and 4 containers of the page reader, and how long a new one waits for its first page."""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from benchmarks.processes import free_ports
from tests.containers.project import Project, compose_command, docker

_PORT = 8094
_FILES = ("docker-compose.yml", "benchmarks/containers/services.yml")


def scale(project: Project, readers: int) -> list[str]:
    """Have that many page readers, all of them serving. Returns the addresses of the new ones."""
    before = set(project.addresses("page_reader"))
    project.run("up", "--detach", "--no-build", "--no-recreate", "--scale", f"page_reader={readers}", "page_reader")
    now = project.addresses("page_reader")
    for container in now.values():
        until(lambda container=container: serves(container), 120)  # type: ignore[misc]
    return sorted(set(now) - before)


def serves(container: str) -> bool:
    """Whether the page reader in a container answers a health check."""
    with suppress(AssertionError):
        docker("exec", container, "python", "-m", "deepsearch.probing", f"127.0.0.1:{_PORT}")
        return True
    return False


def until(reached: Callable[[], bool], seconds: float) -> None:
    """Ask every tenth of a second. Raises `SystemExit` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            raise SystemExit(f"not reached within {seconds:g} s")
        time.sleep(0.1)


def pages_per_second(project: Project, readers: int, runs: int, seconds: float) -> list[float]:
    """Of each run, with twice as many pages asked for as the readers take at once."""
    caller = project.containers("caller")[0]["Id"]
    read = ("exec", caller, "python", "-m", "benchmarks.containers.reading", "--at-once", str(16 * readers))
    docker(*read, "--seconds", "5", timeout=60)  # the first pages of a process import what it needs
    return [float(docker(*read, "--seconds", str(seconds), timeout=60 + 3 * seconds)) for _ in range(runs)]


def seconds_until_first_page(project: Project) -> tuple[float, float]:
    """From the start of a second page reader until it serves, and from then until it gets a page, with one at work all the time."""
    caller = project.containers("caller")[0]["Id"]
    docker("exec", "--detach", caller, "python", "-m", "benchmarks.containers.reading", "--seconds", "60")
    project_pages = project.pages()
    until(lambda: project.pages() != project_pages, 60)
    begin = time.monotonic()
    (address,) = scale(project, 2)
    serving = time.monotonic()
    until(lambda: address in project.pages() and project.pages()[address] > project_pages.get(address, 0), 120)
    first = time.monotonic()
    docker("restart", "--time", "0", caller)  # ends the reading
    return serving - begin, first - serving


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", default="deepsearch", help="as `docker compose build gateway` makes it")
    parser.add_argument("--runs", type=int, default=3, help="measurements of each number; the median counts")
    parser.add_argument("--seconds", type=float, default=10, help="length of a measurement")
    parser.add_argument("--page-seconds", type=float, default=1, help="what a page takes outside")
    arguments = parser.parse_args()
    http, grpc = free_ports(2)
    settings = {"PAGE_SECONDS": str(arguments.page_seconds)}
    with tempfile.NamedTemporaryFile() as env_file:
        name = f"deepsearch-scaling-{os.getpid()}"
        project = Project(name, compose_command(), arguments.image, http, grpc, Path(env_file.name), settings, _FILES)
        try:
            project.run("up", "--detach", "--no-build", "upstream", "caller", "page_reader")
            medians: dict[int, float] = {}
            for readers in (1, 2, 4):
                scale(project, readers)
                rates = pages_per_second(project, readers, arguments.runs, arguments.seconds)
                medians[readers] = statistics.median(rates)
                ratio = medians[readers] / medians[1]
                each = ", ".join(f"{rate:.1f}" for rate in rates)
                print(
                    f"{readers} readers: {medians[readers]:6.1f} pages/s, {ratio:.2f} times one, {ratio / readers:.2f} of linear ({each})",
                    flush=True,
                )
            waits = []
            for _ in range(arguments.runs):
                scale(project, 1)
                waits.append(seconds_until_first_page(project))
            starts, firsts = zip(*waits, strict=True)
            each = ", ".join(f"{seconds:.1f}" for seconds in firsts)
            print(
                f"a new reader serves {statistics.median(starts):.1f} s after it was asked for, and has its first page"
                f" {statistics.median(firsts):.1f} s later (runs: {each})"
            )
        finally:
            project.run("down", "--volumes", "--timeout", "3")


if __name__ == "__main__":
    main()
