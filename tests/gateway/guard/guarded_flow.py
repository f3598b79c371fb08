"""A guarded Flow as a process of its own, with settings that a test chooses."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.gateway import flow_process

HERE = Path(__file__).parent


@dataclass
class Guarded:
    """A running Flow."""

    home: Path
    grpc: int
    http_port: int
    process: Any
    scheme: str = "http"

    @property
    def http(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.http_port}"

    def let_end(self, name: str) -> None:
        """End the runs that hold on to `name`."""
        (self.home / name).touch()

    @property
    def notes(self) -> list[str]:
        notes = self.home / "notes"
        return notes.read_text().splitlines() if notes.exists() else []

    @property
    def gateway(self) -> int:
        """The gateway's process."""
        return flow_process.listener(self.http_port)

    def stop(self) -> tuple[str, str]:
        """Stop it; returns what it printed and logged."""
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=60)
        return out, err

    def measured(self, name: str, **headers: str) -> float:
        """The sum of a metric over its labels."""
        text = httpx.get(f"{self.http}/metrics", headers=headers).text
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith((f"{name} ", f"{name}{{")))


@contextmanager
def serving(home: Path, **settings: str) -> Iterator[Guarded]:
    """The Flow with these settings."""
    ports = flow_process.free_port_settings() | {"HOLD": str(home), "DRAIN_SECONDS": "2"} | settings
    paths = {"PYTHONPATH": os.pathsep.join((str(flow_process.ROOT), str(HERE)))}
    process = flow_process.start(flow_process.SERVE, str(HERE / "guarded_flow.yml"), home=home, **{**ports, **paths})
    try:
        assert process.stdout is not None
        ready = process.stdout.readline()
        assert ready, process.communicate()[1]
        grpc_port, http_port = int(ports["DEEPSEARCH_GRPC_PORT"]), int(ports["DEEPSEARCH_HTTP_PORT"])
        yield Guarded(home, grpc_port, http_port, process, "https" if "HTTP on https://" in ready else "http")
    finally:
        for number in flow_process.processes_of(process.pid):
            os.kill(number, signal.SIGKILL)
        process.communicate()
