"""The objects of the production overlay run: several gateways and controllers over one journal in PostgreSQL."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import httpx
import pytest

from tests.containers.project import POSTGRES, ROOT, docker, wait_until
from tests.containers.questions import ANSWER, BEARER, QUESTION
from tests.kubernetes.cluster import SECRETS, SETTINGS, Cluster
from tests.kubernetes.manifests import overlaid

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def production(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two gateways and two controllers, one pod of every other stage."""
    postgres = "deepsearch-test-postgres"
    with (ROOT / "tests/containers/services/postgres.Dockerfile").open("rb") as file:
        subprocess.run(["docker", "build", "--quiet", "--tag", postgres, "-"], stdin=file, check=True, capture_output=True, timeout=300)
    objects = overlaid(tmp_path_factory.mktemp("overlay"), "production", image=image, DEEPSEARCH_LEASE_SECONDS="5", **SETTINGS)
    secrets = SECRETS | {"DEEPSEARCH_STATE_URL": f"postgresql://deepsearch:{POSTGRES}@postgres/deepsearch"}
    with Cluster(f"deepsearch-production-{os.getpid()}", objects, secrets) as running:
        database = ("POSTGRES_USER=deepsearch", "POSTGRES_DB=deepsearch", f"POSTGRES_PASSWORD={POSTGRES}")
        running.beside("postgres", *(f"--env={variable}" for variable in database), postgres)
        running.upstream(image)
        wait_until(lambda: "ready to accept connections" in output(running, "postgres"), 120, lambda: output(running, "postgres"))
        running.apply()
        running.add("controller")
        yield running


def output(cluster: Cluster, name: str) -> str:
    done = subprocess.run(["docker", "logs", f"{cluster.name}-{name}"], check=False, capture_output=True, text=True, timeout=30)
    return done.stdout + done.stderr


def owners(cluster: Cluster) -> set[str]:
    """The controllers that have had runs."""
    query = "SELECT DISTINCT owner FROM deepsearch_runs"
    found = docker(
        "exec", f"{cluster.name}-postgres", "psql", "--username", "deepsearch", "--no-align", "--tuples-only", "--command", query
    )
    return {owner.partition(":")[0] for owner in found.split()}


def test_runs_outlive_the_controller_that_had_them(production: Cluster) -> None:
    gateways = [
        httpx.Client(base_url=f"http://127.0.0.1:{pod.ports[8080]}", headers=BEARER, timeout=60) for pod in production.of("gateway")
    ]
    assert len(gateways) == 2
    begun = 0

    def both_have_runs() -> bool:
        nonlocal begun
        request = {"question": QUESTION, "no_direct_answer": True, "run_id": f"run-{begun}"}
        assert gateways[begun % 2].post("/v1/research", json=request).status_code == 202
        begun += 1
        return len(owners(production)) == 2

    wait_until(both_have_runs, 120, lambda: str(owners(production)))
    assert owners(production) == {pod.name for pod in production.of("controller")}
    for _ in range(10):
        both_have_runs()
    production.kill(production.of("controller")[0])

    def state(run: int) -> str:
        response = gateways[(run + 1) % 2].get(f"/v1/research/run-{run}")  # not the gateway that has begun it
        return str(response.json()["run"]["state"]) if response.status_code == 200 else response.text

    for run in range(begun):
        wait_until(lambda run=run: state(run) == "finished", 120, lambda run=run: f"{state(run)}\n{production.logs()}")
        assert ANSWER in gateways[0].get(f"/v1/research/run-{run}").text
    print(f"{begun} runs finished although one of two controllers was killed")
    for client in gateways:
        client.close()
