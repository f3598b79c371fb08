"""The scripted upstreams of the soak, a few of whose answers fail, as a process of their own: prints its port and serves until it is ended.

Run as `python -m benchmarks.soak.upstream FAILURES`, the part of requests that fail.
"""

from __future__ import annotations

import random
import signal
import sys
import threading
from typing import Any

from tests.scripted.every_mode import add_every_mode
from tests.scripted.replies import Delay, Drop, Reply, Status
from tests.scripted.server import ScriptedServer


class FailingServer(ScriptedServer):
    """Refuses, breaks off or is slow at a part of its requests, by chance."""

    def __init__(self, failures: float) -> None:
        super().__init__(record=False)
        self._failures = failures
        self._chance = random.Random(1)

    def _reply(self, path: str, parameters: str, headers: dict[str, str], body: bytes) -> tuple[Any, Any, Reply]:
        service, request, reply = super()._reply(path, parameters, headers, body)
        if self._chance.random() >= self._failures:
            return service, request, Delay(self._chance.uniform(0.005, 0.05), reply)
        refusals: list[Reply] = [Status(429, "", {"retry-after": "1"}), Status(503), Drop(), Delay(3.0, reply)]
        return service, request, self._chance.choice(refusals)


if __name__ == "__main__":
    ended = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: ended.set())
    server = FailingServer(float(sys.argv[1]))
    add_every_mode(server)
    with server:
        print(server.port, flush=True)
        ended.wait()
