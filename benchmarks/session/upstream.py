"""The scripted upstreams as a process of their own: prints its port and serves until it is ended."""

from __future__ import annotations

import signal
import threading

from tests.scripted.five_steps import add_session
from tests.scripted.server import ScriptedServer

if __name__ == "__main__":
    ended = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: ended.set())
    server = ScriptedServer(record=False)
    add_session(server)
    with server:
        print(server.port, flush=True)
        ended.wait()
