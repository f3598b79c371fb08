"""Runs in one process: a run that another takes over stays in its trace, a team is one trace, and off means off."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from deepsearch.local import LocalDeepSearch
from providers.cache import Memory, Question
from providers.cache.remembering import Codec
from providers.cache.sqlite import SQLiteCache
from providers.journal import create_journal
from providers.journal.measured import measured
from schemas.errors import JournalError
from schemas.research import ResearchRequest
from schemas.settings import Settings
from schemas.usage import Usage
from telemetry import metrics
from tests.gateway.flow_process import free_ports
from tests.scripted.five_steps import add_session
from tests.scripted.server import ScriptedServer
from tests.telemetry.collector import Collector
from tests.telemetry.test_telemetry_parts import samples

ROOT = Path(__file__).parents[2]
QUESTION = "How do I scale the page readers?"


@pytest.fixture
def settings(scripted: ScriptedServer, make_settings: Callable[..., Settings]) -> Callable[..., Settings]:
    add_session(scripted)

    def make(**values: object) -> Settings:
        return make_settings(
            openai_base_url=scripted.llm_url,
            llm_model="scripted",
            jina_api_key="jina-very-secret",
            jina_api_url=scripted.llm_url,
            jina_search_url=scripted.search_url,
            jina_reader_url=scripted.reader_url,
            use_duckduckgo=False,
            **values,
        )

    return make


@pytest.fixture
def served() -> Iterator[str]:
    port = free_ports(1)[0]
    served = metrics.Served("controller", "127.0.0.1", port)
    yield f"http://127.0.0.1:{port}/metrics"
    served.close()


async def test_a_run_that_another_takes_over_stays_in_its_trace(settings: Callable[..., Settings], served: str) -> None:
    with Collector() as collector:
        told = settings(otel_exporter_otlp_endpoint=collector.endpoint)
        async with LocalDeepSearch(told) as first, aclosing(first.stream(ResearchRequest(question=QUESTION, run_id="moved"))) as events:
            async for event in events:
                if event.type == "decided":
                    break
        async with LocalDeepSearch(told) as second:
            ended = [event async for event in second.resume("moved")][-1]
        assert ended.data["outcome"] == "finished"
        spans = collector.wait_for(lambda spans: sum(span.name == "run" for span in spans) == 2)
    assert len({span.trace for span in spans}) == 1
    (root,) = [span for span in spans if not span.parent]
    assert root.name == "ask" and {span.parent for span in spans if span.name == "run"} == {root.id}
    assert {span.parent for span in spans} <= {span.id for span in spans} | {""}
    found, usage = samples(served), ended.data["answer"]["usage"]
    tokens = {kind: sum(value for name, value in found.items() if f'kind="{kind}"' in name) for kind in ("prompt", "completion")}
    assert tokens == {"prompt": usage["prompt_tokens"], "completion": usage["completion_tokens"]}
    assert found["deepsearch_runs_resumed_total"] == found["deepsearch_runs_interrupted_total"] == 1
    assert found['deepsearch_runs_total{outcome="finished",stop_reason="answered"}'] == 1


async def test_the_digest_of_a_run_is_the_same_with_and_without_a_trace() -> None:
    from executors.controller.run import begin
    from executors.controller.state import digest
    from schemas import events as ev

    limits = ev.Limits(tokens=1, seconds=1, searches=1, pages=1, llm_calls=1, steps=1, attempts=1)
    started = ev.RunStarted(request=ResearchRequest(question=QUESTION, run_id="d"), limits=limits)
    traced = started.model_copy(update={"traceparent": "00-x"})
    assert begin(traced, 1.0).traceparent == "00-x" and digest(begin(traced, 1.0)) == digest(begin(started, 1.0))


def test_a_run_with_telemetry_off_imports_and_sends_nothing(
    settings: Callable[..., Settings], scripted: ScriptedServer, tmp_path: Path
) -> None:
    code = """
    import asyncio, sys
    from deepsearch.local import LocalDeepSearch
    from schemas.research import ResearchRequest

    async def ask():
        async with LocalDeepSearch() as local:
            events = [event async for event in local.stream(ResearchRequest(question="How do I scale the page readers?"))]
            assert events[-1].data["outcome"] == "finished", events[-1]
            assert "traceparent" not in events[0].data

    asyncio.run(ask())
    print([name for name in sys.modules if name.startswith(("prometheus_client", "opentelemetry.sdk.trace", "opentelemetry.exporter"))])
    """
    environment = {
        "PATH": "/usr/bin",
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "DEEPSEARCH_HOME": str(tmp_path),
        "OPENAI_BASE_URL": scripted.llm_url,
        "LLM_MODEL": "scripted",
        "JINA_API_KEY": "k",
        "JINA_API_URL": scripted.llm_url,
        "JINA_SEARCH_URL": scripted.search_url,
        "JINA_READER_URL": scripted.reader_url,
        "USE_DUCKDUCKGO": "false",
    }
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)]
    told = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert told.stdout == "[]\n", told.stderr
    assert scripted.requests and not any("traceparent" in request.headers for request in scripted.requests)


async def test_lookups_in_the_cache_are_counted(served: str, tmp_path: Path) -> None:
    memory = Memory(SQLiteCache(tmp_path / "cache.db", 1_000_000), "read-write", 3_600)
    codec = Codec[str](str.encode, bytes.decode)
    one, two = (Question("search", {"text": text}, text) for text in ("one", "two"))

    async def ask(indices: object) -> tuple[list[str], Usage]:
        return ["answer" for _ in indices], Usage()  # type: ignore[attr-defined]

    await memory.answers([one], ask, codec)
    await memory.answers([one, two], ask, codec)
    await memory.answers([one, two], ask, codec)
    await memory.close()
    assert {name: value for name, value in samples(served).items() if "cache" in name} == {
        'deepsearch_cache_lookups_total{kind="search",result="miss"}': 2,
        'deepsearch_cache_lookups_total{kind="search",result="hit"}': 3,
    }


async def test_operations_of_the_journal_are_timed(served: str, make_settings: Callable[..., Settings]) -> None:
    journal = measured(create_journal(make_settings()))
    assert await journal.runs(5) == []
    await journal.close()
    with pytest.raises(JournalError):
        await journal.runs(5)
    counts = {name: value for name, value in samples(served).items() if name.startswith("deepsearch_journal_seconds_count")}
    assert counts == {
        'deepsearch_journal_seconds_count{operation="runs",outcome="ok"}': 1,
        'deepsearch_journal_seconds_count{operation="runs",outcome="failed"}': 1,
        'deepsearch_journal_seconds_count{operation="close",outcome="ok"}': 1,
    }
