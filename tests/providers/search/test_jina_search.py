"""Jina search against a server that speaks its wire format."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr

from providers.search.base import SearchOptions
from providers.search.jina import JinaSearch
from schemas.errors import ConfigurationError, SearchError
from schemas.search import SearchQuery
from schemas.settings import Settings
from schemas.usage import Usage
from tests.scripted import Json, Reply, ScriptedServer, Status

OPTIONS = SearchOptions(max_results=10, timeout_seconds=5.0)


@pytest.fixture
async def jina(scripted: ScriptedServer) -> AsyncIterator[JinaSearch]:
    jina = JinaSearch(Settings(jina_search_url=scripted.search_url, jina_api_key=SecretStr("secret-key")))
    yield jina
    await jina.close()


def numbers(usage: Usage) -> tuple[int, int]:
    return usage.searches, usage.provider_tokens


async def test_results(jina: JinaSearch, scripted: ScriptedServer) -> None:
    items = [
        {"title": "One", "description": "First.", "url": "https://a.org/1", "date": "Jan 3, 2024", "usage": {"tokens": 100}},
        {"title": "Two", "description": "Second.", "url": "https://b.org/2", "content": "All of it.", "usage": {"tokens": 20}},
    ]
    scripted.search.script(lambda request: Json({"code": 200, "status": 20000, "data": items}))
    found = await jina.search(SearchQuery(text="numbers"), OPTIONS)
    assert [result.model_dump(exclude={"id"}) for result in found.results] == [
        {"url": "https://a.org/1", "title": "One", "snippet": "First.", "query": "numbers", "source": "jina",
         "published": "2024-01-03", "content": "", "page_id": "", "score": 0.0},
        {"url": "https://b.org/2", "title": "Two", "snippet": "Second.", "query": "numbers", "source": "jina",
         "published": None, "content": "All of it.", "page_id": "", "score": 0.0},
    ]  # fmt: skip
    assert numbers(found.usage) == (1, 120)


async def test_the_other_form_of_results(jina: JinaSearch, scripted: ScriptedServer) -> None:
    body = {"results": [{"title": "One", "snippet": "First.", "url": "https://a.org/1"}], "meta": {"credits": 700}}
    scripted.search.script(lambda request: Json(body))
    found = await jina.search(SearchQuery(text="numbers"), OPTIONS)
    assert [(result.url, result.title, result.snippet) for result in found.results] == [("https://a.org/1", "One", "First.")]
    assert numbers(found.usage) == (1, 700)


async def test_the_total_usage_goes_before_the_items_usage(jina: JinaSearch, scripted: ScriptedServer) -> None:
    body = {"data": [{"url": "https://a.org/1", "usage": {"tokens": 5}}], "meta": {"usage": {"tokens": 10_000}}}
    scripted.search.script(lambda request: Json(body))
    assert numbers((await jina.search(SearchQuery(text="x"), OPTIONS)).usage) == (1, 10_000)


async def test_the_request(jina: JinaSearch, scripted: ScriptedServer) -> None:
    await jina.search(SearchQuery(text="plain"), OPTIONS)
    query = SearchQuery(text="filtered", time_range="week", location="Berlin", language_code="de")
    await jina.search(query, SearchOptions(max_results=3, only_hostnames=("a.org", "b.org")))
    plain, filtered = scripted.requests
    assert plain.body == {"q": "plain", "num": 10}
    assert filtered.body == {"q": "filtered (site:a.org OR site:b.org)", "num": 3, "tbs": "qdr:w", "location": "Berlin", "hl": "de"}
    assert plain.headers["authorization"] == "Bearer secret-key"
    assert plain.headers["accept"] == "application/json"
    assert plain.headers["x-respond-with"] == "no-content"


@pytest.mark.parametrize(("time_range", "tbs"), [("hour", "qdr:h"), ("day", "qdr:d"), ("month", "qdr:m"), ("year", "qdr:y")])
async def test_time_ranges(jina: JinaSearch, scripted: ScriptedServer, time_range: Any, tbs: str) -> None:
    await jina.search(SearchQuery(text="x", time_range=time_range), OPTIONS)
    assert scripted.requests[0].body["tbs"] == tbs


async def test_page_contents(scripted: ScriptedServer) -> None:
    item = {"title": "One", "description": "First.", "url": "https://a.org/1", "content": "All of it.", "usage": {"tokens": 12_000}}
    scripted.search.script(lambda request: Json({"data": [item, item | {"url": "https://a.org/2", "content": ""}]}))
    jina = JinaSearch(Settings(jina_search_url=scripted.search_url, jina_fetch_content=True))
    found = await jina.search(SearchQuery(text="x"), OPTIONS)
    assert [(result.url, result.content) for result in found.results] == [("https://a.org/1", "All of it."), ("https://a.org/2", "")]
    assert found.usage.provider_tokens == 24_000
    headers = scripted.requests[0].headers
    assert "x-respond-with" not in headers
    assert (headers["x-retain-images"], headers["x-md-link-style"], headers["x-timeout"]) == ("none", "discarded", "4")
    await jina.close()


async def test_results_for_each_query(scripted: ScriptedServer) -> None:
    scripted.search.script(lambda request: Json({"data": [{"url": f"https://a.org/{n}"} for n in range(50)]}))
    jina = JinaSearch(Settings(jina_search_url=scripted.search_url, jina_search_per_keyword=20))
    assert len((await jina.search(SearchQuery(text="x"), OPTIONS)).results) == 20
    assert scripted.requests[0].body["num"] == 20
    await jina.close()


async def test_without_a_key(scripted: ScriptedServer) -> None:
    jina = JinaSearch(Settings(jina_search_url=scripted.search_url))
    await jina.search(SearchQuery(text="x"), OPTIONS)
    assert "authorization" not in scripted.requests[0].headers
    scripted.search.script(lambda request: Status(401))
    with pytest.raises(SearchError, match=r"^Jina search asks for a key: set JINA_API_KEY$"):
        await jina.search(SearchQuery(text="x"), OPTIONS)
    await jina.close()


def test_a_key_that_cannot_be_sent() -> None:
    with pytest.raises(ConfigurationError, match=r"^JINA_API_KEY "):
        JinaSearch(Settings(jina_api_key=SecretStr("two words")))


NOTHING = {"data": None, "code": 422, "status": 42206, "message": "No search results available for query zzz"}


@pytest.mark.parametrize("reply", [Json({"code": 200, "data": []}), Json({"results": []}), Status(422, NOTHING)])
async def test_nothing_found(jina: JinaSearch, scripted: ScriptedServer, reply: Reply) -> None:
    scripted.search.script(lambda request: reply)
    found = await jina.search(SearchQuery(text="zzz"), OPTIONS)
    assert found.results == []
    assert numbers(found.usage) == (1, 0)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Status(422, {"code": 422, "message": "q is too long"}), "Jina search refused the query: q is too long"),
        (Json({"code": 200, "data": {"0": 1}}), "Jina search sent a malformed body: neither `data` nor `results` is a list"),
        (Json({}), "Jina search sent a malformed body: neither `data` nor `results` is a list"),
    ],
)
async def test_failures(jina: JinaSearch, scripted: ScriptedServer, reply: Reply, message: str) -> None:
    scripted.search.script(lambda request: reply)
    with pytest.raises(SearchError) as caught:
        await jina.search(SearchQuery(text="x"), OPTIONS)
    assert str(caught.value) == message
    assert caught.value.usage.searches == 1


async def test_fields_of_any_type_do_no_harm(jina: JinaSearch, scripted: ScriptedServer) -> None:
    items: list[Any] = [
        None, 7, "text", [], {}, {"url": None}, {"url": 7}, {"url": "https://a.org/" + "x" * 5_000},
        {"url": "https://a.org/1", "title": ["x"], "description": {"a": 1}, "content": 7, "date": [], "usage": "many"},
        {"url": "https://a.org/2", "title": "t" * 9_999, "description": "d" * 99_999, "usage": {"tokens": "1e9"}},
        {"url": "https://a.org/3", "title": "\ud800", "usage": {"tokens": 2**60}},
    ]  # fmt: skip
    scripted.search.script(lambda request: Json({"data": items}))
    found = await jina.search(SearchQuery(text="x"), OPTIONS)
    assert [result.url for result in found.results] == ["https://a.org/1", "https://a.org/2", "https://a.org/3"]
    assert found.results[0].title == found.results[0].snippet == found.results[0].content == ""
    assert (len(found.results[1].title), len(found.results[1].snippet)) == (500, 4_000)
    assert found.results[2].title == "?"
    assert found.usage.provider_tokens == 2**31 - 1
