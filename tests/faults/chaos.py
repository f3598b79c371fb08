"""What goes wrong, by chance: processes die and are started again, networks are cut and heal, upstreams have storms."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.faults.stack import CUT, PROCESSES, Stack, kind_of
from tests.faults.upstream import STORMS, Upstream

_LONGEST_PEACE_SECONDS = 5.0


@dataclass
class Fault:
    """Something that went wrong, from `begun` to `ended` (seconds since the epoch)."""

    what: str
    where: str
    """A kind of process, `journal` or `upstream`."""
    begun: float
    ended: float = float("inf")


class Chaos:
    """Brings faults about, several at a time but one for each process, until it is told to stop; then all is healed."""

    def __init__(self, stack: Stack, upstream: Upstream, storage: Any, chance: random.Random) -> None:
        """`storage` is the journal's server (`kill` and `start`)."""
        self.faults: list[Fault] = []
        self._stack, self._upstream, self._storage, self._chance = stack, upstream, storage, chance
        self._busy: set[str] = set()
        self._under_way: set[asyncio.Task[None]] = set()

    def counted(self) -> Counter[str]:
        """How many faults there were, by what and where."""
        return Counter(f"{fault.what} {fault.where}" for fault in self.faults)

    async def rage(self, stop: asyncio.Event, requests: float) -> None:
        """Bring about a fault whenever so many requests were sent outside, on average. Raises what goes wrong with a fault.

        Requests and not seconds, so that as much happens to a run on a slow machine as on a fast one.
        """
        plan = self._plan()
        while not stop.is_set():
            enough = self._upstream.total + self._chance.uniform(0.5, 1.5) * requests
            deadline = time.monotonic() + _LONGEST_PEACE_SECONDS
            while self._upstream.total < enough and time.monotonic() < deadline and not stop.is_set():
                await asyncio.sleep(0.02)
            what, where = next(plan)
            if where in self._busy or {what, where} & self._busy:
                continue
            self._busy.add(where)
            task = asyncio.create_task(self._bring_about(what, where))
            self._under_way.add(task)
            done = {task for task in self._under_way if task.done()}
            self._under_way -= done
            for each in done:
                each.result()
        await asyncio.gather(*self._under_way)

    def _plan(self) -> Iterator[tuple[str, str]]:
        """Every process dies and every network is cut before any does so again, in an order by chance."""
        while True:
            ends = [(self._chance.choice(("kill", "kill", "kill", "stop")), name) for name in PROCESSES]
            cuts = [(self._chance.choice(("cut", "refuse", "freeze")), name) for name in CUT]
            storms: list[tuple[str, str]] = [(f"storm {kind}", "upstream") for kind in STORMS]
            wave = [*ends, *self._chance.sample(cuts, 6), ("cut", "journal"), ("restart", "journal"), *storms]
            self._chance.shuffle(wave)
            yield from wave

    async def _bring_about(self, what: str, where: str) -> None:
        try:
            with self._noted(what, where):
                if what.startswith("storm"):
                    await self._storm(what)
                elif what == "restart":
                    await asyncio.to_thread(self._storage.kill)
                    await asyncio.sleep(self._chance.uniform(0.1, 0.5))
                    await asyncio.to_thread(self._storage.start)
                elif what in ("kill", "stop"):
                    await self._end(where, signal.SIGKILL if what == "kill" else signal.SIGTERM)
                else:
                    await self._cut(what, where)
        finally:
            self._busy.discard(where)

    @contextmanager
    def _noted(self, what: str, where: str) -> Iterator[None]:
        fault = Fault(what, where if where in ("journal", "upstream") else kind_of(where), time.time())
        self.faults.append(fault)
        yield
        fault.ended = time.time()

    async def _end(self, name: str, how: signal.Signals) -> None:
        """End a process, and start it again as the one who looks after it would: a moment later."""
        await asyncio.to_thread(self._stack.end, name, how)
        await asyncio.sleep(self._chance.uniform(0.1, 1.0))
        await asyncio.to_thread(self._stack.start, name)

    async def _cut(self, how: str, name: str) -> None:
        relay = self._stack.network.relays[name]
        await asyncio.to_thread(getattr(relay, how))
        await asyncio.sleep(self._chance.uniform(0.2, 1.5))
        await asyncio.to_thread(relay.heal)

    async def _storm(self, what: str) -> None:
        kind = next(kind for kind in STORMS if what.endswith(kind))
        self._upstream.storm(kind, 0.15 if kind == "timeout" else 0.4)
        await asyncio.sleep(self._chance.uniform(0.5, 1.5))
        self._upstream.storm(None)
