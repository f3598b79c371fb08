"""The Flow that serves the page to a test's browser."""

from __future__ import annotations

import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.gateway.flow_process import kill
from tests.gateway.page.sessions import Sessions
from tests.scripted.server import ScriptedServer

KEY = "a-key-of-the-tests-0123456789"


@dataclass
class Served:
    """A Flow that is ready."""

    process: subprocess.Popen[str]
    settings: dict[str, str]
    upstream: ScriptedServer
    sessions: Sessions
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings['DEEPSEARCH_HTTP_PORT']}"


def stop_flow(process: subprocess.Popen[str]) -> None:
    """End the Flow and whatever is left of it."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    finally:
        kill(process)
