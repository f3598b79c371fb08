"""A reader service that takes its time over every page, as a process of its own: prints its port and serves until it is ended."""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any

from tests.scripted.replies import Delay, Json
from tests.scripted.server import ScriptedServer

_TEXT = "\n\n".join(f"## Part {number}\n\nReplicas of the page readers share the work of part {number}. " * 3 for number in range(10))


def page(request: Any) -> Json:
    """The same page under every URL, in the wire format of Jina's reader."""
    data = {"title": "Scaling", "url": request["url"], "content": _TEXT, "links": [], "images": {}, "usage": {"tokens": 100}}
    return Json({"code": 200, "status": 20000, "data": data})


if __name__ == "__main__":
    seconds = float(sys.argv[1])
    ended = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: ended.set())
    server = ScriptedServer(record=False)
    server.reader.script(lambda request: Delay(seconds, page(request)))
    with server:
        print(server.port, flush=True)
        ended.wait()
