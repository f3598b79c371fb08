"""The Flow that serves the page to a test's browser."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.gateway.flow_process import ROOT, processes_of
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


def start_flow(settings: dict[str, str], log: Path) -> subprocess.Popen[str]:
    """The Flow as a process in a session of its own, ready to answer."""
    with log.open("a") as written:
        process = subprocess.Popen(
            [sys.executable, "-m", "deepsearch", "serve", "--flow", str(ROOT / "flow.yml")],
            env=settings, cwd=ROOT, stdout=subprocess.PIPE, stderr=written, text=True, start_new_session=True,
        )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline().startswith("DeepSearch is ready"), log.read_text()
    return process


def stop_flow(process: subprocess.Popen[str]) -> None:
    """End the Flow and whatever is left of it."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    finally:
        crash(process)


def crash(process: subprocess.Popen[str]) -> None:
    """End every process of the Flow at once."""
    for number in processes_of(process.pid):
        os.kill(number, signal.SIGKILL)
    process.communicate()
