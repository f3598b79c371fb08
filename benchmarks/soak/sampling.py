"""What processes hold, from /proc and their metrics: memory, files, sockets, threads, tasks; and how that changes with time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import httpx

_STATES_LISTENING = "0A"


@dataclass(frozen=True)
class Sample:
    """One process at one time. Memory in megabytes (10^6 bytes): `pss` is its share of what it holds, `own` what it has allocated.

    Growth shows in `own`: the share also rises when another process that has the same libraries ends.
    """

    seconds: float
    pss: float
    own: float
    files: int
    sockets: int
    threads: int
    tasks: int = 0
    """Of the event loop, by the process' metrics; asked for at rest only."""


def tasks(url: str) -> int:
    """The tasks of a process whose metrics are at `url`. Raises `httpx.HTTPError` or `IndexError`."""
    text = httpx.get(url, timeout=10).raise_for_status().text
    return int(float(re.findall(r"^deepsearch_tasks (\S+)$", text, re.MULTILINE)[0]))


def sample(pid: int, seconds: float) -> Sample:
    """A process as it is now. Raises `OSError` when it has ended."""
    memory = dict.fromkeys(("Pss", "Anonymous"), 0.0)
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in memory:
            memory[name] = int(value.split()[0]) * 1024 / 1e6
    files = sockets = 0
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(entry.readlink())
        except FileNotFoundError:
            continue
        files += 1
        sockets += target.startswith("socket:")
    threads = int(Path(f"/proc/{pid}/status").read_text().partition("Threads:")[2].split()[0])
    return Sample(seconds, memory["Pss"], memory["Anonymous"], files, sockets, threads)


def listeners(pids: list[int]) -> dict[int, int]:
    """Which of these processes listens on a port: process by port."""
    inodes: dict[str, int] = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not Path(table).exists():
            continue
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == _STATES_LISTENING:
                inodes[fields[9]] = int(fields[1].rpartition(":")[2], 16)
    found: dict[int, int] = {}
    for pid in pids:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = str(entry.readlink())
            except FileNotFoundError:
                continue
            port = inodes.get(target.removeprefix("socket:[").rstrip("]"))
            if port is not None:
                found.setdefault(port, pid)
    return found


def slope(points: list[tuple[float, float]]) -> tuple[float, float]:
    """Least-squares slope of values over seconds, and its standard error, both per hour.

    Neighbouring samples of memory are alike, so the plain formula's error is too small: it is widened by the correlation of
    neighbouring residuals r, as (1 + r) / (1 - r) (the effective number of independent samples).
    """
    count = len(points)
    if count < 3:
        return 0.0, float("inf")
    mean_x, mean_y = (sum(values) / count for values in zip(*points, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    if not spread:
        return 0.0, float("inf")
    rise = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    residuals = [y - mean_y - rise * (x - mean_x) for x, y in points]
    squares = sum(value**2 for value in residuals)
    correlation = sum(a * b for a, b in pairwise(residuals)) / squares if squares else 0.0
    correlation = min(max(correlation, 0.0), 0.95)
    error = (squares / (count - 2) / spread * (1 + correlation) / (1 - correlation)) ** 0.5
    return rise * 3600, error * 3600
