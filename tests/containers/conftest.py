"""The services of docker-compose.yml as real containers."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.containers.project import KEY, POSTGRES, REDIS, Project, compose_command
from tests.gateway.flow_process import free_ports

SERVICES = Path(__file__).parent / "services"


@pytest.fixture(scope="module")
def project(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Every service, ready for questions, beside the scripted upstreams; taken away in the end with all that it has written."""
    with started("deepsearch-test", image, tmp_path_factory.mktemp("compose")) as project:
        yield project


@pytest.fixture(scope="session")
def stack(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The same with two databases: PostgreSQL for the journal, Redis for the cache and the limits, and Prometheus; images made here."""
    for service in ("postgres", "redis", "prometheus"):
        with (SERVICES / f"{service}.Dockerfile").open("rb") as file:
            build = ["docker", "build", "--quiet", "--tag", f"deepsearch-test-{service}", "-"]
            subprocess.run(build, stdin=file, check=True, capture_output=True, timeout=300)
    settings = {
        "COMPOSE_PROFILES": "postgres,redis",
        "POSTGRES_PASSWORD": POSTGRES,
        "DEEPSEARCH_STATE_URL": f"postgresql://deepsearch:{POSTGRES}@postgres/deepsearch",
        "REDIS_PASSWORD": REDIS,
        "DEEPSEARCH_CACHE_URL": f"redis://:{REDIS}@redis:6379/0",
        "DEEPSEARCH_CACHE": "read-write",
        "DEEPSEARCH_LIMITS_URL": f"redis://:{REDIS}@redis:6379/1",
        "DEEPSEARCH_STAGE_METRICS": "true",
        "DEEPSEARCH_API_KEY": KEY,
        "DEEPSEARCH_LEASE_SECONDS": "5",
        "PROMETHEUS_PORT": str(free_ports(1)[0]),
    }
    stand_ins = SERVICES / "stand_ins.yml"
    with started("deepsearch-profiles", image, tmp_path_factory.mktemp("profiles"), settings, str(stand_ins)) as project:
        project.run("up", "--detach", "--no-build", "--no-recreate", "prometheus")  # without Grafana, which is in its profile too
        yield project


@contextmanager
def started(name: str, image: str, folder: Path, settings: dict[str, str] | None = None, *files: str) -> Iterator[Project]:
    """A project with more settings and more Compose files than others; one with the same name can be up beside it."""
    if not compose_command():
        pytest.skip("there is neither `docker compose` nor `docker-compose`")
    env_file = folder / "env"
    env_file.touch()
    http, grpc = free_ports(2)
    project = Project(f"{name}-{os.getpid()}", compose_command(), image, http, grpc, env_file, settings or {})
    project.files += files
    try:
        project.up()
        yield project
    finally:
        project.run("down", "--volumes", "--remove-orphans", "--timeout", "5")
