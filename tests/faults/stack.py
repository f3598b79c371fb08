"""DeepSearch as a cluster runs it, each process started with the command of its container, behind a network that can be cut."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from deepsearch.deploying.services import services_of
from tests.faults.relay import Network
from tests.gateway.flow_process import ROOT, free_ports
from tests.scripted.server import ScriptedServer
from tests.takeover.cluster import CONTROLLERS, STAGES, Cluster

GATEWAYS = ("gateway", "gateway_2")
PROCESSES = (*CONTROLLERS, *STAGES, "page_reader_2", *GATEWAYS)
"""What can be killed."""
CUT = (*CONTROLLERS, *STAGES, "page_reader_2", "journal")
"""Whose network can be cut."""


def kind_of(name: str) -> str:
    """What a process is one of."""
    return name.rstrip("_12")


class Stack(Cluster):
    """Two gateways, two controllers, two page readers and one of each other stage."""

    def __init__(self, home: Path, upstream: ScriptedServer, network: Network, state_url: str, **settings: str) -> None:
        """`state_url` is the journal's address behind its own relay."""
        super().__init__(home, upstream, state_url, **settings)
        self.network = network
        more = ("page_reader_2", "grpc_2", "http_2")
        self.ports |= dict(zip(more, free_ports(len(more)), strict=True))
        relays = {name: network.add(name, self.ports[name]) for name in (*CONTROLLERS, *STAGES, "page_reader_2")}
        addresses = {stage: f"127.0.0.1:{relays[stage].port}" for stage in STAGES}
        addresses["page_reader"] += f",127.0.0.1:{relays['page_reader_2'].port}"
        self.settings |= {f"{stage.upper()}_ADDRESS": address for stage, address in addresses.items()}
        self._services = services_of(ROOT / "flow.yml")
        self._starting = threading.Lock()

    def __enter__(self) -> Stack:
        super().__enter__()
        try:
            self.start("page_reader_2", "gateway_2")
        except BaseException:
            self._end()
            raise
        return self

    def addresses(self) -> list[tuple[str, str]]:
        """Where the gateways are, by HTTP and by gRPC."""
        local = "127.0.0.1"
        ports = [(self.ports["http"], self.ports["grpc"]), (self.ports["http_2"], self.ports["grpc_2"])]
        return [(f"http://{local}:{http}", f"grpc://{local}:{grpc}") for http, grpc in ports]

    @property
    def forking(self) -> int:
        """The process that all others come from, and whose session they are in."""
        return self._forking.pid

    def end(self, name: str, how: signal.Signals) -> None:
        """End a process and wait until it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pids[name], how)
        self.wait_for_end(name)

    def stop_all(self) -> dict[str, float]:
        """Stop every process in order, from the door inwards; how long each took. Raises `AssertionError` when one does not end."""
        seconds = {}
        for name in (*GATEWAYS, *CONTROLLERS, *STAGES, "page_reader_2"):
            began = time.monotonic()
            self.end(name, signal.SIGTERM)
            seconds[name] = time.monotonic() - began
        return seconds

    def _fork(self, name: str) -> int:
        with self._starting:  # several are started at once
            return super()._fork(name)

    def _arguments(self, name: str) -> Iterable[str]:
        if name not in GATEWAYS:
            stage = next(stage for stage in self._services.stages if stage.name == kind_of(name))
            return _with(stage.command, {"--host": ["127.0.0.1"], "--port": [str(self.ports[name])]})
        ports = ("grpc", "http") if name == "gateway" else ("grpc_2", "http_2")
        addresses: dict[str, Any] = {stage: [f"grpc://{self.settings[f'{stage.upper()}_ADDRESS'].split(',')[0]}"] for stage in STAGES}
        addresses["controller"] = [f"grpc://127.0.0.1:{self.network.relays[name].port}" for name in CONTROLLERS]
        own = {
            "--host": ["127.0.0.1"],
            "--port": [str(self.ports[port]) for port in ports],
            "--deployments-addresses": [json.dumps(addresses)],
        }
        return _with(self._services.gateway_command, own)

    def _serves(self, name: str) -> bool:
        if name not in GATEWAYS:
            return super()._serves(name)
        import httpx

        try:
            return httpx.get(f"{self.addresses()[GATEWAYS.index(name)][0]}/health/live", timeout=5).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False


def _with(command: list[str], values: dict[str, list[str]]) -> list[str]:
    """A command line of jina without the program, and with other values of some options."""
    found: list[str] = []
    replaced = False
    for word in command[1:]:
        if word.startswith("--"):
            replaced = word in values
            found += [word, *values.get(word, [])]
        elif not replaced:
            found.append(word)
    return found
