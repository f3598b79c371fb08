"""Real containers: the image, and the services of docker-compose.yml, on the Docker engine of this machine if there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.containers.project import Project
from tests.gateway.flow_process import free_ports

ROOT = Path(__file__).parents[2]
IMAGE = "deepsearch-test"
"""Stays on the engine, so that the next time little has to be built."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "docker: needs a Docker engine (DOCKER_HOST, or its socket)")


@cache
def missing() -> str:
    """Why no container can be started; empty when one can."""
    if shutil.which("docker") is None:
        return "there is no docker command"
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if host.startswith("unix://") and not Path(host.removeprefix("unix://")).is_socket():
        return f"no Docker engine listens at {host}"
    try:
        told = subprocess.run(
            ["docker", "version", "--format", "{{.Server.Version}}"], check=False, capture_output=True, text=True, timeout=10
        )
    except subprocess.TimeoutExpired:
        return f"the Docker engine at {host} does not answer"
    if told.returncode:
        return f"no Docker engine answers at {host}: {' '.join(told.stderr.split())[:200]}"
    return "" if compose_command() else "there is neither `docker compose` nor `docker-compose`"


@cache
def compose_command() -> tuple[str, ...]:
    """The release of Docker Compose that is installed; empty when there is none."""
    for command in (("docker", "compose"), ("docker-compose",)):
        if shutil.which(command[0]) and subprocess.run([*command, "version"], check=False, capture_output=True, timeout=20).returncode == 0:
            return command
    return ()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    marked = [item for item in items if item.get_closest_marker("docker")]
    if marked and (reason := missing()):
        for item in marked:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def image() -> str:
    """The tag of the image, built from the Dockerfile."""
    built = subprocess.run(
        ["docker", "build", "--quiet", "--tag", IMAGE, "."], cwd=ROOT, check=False, capture_output=True, text=True, timeout=480
    )
    assert built.returncode == 0, f"{built.stdout}\n{built.stderr}"
    return IMAGE


@pytest.fixture(scope="module")
def project(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Every service, ready for questions, beside the scripted upstreams; taken away in the end with all that it has written."""
    env_file = tmp_path_factory.mktemp("compose") / "env"
    env_file.touch()
    http, grpc = free_ports(2)
    project = Project(f"deepsearch-test-{os.getpid()}", compose_command(), image, http, grpc, env_file)
    try:
        project.up()
        yield project
    finally:
        project.run("down", "--volumes", "--remove-orphans", "--timeout", "5")
