"""Questions through the real Flow over real sockets, with a scripted model, search and reader."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from docarray import DocList
from jina import Client

from deepsearch.client import DeepSearchClient
from deepsearch.flow_calls import FlowCalls
from schemas.errors import InvalidRequest, RunNotFound
from schemas.events import ResearchEvent
from schemas.planning import DecideRequest, Decision, Understanding, UnderstandRequest
from schemas.ranking import DedupeRequest, DedupeResponse
from schemas.reading import ReadRequest, ReadResponse
from schemas.research import ResearchAnswer, ResearchRequest, RunList, RunQuery, RunReport, RunSummary
from schemas.search import SearchQuery, SearchRequest, SearchResponse
from tests.gateway.flow_process import flow_of, listener, scripted_settings
from tests.scripted.five_steps import add_session, reply
from tests.scripted.replies import Delay
from tests.scripted.server import ScriptedServer

pytestmark = pytest.mark.flow

QUESTION = "How do I scale the page readers?"
ROOT = Path(__file__).parents[2]


@dataclass
class Served:
    """A Flow that is ready, and the upstreams it talks to."""

    process: subprocess.Popen[str]
    settings: dict[str, str]
    upstream: ScriptedServer

    @property
    def grpc(self) -> Client:
        return Client(host="127.0.0.1", port=int(self.settings["DEEPSEARCH_GRPC_PORT"]), protocol="grpc", asyncio=True)

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.settings['DEEPSEARCH_HTTP_PORT']}"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("home")
    with ScriptedServer() as upstream:
        add_session(upstream)
        settings = scripted_settings(upstream, home)
        with flow_of(settings, home / "log") as process:
            yield Served(process, settings, upstream)


async def stream(served: Served, on: str, request: Any) -> list[ResearchEvent]:
    return [event async for event in served.grpc.stream_doc(on=on, inputs=request, return_type=ResearchEvent)]


def research(**fields: Any) -> ResearchRequest:
    return ResearchRequest(question=QUESTION, no_direct_answer=True, **fields)


def check_answer(answer: ResearchAnswer) -> None:
    assert answer.stop_reason == "answered" and answer.mode == "model" and answer.steps == 5
    assert answer.text == "Page readers scale by their number of replicas [^1]."
    reference = answer.references[0]
    assert reference.number == 1 and reference.quote == "Page readers scale by their number of replicas."
    assert reference.url.startswith("https://host") and reference.url.endswith(".org/readers")
    usage = answer.usage
    assert usage.llm_calls == 12 and usage.searches == 3 and usage.pages == 2
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens + usage.provider_tokens
    assert sum(answer.usage_by_stage.values()) == usage.total_tokens


async def test_stream_over_grpc(served: Served) -> None:
    events = await stream(served, "/research/stream", research(run_id="grpc-stream"))
    assert events[0].type == "run_started" and events[-1].type == "run_ended"
    assert [event.data["decision"]["action"] for event in events if event.type == "decided"] == [
        "search",
        "visit",
        "search",
        "visit",
        "answer",
    ]
    check_answer(ResearchAnswer(**events[-1].data["answer"]))
    text = "".join(event.data["text"] for event in events if event.type == "answer_delta")
    assert text == events[-1].data["answer"]["text"]
    assert "very-secret" not in str(events)


async def test_post_over_grpc(served: Served) -> None:
    answers = [answer async for docs in _post(served.grpc, "/research", research(), ResearchAnswer) for answer in docs]
    check_answer(answers[0])


async def _post(client: Client, on: str, request: Any, returns: Any) -> Any:
    async for docs in client.post(on=on, inputs=DocList[type(request)]([request]), return_type=DocList[returns]):
        yield docs


async def one(served: Served, on: str, request: Any, returns: Any) -> Any:
    found = [doc async for docs in _post(served.grpc, on, request, returns) for doc in docs]
    assert len(found) == 1
    return found[0]


def test_post_over_http(served: Served) -> None:
    body = {"data": [{"question": QUESTION, "no_direct_answer": True}]}
    response = httpx.post(f"{served.http}/research", json=body, timeout=30)
    assert response.status_code == 200
    check_answer(ResearchAnswer(**response.json()["data"][0]))


def test_stream_over_http(served: Served) -> None:
    """The stock route: GET with the request as query or JSON body, answered by server-sent events."""
    with httpx.stream(
        "GET", f"{served.http}/research/stream", params={"question": QUESTION, "no_direct_answer": "true"}, timeout=30
    ) as response:
        assert response.status_code == 200
        events = [json.loads(line[6:]) for line in response.iter_lines() if line.startswith("data: {")]
    assert events[0]["type"] == "run_started" and events[-1]["data"]["outcome"] == "finished"


async def test_every_stage_can_be_called_by_itself(served: Served) -> None:
    understanding = await one(served, "/understand", UnderstandRequest(question=QUESTION), Understanding)
    assert understanding.criteria == ["definitive", "attribution", "strict"] and understanding.mode == "model"
    decision = await one(served, "/decide", DecideRequest(question=QUESTION, allowed_actions=["search"]), Decision)
    assert decision.decided_by == "model" and decision.queries == ["scale page readers"]
    queries = DocList[SearchQuery]([SearchQuery(text="scaling page readers")])
    found = await one(served, "/search", SearchRequest(queries=queries), SearchResponse)
    assert len(found.results) == 6 and found.results[0].source == "jina"
    read = await one(served, "/read", ReadRequest(url=found.results[0].url, question=QUESTION), ReadResponse)
    passage = read.passages[0]
    assert read.page.text[passage.start : passage.end] == passage.text
    deduped = await one(served, "/dedupe", DedupeRequest(texts=["iPhone 15", "iPhone 16", "iphone 15"]), DedupeResponse)
    assert deduped.texts == ["iPhone 15", "iPhone 16"]


def test_finalize_streams_over_http_from_the_last_stage(served: Served) -> None:
    with httpx.stream("GET", f"{served.http}/finalize", params={"question": QUESTION, "draft": "It is so [2024]."}, timeout=30) as response:
        chunks = [json.loads(line[6:]) for line in response.iter_lines() if line.startswith("data: {")]
    assert "".join(chunk["delta"] for chunk in chunks) == "It is so [2024]." == chunks[-1]["text"]


@pytest.mark.parametrize(
    ("path", "document", "status", "field"),
    [
        ("/research", {"question": "  "}, 400, "question"),
        ("/research", {"question": "q", "budget_tokens": 10}, 400, "budget_tokens"),
        ("/research", {"question": "q", "reasoning_effort": "extreme"}, 400, "reasoning_effort"),
        ("/understand", {"question": "q", "language_code": "klingon"}, 400, "language_code"),
        ("/search", {"queries": [{"text": "x"}], "provider": "altavista"}, 400, "search_provider"),
        ("/nothing", {}, 404, "nothing"),
        ("/cancel", {"run_id": "nobody"}, 404, "run_id"),
        ("/runs", {"limit": -1}, 400, "limit"),
    ],
)
def test_b13_bad_requests_have_their_status_and_name_the_field(served: Served, path: str, document: Any, status: int, field: str) -> None:
    response = httpx.post(served.http + path, json={"data": [document]}, timeout=30)
    assert response.status_code == status, response.text
    assert field in response.text and "Traceback" not in response.text


async def test_bad_requests_over_grpc(served: Served) -> None:
    with pytest.raises(Exception, match="question is empty") as raised:
        await one(served, "/research", ResearchRequest(question=""), ResearchAnswer)
    assert "Traceback" not in str(raised.value)
    events = await stream(served, "/research/stream", ResearchRequest(question=""))
    assert events[-1].type == "run_ended" and events[-1].data["code"] == "invalid_request"


async def test_a_corpus_that_may_not_be_searched_is_refused_at_every_door_before_a_run_begins(served: Served) -> None:
    before = (await one(served, "/runs", RunQuery(), RunList)).runs
    wanted: dict[str, Any] = {"question": QUESTION, "corpus": "/etc"}
    chat = {"messages": [{"role": "user", "content": QUESTION}], "corpus": "/etc"}
    for path, body, field in (
        ("/v1/research", wanted, "field"),
        ("/v1/chat/completions", chat, "param"),
        ("/v1/chat/completions", {**chat, "stream": True}, "param"),
        ("/v1/responses", {"input": QUESTION, "corpus": "/etc"}, "param"),
        ("/research", {"data": [wanted]}, "field"),
    ):
        response = await asyncio.to_thread(httpx.post, served.http + path, json=body, timeout=30)
        assert response.status_code == 400, (path, response.text)
        assert "corpus: only the folder set as DEEPSEARCH_CORPUS" in response.text
        if not path.startswith("/research"):
            assert response.json()["error"][field] == "corpus"
    with httpx.stream("GET", f"{served.http}/research/stream", params=wanted, timeout=30) as told:
        events = [json.loads(line[6:]) for line in told.iter_lines() if line.startswith("data: {")]
    ended = {"outcome": "failed", "code": "invalid_request", "field": "corpus"}
    assert len(events) == 1 and events[0]["data"].items() >= ended.items()
    events = await stream(served, "/research/stream", ResearchRequest(**wanted))
    assert len(events) == 1 and events[0].data.items() >= ended.items()
    for door in (served.http, f"grpc://127.0.0.1:{served.settings['DEEPSEARCH_GRPC_PORT']}"):
        async with DeepSearchClient(door) as client:
            with pytest.raises(InvalidRequest) as refused:
                await client.ask(ResearchRequest(**wanted))
        assert refused.value.field == "corpus"
    for on in ("/research", "/submit"):
        with pytest.raises(Exception, match="corpus: only the folder set as DEEPSEARCH_CORPUS"):
            await one(served, on, ResearchRequest(**wanted), RunSummary)
    assert (await one(served, "/runs", RunQuery(), RunList)).runs == before


async def test_runs_are_listed_and_resume_of_a_finished_run_gives_its_end(served: Served) -> None:
    await stream(served, "/research/stream", research(run_id="listed"))
    runs = await one(served, "/runs", RunQuery(), RunList)
    assert "listed" in [run.run_id for run in runs.runs]
    summary = (await one(served, "/runs", RunQuery(run_id="listed"), RunList)).runs[0]
    assert summary.state == "finished" and summary.steps == 5
    events = await stream(served, "/resume", RunQuery(run_id="listed"))
    assert [event.type for event in events] == ["run_ended"]


async def _collect(source: AsyncIterator[ResearchEvent], events: list[ResearchEvent]) -> None:
    async for event in source:
        events.append(event)


@contextmanager
def silent_model(served: Served) -> Iterator[None]:
    """Within the block the model takes requests and never answers."""
    served.upstream.llm.script(lambda request: Delay(3600, reply(request)))
    try:
        yield
    finally:
        served.upstream.llm.script(reply)


async def test_a_client_that_leaves_stops_the_work_and_the_run_can_be_resumed(served: Served) -> None:
    with silent_model(served):
        lost = served.upstream.streams_lost
        client = DeepSearchClient(f"grpc://127.0.0.1:{served.settings['DEEPSEARCH_GRPC_PORT']}")
        asked = len(served.upstream.requests)
        events: list[ResearchEvent] = []
        follow = asyncio.create_task(_collect(client.stream(research(run_id="left")), events))
        assert await asyncio.to_thread(served.upstream.wait_for_requests, asked + 1)
        follow.cancel()
        await asyncio.gather(follow, return_exceptions=True)
        assert await asyncio.to_thread(served.upstream.wait_for_lost_streams, lost + 1), "the model's call was not cut"
        async with asyncio.timeout(30):
            while (await one(served, "/runs", RunQuery(run_id="left"), RunList)).runs[0].state != "interrupted":
                pass  # each turn is a call to the controller, which has just been told that the client has gone
    rest = await stream(served, "/resume", RunQuery(run_id="left"))
    assert rest[0].type == "run_resumed" and rest[0].sequence > max((event.sequence for event in events), default=0)
    check_answer(ResearchAnswer(**rest[-1].data["answer"]))


async def test_sixteen_at_once(served: Served) -> None:
    runs = await asyncio.gather(*(stream(served, "/research/stream", research()) for _ in range(16)))
    for events in runs:
        check_answer(ResearchAnswer(**events[-1].data["answer"]))
    assert len({events[0].run_id for events in runs}) == 16


async def test_a_cancelled_run_ends_as_cancelled(served: Served) -> None:
    with silent_model(served):
        asked = len(served.upstream.requests)
        run = asyncio.create_task(stream(served, "/research/stream", research(run_id="cancelled")))
        assert await asyncio.to_thread(served.upstream.wait_for_requests, asked + 1)
        await one(served, "/cancel", RunQuery(run_id="cancelled"), RunSummary)
        events = await run
    assert events[-1].data["outcome"] == "cancelled"
    assert (await one(served, "/runs", RunQuery(run_id="cancelled"), RunList)).runs[0].state == "cancelled"


async def test_a_run_is_deleted_when_it_is_not_under_way(served: Served) -> None:
    record = f"{served.http}/v1/research/deleted/record"
    async with httpx.AsyncClient() as client:
        assert (await client.delete(record)).status_code == 404
        with silent_model(served):
            asked = len(served.upstream.requests)
            run = asyncio.create_task(stream(served, "/research/stream", research(run_id="deleted")))
            assert await asyncio.to_thread(served.upstream.wait_for_requests, asked + 1)
            refused = await client.delete(record)
            assert refused.status_code == 409 and refused.json()["error"]["code"] == "run_under_way"
            await one(served, "/cancel", RunQuery(run_id="deleted"), RunSummary)
            await run
        deleted = await client.delete(record)
        assert (deleted.status_code, deleted.content) == (204, b"")
        assert (await client.delete(record)).status_code == 404
        assert (await client.get(f"{served.http}/v1/research/deleted")).status_code == 404
    await stream(served, "/research/stream", research(run_id="forgotten"))
    calls = FlowCalls(f"grpc://127.0.0.1:{served.settings['DEEPSEARCH_GRPC_PORT']}")
    assert (await calls.call("/forget", RunQuery(run_id="forgotten"), RunSummary)).state == "finished"
    with pytest.raises(RunNotFound):
        await calls.call("/run", RunQuery(run_id="forgotten"), RunReport)
    await calls.close()


async def test_a_dead_page_reader_loses_nothing(served: Served) -> None:
    """The last test: from here on one replica is gone."""
    dead, alive = served.settings["DEEPSEARCH_PAGE_READER_PORTS"].split(",")
    os.kill(listener(int(dead)), signal.SIGKILL)
    for _ in range(2):
        events = await stream(served, "/research/stream", research())
        check_answer(ResearchAnswer(**events[-1].data["answer"]))
    async with httpx.AsyncClient() as client:
        ready = await client.get(f"{served.http}/health/ready")
    readers = ready.json()["stages"]["page_reader"]
    assert (ready.status_code, readers) == (200, {f"127.0.0.1:{dead}": False, f"127.0.0.1:{alive}": True})


async def test_a_job_outlives_the_flow_that_began_it(tmp_path: Path) -> None:
    """A clean stop interrupts it, cuts its model call and ends the streams that follow it; the next Flow goes on with it."""
    with ScriptedServer() as upstream:
        add_session(upstream)
        settings = scripted_settings(upstream, tmp_path, DRAIN_SECONDS="10")
        url = f"http://127.0.0.1:{settings['DEEPSEARCH_HTTP_PORT']}/v1/research"
        upstream.llm.script(lambda request: Delay(60, reply(request)))
        async with httpx.AsyncClient(timeout=60) as client, contextlib.AsyncExitStack() as followed:
            with flow_of(settings, tmp_path / "log"):
                begun = await client.post(url, json={"question": QUESTION, "run_id": "job", "no_direct_answer": True})
                assert begun.status_code == 202
                assert await asyncio.to_thread(upstream.wait_for_requests, 1)
                stream = await followed.enter_async_context(client.stream("GET", f"{url}/job/events"))
                lines = stream.aiter_lines()
                seen = [await anext(line async for line in lines if line.startswith("event: "))]
            seen += [line async for line in lines if line.startswith("event: ")]
            assert seen[:1] == ["event: run_started"] and "event: run_ended" not in seen, "the stream ends with the Flow, cleanly"
            upstream.llm.script(reply)
            with flow_of(settings, tmp_path / "log"):
                events = (await client.get(f"{url}/job/events")).text
                report = (await client.get(f"{url}/job")).json()
        assert "event: run_resumed" in events and report["run"]["state"] == "finished"
        check_answer(ResearchAnswer(**report["answer"]))
