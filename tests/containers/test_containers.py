"""The image and the services on a real engine: questions, more page readers while questions are asked, and one that dies."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest
from docarray import DocList
from jina import Client

from deepsearch.client import DeepSearchClient
from schemas.research import ResearchAnswer, ResearchRequest
from tests.containers.project import KEY, Project, docker, wait_until
from tests.containers.questions import ANSWER, BEARER, QUESTION, Load

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]

MOST_IMAGE_BYTES = 820_000_000


def test_image(image: str) -> None:
    described = json.loads(docker("image", "inspect", image))[0]
    assert described["Config"]["User"] == "10001:10001" and described["Config"]["Healthcheck"]
    print(f"image {described['Size'] / 1e6:.0f} MB")
    assert described["Size"] < MOST_IMAGE_BYTES
    find = "find /app /data -name 'test_*.py' -o -name 'conftest.py' -o -name '.env*' -o -name '.git'"
    assert docker("run", "--rm", "--network", "none", image, "sh", "-c", find) == ""
    assert docker("run", "--rm", "--network", "none", "--read-only", "--cap-drop", "ALL", image, "deepsearch", "--version").strip()


def test_nothing_is_missing_in_the_image(image: str) -> None:
    confined = ("--rm", "--network", "none", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL")
    script = f"{Path(__file__).parent / 'inside.py'}:/inside.py:ro"
    worked = docker("run", *confined, "--volume", script, image, "python", "/inside.py", timeout=300)
    assert worked.splitlines() == ["extensions", "exports and readings", "program", "index"]


def test_one_container_serves_the_whole_flow(image: str) -> None:
    begin = time.monotonic()
    confined = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true", "--tmpfs", "/tmp")
    container = docker("run", "--detach", *confined, "--env", "USE_DUCKDUCKGO=false", image).strip()
    try:
        wait_until(lambda: "is ready" in docker("logs", container), 60, lambda: docker("logs", container))
        print(f"one container: ready after {time.monotonic() - begin:.1f} s")
        docker("exec", container, "python", "-m", "deepsearch.probing", "127.0.0.1:8081")
        docker("stop", container)
        assert json.loads(docker("inspect", container))[0]["State"]["ExitCode"] == 0
    finally:
        docker("rm", "--force", "--volumes", container)


def test_containers_are_confined(project: Project) -> None:
    print(f"ready after {project.seconds:.1f} s")
    containers = [one for one in project.containers() if one["Config"]["Labels"]["com.docker.compose.service"] != "upstream"]
    assert len(containers) == 8
    for container in containers:
        host = container["HostConfig"]
        assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"] and host["SecurityOpt"] == ["no-new-privileges:true"]
        told = {name for name in ("model-secret", "search-secret", KEY) if any(name in line for line in container["Config"]["Env"])}
        service = container["Config"]["Labels"]["com.docker.compose.service"]
        assert told == {
            "gateway": {KEY},
            "controller": set(),
            "jina_searcher": {"search-secret"},
            "url_ranker": {"model-secret", "search-secret"},
            "page_reader": {"model-secret", "search-secret"},
        }.get(service, {"model-secret"})
    status = docker("exec", project.containers("page_reader")[0]["Id"], "cat", "/proc/1/status")
    of = {name: value.split() for name, _, value in (line.partition(":") for line in status.splitlines())}
    assert of["Uid"] == ["10001"] * 4 and of["CapEff"] == ["0000000000000000"] and of["NoNewPrivs"] == ["1"]


def test_without_a_key_nobody_may_ask(project: Project) -> None:
    assert httpx.post(f"{project.url}/research", json={"data": [{"question": QUESTION}]}).status_code == 401


@pytest.mark.parametrize("scheme", ["http", "grpc"])
async def test_ask(project: Project, scheme: str) -> None:
    port = project.http if scheme == "http" else project.grpc
    async with DeepSearchClient(f"{scheme}://127.0.0.1:{port}", KEY) as client:
        answer = await client.ask(ResearchRequest(question=QUESTION, no_direct_answer=True, run_id=f"by-{scheme}"))
    assert answer.text == ANSWER and answer.references[0].quote == "Page readers scale by their number of replicas."


async def test_ask_with_jina_client(project: Project) -> None:
    client = Client(host="127.0.0.1", port=project.grpc, protocol="grpc", asyncio=True)
    request = DocList[ResearchRequest]([ResearchRequest(question=QUESTION, no_direct_answer=True)])
    found = client.post("/research", request, return_type=DocList[ResearchAnswer], metadata=(("authorization", f"Bearer {KEY}"),))
    assert [doc.text async for docs in found for doc in docs] == [ANSWER]


def test_everything_is_healthy(project: Project) -> None:
    def states() -> dict[str, str]:
        return {one["Name"]: one["State"]["Health"]["Status"] for one in project.containers() if "Health" in one["State"]}

    wait_until(lambda: list(states().values()) == ["healthy"] * 8, 60, states)


def test_the_journal_outlives_its_container(project: Project) -> None:
    before = project.containers("controller")[0]["Id"]
    docker("rm", "--force", before)
    project.up()
    assert project.containers("controller")[0]["Id"] != before

    def run() -> httpx.Response:
        return httpx.get(f"{project.url}/v1/research/by-grpc", headers=BEARER, timeout=10)

    begin = time.monotonic()
    wait_until(lambda: run().status_code == 200, 15, lambda: run().text)
    print(f"the new controller is found {time.monotonic() - begin:.1f} s after it serves")
    assert ANSWER in run().text


async def test_more_page_readers_get_their_share_without_a_restart(project: Project) -> None:
    others = {container["Id"] for container in project.containers() if "page_reader" not in container["Name"]}
    async with Load(project.url).asked() as load:
        await load.until(3, 30)
        begin = time.monotonic()
        await asyncio.to_thread(project.run, "up", "--detach", "--no-build", "--no-recreate", "--scale", "page_reader=4")
        created = time.monotonic() - begin
        readers = await asyncio.to_thread(project.addresses, "page_reader")
        assert len(readers) == 4
        async with asyncio.timeout(120):
            while not readers.keys() <= (await asyncio.to_thread(project.pages)).keys():
                await asyncio.sleep(0.5)
        print(f"4 containers after {created:.1f} s, all of them read pages after {time.monotonic() - begin:.1f} s")
        before = Counter(await asyncio.to_thread(project.pages))
        await load.until(60, 120)
        counts = Counter(await asyncio.to_thread(project.pages)) - before
    print(f"pages read by each: {sorted(counts.values())}; {load.answered} questions answered")
    assert load.failures == []
    assert counts.keys() == readers.keys()
    assert min(counts.values()) >= 0.15 * counts.total(), counts  # a quarter each, were there no beginnings and ends
    assert others == {container["Id"] for container in project.containers() if "page_reader" not in container["Name"]}


def test_calls_through_the_gateway_are_spread_too(project: Project) -> None:
    before = Counter(project.pages())
    body = {"data": [{"url": "https://host0.org/readers", "question": QUESTION}]}
    with httpx.Client(base_url=project.url, headers=BEARER, timeout=20) as client:
        for _ in range(40):
            assert client.post("/read", json=body).status_code == 200
    counts = Counter(project.pages()) - before
    print(f"pages read by each: {sorted(counts.values())}")
    assert len(counts) == 4 and min(counts.values()) >= 5


async def test_no_run_fails_when_a_page_reader_dies(project: Project) -> None:
    async with Load(project.url).asked() as load:
        for _ in range(2):
            await load.until(5, 60)
            address, victim = sorted((await asyncio.to_thread(project.addresses, "page_reader")).items())[0]
            await asyncio.to_thread(docker, "kill", "--signal", "KILL", victim)
            await load.until(15, 60)
            before = (await asyncio.to_thread(project.pages))[address]
            await load.until(10, 60)
            assert (await asyncio.to_thread(project.pages))[address] == before
    print(f"two of four page readers killed while {load.answered} questions were answered; failed: {load.failures}")
    assert load.failures == []


def test_everything_stops_by_itself(project: Project) -> None:
    begin = time.monotonic()
    project.run("stop")
    print(f"stopped in {time.monotonic() - begin:.1f} s")
    stopped = {one["Name"]: one["State"]["ExitCode"] for one in project.containers() if "upstream" not in one["Name"]}
    killed = [code for code in stopped.values() if code == 137]
    assert len(killed) == 2, stopped  # those that the test above has killed
    assert all(code in (0, 137) for code in stopped.values()), stopped
