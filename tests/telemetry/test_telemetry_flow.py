"""A real Flow that tells everything: its spans to a real receiver, its metrics on its ports, its logs as JSON."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from jina import Client

from schemas.events import ResearchEvent
from schemas.research import ResearchRequest, RunQuery
from tests.gateway.flow_process import STAGE_PORTS, flow_of, scripted_settings
from tests.scripted.five_steps import add_session, reply
from tests.scripted.replies import Delay
from tests.scripted.server import ScriptedServer
from tests.telemetry.collector import Collector, Received

pytestmark = pytest.mark.flow

QUESTION = "How do I scale the page readers?"
ROOT = Path(__file__).parents[2]
STAGES = {stage.lower() for stage in STAGE_PORTS} | {"page_reader"}
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@dataclass
class Told:
    """A Flow that is ready, and everything it talks to."""

    settings: dict[str, str]
    upstream: ScriptedServer
    collector: Collector
    log: Path
    traces: dict[str, str] = field(default_factory=dict)
    """Trace ids by run id, as the events said."""

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.settings['DEEPSEARCH_HTTP_PORT']}"

    async def stream(self, on: str, request: Any, decided: asyncio.Event | None = None) -> list[ResearchEvent]:
        """The events; `decided` is set with the first decision."""
        client = Client(host="127.0.0.1", port=int(self.settings["DEEPSEARCH_GRPC_PORT"]), protocol="grpc", asyncio=True)
        events = []
        async for event in client.stream_doc(on=on, inputs=request, return_type=ResearchEvent):
            events.append(event)
            if event.type == "run_started":
                self.traces[event.run_id] = event.data["traceparent"].split("-")[1]
            if event.type == "decided" and decided is not None:
                decided.set()
        return events

    def metrics(self) -> dict[str, float]:
        """The sum of each sample of all stages, by name and labels."""
        ports = [int(self.settings[f"DEEPSEARCH_{stage}_PORT"]) for stage in STAGE_PORTS]
        ports += [int(port) for port in self.settings["DEEPSEARCH_PAGE_READER_PORTS"].split(",")]
        sums: dict[str, float] = {}
        for port in ports:
            with urllib.request.urlopen(f"http://127.0.0.1:{port + 1000}/metrics") as response:
                for line in response.read().decode().splitlines():
                    if line.startswith("deepsearch_"):
                        name, value = line.rsplit(" ", 1)
                        sums[name] = sums.get(name, 0.0) + float(value)
        return sums

    def spans_of(self, run_id: str, runs: int = 1) -> list[Received]:
        """The spans of a run's trace, when `runs` spans named `run`, as many doors, every parent, and for every call what its stage did of
        it have come: each process sends its own in its own time, children before their parents."""

        def complete(spans: list[Received]) -> bool:
            ours = [span for span in spans if span.attributes.get("deepsearch.run_id") == run_id]
            ended = [span for span in ours if span.name == "run"]
            doors = [span for span in ours if span.service == "deepsearch.gateway"]
            trace = [span for span in spans if span.trace == self.traces[run_id]]
            parents = {span.parent for span in trace}
            missing = parents - {span.id for span in trace} - {"", PARENT}
            calls = [span for span in trace if span.name.startswith("call ") and "error.type" not in span.attributes]
            return len(ended) == len(doors) == runs and not missing and all(span.id in parents for span in calls)

        return [span for span in self.collector.wait_for(complete) if span.trace == self.traces[run_id]]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    home = tmp_path_factory.mktemp("home")
    (home / "cache.db").mkdir()  # a cache that cannot be opened: every stage that has one complains, once, in the middle of a run
    with Collector() as collector, ScriptedServer() as upstream:
        add_session(upstream)
        settings = scripted_settings(
            upstream,
            home,
            LLM_PRICE_INPUT="2",
            LLM_PRICE_OUTPUT="8",
            DEEPSEARCH_CACHE="read-write",
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
            OTEL_BSP_SCHEDULE_DELAY="100",
            DEEPSEARCH_STAGE_METRICS="true",
            DEEPSEARCH_LOG_FORMAT="json",
        )
        log = home / "log"
        with flow_of(settings, log):
            yield Told(settings, upstream, collector, log)
    sent = b"".join(collector.bytes)
    for secret in ("very-secret", "scale the page", "Page readers", "replicas", "You are", "/readers"):
        assert secret.encode() not in sent, secret
    assert "very-secret" not in log.read_text() and QUESTION not in log.read_text()


async def test_a_run_is_one_trace_and_its_metrics_are_exact(told: Told) -> None:
    before, requests = told.metrics(), len(told.upstream.requests)
    events = await told.stream("/research/stream", ResearchRequest(question=QUESTION, no_direct_answer=True, run_id="one"))
    answer = events[-1].data["answer"]
    usage = answer["usage"]
    spans = told.spans_of("one")

    # One trace, with one root, the door, and every parent in it.
    by_id = {span.id: span for span in spans}
    assert [span.name for span in spans if not span.parent] == ["door /research/stream"]
    assert all(span.parent in by_id for span in spans if span.parent)
    assert {span.service for span in spans} == {"deepsearch.gateway", *(f"deepsearch.{stage}" for stage in STAGES)}
    assert not any(span.failed for span in spans)

    def above(span: Received) -> list[str]:
        names = []
        while span.parent:
            span = by_id[span.parent]
            names.append(f"{span.service.removeprefix('deepsearch.')} {span.name}")
        return names

    start = ["controller run", "controller /research/stream", "gateway door /research/stream"]
    for name, service, stage in [
        ("POST llm", "query_planner", ["query_planner chat scripted", "query_planner /decide", "controller call /decide"]),
        ("POST jina_search", "jina_searcher", ["jina_searcher /search", "controller call /search"]),
        ("POST jina_reader", "page_reader", ["page_reader /read", "controller call /read"]),
        ("POST llm", "evaluator", ["evaluator chat scripted", "evaluator /evaluate", "controller call /evaluate"]),
        ("/finalize", "answer_finalizer", ["controller call /finalize"]),
    ]:
        found = [span for span in spans if span.name == name and span.service == f"deepsearch.{service}"]
        assert found and stage + start in [above(span) for span in found], (name, [above(span) for span in found])

    # Kinds, and who says what.
    kinds = {"run": "internal", "door": "server", "call": "client", "chat": "client", "POST": "client"}
    assert all(span.kind == kinds.get(span.name.split(" ")[0], "server") for span in spans)
    (run,) = [span for span in spans if span.name == "run"]
    assert run.attributes == {
        "deepsearch.run_id": "one",
        "deepsearch.resumed": False,
        "deepsearch.outcome": "finished",
        "deepsearch.stop_reason": "answered",
        "deepsearch.steps": 5,
        "deepsearch.provider_tokens": usage["provider_tokens"],
        "deepsearch.cost_usd": pytest.approx(usage["cost_usd"]),
        "gen_ai.usage.input_tokens": usage["prompt_tokens"],
        "gen_ai.usage.output_tokens": usage["completion_tokens"],
    }
    chats = [span.attributes for span in spans if span.name == "chat scripted"]
    assert {(chat["gen_ai.operation.name"], chat["gen_ai.request.model"]) for chat in chats} == {("chat", "scripted")}
    assert len(chats) == usage["llm_calls"]
    assert sum(chat["gen_ai.usage.input_tokens"] for chat in chats) == usage["prompt_tokens"]
    assert sum(chat["gen_ai.usage.output_tokens"] for chat in chats) == usage["completion_tokens"]
    assert sum(chat["deepsearch.cost_usd"] for chat in chats) == pytest.approx(usage["cost_usd"])

    # Every request upstream is a span, carries it, and is counted.
    arrived = told.upstream.requests[requests:]
    sent = {span.id: span for span in spans if span.name.startswith("POST ")}
    assert len(sent) == len(arrived)
    assert {request.headers["traceparent"][:-3] for request in arrived} == {f"00-{span.trace}-{span.id}" for span in sent.values()}
    assert {span.attributes["http.response.status_code"] for span in sent.values()} == {200}

    news = {name: value - before.get(name, 0.0) for name, value in told.metrics().items() if value != before.get(name, 0.0)}

    def total(name: str, *labels: str) -> float:
        return sum(value for key, value in news.items() if key.split("{")[0] == name and all(label in key for label in labels))

    paths = {"llm": "/v1/chat/completions", "jina_search": "/search/", "jina_embeddings": "/v1/embeddings", "jina_reranker": "/v1/rerank"}
    for provider, path in paths.items():
        count = total("deepsearch_upstream_request_seconds_count", f'provider="{provider}"', 'outcome="ok"')
        assert count == sum(request.path == path for request in arrived), provider
    assert total("deepsearch_upstream_request_seconds_count") == len(arrived)
    assert total("deepsearch_run_tokens_total", 'kind="prompt"') == usage["prompt_tokens"]
    assert total("deepsearch_run_tokens_total", 'kind="completion"') == usage["completion_tokens"]
    assert total("deepsearch_run_tokens_total", 'kind="provider"') == usage["provider_tokens"]
    assert total("deepsearch_run_cost_usd_total") == pytest.approx(usage["cost_usd"])
    assert total("deepsearch_run_model_calls_total") == usage["llm_calls"]
    assert total("deepsearch_run_searches_total") == usage["searches"] and total("deepsearch_run_pages_total") == usage["pages"]
    steps = {name: value for name, value in news.items() if name.startswith("deepsearch_steps_total")}
    assert steps == {
        f'deepsearch_steps_total{{action="{action}"}}': count for action, count in (("search", 2), ("visit", 2), ("answer", 1))
    }
    assert total("deepsearch_runs_begun_total") == 1
    assert news['deepsearch_runs_total{outcome="finished",stop_reason="answered"}'] == 1
    assert news['deepsearch_run_duration_seconds_count{outcome="finished"}'] == 1
    calls = [event for event in events if event.type == "stage_called"]
    assert total("deepsearch_stage_call_seconds_count", 'outcome="ok"') == total("deepsearch_stage_call_seconds_count") == len(calls)
    stages = sum(total("deepsearch_calls_total", f'stage="{stage}"') for stage in STAGES - {"controller"})
    assert stages == len(calls)
    assert total("deepsearch_journal_seconds_count", 'operation="append"', 'outcome="ok"') == events[-1].sequence - 1
    assert total("deepsearch_errors_total") == 0
    now = told.metrics()
    assert now["deepsearch_runs_driven"] == 0
    assert all(value == 0 for name, value in now.items() if name.startswith("deepsearch_calls_in_flight"))
    assert now['deepsearch_stage_replicas{stage="page_reader"}'] in (1, 2) and now['deepsearch_stage_replicas{stage="evaluator"}'] == 1
    assert now['deepsearch_circuit_open{provider="llm"}'] == 0


@pytest.mark.parametrize("protocol", ["http", "grpc"])
async def test_a_trace_from_outside_is_continued(told: Told, protocol: str) -> None:
    trace = TRACE[:-4] + protocol.encode().hex()[:4]
    traceparent = f"00-{trace}-{PARENT}-01"
    request = {"question": QUESTION, "no_direct_answer": True, "run_id": f"outside-{protocol}"}
    if protocol == "http":
        async with httpx.AsyncClient(timeout=60) as client:
            answer = await client.post(f"{told.http}/research", json={"data": [request]}, headers={"traceparent": traceparent})
        assert answer.status_code == 200, answer.text
    else:
        client = Client(host="127.0.0.1", port=int(told.settings["DEEPSEARCH_GRPC_PORT"]), protocol="grpc", asyncio=True)
        posted = client.post("/research", inputs=ResearchRequest(**request), metadata=(("traceparent", traceparent),))
        assert [docs async for docs in posted]
    told.traces[request["run_id"]] = trace
    spans = told.spans_of(str(request["run_id"]))
    assert [span.name for span in spans if span.parent == PARENT] == ["door /research"]
    ids = {span.id for span in spans}
    assert all(span.parent in ids for span in spans if span.parent != PARENT)
    assert {span.name.split(" ")[0] for span in spans} >= {"door", "run", "call", "chat", "POST"}


async def test_a_resumed_run_goes_on_in_its_trace_and_is_counted_once(told: Told) -> None:
    before = told.metrics()
    decided = asyncio.Event()
    told.upstream.llm.script(lambda request: Delay(3600, reply(request)) if decided.is_set() else reply(request))
    run = asyncio.create_task(
        told.stream("/research/stream", ResearchRequest(question=QUESTION, no_direct_answer=True, run_id="left"), decided)
    )
    await decided.wait()
    async with asyncio.timeout(30):
        while not told.upstream.under_way:
            await asyncio.sleep(0.05)
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        while told.metrics()["deepsearch_runs_driven"]:
            await asyncio.sleep(0.05)
    told.upstream.llm.script(reply)
    rest = await told.stream("/resume", RunQuery(run_id="left"))
    assert rest[0].type == "run_resumed" and rest[-1].data["outcome"] == "finished"
    spans = told.spans_of("left", runs=2)
    runs = [span for span in spans if span.name == "run"]
    assert [(run.attributes["deepsearch.resumed"], run.attributes["deepsearch.outcome"]) for run in runs] == [
        (False, "interrupted"), (True, "finished"),
    ]  # fmt: skip
    assert runs[0].parent == runs[1].parent  # the request that it was begun by
    ids = {span.id for span in spans}
    assert all(span.parent in ids for span in spans if span.parent)
    all_of_it = [span for span in told.collector.spans if span.attributes.get("deepsearch.run_id") == "left"]
    assert {span.name for span in all_of_it if span not in spans} == {"door /resume", "/resume"}  # who resumed it has a trace of its own
    usage = rest[-1].data["answer"]["usage"]
    now = told.metrics()

    def more(name: str, label: str = "") -> float:
        return sum(value - before.get(key, 0.0) for key, value in now.items() if key.split("{")[0] == name and label in key)

    assert more("deepsearch_runs_begun_total") == more("deepsearch_runs_resumed_total") == more("deepsearch_runs_interrupted_total") == 1
    assert more("deepsearch_runs_total") == 1
    assert more("deepsearch_steps_total") == rest[-1].data["answer"]["steps"]
    assert more("deepsearch_run_tokens_total", 'kind="prompt"') == usage["prompt_tokens"]


async def test_watching_makes_no_spans(told: Told) -> None:
    async with httpx.AsyncClient(timeout=60) as client:
        assert (await client.post(f"{told.http}/runs", json={"data": [{"limit": 5}]})).status_code == 200
    assert not any(span.name.endswith(("/runs", "/events", "/run", "/page")) for span in told.collector.spans)


def test_every_line_of_the_log_is_json_and_those_of_a_run_name_it(told: Told) -> None:
    lines = [json.loads(line) for line in told.log.read_text().splitlines()]
    assert lines and all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    complaints = [line for line in lines if line["logger"] == "providers.cache.remembering"]
    assert {line["stage"] for line in complaints} >= {"query_planner", "jina_searcher"}
    for line in complaints:
        assert line["run_id"] in told.traces and line["level"] == "WARNING"
        assert line["trace_id"] == told.traces[line["run_id"]] and len(line["span_id"]) == 16
