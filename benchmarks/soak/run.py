"""Does anything grow? Mixed load on a real Flow for half an hour, and what each of its processes holds meanwhile."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from benchmarks.processes import processes, started
from benchmarks.session.run import environment
from benchmarks.soak.load import Load
from benchmarks.soak.sampling import Sample, listeners, sample, slope, tasks
from telemetry.metrics import PORT_OFFSET

FLAT_MEGABYTES_PER_HOUR = 10.0
"""A slope below this is taken for flat, and so is one that is within two standard errors of nothing."""
_LEAKED = 4
"""Files, sockets, threads or tasks more, at rest after the load than at rest after the warm-up, that are taken for a leak."""
_QUIET_SECONDS = 20.0
"""After so long without load connections that are kept for the next call are closed, and the process is at rest."""


class Watch:
    """Samples of every process of a Flow."""

    def __init__(self, root: int, names: Mapping[int, str], metrics: Mapping[str, str], home: Path) -> None:
        """`names` of processes by their ids, `metrics` the URLs of those that have any by name."""
        self._root, self._names, self._metrics, self._home = root, names, metrics, home
        self._begun = time.monotonic()
        self.samples: dict[str, list[Sample]] = {}
        self.stored: list[tuple[float, float]] = []
        """Seconds, and megabytes that journal and cache have on disk."""

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._begun

    def rest(self) -> dict[str, Sample]:
        """A sample of each, with its tasks: of processes that have nothing to do."""
        found = self.take()
        return {name: replace(one, tasks=tasks(self._metrics[name])) if name in self._metrics else one for name, one in found.items()}

    def take(self) -> dict[str, Sample]:
        """A sample of each; of processes that a process has for its work, such as readers of untrusted pages, the sum."""
        found: dict[str, Sample] = {}
        now = self.seconds
        for pid in processes(self._root):
            name = self._names.get(pid, "workers")
            try:
                one = sample(pid, now)
            except OSError:
                continue  # it has ended
            before = found.get(name)
            if before is not None:
                both = (before.pss + one.pss, before.own + one.own, before.files + one.files, before.sockets + one.sockets)
                one = Sample(now, *both, before.threads + one.threads)
            found[name] = one
        for name, one in found.items():
            self.samples.setdefault(name, []).append(one)
        self.stored.append((now, sum(file.stat().st_size for file in self._home.rglob("*.db*") if file.exists()) / 1e6))
        return found


def named(root: int, settings: Mapping[str, str]) -> tuple[dict[int, str], dict[str, str]]:
    """The processes of a Flow by what they are, and where each has its metrics."""
    by_name = {
        name.removeprefix("DEEPSEARCH_").removesuffix("_PORT").lower(): settings[name] for name in settings if name.endswith("_PORT")
    }
    doors = {int(by_name.pop("http")), int(by_name.pop("grpc"))}
    readers = settings["DEEPSEARCH_PAGE_READER_PORTS"].split(",")
    stages = {int(port): name for name, port in by_name.items()} | {
        int(port): f"page_reader_{n}" for n, port in enumerate(readers, start=1)
    }
    of = listeners(processes(root))
    found = {root: "serve"} | {of[port]: "gateway" for port in doors} | {of[port]: name for port, name in stages.items()}
    metrics = {name: f"http://127.0.0.1:{port + PORT_OFFSET}/metrics" for port, name in stages.items()}
    return found, metrics | {"gateway": f"http://127.0.0.1:{settings['DEEPSEARCH_HTTP_PORT']}/metrics"}


async def soak(load: Load, watch: Watch, minutes: float, clients: int, rate: float) -> tuple[float, dict[str, dict[str, Sample]]]:
    """When the warm-up was over, and what everybody held at rest, after the warm-up and after all."""
    warm_up = minutes * 60 / 6

    async def loaded(seconds: float, interval: float) -> None:
        stop = asyncio.Event()
        working = [asyncio.create_task(load.work(stop, clients / rate)) for _ in range(clients)]
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await asyncio.sleep(interval)
            watch.take()
        stop.set()
        await asyncio.gather(*working)

    interval = max(2.0, minutes * 60 / 180)
    at_rest = {}
    await loaded(warm_up, interval)
    await asyncio.sleep(_QUIET_SECONDS)
    at_rest["before"] = watch.rest()
    warm = watch.seconds
    await loaded(minutes * 60 - warm_up, interval)
    await asyncio.sleep(_QUIET_SECONDS)
    at_rest["after"] = watch.rest()
    return warm, at_rest


def report(watch: Watch, load: Load, warm: float, at_rest: dict[str, dict[str, Sample]]) -> bool:
    """Print the table; whether nothing grew."""
    held = ("files", "sockets", "threads", "tasks")
    heads = "".join(f"{what:>11}" for what in held)
    print(f"{'process':16}{'PSS MB':>8}{'most':>7}{'MB/hour':>10}{'± error':>9}{heads}  verdict")
    flat = True
    for name, samples in sorted(watch.samples.items()):
        points = [(one.seconds, one.own) for one in samples if one.seconds > warm]
        rise, error = slope(points)
        before, after = at_rest["before"].get(name), at_rest["after"].get(name)
        complaints = []
        if rise > FLAT_MEGABYTES_PER_HOUR and rise > 2 * error:
            complaints.append("grows")
        pairs = []
        for what in held:
            counts = [getattr(one, what) if one else 0 for one in (before, after)]
            pairs.append("{} → {}".format(*counts))
            if before and counts[1] > counts[0] + _LEAKED:
                complaints.append(f"leaks {what}")
        flat &= not complaints
        last, most = samples[-1].pss, max(one.pss for one in samples)
        held_text = "".join(f"{pair:>11}" for pair in pairs)
        print(f"{name:16}{last:8.1f}{most:7.1f}{rise:10.1f}{error:9.1f}{held_text}  {', '.join(complaints) or 'flat'}")
    runs = sum(count for name, count in load.done.items() if name not in ("single stages", "page views"))
    growth, _ = slope([point for point in watch.stored if point[0] > warm])
    stored = watch.stored[-1][1]
    print(f"\nJournal on disk: {stored:.1f} MB, {growth:.0f} MB an hour; {1000 * stored / max(1, runs):.0f} kB a run.")
    print("Done: " + ", ".join(f"{name} {count}" for name, count in sorted(load.done.items())) + ".")
    print("Failed: " + (", ".join(f"{name} {count}" for name, count in sorted(load.failed.items())) or "nothing") + ".")
    print("Verdict: " + ("flat" if flat else "something grows"))
    return flat


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long the load lasts; the first sixth of it is the warm-up")
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--rate", type=float, default=2.0, help="most things that all clients begin in a second")
    parser.add_argument("--failures", type=float, default=0.02, help="part of the upstreams' answers that fail")
    parser.add_argument("--subjects", type=int, default=200, help="how many questions there are; more fill the caches of texts for longer")
    parser.add_argument("--samples", type=Path, help="file for the samples, as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        upstream = [sys.executable, "-m", "benchmarks.soak.upstream", str(options.failures)]
        with started(upstream, dict(os.environ), r"^\d+$") as (_, port, _):
            settings, _ = environment(home, int(port))
            settings |= {"DEEPSEARCH_STAGE_METRICS": "true", "DEEPSEARCH_KEY_RUNS": "1000"}
            serve = [sys.executable, "-m", "deepsearch", "serve"]
            with started(serve, settings, "is ready") as (flow, _, _):
                watch = Watch(flow.pid, *named(flow.pid, settings), Path(home))
                http, grpc = (settings[f"DEEPSEARCH_{name}_PORT"] for name in ("HTTP", "GRPC"))
                load = Load(f"http://127.0.0.1:{http}", f"grpc://127.0.0.1:{grpc}", random.Random(1), options.subjects)
                warm, at_rest = asyncio.run(soak(load, watch, options.minutes, options.clients, options.rate))
                flat = report(watch, load, warm, at_rest)
        if options.samples:
            options.samples.write_text(json.dumps({name: [vars(one) for one in found] for name, found in watch.samples.items()}))
    sys.exit(not flat)


if __name__ == "__main__":
    main()
