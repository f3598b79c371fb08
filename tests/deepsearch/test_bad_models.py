"""Whole runs with a model that misbehaves: each ends with an answer or one clear error, within its limits."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepsearch.local import LocalDeepSearch
from providers.llm.tokens import count_tokens
from schemas.errors import DeepSearchError, ModelRejected, ModelUnavailable
from schemas.research import ResearchAnswer, ResearchRequest
from schemas.settings import Settings
from tests.scripted.five_steps import add_session, reply
from tests.scripted.replies import Delay, Drop, Json, Reply, Status, Text
from tests.scripted.server import ScriptedServer

MakeSettings = Callable[..., Settings]


def settings_for(make_settings: MakeSettings, server: ScriptedServer, **values: Any) -> Settings:
    return make_settings(
        openai_base_url=server.llm_url,
        openai_api_key="scripted",
        llm_model="scripted",
        jina_api_key="scripted",
        jina_search_url=server.search_url,
        jina_reader_url=server.reader_url,
        embedding_provider="none",
        rerank_provider="none",
        use_duckduckgo=False,
        **{"llm_max_retries": 0, **values},
    )


async def run(configured: Settings, **fields: Any) -> ResearchAnswer:
    async with LocalDeepSearch(configured) as local:
        return await local.ask(ResearchRequest(question="How do I scale the page readers?", no_direct_answer=True, **fields))


async def quotes_stand_in_their_pages(configured: Settings, answer: ResearchAnswer) -> None:
    async with LocalDeepSearch(configured) as local:
        for reference in answer.references:
            page = await local.journal.page(answer.run_id, reference.page_id)
            assert page.text[reference.start : reference.end] == reference.quote != ""


def spoilt(request: Any, how: Callable[[str], Reply]) -> Reply:
    good = reply(request)
    assert isinstance(good, Json)
    return how(json.dumps(good.value))


HARMLESS: dict[str, Callable[[str], Reply]] = {
    "prose around": lambda text: Text(f"Sure! Here is what you asked for:\n```json\n{text}\n```\nAnything else?"),
    "thoughts": lambda text: Text(f"<think>{{not this}} hmm</think>\n{text}"),
    "no usage": lambda text: Text(text, usage="missing"),
    "nonsense usage": lambda text: Text(text, usage={"prompt_tokens": None, "completion_tokens": -5}),
    "trailing comma": lambda text: Text(text[:-1] + ",}"),
}


@pytest.mark.parametrize("name", HARMLESS)
async def test_a_model_with_bad_manners_still_answers(name: str, scripted: ScriptedServer, make_settings: MakeSettings) -> None:
    add_session(scripted)
    scripted.llm.script(lambda request: spoilt(request, HARMLESS[name]) if "stream" not in request else reply(request))
    answer = await run(settings_for(make_settings, scripted))
    assert (answer.stop_reason, answer.steps, len(answer.references)) == ("answered", 5, 1)
    assert answer.usage.total_tokens > 0


USELESS: dict[str, Reply] = {
    "prose": Text("I think that you should scale the page readers."),
    "wrong keys": Json({"act": "search", "q": ["x"]}),
    "truncated": Text('{"think": "I will'),
    "empty": Text(""),
    "only thoughts": Text("<think>what shall I do"),
    "a list": Json([1, 2, 3]),
    "null": Text("null"),
}


@pytest.mark.parametrize("name", USELESS)
async def test_a_useless_model_is_replaced_by_the_rules(name: str, scripted: ScriptedServer, make_settings: MakeSettings) -> None:
    """B4 and B15: what is no valid object is never taken for one; the rules decide, and the answer says what was read."""
    add_session(scripted)
    scripted.llm.script(lambda request: USELESS[name])
    configured = settings_for(make_settings, scripted)
    answer = await run(configured, max_attempts=1)
    assert answer.text and answer.read_urls and answer.references
    await quotes_stand_in_their_pages(configured, answer)


FAILING: dict[str, tuple[Reply, type[DeepSearchError], str]] = {
    "no such model": (Status(404, {"error": {"message": "no such model"}}), ModelRejected, "LLM_MODEL"),
    "wrong key": (Status(401, {"error": {"message": "bad key"}}), ModelRejected, "OPENAI_API_KEY"),
    "out of credit": (Status(402, {"error": {"message": "pay"}}), ModelRejected, "402"),
    "overloaded": (Status(429, {"error": {"message": "slow down"}}), ModelUnavailable, "429"),
    "broken": (Status(500, "oops"), ModelUnavailable, "500"),
    "web page": (Status(200, "<html>hello</html>"), DeepSearchError, "OPENAI_BASE_URL"),
    "hangs up": (Drop(), ModelUnavailable, "127.0.0.1"),
    "silent": (Delay(3600, Text("")), ModelUnavailable, "LLM_TIMEOUT_SECONDS"),
}


PATIENCE = {"silent": 0.3}
"""Seconds; every other model answers at once."""


@pytest.mark.parametrize("name", FAILING)
async def test_a_model_that_cannot_be_used_is_one_clear_error(name: str, scripted: ScriptedServer, make_settings: MakeSettings) -> None:
    scripted.llm.script(lambda request: FAILING[name][0])
    _, error, told = FAILING[name]
    with pytest.raises(error) as raised:
        await run(settings_for(make_settings, scripted, llm_timeout_seconds=PATIENCE.get(name, 20.0)))
    assert told in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("name", FAILING)
async def test_a_model_that_breaks_on_the_way_leaves_an_answer(name: str, scripted: ScriptedServer, make_settings: MakeSettings) -> None:
    """From the third decision on nothing works any more; two pages have been found by then and one was read."""
    add_session(scripted)

    def breaking(request: Any) -> Reply:
        late = any(f"This is step {step}" in request["messages"][-1]["content"] for step in (3, 4, 5))
        return FAILING[name][0] if late or request.get("stream") else reply(request)

    scripted.llm.script(breaking)
    configured = settings_for(make_settings, scripted, llm_timeout_seconds=PATIENCE.get(name, 20.0))
    answer = await run(configured)
    assert answer.stop_reason == "model_error" and answer.references and answer.notice
    await quotes_stand_in_their_pages(configured, answer)


class Moody:
    """A model that picks one of many ways to answer, each time anew."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._sanity = self._random.choice([0.2, 0.7, 0.95])

    def __call__(self, request: Any) -> Reply:
        good = reply(request)
        if self._random.random() < self._sanity or not isinstance(good, Json):
            return good
        ways = [*USELESS.values(), Status(500, "oops"), Status(400, {"error": {"message": "response_format unsupported"}}), Drop()]
        return self._random.choice([*ways, spoilt(request, HARMLESS["no usage"])])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), tokens=st.sampled_from([1_000, 3_000, 10_000, 100_000]), calls=st.sampled_from([1, 3, 10, 100]))
async def test_no_model_makes_a_run_exceed_its_limits(
    make_settings: MakeSettings, tmp_path_factory: pytest.TempPathFactory, seed: int, tokens: int, calls: int
) -> None:
    with ScriptedServer(record=False) as server:
        add_session(server)
        server.llm.count = count_tokens
        server.llm.script(Moody(seed))
        configured = settings_for(make_settings, server, deepsearch_home=tmp_path_factory.mktemp("home"))
        try:
            answer = await run(configured, budget_tokens=tokens, max_llm_calls=calls, max_pages=2, max_searches=3)
        except DeepSearchError as error:
            assert str(error) and "\n" not in str(error)
            return
        usage = answer.usage
        assert usage.total_tokens <= tokens and usage.llm_calls <= calls and usage.pages <= 2 and usage.searches <= 3
        assert answer.text
        await quotes_stand_in_their_pages(configured, answer)


async def test_money_is_a_limit_when_prices_are_known(scripted: ScriptedServer, make_settings: MakeSettings) -> None:
    add_session(scripted)
    scripted.llm.count = count_tokens
    configured = settings_for(make_settings, scripted, llm_price_input=10.0, llm_price_output=30.0, llm_max_output_tokens=256)
    answer = await run(configured, budget_usd=0.08)
    assert answer.stop_reason == "money_budget" and 0 < answer.usage.cost_usd <= 0.08
    assert answer.text and answer.references and "money limit" in answer.notice
