"""Containers lose the network in the middle of runs and find it again: each run ends with its answer, and each event is told once."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import uuid
from collections.abc import Iterator

import httpx
import pytest

from tests.containers.conftest import SERVICES, started
from tests.containers.project import KEY, POSTGRES, Project, docker
from tests.containers.questions import ANSWER, BEARER, QUESTION
from tests.faults.test_campaign import SEED

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(1500)]

TWICE = ("controller", "page_reader")
CUT = (
    "controller",
    "controller",
    "page_reader",
    "query_planner",
    "jina_searcher",
    "url_ranker",
    "evaluator",
    "answer_finalizer",
    "postgres",
)
_AT_ONCE = 4


@pytest.fixture(scope="module")
def project(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Every service, two controllers with one journal among them."""
    with (SERVICES / "postgres.Dockerfile").open("rb") as file:
        build = ["docker", "build", "--quiet", "--tag", "deepsearch-test-postgres", "-"]
        subprocess.run(build, stdin=file, check=True, capture_output=True, timeout=300)
    settings = {
        "COMPOSE_PROFILES": "postgres",
        "POSTGRES_PASSWORD": POSTGRES,
        "DEEPSEARCH_STATE_URL": f"postgresql://deepsearch:{POSTGRES}@postgres/deepsearch",
        "DEEPSEARCH_API_KEY": KEY,
        "DEEPSEARCH_LEASE_SECONDS": "3",
    }
    with started("deepsearch-faults", image, tmp_path_factory.mktemp("faults"), settings, str(SERVICES / "stand_ins.yml")) as project:
        project.up(*(argument for service in TWICE for argument in ("--scale", f"{service}=2")))
        yield project


class Asking:
    """Jobs, one after the other, that are followed as browsers follow them."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self.answered = 0
        self.breaks = 0

    async def ask(self, over: asyncio.Event) -> None:
        """Ask until it is over. Raises `AssertionError` for an answer that is not whole, or an event that is lost or told twice."""
        while not over.is_set():
            async with asyncio.timeout(180):
                await self._one(uuid.uuid4().hex)
            self.answered += 1

    async def _one(self, run_id: str) -> None:
        sequences, last, begun = list[int](), "", False
        while not last.endswith(".end"):
            async with httpx.AsyncClient(base_url=self._project.url, headers=BEARER, timeout=httpx.Timeout(40, connect=5)) as web:
                try:
                    if not begun:
                        body = {"question": QUESTION, "run_id": run_id, "no_direct_answer": True}
                        status = (await web.post("/v1/research", json=body)).status_code
                        begun = status in (202, 400)  # 400: the request before was heard
                    headers = {"Last-Event-ID": last}
                    async with web.stream("GET", f"/v1/research/{run_id}/events", headers=headers) as response:
                        number = ""
                        async for line in response.aiter_lines():
                            name, _, value = line.partition(": ")
                            number = value if name == "id" else number
                            if name != "data" or response.status_code != 200:
                                continue
                            event = json.loads(value)
                            if event["type"] == "run_ended" and (not event["sequence"] or event["data"].get("outcome") == "interrupted"):
                                continue
                            if event["type"] not in ("answer_delta", "run_ended"):
                                sequences.append(event["sequence"])
                            last = number
                except httpx.TransportError:
                    pass
            if not last.endswith(".end"):
                self.breaks += 1
                await asyncio.sleep(0.3)
        assert sequences == list(range(1, len(sequences) + 1)), sequences
        async with httpx.AsyncClient(base_url=self._project.url, headers=BEARER, timeout=60) as web:
            while (response := await web.get(f"/v1/research/{run_id}")).status_code == 503:
                await asyncio.sleep(0.3)
        document = response.json()
        assert document["run"]["state"] == "finished" and document["answer"]["text"] == ANSWER, document


async def cut(project: Project, service: str, chance: random.Random) -> None:
    """Take a container of a service off its network for some seconds."""
    container = chance.choice(await asyncio.to_thread(project.containers, service))
    ((network, details),) = container["NetworkSettings"]["Networks"].items()
    aliases = [argument for alias in details["Aliases"] or [] for argument in ("--alias", alias)]
    await asyncio.to_thread(docker, "network", "disconnect", network, container["Id"])
    await asyncio.sleep(chance.uniform(1, 6))
    await asyncio.to_thread(docker, "network", "connect", *aliases, network, container["Id"])


async def test_runs_outlive_networks(project: Project) -> None:
    print(f"\nDEEPSEARCH_FAULTS_SEED={SEED} (containers)")
    chance = random.Random(SEED)
    asking, over = Asking(project), asyncio.Event()
    order = chance.sample(CUT, len(CUT))
    async with asyncio.TaskGroup() as asked:
        for _ in range(_AT_ONCE):
            asked.create_task(asking.ask(over))
        for service in order:
            enough = asking.answered + _AT_ONCE
            async with asyncio.timeout(300):
                while asking.answered < enough:
                    await asyncio.sleep(0.1)
            await cut(project, service, chance)
        over.set()
    print(f"  {asking.answered} runs, all with their answer; {len(order)} networks cut ({', '.join(order)}); {asking.breaks} breaks")
