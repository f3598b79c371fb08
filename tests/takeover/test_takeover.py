"""A controller is killed while it waits for any of the calls of a run: another one goes on, and nothing is lost or done twice."""

from __future__ import annotations

import asyncio
import json
import signal
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
import pytest

from deepsearch.client import DeepSearchClient
from deepsearch.flow_calls import FlowCalls
from executors.controller.run import replay
from executors.controller.state import digest
from providers.journal import create_journal
from schemas.errors import StageUnavailable
from schemas.events import ResearchEvent
from schemas.research import ResearchAnswer, ResearchRequest, RunList, RunQuery, RunSummary
from schemas.settings import Settings
from schemas.usage import Usage
from tests.scripted.five_steps import add_session
from tests.scripted.llm import schema_name
from tests.servers import PostgresServer, RedisServer
from tests.takeover.cluster import CONTROLLERS, LEASE_SECONDS, Cluster, HoldingServer

pytestmark = [pytest.mark.flow, pytest.mark.slow, pytest.mark.timeout(300)]

QUESTION = "How do I scale the page readers?"
TEXT = "Page readers scale by their number of replicas [^1]."
DRIVING, OTHER = CONTROLLERS
SERVERS: dict[str, Any] = {"postgres": PostgresServer, "redis": partial(RedisServer, durable=True)}
JOURNALS = ("sqlite", *SERVERS)


@pytest.fixture(scope="module")
def upstream() -> Iterator[HoldingServer]:
    with HoldingServer() as server:
        add_session(server)
        yield server


@pytest.fixture(scope="module", params=JOURNALS)
def processes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, upstream: HoldingServer) -> Iterator[Cluster]:
    home = tmp_path_factory.mktemp("home")
    with ExitStack() as held:
        storage = held.enter_context(SERVERS[request.param]()) if request.param in SERVERS else None
        state_url = storage.url() if storage else f"sqlite:///{home / 'runs.db'}"
        made = held.enter_context(Cluster(home, upstream, state_url))
        made.storage = storage
        yield made


@pytest.fixture
def cluster(processes: Cluster) -> Cluster:
    """All processes, alive."""
    processes.heal()
    return processes


def ask(**fields: Any) -> ResearchRequest:
    return ResearchRequest(question=QUESTION, no_direct_answer=True, **fields)


async def collect(events: AsyncIterator[ResearchEvent], into: list[ResearchEvent] | None = None) -> list[ResearchEvent]:
    found = [] if into is None else into
    async for event in events:
        found.append(event)
    return found


async def check(cluster: Cluster, run_id: str, events: list[ResearchEvent], *, following: bool = False) -> ResearchAnswer:
    """The client's events are the journal's, each once; the answer came in one piece; and replay reaches the same state.

    Who only follows sees the answer being written when it follows at the controller that drives the run.
    """
    journal = create_journal(Settings(_env_file=None, deepsearch_state_url=cluster.settings["DEEPSEARCH_STATE_URL"]))
    stored = await journal.events(run_id)
    state_digest = await journal.state_digest(run_id)
    await journal.close()
    assert {event.run_id for event in events} == {run_id}
    seen = [(event.sequence, event.type) for event in events if event.type not in ("answer_delta", "run_ended")]
    assert seen == [(entry.sequence, entry.event.type) for entry in stored]
    assert [entry.sequence for entry in stored] == list(range(1, len(stored) + 1))
    assert [event.type for event in events].count("run_ended") == 1 and events[-1].data["outcome"] == "finished", events[-1].data
    written = ""
    for event in events:
        if event.type == "answer_delta":
            assert event.data.get("offset", 0) == len(written)
            written += event.data["text"]
    answer = ResearchAnswer(**events[-1].data["answer"])
    assert answer.text == TEXT and (written == TEXT or (TEXT.startswith(written) and following))
    assert state_digest == digest(replay(stored))
    return answer


@dataclass
class Run:
    """A run that waits in a held call, on the only controller that there is."""

    run_id: str
    events: list[ResearchEvent]
    following: asyncio.Task[list[ResearchEvent]]
    usage: Usage
    calls: int
    """Calls of a run that nothing happens to."""
    job: bool = False


async def whole(cluster: Cluster, upstream: HoldingServer) -> tuple[int, Usage]:
    """How many calls a run makes to which nothing happens, and what it spends."""
    client = DeepSearchClient(cluster.grpc)
    await collect(client.stream(ask()))  # from here on vectors are known
    upstream.count_anew()
    run_id = uuid.uuid4().hex
    answer = await check(cluster, run_id, await collect(client.stream(ask(run_id=run_id))))
    await client.close()
    return upstream.count, answer.usage


async def begun(cluster: Cluster, upstream: HoldingServer, call: int, *, job: bool = False) -> Run:
    """A run of whose calls one is held."""
    calls, usage = await whole(cluster, upstream)
    cluster.kill(OTHER)
    upstream.count_anew(call)
    client = FlowCalls(cluster.grpc)
    events: list[ResearchEvent] = []
    run_id = uuid.uuid4().hex
    if job:
        await client.call("/submit", ask(run_id=run_id), RunSummary)
        stream = client.stream("/events", RunQuery(run_id=run_id), ResearchEvent)
    else:
        stream = client.stream("/research/stream", ask(run_id=run_id), ResearchEvent)
    following = asyncio.create_task(collect(stream, events))
    await upstream.arrived(call)
    return Run(run_id, events, following, usage, calls, job)


async def check_once(cluster: Cluster, upstream: HoldingServer, run: Run) -> None:
    """The run has ended as if nothing had happened, and only the call to a stage that was in flight was made twice."""
    async with asyncio.timeout(90):
        await run.following
    answer = await check(cluster, run.run_id, run.events, following=run.job)
    (held,) = upstream.hold
    requests = upstream.requests[-upstream.count :]
    # An evaluation asks the model about its two criteria at the same time: either may have been answered when the other was held.
    evaluated = requests[held - 1].path.endswith("completions") and schema_name(requests[held - 1].body) in _CRITERIA
    vectors = [
        request for request in requests if request.path in ("/v1/embeddings", "/v1/rerank")
    ]  # a stage that was started anew knows none
    repeated = upstream.count - len(vectors) - run.calls
    assert 1 <= repeated <= 1 + evaluated, [request.path for request in requests]
    spent, expected = counted(answer.usage), counted(run.usage)
    assert spent["provider_tokens"] >= expected["provider_tokens"] if vectors else spent == expected
    assert {**spent, "provider_tokens": 0} == {**expected, "provider_tokens": 0}
    assert "Traceback" not in cluster.logs(), cluster.logs()


_CRITERIA = ("DefinitiveOutput", "StrictOutput")


def counted(usage: Usage) -> dict[str, Any]:
    return usage.model_dump(exclude={"id"})


async def test_a_controller_dies_in_every_call(cluster: Cluster, upstream: HoldingServer) -> None:
    calls, usage = await whole(cluster, upstream)
    client = DeepSearchClient(cluster.grpc)
    driving, other = DRIVING, OTHER
    cluster.kill(other)
    every = 1 if cluster.settings["DEEPSEARCH_STATE_URL"].startswith("sqlite") else 4
    for number in range(1, calls + 1, every):
        run_id = f"run-{number}"
        upstream.count_anew(number)
        events: list[ResearchEvent] = []
        following = asyncio.create_task(collect(client.stream(ask(run_id=run_id)), events))
        await upstream.arrived(number)
        await asyncio.to_thread(cluster.start, other)
        await asyncio.to_thread(cluster.kill, driving)
        await check_once(cluster, upstream, Run(run_id, events, following, usage, calls))
        assert [event.type for event in events].count("run_resumed") == 1
        driving, other = other, driving
    await client.close()


@pytest.mark.parametrize("job", [False, True], ids=["attached", "job"])
async def test_a_controller_that_is_frozen_has_lost_its_run_when_it_thaws(cluster: Cluster, upstream: HoldingServer, job: bool) -> None:
    """It writes nothing more and makes no more calls."""
    run = await begun(cluster, upstream, 5, job=job)
    await asyncio.to_thread(cluster.start, OTHER)
    cluster.signal(DRIVING, signal.SIGSTOP)
    await check_once(cluster, upstream, run)
    cluster.signal(DRIVING, signal.SIGCONT)
    thawed = FlowCalls(f"grpc://127.0.0.1:{cluster.ports[DRIVING]}")
    async with asyncio.timeout(30):
        assert (await thawed.call("/runs", RunQuery(run_id=run.run_id), RunList)).runs[0].state == "finished"
        assert await asyncio.to_thread(upstream.wait_until_idle, 30), "its call is cut"
    await thawed.close()
    await check_once(cluster, upstream, run)


@pytest.mark.parametrize("job", [False, True], ids=["attached", "job"])
async def test_a_controller_that_is_told_to_stop_hands_its_runs_over(cluster: Cluster, upstream: HoldingServer, job: bool) -> None:
    run = await begun(cluster, upstream, 5, job=job)
    await asyncio.to_thread(cluster.start, OTHER)
    cluster.signal(DRIVING, signal.SIGTERM)
    await check_once(cluster, upstream, run)
    await asyncio.to_thread(cluster.wait_for_end, DRIVING)


async def test_a_client_goes_on_when_its_gateway_died(cluster: Cluster, upstream: HoldingServer) -> None:
    run = await begun(cluster, upstream, 9)
    await asyncio.to_thread(cluster.kill, "gateway")
    with pytest.raises(StageUnavailable):
        await run.following
    await asyncio.to_thread(cluster.start, OTHER, "gateway")
    query = RunQuery(run_id=run.run_id, after=run.events[-1].sequence)
    run.following = asyncio.create_task(collect(FlowCalls(cluster.grpc).stream("/continue", query, ResearchEvent), run.events))
    await check_once(cluster, upstream, run)


async def test_whoever_waits_for_a_whole_answer_gets_it(cluster: Cluster, upstream: HoldingServer) -> None:
    """Unary research over gRPC, and a chat completion, whole and streamed, over HTTP."""
    await whole(cluster, upstream)
    client = FlowCalls(cluster.grpc)
    driving, other = DRIVING, OTHER
    cluster.kill(other)
    body = {"messages": [{"role": "user", "content": QUESTION}], "no_direct_answer": True}
    async with httpx.AsyncClient(timeout=90) as web:
        url = f"{cluster.http}/v1/chat/completions"
        asking: dict[str, Callable[[], Any]] = {
            "gRPC": lambda: client.call("/research", ask(), ResearchAnswer),
            "HTTP": lambda: web.post(f"{cluster.http}/research", json={"data": [{"question": QUESTION, "no_direct_answer": True}]}),
            "chat": lambda: web.post(url, json=body),
            "streamed chat": lambda: web.post(url, json={**body, "stream": True}),
        }
        for name, asked in asking.items():
            upstream.count_anew(8)
            answer = asyncio.create_task(asked())
            await upstream.arrived(8)
            await asyncio.to_thread(cluster.start, other)
            await asyncio.to_thread(cluster.kill, driving)
            driving, other = other, driving
            found = await answer
            text = found.text
            if isinstance(found, httpx.Response) and name != "streamed chat":
                text = json.dumps(found.json())
            if name == "streamed chat":
                chunks = [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: {")]
                text = "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"])
            assert text.count("Page readers scale by their number of replicas") >= 1, (name, text)
    await client.close()


async def test_the_journal_dies_in_a_call(cluster: Cluster, upstream: HoldingServer) -> None:
    """It comes back within the lease, or later; then the run is interrupted, and goes on when it is back."""
    if cluster.storage is None:
        pytest.skip("a file does not die")
    calls, usage = await whole(cluster, upstream)
    run_id = uuid.uuid4().hex
    upstream.count_anew()
    upstream.slow = {5: 2.0 * LEASE_SECONDS}
    client = FlowCalls(cluster.grpc)
    following = asyncio.create_task(collect(client.stream("/research/stream", ask(run_id=run_id), ResearchEvent)))
    await upstream.arrived(5)
    await asyncio.to_thread(cluster.storage.kill)
    await asyncio.to_thread(cluster.storage.start)
    async with asyncio.timeout(90):
        answer = await check(cluster, run_id, await following)
    assert upstream.count in (calls, calls + 1) and counted(answer.usage) == counted(usage)
    assert "Traceback" not in cluster.logs(), cluster.logs()
    await client.close()


STAGE_CALLS = {"query_planner": "DecisionOutput", "jina_searcher": "/search/", "page_reader": "/reader/", "evaluator": "DefinitiveOutput"}
"""A stage, and the path of a request that it makes, or the name of what it asks the model for."""


@pytest.mark.parametrize("stage", STAGE_CALLS)
async def test_a_stage_dies_in_a_call(cluster: Cluster, upstream: HoldingServer, stage: str) -> None:
    await whole(cluster, upstream)
    requests = upstream.requests[-upstream.count :]
    names = [schema_name(request.body) if request.path.endswith("completions") else request.path for request in requests]
    run = await begun(cluster, upstream, names.index(STAGE_CALLS[stage]) + 1)
    await asyncio.to_thread(cluster.restart, stage)
    await check_once(cluster, upstream, run)
