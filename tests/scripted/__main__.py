"""`python -m tests.scripted --port 0 [--script FILE]`: the scripted server as a process; prints its port and serves until it is ended.

FILE is JSON: `{"llm": {"<schema name>": [object, ...], "": ["free text", ...]}, "pages": [{"url", "title", "text"}, ...]}`.
Without it, every search finds one page, which the reader reads; the model has no script.
"""

from __future__ import annotations

import argparse
import json
import signal
import threading
from pathlib import Path
from typing import Any

from tests.scripted.replies import Json, Text
from tests.scripted.server import ScriptedServer

_DEFAULT: dict[str, Any] = {"llm": {}, "pages": [{"url": "https://example.org/", "title": "Example", "text": "An example page."}]}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.scripted", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--script", type=Path, help="JSON file with the replies of the model and the pages")
    arguments = parser.parse_args()
    script = json.loads(arguments.script.read_text("utf-8")) if arguments.script else _DEFAULT
    server = ScriptedServer(arguments.port, record=False)
    for name, replies in script.get("llm", {}).items():
        server.llm.on(name, [Text(reply) if isinstance(reply, str) else Json(reply) for reply in replies])
    for page in script.get("pages", []):
        server.add_page(**page)
    ended = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: ended.set())
    with server:
        print(server.port, flush=True)
        ended.wait()


if __name__ == "__main__":
    main()
