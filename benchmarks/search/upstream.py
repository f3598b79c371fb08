"""A search service in Jina's wire format as a process of its own, which answers after SECONDS: prints its port and serves."""

from __future__ import annotations

import signal
import sys
import threading

from tests.scripted import Delay, Json, ScriptedServer, Status

RESULTS = [{"url": f"https://example.org/{number}", "title": f"Page {number}", "description": "A few words. " * 15} for number in range(10)]

if __name__ == "__main__":
    seconds = float(sys.argv[1])
    ended = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: ended.set())
    server = ScriptedServer(record=False)
    found = Json({"code": 200, "data": RESULTS, "results": RESULTS})
    server.search.script(lambda request: Delay(seconds, found) if seconds else found)
    server.reader.script(lambda request: Delay(seconds, Status(503)))
    with server:
        print(server.port, flush=True)
        ended.wait()
