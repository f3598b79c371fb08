"""The objects of the development overlay run: questions, more page readers while questions are asked, pods that die or are renewed."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator

import httpx
import pytest
from docarray import DocList
from jina import Client

from deepsearch.client import DeepSearchClient
from schemas.research import ResearchAnswer, ResearchRequest
from tests.containers.project import KEY, docker, wait_until
from tests.containers.questions import ANSWER, BEARER, QUESTION, Load
from tests.kubernetes.cluster import SECRETS, SETTINGS, Cluster
from tests.kubernetes.manifests import container_of, overlaid

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def cluster(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Every pod, ready for questions, beside the scripted upstreams."""
    objects = overlaid(tmp_path_factory.mktemp("overlay"), "development", image=image, **SETTINGS)
    with Cluster(f"deepsearch-kubernetes-{os.getpid()}", objects, SECRETS) as running:
        running.upstream(image)
        running.apply()
        yield running


@pytest.fixture
def url(cluster: Cluster) -> str:
    """Of the gateway."""
    return f"http://127.0.0.1:{cluster.of('gateway')[0].ports[8080]}"


def test_every_pod_is_ready(cluster: Cluster) -> None:
    print({pod.deployment: f"{pod.ready_after:.0f} s, {cluster.memory(pod) / 2**20:.0f} MiB" for pod in cluster.pods})
    assert sorted(pod.deployment for pod in cluster.pods) == sorted(cluster.deployments)
    for pod in cluster.pods:
        assert cluster.passes(pod, "startup") and cluster.passes(pod, "readiness") and cluster.passes(pod, "liveness")
        status = docker("exec", pod.id, "cat", "/proc/1/status")
        of = {name: value.split() for name, _, value in (line.partition(":") for line in status.splitlines())}
        assert of["Uid"] == ["10001"] * 4 and of["CapEff"] == ["0000000000000000"] and of["NoNewPrivs"] == ["1"]


def test_secrets_are_where_they_are_used(cluster: Cluster) -> None:
    for pod in cluster.pods:
        environment = json.loads(docker("inspect", pod.id))[0]["Config"]["Env"]
        told = {name for name, secret in SECRETS.items() if f"{name}={secret}" in environment}
        assert told == {
            "gateway": {"DEEPSEARCH_API_KEYS"},
            "controller": set(),
            "jina-searcher": {"JINA_API_KEY"},
            "url-ranker": {"OPENAI_API_KEY", "JINA_API_KEY"},
            "page-reader": {"OPENAI_API_KEY", "JINA_API_KEY"},
        }.get(pod.deployment, {"OPENAI_API_KEY"})


def test_without_a_key_nobody_may_ask(url: str) -> None:
    assert httpx.post(f"{url}/research", json={"data": [{"question": QUESTION}]}).status_code == 401


@pytest.mark.parametrize(("scheme", "port"), [("http", 8080), ("grpc", 8081)])
async def test_ask(cluster: Cluster, scheme: str, port: int) -> None:
    async with DeepSearchClient(f"{scheme}://127.0.0.1:{cluster.of('gateway')[0].ports[port]}", KEY) as client:
        answer = await client.ask(ResearchRequest(question=QUESTION, no_direct_answer=True, run_id=f"by-{scheme}"))
    assert answer.text == ANSWER and answer.references[0].quote == "Page readers scale by their number of replicas."


async def test_ask_with_jina_client(cluster: Cluster) -> None:
    client = Client(host="127.0.0.1", port=cluster.of("gateway")[0].ports[8081], protocol="grpc", asyncio=True)
    request = DocList[ResearchRequest]([ResearchRequest(question=QUESTION, no_direct_answer=True)])
    found = client.post("/research", request, return_type=DocList[ResearchAnswer], metadata=(("authorization", f"Bearer {KEY}"),))
    assert [doc.text async for docs in found for doc in docs] == [ANSWER]


def test_metrics_are_where_the_monitors_look(cluster: Cluster, url: str) -> None:
    for pod in cluster.pods:
        metrics = [one["containerPort"] for one in container_of(cluster.deployments[pod.deployment])["ports"] if one["name"] == "metrics"]
        for port in metrics:
            text = httpx.get(f"http://127.0.0.1:{pod.ports[port]}/metrics", timeout=10).text
            assert 'deepsearch_calls_in_flight{endpoint="/read",stage="page_reader"} 0.0' in text or pod.deployment != "page-reader"
            assert "deepsearch_calls_in_flight" in text or pod.deployment == "controller"
    assert httpx.get(f"{url}/metrics", timeout=10).status_code == 401
    assert "deepsearch_runs_under_way" in httpx.get(f"{url}/metrics", headers=BEARER, timeout=10).text


async def test_more_page_readers_get_their_share_without_a_restart(cluster: Cluster, url: str) -> None:
    others = [pod.id for pod in cluster.pods if pod.deployment != "page-reader"]
    async with Load(url).asked() as load:
        await load.until(3, 60)
        begin = time.monotonic()
        await asyncio.to_thread(cluster.add, "page-reader", 2)
        ready = time.monotonic() - begin
        readers = {pod.address for pod in cluster.of("page-reader")}
        assert len(readers) == 3
        async with asyncio.timeout(120):
            while not readers <= (await asyncio.to_thread(cluster.pages)).keys():
                await asyncio.sleep(0.5)
        print(f"3 pods ready after {ready:.1f} s, all of them read pages after {time.monotonic() - begin:.1f} s")
        before = await asyncio.to_thread(cluster.pages)
        await load.until(40, 120)
        counts = await asyncio.to_thread(cluster.pages) - before
    print(f"pages read by each: {sorted(counts.values())}; {load.answered} questions answered")
    assert load.failures == []
    assert counts.keys() == readers
    assert min(counts.values()) >= 0.2 * counts.total(), counts  # a third each, were there no beginnings and ends
    running = [pod.id for pod in cluster.pods if pod.deployment != "page-reader"]
    assert running == others and all(json.loads(docker("inspect", *running))[i]["RestartCount"] == 0 for i in range(len(running)))


async def test_no_question_fails_when_a_pod_dies(cluster: Cluster, url: str) -> None:
    async with Load(url).asked() as load:
        await load.until(5, 60)
        victim = cluster.of("page-reader")[0]
        await asyncio.to_thread(cluster.kill, victim)
        await load.until(10, 60)
        before = (await asyncio.to_thread(cluster.pages))[victim.address]
        (instead,) = await asyncio.to_thread(cluster.add, "page-reader")
        already = (await asyncio.to_thread(cluster.pages))[instead.address]
        async with asyncio.timeout(120):
            while (await asyncio.to_thread(cluster.pages))[instead.address] == already:
                await asyncio.sleep(0.5)
        if instead.address != victim.address:
            assert (await asyncio.to_thread(cluster.pages))[victim.address] == before
    print(f"one of three page readers killed and replaced while {load.answered} questions were answered; failed: {load.failures}")
    assert load.failures == []


@pytest.mark.parametrize("deployment", ["page-reader", "evaluator"])
async def test_no_question_fails_while_pods_are_renewed(cluster: Cluster, url: str, deployment: str) -> None:
    old = {pod.id for pod in cluster.of(deployment)}
    async with Load(url).asked() as load:
        await load.until(3, 60)
        codes = await asyncio.to_thread(cluster.roll, deployment)
        await load.until(10, 60)
    print(f"{len(codes)} pods of {deployment} renewed while {load.answered} questions were answered; failed: {load.failures}")
    assert load.failures == [] and set(codes) == {0}
    assert not old & {pod.id for pod in cluster.of(deployment)}


def test_the_journal_outlives_its_pod(cluster: Cluster, url: str) -> None:
    assert cluster.deployments["controller"]["spec"]["strategy"] == {"type": "Recreate"}
    assert cluster.delete(cluster.of("controller")[0]) == 0
    cluster.add("controller")

    def run() -> httpx.Response:
        return httpx.get(f"{url}/v1/research/by-grpc", headers=BEARER, timeout=10)

    wait_until(lambda: run().status_code == 200, 60, lambda: run().text)
    assert ANSWER in run().text


def test_memory_is_within_the_requests(cluster: Cluster) -> None:
    """After all of these questions no pod uses more than it has asked for, so that the scheduler's sums are right."""
    for pod in cluster.pods:
        asked = cluster.deployments[pod.deployment]["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["memory"]
        used = cluster.memory(pod)
        print(f"{pod.deployment}: {used / 2**20:.0f} MiB of {asked}")
        assert used <= int(asked.removesuffix("Mi")) * 2**20


def test_every_pod_stops_in_its_time(cluster: Cluster) -> None:
    order = ["gateway", "controller"]
    for pod in sorted(cluster.pods, key=lambda pod: order.index(pod.deployment) if pod.deployment in order else len(order)):
        assert cluster.delete(pod) == 0, pod.deployment
