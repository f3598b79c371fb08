"""The services of docker-compose.yml under a project name of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
KEY = "key-of-the-tests"
POSTGRES, REDIS = "postgres-secret", "redis-secret"
"""Passwords of the databases, where there are some."""
_UPSTREAM = "http://upstream:9000"
_OF_MACHINE = {name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_HOST", "DOCKER_CONFIG") if name in os.environ}
"""What the docker commands need; taken before a test gets a HOME of its own."""


@dataclass
class Project:
    """Containers, and what reaches them from this machine. `http` and `grpc` are the gateway's ports here."""

    name: str
    compose: tuple[str, ...]
    image: str
    http: int
    grpc: int
    env_file: Path
    """In place of a `.env` that may lie beside docker-compose.yml."""
    settings: dict[str, str] = field(default_factory=dict)
    """Beside those of every project."""
    files: tuple[str, ...] = ("docker-compose.yml", "tests/containers/upstream.yml")
    seconds: float = field(default=0.0, init=False)
    """From `up` until every stage answered."""

    def run(self, *arguments: str, timeout: float = 120) -> str:
        """What a Compose command prints. Raises `AssertionError` with all that it said when it fails."""
        files = [argument for file in self.files for argument in ("--file", file)]
        done = subprocess.run(
            [*self.compose, "--env-file", str(self.env_file), "--project-name", self.name, *files, *arguments],
            cwd=ROOT, env=self._environment(), check=False, capture_output=True, text=True, timeout=timeout,
        )  # fmt: skip
        assert done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def up(self, *arguments: str) -> None:
        """Start what does not run, and wait until the gateway reaches every stage."""
        begin = time.monotonic()
        self.run("up", "--detach", "--no-build", "--no-recreate", *arguments)
        wait_until(self.ready, 240, lambda: self.run("logs", "--no-color", "--tail", "30"))
        self.seconds = time.monotonic() - begin

    def ready(self) -> bool:
        """Whether every stage answers the gateway."""
        try:
            return httpx.get(f"{self.url}/health/ready", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http}"

    def containers(self, service: str = "") -> list[dict[str, Any]]:
        """The containers of a service, running or not, as the engine describes them; without one, of all services."""
        of = ["--filter", f"label=com.docker.compose.project={self.name}"]
        if service:
            of += ["--filter", f"label=com.docker.compose.service={service}"]
        found = docker("ps", "--all", "--quiet", *of).split()
        described: list[dict[str, Any]] = json.loads(docker("inspect", *found)) if found else []
        return described

    def addresses(self, service: str) -> dict[str, str]:
        """The address of each running container of a service, with the container's id."""
        return {
            network["IPAddress"]: container["Id"]
            for container in self.containers(service)
            if container["State"]["Running"]
            for network in container["NetworkSettings"]["Networks"].values()
        }

    def pages(self) -> dict[str, int]:
        """How many pages each address has read so far."""
        port = self.run("port", "upstream", "9000").strip().rpartition(":")[2]
        counted: dict[str, int] = httpx.get(f"http://127.0.0.1:{port}/pages", timeout=5).json()
        return counted

    def _environment(self) -> dict[str, str]:
        return _OF_MACHINE | {
            "DEEPSEARCH_IMAGE": self.image,
            "DEEPSEARCH_HTTP_PORT": str(self.http),
            "DEEPSEARCH_GRPC_PORT": str(self.grpc),
            "DEEPSEARCH_API_KEYS": KEY,
            "OPENAI_API_KEY": "model-secret",
            "OPENAI_BASE_URL": f"{_UPSTREAM}/v1",
            "LLM_MODEL": "scripted",
            "JINA_API_KEY": "search-secret",
            "JINA_SEARCH_URL": f"{_UPSTREAM}/search/",
            "JINA_READER_URL": f"{_UPSTREAM}/reader/",
            "EMBEDDING_PROVIDER": "none",
            "RERANK_PROVIDER": "none",
            "USE_DUCKDUCKGO": "false",
            "SEARCH_PER_MINUTE": "1000000",
            "DEEPSEARCH_KEY_REQUESTS_PER_MINUTE": "1000000",
            **self.settings,
        }


@cache
def compose_command() -> tuple[str, ...]:
    """The release of Docker Compose that is installed; empty when there is none."""
    for command in (("docker", "compose"), ("docker-compose",)):
        if shutil.which(command[0]) and subprocess.run([*command, "version"], check=False, capture_output=True, timeout=20).returncode == 0:
            return command
    return ()


def docker(*arguments: str, timeout: float = 60) -> str:
    """What a docker command prints."""
    done = subprocess.run(["docker", *arguments], env=_OF_MACHINE, check=False, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stdout}\n{done.stderr}"
    return done.stdout


def wait_until(reached: Any, seconds: float, told: Any) -> None:
    """Ask `reached` until it says yes. Raises `AssertionError` with what `told` says after `seconds`."""
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, told()
        time.sleep(0.2)
