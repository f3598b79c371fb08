"""Whole runs, recorded and then replayed with every server gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from deepsearch.history import fields
from deepsearch.local import LocalDeepSearch
from schemas.errors import NotRecorded
from schemas.research import ResearchAnswer, ResearchRequest
from schemas.settings import Settings
from tests.scripted import ScriptedServer, Status, Text, schema_name
from tests.scripted.five_steps import add_session, reply

MakeSettings = Callable[..., Settings]
QUESTION = "How do I scale the page readers?"


async def run(configured: Settings, **asked: Any) -> ResearchAnswer:
    request = ResearchRequest(**{"question": QUESTION, "no_direct_answer": True, "today": "2026-01-02", **asked})
    async with LocalDeepSearch(configured) as local:
        return await local.ask(request)


@pytest.fixture
def settings_for(make_settings: MakeSettings) -> Callable[..., Settings]:
    def make(server: ScriptedServer, mode: str, **values: Any) -> Settings:
        return make_settings(
            **{
                "deepsearch_cache": mode,
                "openai_base_url": server.llm_url,
                "openai_api_key": "scripted",
                "llm_model": "scripted",
                "llm_max_retries": 0,
                "llm_price_input": 0.15,
                "llm_price_output": 0.6,
                "jina_api_key": "scripted",
                "jina_search_url": server.search_url,
                "jina_reader_url": server.reader_url,
                "use_duckduckgo": False,
                "embedding_provider": "none",
                "rerank_provider": "none",
                **values,
            }
        )

    return make


def outcome(answer: ResearchAnswer) -> dict[str, Any]:
    """Everything about an answer but its run and its time."""
    return {name: value for name, value in fields(answer).items() if name not in {"run_id", "seconds"}}


async def test_a_recorded_run_is_replayed_without_any_server(settings_for: Callable[..., Settings]) -> None:
    with ScriptedServer() as server:
        add_session(server)
        recorded = await run(settings_for(server, "record"))
        sent = len(server.requests)
    assert (recorded.stop_reason, recorded.steps, len(recorded.references)) == ("answered", 5, 1)
    assert sent > 10
    replayed = await run(settings_for(server, "replay", openai_api_key=None))
    assert outcome(replayed) == outcome(recorded)
    assert recorded.usage.cost_usd > 0
    assert outcome(await run(settings_for(server, "replay"))) == outcome(recorded)


async def test_failures_of_a_recorded_run_happen_again(settings_for: Callable[..., Settings]) -> None:
    """A search, a page and several turns fail; the run goes its way around them, and the replay goes the same way."""
    failures = {"search": 1, "reader": 1, "DecisionOutput": 2}

    def failing(name: str, answer: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def handler(request: Any) -> Any:
            if failures.get(name):
                failures[name] -= 1
                return Status(400, {"message": "not this time"})
            return answer(request)

        return handler

    def model(request: Any) -> Any:
        if failures.get(schema_name(request)):
            failures[schema_name(request)] -= 1
            return Text("I would rather not decide.")
        return reply(request)

    with ScriptedServer() as server:
        add_session(server)
        server.llm.script(model)
        server.search.script(failing("search", server.search.default))
        server.reader.script(failing("reader", server.reader.default))
        pages, server.search.pages = server.search.pages, []
        for number, (_, title, text) in enumerate(pages, start=2):  # addresses where reading without the service fails at once
            server.add_page(f"http://127.0.0.{number}:9/readers", title, text)
        recorded = await run(settings_for(server, "record", deepsearch_allow_hosts="127.0.0.0/8"))
    assert not any(failures.values())
    assert outcome(await run(settings_for(server, "replay", deepsearch_allow_hosts="127.0.0.0/8"))) == outcome(recorded)


async def test_another_question_is_not_recorded(settings_for: Callable[..., Settings]) -> None:
    with ScriptedServer() as server:
        add_session(server)
        await run(settings_for(server, "record"))
    with pytest.raises(NotRecorded, match="no answer is recorded for llm: "):
        await run(settings_for(server, "replay"), question="What is tea?")


async def test_the_same_run_again_costs_nothing_in_read_write_mode(settings_for: Callable[..., Settings]) -> None:
    with ScriptedServer() as server:
        add_session(server)
        # So large a budget that the model is told the same share of it, whether the run costs anything or not.
        first = await run(settings_for(server, "read-write"), budget_tokens=50_000_000)
        sent = len(server.requests)
        second = await run(settings_for(server, "read-write"), budget_tokens=50_000_000)
        assert len(server.requests) == sent
    assert (second.text, fields(second)["references"]) == (first.text, fields(first)["references"])
    assert first.usage.total_tokens > 0
    assert fields(second.usage, defaults=False) == {}
