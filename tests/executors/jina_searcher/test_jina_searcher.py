"""The searcher's endpoint."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from docarray import DocList

from executors.jina_searcher.executor import JinaSearcher
from schemas.errors import ConfigurationError, InvalidRequest, SearchError
from schemas.search import SearchQuery, SearchRequest
from schemas.settings import Settings
from tests.scripted import Delay, Json, ScriptedServer, Status


@pytest.fixture
async def searcher(scripted: ScriptedServer) -> AsyncIterator[JinaSearcher]:
    searcher = JinaSearcher(settings=Settings(jina_search_url=scripted.search_url, search_timeout_seconds=3.0, use_duckduckgo=False))
    yield searcher
    await searcher.close()


def request(*texts: str, **fields: object) -> SearchRequest:
    return SearchRequest(queries=DocList[SearchQuery](SearchQuery(text=text) for text in texts), **fields)


async def test_search(searcher: JinaSearcher, scripted: ScriptedServer) -> None:
    scripted.add_page("https://a.org/tides", "Tides", "The moon moves the sea.")
    scripted.add_page("https://b.org/moon", "Moon", "About the moon.")
    response = await searcher.search(request("moon", bad_hostnames=["https://B.org/"], only_hostnames=["a.org"], max_results=5))
    assert [(result.url, result.query, result.source) for result in response.results] == [("https://a.org/tides", "moon", "jina")]
    assert scripted.requests[0].body == {"q": "moon (site:a.org)", "num": 5}
    assert response.usage.searches == 1


async def test_the_settings_bound_the_time(searcher: JinaSearcher, scripted: ScriptedServer) -> None:
    scripted.search.script(lambda request: Delay(60, Json({})))
    with pytest.raises(SearchError, match=r"Jina search did not answer within 3 s"):
        await searcher.search(request("moon", timeout_seconds=100))


async def test_one_failing_query_does_not_take_the_others_with_it(searcher: JinaSearcher, scripted: ScriptedServer) -> None:
    body = {"data": [{"url": "https://a.org/", "title": "A"}]}
    scripted.search.script(lambda request: Status(500) if request["q"] == "bad" else Json(body))
    response = await searcher.search(request("bad", "good"))
    assert [(outcome.provider, outcome.results, len(outcome.errors)) for outcome in response.outcomes] == [("", 0, 1), ("jina", 1, 0)]
    assert response.usage.searches == 2


async def test_page_contents_are_passed_on(scripted: ScriptedServer) -> None:
    scripted.search.script(
        lambda request: Json({"data": [{"url": "https://a.org/", "content": "All of it.", "usage": {"tokens": 10_000}}]})
    )
    searcher = JinaSearcher(settings=Settings(jina_search_url=scripted.search_url, jina_fetch_content=True))
    response = await searcher.search(request("moon", max_results=3))
    assert [outcome.errors for outcome in response.outcomes] == [[]]
    assert [(result.url, result.content) for result in response.results] == [("https://a.org/", "All of it.")]
    assert response.usage.provider_tokens == 10_000
    await searcher.close()


async def test_nothing_to_search() -> None:
    searcher = JinaSearcher(settings=Settings(use_duckduckgo=False))
    with pytest.raises(ConfigurationError, match=r"^nothing to search: "):
        await searcher.search(request("moon"))
    await searcher.close()


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (request(), "queries"),
        (request("moon", " "), "queries"),
        (request(*["moon"] * 21), "queries"),
        (request("moon", max_results=0), "max_results"),
        (request("moon", max_results=101), "max_results"),
        (request("moon", timeout_seconds=0), "timeout_seconds"),
        (request("moon", timeout_seconds=float("nan")), "timeout_seconds"),
        (request("moon", only_hostnames=["a.org) OR (site:evil.org"]), "only_hostnames"),
        (request("moon", bad_hostnames=["?"]), "bad_hostnames"),
        (request("moon", provider="duck"), "search_provider"),
    ],
)
async def test_invalid_requests_name_their_field(searcher: JinaSearcher, bad: SearchRequest, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await searcher.search(bad)
    assert caught.value.field == field
