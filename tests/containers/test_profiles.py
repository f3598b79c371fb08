"""The profiles of docker-compose.yml: PostgreSQL keeps the journal of two controllers, Redis the cache, and Prometheus asks everybody.

Their images are made here of Debian's packages. SearXNG and Grafana have none there and are not run.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import httpx
import pytest

from executors.controller.stages import STAGE_OF_ENDPOINT
from tests.containers.project import POSTGRES, REDIS, Project, docker, wait_until
from tests.containers.questions import ANSWER, BEARER, QUESTION

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(1200)]


def sql(project: Project, query: str) -> list[str]:
    """The lines that PostgreSQL answers."""
    database = project.containers("postgres")[0]["Id"]
    return docker("exec", database, "psql", "--username", "deepsearch", "--no-align", "--tuples-only", "--command", query).split()


def begin(client: httpx.Client, run_id: str) -> None:
    """Begin a run as soon as the caller may have another one."""

    def begun() -> bool:
        response = client.post("/v1/research", json={"question": QUESTION, "no_direct_answer": True, "run_id": run_id})
        assert response.status_code in (202, 429), response.text
        return response.status_code == 202

    wait_until(begun, 120, lambda: run_id)


def state(client: httpx.Client, run_id: str) -> str:
    return str(client.get(f"/v1/research/{run_id}").json()["run"]["state"])


def test_databases_are_healthy_and_confined(stack: Project) -> None:
    def states() -> list[str]:
        return [stack.containers(name)[0]["State"]["Health"]["Status"] for name in ("postgres", "redis", "prometheus")]

    wait_until(lambda: states() == ["healthy"] * 3, 180, states)
    for name in ("postgres", "redis", "prometheus"):
        container = stack.containers(name)[0]
        host = container["HostConfig"]
        assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"] and host["SecurityOpt"] == ["no-new-privileges:true"]
        status = docker("exec", container["Id"], "cat", "/proc/1/status").splitlines()
        assert next(line.split()[1] for line in status if line.startswith("Uid")) != "0"


def test_a_database_asks_for_its_password(stack: Project) -> None:
    assert docker("exec", stack.containers("redis")[0]["Id"], "redis-cli", "ping").startswith("NOAUTH")
    stage = stack.containers("controller")[0]["Id"]
    connect = "import asyncio, asyncpg; asyncio.run(asyncpg.connect('postgresql://deepsearch:wrong@postgres/deepsearch'))"
    with pytest.raises(AssertionError, match="password authentication failed"):
        docker("exec", stage, "python", "-c", connect)


def test_only_those_who_use_a_database_know_its_password(stack: Project) -> None:
    told: dict[str, set[str]] = {POSTGRES: set(), REDIS: set()}
    for container in stack.containers():
        for password, services in told.items():
            if any(password in line for line in container["Config"]["Env"]):
                services.add(container["Config"]["Labels"]["com.docker.compose.service"])
    assert told[POSTGRES] == {"postgres", "controller"}
    assert told[REDIS] == {
        "redis",
        "gateway",
        "query_planner",
        "jina_searcher",
        "url_ranker",
        "page_reader",
        "evaluator",
        "answer_finalizer",
    }


def test_the_journal_is_in_postgresql_and_the_cache_in_redis(stack: Project) -> None:
    with httpx.Client(base_url=stack.url, headers=BEARER, timeout=60) as client:
        for run_id in ("first", "second"):
            body = {"data": [{"question": QUESTION, "no_direct_answer": True, "run_id": run_id}]}
            response = client.post("/research", json=body)
            assert response.json()["data"][0]["text"] == ANSWER, response.text
            read = Counter(stack.pages())
            if run_id == "first":
                first = read
    assert read == first  # the second had its pages from the cache
    assert set(sql(stack, "SELECT run_id FROM deepsearch_runs")) == {"first", "second"}
    keys = docker("exec", stack.containers("redis")[0]["Id"], "redis-cli", "--no-auth-warning", "-a", REDIS, "dbsize")
    assert int(keys) > 5
    limits = docker("exec", stack.containers("redis")[0]["Id"], "redis-cli", "--no-auth-warning", "-a", REDIS, "-n", "1", "keys", "*")
    assert limits and all(key.startswith("deepsearch:limits:") for key in limits.splitlines())
    for service in ("controller", "page_reader"):
        assert ".db" not in docker("exec", stack.containers(service)[0]["Id"], "ls", "-R", "/data")


def test_prometheus_reaches_every_container(stack: Project) -> None:
    stack.run("up", "--detach", "--no-build", "--no-recreate", "--scale", "page_reader=2")
    port = stack.run("port", "prometheus", "9090").strip().rpartition(":")[2]

    def health() -> dict[str, list[str]]:
        targets = httpx.get(f"http://127.0.0.1:{port}/api/v1/targets", timeout=5).json()["data"]["activeTargets"]
        found: dict[str, list[str]] = {}
        for target in targets:
            found.setdefault(target["labels"]["job"], []).append(target["health"])
        return found

    expected = {name: ["up"] for name in ("gateway", "controller", *STAGE_OF_ENDPOINT.values())} | {"page_reader": ["up", "up"]}
    wait_until(lambda: health() == expected, 180, health)

    def answer(query: str) -> list[Any]:
        found: list[Any] = httpx.get(f"http://127.0.0.1:{port}/api/v1/query", params={"query": query}, timeout=5).json()["data"]["result"]
        return found

    wait_until(lambda: answer("sum(deepsearch_runs_total) >= 2"), 120, lambda: answer("deepsearch_runs_total"))


def test_two_controllers_share_the_runs_and_one_takes_over_from_the_other(stack: Project) -> None:
    stack.run("up", "--detach", "--no-build", "--no-recreate", "--scale", "controller=2", "--scale", "page_reader=2")
    with httpx.Client(base_url=stack.url, headers=BEARER, timeout=60) as client:
        count = 0

        def owners() -> set[str]:
            """The containers that have had runs; more runs are begun until both have."""
            nonlocal count
            count += 1
            begin(client, f"shared-{count}")
            return {
                owner.partition(":")[0] for owner in sql(stack, "SELECT DISTINCT owner FROM deepsearch_runs WHERE run_id LIKE 'shared-%'")
            }

        began = time.monotonic()
        wait_until(lambda: len(owners()) == 2, 120, owners)
        print(f"both controllers have runs after {time.monotonic() - began:.1f} s and {count} runs")
        for number in range(20):
            begin(client, f"taken-{number}")
        victim = stack.containers("controller")[0]["Id"]
        docker("kill", "--signal", "KILL", victim)
        began = time.monotonic()
        runs = [f"shared-{number + 1}" for number in range(count)] + [f"taken-{number}" for number in range(20)]
        for run_id in runs:
            wait_until(lambda run_id=run_id: state(client, run_id) == "finished", 300, lambda run_id=run_id: state(client, run_id))
        print(f"{len(runs)} runs finished, the last {time.monotonic() - began:.1f} s after one of two controllers was killed")
        assert all(client.get(f"/v1/research/{run_id}").json()["answer"]["text"] == ANSWER for run_id in runs)
