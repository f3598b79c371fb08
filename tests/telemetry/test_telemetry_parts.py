"""The parts of telemetry by themselves: spans and their privacy, carrying, metrics, JSON lines, and that off means off."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.passing import passing
from schemas.errors import ConfigurationError, DeadlineExceeded, InvalidRequest, SearchError, StageUnavailable
from schemas.research import RunQuery
from schemas.usage import Usage
from telemetry import carrying, metrics, stage_calls, tracing, upstream
from telemetry.carrying import RUN
from telemetry.logs import JsonFormatter
from telemetry.model_calls import ModelCall
from tests.gateway.flow_process import free_ports
from tests.telemetry.collector import Collector

ROOT = Path(__file__).parents[2]
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
OUTSIDE = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=value"}


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    with Collector() as collector:
        tracing.start("tested", collector.endpoint)
        yield collector
        await tracing.stop()


@pytest.fixture
def served() -> Iterator[str]:
    """Metrics of a controller, which has all of them; their address."""
    port = free_ports(1)[0]
    served = metrics.Served("controller", "127.0.0.1", port)
    yield f"http://127.0.0.1:{port}/metrics"
    served.close()


def samples(url: str) -> dict[str, float]:
    """Every sample by its name and labels, without the times at which counters were made."""
    with urllib.request.urlopen(url) as response:
        lines = response.read().decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in pairs if "_created" not in name}


# -- spans ---------------------------------------------------------------------------------------------------------------


async def test_a_span_continues_the_trace_from_outside_and_tells_no_message(collector: Collector) -> None:
    with (
        pytest.raises(SearchError),
        tracing.span("door", "server", {"deepsearch.endpoint": "/x"}, parent=OUTSIDE) as door,
        tracing.span("inner"),
    ):
        assert door.carrier()["traceparent"].startswith(f"00-{TRACE}-")
        assert door.carrier()["tracestate"] == "vendor=value"
        raise SearchError("what the question was")
    await tracing.stop()
    inner, outer = collector.wait_for(lambda spans: len(spans) == 2)
    assert (outer.name, outer.service, outer.kind, outer.trace, outer.parent) == ("door", "deepsearch.tested", "server", TRACE, PARENT)
    assert (inner.name, inner.kind, inner.parent, inner.trace) == ("inner", "internal", outer.id, TRACE)
    assert outer.failed and inner.failed
    assert outer.attributes == {"deepsearch.endpoint": "/x", "error.type": "search"} and inner.attributes == {"error.type": "search"}
    assert b"what the question was" not in b"".join(collector.bytes)


async def test_without_a_name_of_a_trace_a_new_one_begins(collector: Collector) -> None:
    with tracing.span("here"), tracing.span("door", parent={}), tracing.span("child"):
        pass
    with tracing.span("cut", parent={"traceparent": "00-zz"}):
        pass
    await tracing.stop()
    spans = {span.name: span for span in collector.wait_for(lambda spans: len(spans) == 4)}
    assert spans["door"].parent == spans["cut"].parent == spans["here"].parent == ""
    assert len({span.trace for span in spans.values()}) == 3
    assert spans["child"].parent == spans["door"].id


async def test_a_cancelled_span_has_not_failed(collector: Collector) -> None:
    async def work() -> None:
        with tracing.span("work"):
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await tracing.stop()
    (span,) = collector.wait_for(lambda spans: len(spans) == 1)
    assert not span.failed and span.attributes == {"error.type": "cancelled"}


async def test_a_model_call_tells_what_was_spent_meanwhile(collector: Collector) -> None:
    spent = [Usage(prompt_tokens=5, completion_tokens=1, cost_usd=0.5)]
    with ModelCall("tiny", 0.5, "http://user:pass@models.example:8000/v1?key=secret", lambda: spent[-1]):
        spent.append(Usage(prompt_tokens=25, completion_tokens=8, cached_tokens=10, cost_usd=2.0))
    await tracing.stop()
    (span,) = collector.wait_for(lambda spans: len(spans) == 1)
    assert (span.name, span.kind) == ("chat tiny", "client")
    assert span.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "tiny",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.usage.input_tokens": 20,
        "gen_ai.usage.output_tokens": 7,
        "gen_ai.usage.cache_read.input_tokens": 10,
        "deepsearch.cost_usd": 1.5,
        "server.address": "models.example",
        "server.port": 8000,
    }
    assert b"secret" not in b"".join(collector.bytes) and b"pass" not in b"".join(collector.bytes)


async def test_a_process_without_its_collector_stops_all_the_same() -> None:
    tracing.start("tested", f"http://127.0.0.1:{free_ports(1)[0]}")
    with tracing.span("lost"):
        pass
    async with asyncio.timeout(30):
        await tracing.stop()
    assert not tracing.is_on()


async def test_metadata_names_the_run_and_the_trace(collector: Collector) -> None:
    token = carrying.RUN.set("run-1")
    try:
        with tracing.span("call", parent=OUTSIDE) as span:
            sent = carrying.metadata()
            assert dict(sent) == span.carrier() | {"deepsearch-run": "run-1"} and carrying.metadata(span) == sent
    finally:
        carrying.RUN.reset(token)
    assert carrying.run_of(sent) == "run-1" and dict(carrying.trace_of(sent)) == span.carrier()
    assert carrying.metadata() == ()


# -- off -----------------------------------------------------------------------------------------------------------------


def test_off_imports_nothing_and_makes_nothing() -> None:
    code = """
import sys
from telemetry import carrying, metrics, model_calls, serving, stage_calls, tracing, upstream
from schemas.usage import Usage
assert tracing.span("x") is tracing.NOTHING and tracing.current() is tracing.NOTHING and tracing.ids() == ("", "")
model, request = model_calls.ModelCall("m", 1, "http://b", Usage), upstream.request("a", "GET", "http://b")
with tracing.span("x") as span, span.current(), span.ending(), request, model:
    span.set({"a": 1})
    span.fail("b")
    span.stay()
    assert span.carrier() == {} and carrying.metadata() == () and carrying.headers() == {}
for metric in metrics.METRICS:
    metric.count(*metric.labels)
    metric.observe(1, *metric.labels)
    metric.put(1, *metric.labels)
    assert not metric.is_kept
print([name for name in sys.modules if name.startswith(("prometheus_client", "opentelemetry.sdk.trace", "opentelemetry.exporter"))])
"""
    told = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.stdout == "[]\n", told.stderr


# -- metrics -------------------------------------------------------------------------------------------------------------


def test_every_metric_is_in_the_documentation_and_bounded() -> None:
    lines = (ROOT / "docs/telemetry.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| `deepsearch_")]
    documented = {row[0].strip("`"): (row[1], tuple(re.findall(r"`(\w+)`", row[2]))) for row in rows if row[3] != "gateway"}
    kept = {f"{one.name}{'_total' if one.kind == 'counter' else ''}": (one.kind, one.labels) for one in metrics.METRICS}
    assert documented == kept
    assert {label for one in metrics.METRICS for label in one.labels} <= {
        "action", "code", "endpoint", "kind", "operation", "outcome", "provider", "result", "stage", "stop_reason",
    }  # fmt: skip


def test_metrics_are_served_and_forgotten_with_their_server(served: str) -> None:
    metrics.RUNS.count("finished", "answered")
    metrics.RUN_TOKENS.count("evaluator", "prompt", by=7)
    metrics.RUN_TOKENS.count("evaluator", "cached", by=0)
    metrics.RUNS_DRIVEN.count()
    metrics.RUNS_DRIVEN.count(by=-1)
    found = samples(served)
    assert found['deepsearch_runs_total{outcome="finished",stop_reason="answered"}'] == 1
    assert found['deepsearch_run_tokens_total{kind="prompt",stage="evaluator"}'] == 7
    assert 'deepsearch_run_tokens_total{kind="cached",stage="evaluator"}' not in found
    assert found["deepsearch_runs_driven"] == 0 and found["deepsearch_runs_begun_total"] == 0
    assert found["process_resident_memory_bytes"] > 0


def test_a_stage_has_no_metrics_of_the_controller() -> None:
    port = free_ports(1)[0]
    served = metrics.Served("page_reader", "127.0.0.1", port)
    try:
        assert not metrics.RUNS.is_kept and metrics.CALLS.is_kept
        assert not any("deepsearch_run" in name for name in samples(f"http://127.0.0.1:{port}/metrics"))
        with pytest.raises(ConfigurationError, match="DEEPSEARCH_STAGE_METRICS: cannot listen on 127"):
            metrics.Served("evaluator", "127.0.0.1", port)
    finally:
        served.close()


@pytest.mark.parametrize(
    ("status", "judged", "error", "outcome"),
    [
        (200, False, None, "ok"),
        (404, False, None, "ok"),  # some services answer with it
        (429, False, ValueError(), "limited"),
        (401, False, ValueError(), "rejected"),
        (402, False, ValueError(), "rejected"),
        (400, False, ValueError(), "refused"),
        (503, False, ValueError(), "failing"),
        (200, False, ValueError(), "failing"),
        (0, False, ValueError(), "unreachable"),
        (0, False, asyncio.CancelledError(), "left"),
        (0, False, TimeoutError(), "left"),
        (302, True, None, "ok"),
        (404, True, None, "refused"),
        (403, True, None, "rejected"),
        (500, True, None, "failing"),
    ],
)
def test_outcomes_of_upstream_requests(served: str, status: int, judged: bool, error: BaseException | None, outcome: str) -> None:
    try:
        with upstream.request("Jina search", "GET", "https://s.example/?q=secret") as sent:
            if status:
                sent.answered(status, judged=judged)
            if error is not None:
                raise error
    except (ValueError, TimeoutError, asyncio.CancelledError):
        pass
    counts = {name: value for name, value in samples(served).items() if name.startswith("deepsearch_upstream_request_seconds_count")}
    assert counts == {f'deepsearch_upstream_request_seconds_count{{outcome="{outcome}",provider="jina_search"}}': 1}


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "ok"),
        (DeadlineExceeded("late"), "late"),
        (StageUnavailable("gone"), "unreachable"),
        (SearchError("no"), "failed"),
        (asyncio.CancelledError(), "left"),
    ],
)
def test_outcomes_of_stage_calls(served: str, error: BaseException | None, outcome: str) -> None:
    for around in (lambda call: call, lambda call: call.ending()):
        try:
            with around(stage_calls.StageCall("page_reader", "/read")):
                if error is not None:
                    raise error
        except (DeadlineExceeded, StageUnavailable, SearchError, asyncio.CancelledError):
            pass
    found = samples(served)
    assert found[f'deepsearch_stage_call_seconds_count{{endpoint="/read",outcome="{outcome}",stage="page_reader"}}'] == 2


def test_replicas_in_use_are_those_that_answered(served: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_calls, "_seen", {})
    for replica in ("a:1", "b:1", "a:1"):
        stage_calls.answered_by("page_reader", (("deepsearch-replica", replica), ("other", "x")))
    stage_calls.answered_by("evaluator", None)
    assert {name: value for name, value in samples(served).items() if "replicas" in name} == {
        'deepsearch_stage_replicas{stage="page_reader"}': 2
    }


# -- logs ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def logger() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    logger, written = logging.getLogger("tests.telemetry.json"), io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonFormatter())
    logger.handlers, logger.propagate = [handler], False
    yield logger, written
    logger.handlers, logger.propagate = [], True


async def test_a_line_is_an_object_with_its_ids(logger: tuple[logging.Logger, io.StringIO], collector: Collector) -> None:
    log, written = logger
    token = carrying.RUN.set("run-7")
    try:
        with tracing.span("work", parent=OUTSIDE):
            log.warning("two\nlines \x1b[31mred\x1b[0m %s", "ü")
    finally:
        carrying.RUN.reset(token)
    (line,) = written.getvalue().splitlines()
    told = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told.pop("time"))
    assert len(told.pop("span_id")) == 16
    assert told == {
        "level": "WARNING",
        "logger": "tests.telemetry.json",
        "message": "two\nlines red ü",
        "run_id": "run-7",
        "trace_id": TRACE,
    }


def test_an_exception_is_told_by_kind_and_place_only(logger: tuple[logging.Logger, io.StringIO]) -> None:
    log, written = logger
    try:
        try:
            raise KeyError("sk-secret")
        except KeyError as error:
            raise ValueError("the whole prompt") from error
    except ValueError:
        log.exception("it failed")
    told = json.loads(written.getvalue())
    assert "run_id" not in told and "trace_id" not in told
    assert re.fullmatch(r"ValueError < \S+/test_telemetry_parts.py:\d+ test_\w+; after KeyError < \S+ test_\w+", told["error"])
    assert "secret" not in written.getvalue() and "prompt" not in written.getvalue()


@pytest.mark.parametrize("run_id", ["x" * 5_000_000, "a\nb", "x" * 129, "ä"])
async def test_what_cannot_be_the_id_of_a_run_is_in_no_span(collector: Collector, run_id: str) -> None:
    with passing("/cancel", RunQuery(run_id=run_id).to_protobuf()).ending():
        assert RUN.get() == ""
    with passing("/cancel", RunQuery(run_id="r-1").to_protobuf()).ending():
        assert RUN.get() == "r-1"
    await tracing.stop()
    spans = collector.wait_for(lambda spans: len(spans) == 2)
    assert [span.attributes.get("deepsearch.run_id") for span in spans] == [None, "r-1"]


def test_nothing_that_a_client_chose_makes_a_line_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    forged = "r\n2026-01-01 CRITICAL all is lost\x1b[2J\u2028"
    logging.getLogger("gateway.guard.runs").warning("run %s: %s, %d times", forged, InvalidRequest(f"no run {forged}"), 3)
    logging.getLogger("executors.controller.research").warning("run %s", "x" * 5_000_000)
    first, second = (record.getMessage() for record in caplog.records)
    escaped = "r\\n2026-01-01 CRITICAL all is lost\\x1b[2J\\u2028"
    assert first == f"run {escaped}: no run {escaped}, 3 times"
    assert len(second) < 3_000
