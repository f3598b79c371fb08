"""The Docker engine of this machine, if there is one: tests marked `docker` use it, and are skipped without it."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
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
    return f"no Docker engine answers at {host}: {' '.join(told.stderr.split())[:200]}" if told.returncode else ""


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
