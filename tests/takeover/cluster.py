"""A Flow of separate processes, as a cluster runs it: two controllers, the other stages, a gateway, each of which can be killed alone."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc
import httpx
from typing_extensions import Self

from tests.gateway.flow_process import ROOT, free_ports, processes_of
from tests.scripted.server import ScriptedServer

CONTROLLERS = ("controller_1", "controller_2")
STAGES = ("query_planner", "jina_searcher", "url_ranker", "page_reader", "evaluator", "answer_finalizer")
START_SECONDS = 60.0
LEASE_SECONDS = 2
_CHAIN = ["start-gateway", "controller", *STAGES, "end-gateway"]


class Cluster:
    """Processes by name: `controller_1`, `controller_2`, the stages, and `gateway`."""

    def __init__(self, home: Path, upstream: ScriptedServer, state_url: str = "", **settings: str) -> None:
        self.home = home
        names = (*CONTROLLERS, *STAGES, "grpc", "http")
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.settings = {
            "PATH": os.environ["PATH"], "HOME": str(home), "DEEPSEARCH_HOME": str(home), "PYTHONPATH": str(ROOT),
            "DRAIN_SECONDS": "5", "DEEPSEARCH_LEASE_SECONDS": str(LEASE_SECONDS), "DEEPSEARCH_KEY_REQUESTS_PER_MINUTE": "1000000",
            "OPENAI_BASE_URL": upstream.llm_url, "OPENAI_API_KEY": "sk", "LLM_MODEL": "scripted", "USE_DUCKDUCKGO": "false",
            "JINA_API_KEY": "key", "JINA_API_URL": upstream.llm_url,
            "JINA_SEARCH_URL": upstream.search_url, "JINA_READER_URL": upstream.reader_url,
            "DEEPSEARCH_CACHE": "off", "DEEPSEARCH_LOG_FORMAT": "json",
            "JINA_LOG_LEVEL": "WARNING", "JINA_HIDE_SURVEY": "1", "PYTHONWARNINGS": "ignore",
            **{f"{stage.upper()}_ADDRESS": f"127.0.0.1:{self.ports[stage]}" for stage in STAGES},
            **({"DEEPSEARCH_STATE_URL": state_url} if state_url else {}),
            **settings,
        }  # fmt: skip
        self.storage: Any = None
        """The server of the journal, when there is one."""
        self._pids: dict[str, int] = {}

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.ports['http']}"

    @property
    def grpc(self) -> str:
        return f"grpc://127.0.0.1:{self.ports['grpc']}"

    def __enter__(self) -> Self:
        with (self.home / "forking.log").open("w") as log:
            self._forking = subprocess.Popen(
                [sys.executable, "-m", "tests.takeover.forking"],
                env=self.settings, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True,
            )  # fmt: skip
        try:
            self.start(*CONTROLLERS, *STAGES, "gateway")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end()

    def _end(self) -> None:
        for process in processes_of(self._forking.pid):
            with contextlib.suppress(ProcessLookupError):  # it ended just now
                os.kill(process, signal.SIGKILL)
        self._forking.communicate()

    def start(self, *names: str) -> None:
        """Start processes and wait until they serve."""
        for name in names:
            self._pids[name] = self._fork(name)
        for name in names:
            self._wait_for(name)

    def heal(self) -> None:
        """Start again what was killed, or frozen."""
        for name, process in self._pids.items():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)
            if not Path(f"/proc/{process}").exists():
                self.start(name)

    def kill(self, name: str) -> None:
        """SIGKILL; returns when the process is gone."""
        os.kill(self._pids[name], signal.SIGKILL)
        self.wait_for_end(name)

    def restart(self, name: str) -> None:
        """Kill it and start it again."""
        self.kill(name)
        self.start(name)

    def signal(self, name: str, number: int) -> None:
        """Send any signal."""
        os.kill(self._pids[name], number)

    def wait_for_end(self, name: str) -> None:
        """Wait until a process is gone."""
        deadline = time.monotonic() + START_SECONDS
        while Path(f"/proc/{self._pids[name]}").exists():
            assert time.monotonic() < deadline, f"{name} does not end\n{self.log(name)}"
            time.sleep(0.01)

    def log(self, name: str) -> str:
        """What a process told."""
        return (self.home / f"{name}.log").read_text()

    def logs(self) -> str:
        """What all told."""
        return "\n".join(f"== {path.stem}\n{path.read_text()}" for path in sorted(self.home.glob("*.log")))

    def _fork(self, name: str) -> int:
        assert self._forking.stdin is not None and self._forking.stdout is not None
        order = {"arguments": self._arguments(name), "log": str(self.home / f"{name}.log")}
        self._forking.stdin.write(json.dumps(order) + "\n")
        self._forking.stdin.flush()
        answer = self._forking.stdout.readline()
        assert answer, (self.home / "forking.log").read_text()
        return int(answer)

    def _arguments(self, name: str) -> Iterable[str]:
        if name != "gateway":
            stage = "controller" if name in CONTROLLERS else name
            return ["executor", "--native", "--name", stage, "--uses", f"executors/{stage}/config.yml",
                    "--host", "127.0.0.1", "--port", str(self.ports[name])]  # fmt: skip
        graph = {here: [there] for here, there in itertools.pairwise(_CHAIN)}
        addresses = {stage: [f"grpc://127.0.0.1:{self.ports[stage]}"] for stage in STAGES}
        addresses["controller"] = [f"grpc://127.0.0.1:{self.ports[name]}" for name in CONTROLLERS]
        return ["gateway", "--uses", "gateway/config.yml", "--protocol", "grpc", "http", "--host", "127.0.0.1",
                "--port", str(self.ports["grpc"]), str(self.ports["http"]), "--retries", "0",
                "--graph-description", json.dumps(graph), "--deployments-addresses", json.dumps(addresses)]  # fmt: skip

    def _wait_for(self, name: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._serves(name):
            alive = Path(f"/proc/{self._pids[name]}").exists()
            assert alive and time.monotonic() < deadline, f"{name} does not start\n{self.log(name)}"
            time.sleep(0.02)

    def _serves(self, name: str) -> bool:
        if name == "gateway":
            try:
                return httpx.get(f"{self.http}/health/live", timeout=5).status_code == httpx.codes.OK
            except httpx.TransportError:
                return False
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", self.ports[name])):
                return False
        with grpc.insecure_channel(f"127.0.0.1:{self.ports[name]}") as channel:
            try:
                return bool(channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=5) == b"\x08\x01")
            except grpc.RpcError:
                return False


class HoldingServer(ScriptedServer):
    """A scripted server that holds chosen requests, which is to say that it never answers them."""

    def __init__(self) -> None:
        super().__init__()
        self.hold: set[int] = set()
        """Numbers of requests, the next one being 1 after `count_anew`."""
        self.slow: dict[int, float] = {}
        """Numbers of requests that are answered after so many seconds."""
        self._counted = 0

    def count_anew(self, *hold: int) -> None:
        """Count requests from 1 on, and hold these."""
        self._counted = len(self.requests)
        self.hold, self.slow = set(hold), {}

    @property
    def count(self) -> int:
        """Requests since `count_anew`."""
        return len(self.requests) - self._counted

    def _reply(self, path: str, parameters: str, headers: dict[str, str], body: bytes) -> tuple[object, object, object]:  # type: ignore[override]
        from tests.scripted.replies import Delay

        service, request, reply = super()._reply(path, parameters, headers, body)
        seconds = 3600 if self.count in self.hold else self.slow.get(self.count, 0)
        return (service, request, Delay(seconds, reply)) if seconds else (service, request, reply)

    async def arrived(self, number: int, seconds: float = 30.0) -> None:
        """Wait until so many requests have arrived since `count_anew`."""
        assert await asyncio.to_thread(self.wait_for_requests, self._counted + number, seconds), f"{self.count} requests of {number}"
