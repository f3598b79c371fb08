"""What every provider of web search does alike, each against a server that speaks its wire format."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from email.utils import formatdate
from functools import partial
from typing import Any

import pytest
from pydantic import SecretStr

from providers.search import PROVIDERS
from providers.search.arxiv import ArxivSearch
from providers.search.base import SearchOptions, SearchProvider
from schemas.errors import SearchError
from schemas.search import SearchQuery
from schemas.settings import Settings
from tests.scripted import Delay, Drip, Drop, Reply, ScriptedServer, Status, Text
from tests.scripted.duckduckgo import results_page

OPTIONS = SearchOptions(max_results=10, timeout_seconds=5.0)
SECRET = "secret-key"


def _json(make: Callable[[list[dict[str, Any]]], Any], snippet: str, url: str = "url") -> Callable[[Sequence[str]], str]:
    """The body of an answer that found pages, each titled and described by its URL."""

    def body(urls: Sequence[str]) -> str:
        return json.dumps(make([{url: address, "title": f"Title of {address}", snippet: f"Snippet of {address}"} for address in urls]))

    return body


def _html(urls: Sequence[str]) -> str:
    return results_page([(url, f"Title of {url}", f"Snippet of {url}") for url in urls])


def _atom(urls: Sequence[str]) -> str:
    entries = [f"<entry><id>{url}</id><title>Title of {url}</title><summary>Snippet of {url}</summary></entry>" for url in urls]
    return f'<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom">{"".join(entries)}</feed>'


@dataclass(frozen=True)
class Case:
    """A provider, its way of speaking, and its name in messages."""

    name: str
    service: str
    setting: str
    body: Callable[[Sequence[str]], str]
    format: str = "JSON object"
    most_bytes: int = 10_000_000
    keyed: bool = True
    make: Callable[[Settings], SearchProvider] | None = None

    def settings(self, server: ScriptedServer) -> Settings:
        key = SecretStr(SECRET)
        return Settings(
            jina_api_key=key,
            jina_search_url=server.search_url,
            brave_api_key=key,
            brave_search_url=server.search_url,
            serper_api_key=key,
            serper_search_url=server.search_url,
            searxng_url=server.url,
            arxiv_search_url=server.search_url,
            duckduckgo_url=server.search_url,
            search_per_minute=6_000,
            search_timeout_seconds=0.2,
        )


CASES = [
    Case("jina", "Jina search", "JINA_API_KEY", _json(lambda items: {"data": items}, "description")),
    Case("brave", "Brave Search", "BRAVE_API_KEY", _json(lambda items: {"web": {"results": items}}, "description")),
    Case("serper", "Serper", "SERPER_API_KEY", _json(lambda items: {"organic": items}, "snippet", "link")),
    Case("searxng", "SearXNG", "SEARXNG_URL", _json(lambda items: {"results": items}, "content"), keyed=False),
    Case("duckduckgo", "DuckDuckGo", "", _html, format="page of results", most_bytes=2_000_000, keyed=False),
    Case("arxiv", "arXiv", "", _atom, format="Atom feed", most_bytes=5_000_000, keyed=False, make=partial(ArxivSearch, interval_seconds=0)),
]


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    assert isinstance(request.param, Case)
    return request.param


@pytest.fixture
async def provider(case: Case, scripted: ScriptedServer) -> AsyncIterator[SearchProvider]:
    made = (case.make or PROVIDERS[case.name])(case.settings(scripted))
    yield made
    await made.close()


def test_every_provider_of_web_search_is_here() -> None:
    assert [case.name for case in CASES] == [name for name in PROVIDERS if name != "local"]


async def test_results(case: Case, provider: SearchProvider, scripted: ScriptedServer) -> None:
    urls = ["https://a.org/1", "https://b.org/2?x=y"]
    scripted.search.script(lambda request: Text(case.body(urls)))
    found = await provider.search(SearchQuery(text="numbers"), OPTIONS)
    assert [result.model_dump(exclude={"id"}) for result in found.results] == [
        {
            "url": url,
            "title": f"Title of {url}",
            "snippet": f"Snippet of {url}",
            "query": "numbers",
            "source": case.name,
            "published": None,
            "content": "",
            "page_id": "",
            "score": 0.0,
        }
        for url in urls
    ]
    assert (found.usage.searches, found.usage.provider_tokens) == (1, 0)
    assert len(scripted.requests) == 1


async def test_nothing_found(case: Case, provider: SearchProvider, scripted: ScriptedServer) -> None:
    scripted.search.script(lambda request: Text(case.body([])))
    found = await provider.search(SearchQuery(text="zzz"), OPTIONS)
    assert (list(found.results), found.usage.searches) == ([], 1)


async def test_no_more_results_than_asked_for(case: Case, provider: SearchProvider, scripted: ScriptedServer) -> None:
    scripted.search.script(lambda request: Text(case.body([f"https://a.org/{n}" for n in range(50)])))
    assert len((await provider.search(SearchQuery(text="x"), replace(OPTIONS, max_results=4))).results) == 4


async def test_any_text_can_be_sought(case: Case, provider: SearchProvider, scripted: ScriptedServer) -> None:
    scripted.search.script(lambda request: Text(case.body(["https://a.org/1"])))
    query = SearchQuery(text='é&q=x#?/%00\n"(\ud800 \U0001f600 ' + "long " * 5_000)
    assert len((await provider.search(query, OPTIONS)).results) == 1


FAILURES: list[tuple[Reply, str]] = [
    (Status(401), "{service} rejected the key: check {setting}"),
    (Status(402), "{service} is out of credit: top up the account of {setting}"),
    (Status(403), "{service} rejected the key: check {setting}"),
    (Status(404), "{service} refused the request: HTTP 404"),
    (Status(429, {}, {"Retry-After": "30"}), "{service} limits the rate: HTTP 429, it asks to wait 30 s"),
    (Status(500), "{service} is failing: HTTP 500"),
    (Text("<html>"), "{service} sent a malformed body: not a{n} {format}"),
    (Text(""), "{service} sent a malformed body: not a{n} {format}"),
    (Text("[" * 100_000), "{service} sent a malformed body: not a{n} {format}"),
    (Text(" " * 10_000_001), "{service} sent more than {most_bytes} bytes"),
    (Delay(60, Status(200)), "{service} did not answer within 0.5 s"),
    (Drip(), "{service} did not answer within 0.5 s"),
]
WITHOUT_KEYS = {
    "searxng": {403: "SearXNG does not answer in JSON: add `json` to `search.formats` in its settings.yml (HTTP 403)"},
    "duckduckgo": {403: "DuckDuckGo refuses searches from here: search with a key, such as JINA_API_KEY (HTTP 403)"},
}


@pytest.mark.parametrize(("reply", "message"), FAILURES, ids=lambda value: repr(value)[:30])
async def test_failures(case: Case, provider: SearchProvider, scripted: ScriptedServer, reply: Reply, message: str) -> None:
    if not case.keyed and isinstance(reply, Status) and reply.code in (401, 402, 403):
        message = WITHOUT_KEYS.get(case.name, {}).get(reply.code, f"{case.service} refused the request: HTTP {reply.code}")
    scripted.search.script(lambda request: reply)
    options = replace(OPTIONS, timeout_seconds=0.5) if isinstance(reply, Delay | Drip) else OPTIONS
    with pytest.raises(SearchError) as caught:
        await provider.search(SearchQuery(text="x"), options)
    article = "n" if case.format.startswith("A") else ""
    assert str(caught.value) == message.format(**vars(case), n=article)
    assert caught.value.usage.searches == 1
    assert len(scripted.requests) == 1


async def failing(provider: SearchProvider, options: SearchOptions = OPTIONS) -> tuple[str, int]:
    """What a query says that fails, and how many searches it counts."""
    with pytest.raises(SearchError) as caught:
        await provider.search(SearchQuery(text="x"), options)
    return str(caught.value), caught.value.usage.searches


@pytest.mark.parametrize("dated", [False, True], ids=["seconds", "date"])
async def test_a_pause_asked_for_holds_for_every_query(case: Case, provider: SearchProvider, scripted: ScriptedServer, dated: bool) -> None:
    moment = formatdate(time.time() + 30, usegmt=True) if dated else "30"
    scripted.search.script(lambda request: Status(429, {}, {"Retry-After": moment}))
    message, searches = await failing(provider)
    assert message.startswith(f"{case.service} limits the rate: HTTP 429, it asks to wait ")
    assert searches == 1
    message, searches = await failing(provider)
    assert re.fullmatch(rf"{case.service} is not asked for (1\d|2\d|30) s: it asked for that pause", message)
    assert (searches, len(scripted.requests)) == (0, 1)


@pytest.mark.parametrize("case", CASES[:1], indirect=True, ids=["jina"])
async def test_a_short_pause_is_waited_for(case: Case, provider: SearchProvider, scripted: ScriptedServer) -> None:
    replies: list[Reply] = [Status(429, {}, {"Retry-After": "1"})]
    scripted.search.script(lambda request: replies.pop() if replies else Text(case.body(["https://a.org/1"])))
    first = asyncio.create_task(provider.search(SearchQuery(text="x"), OPTIONS))
    assert await asyncio.to_thread(scripted.wait_for_requests)
    while replies or not provider._endpoint.upstream._paused_until:  # type: ignore[attr-defined]
        await asyncio.sleep(0)
    second = await provider.search(SearchQuery(text="y"), OPTIONS)
    assert len((await first).results) == len(second.results) == 1
    paused, *later = [request.time for request in scripted.requests]
    assert len(later) == 2
    assert min(later) - paused >= 0.99


@pytest.mark.parametrize("code", [401, 402, 403])
async def test_a_rejection_is_not_tried_again_for_a_while(
    case: Case, provider: SearchProvider, scripted: ScriptedServer, code: int
) -> None:
    if case.name == "duckduckgo" and code != 403:
        pytest.skip("without keys, these mean nothing there")
    scripted.search.script(lambda request: Status(code))
    message, _ = await failing(provider)
    scripted.search.script(lambda request: Text(case.body([])))
    again, searches = await failing(provider)
    assert again == f"{case.service} is not asked for 60 s: it {message.removeprefix(case.service).strip()}"
    assert (searches, len(scripted.requests)) == (0, 1)


@pytest.mark.parametrize("reply", [Status(500), Text("[]"), Text('{"a": 1}'), Drip()], ids=["500", "malformed", "another form", "drip"])
async def test_a_provider_that_keeps_failing_is_left_alone(
    case: Case, provider: SearchProvider, scripted: ScriptedServer, reply: Reply
) -> None:
    scripted.search.script(lambda request: reply)
    options = replace(OPTIONS, timeout_seconds=0.5) if isinstance(reply, Drip) else OPTIONS
    causes = {(await failing(provider, options))[0] for _ in range(5)}
    (cause,) = causes
    message, searches = await failing(provider)
    assert message == f"{case.service} is not asked for 30 s, after 5 failures in a row: it {cause.removeprefix(case.service).strip()}"
    assert (searches, len(scripted.requests)) == (0, 5)


async def test_queries_that_are_refused_do_not_end_the_asking(case: Case, provider: SearchProvider, scripted: ScriptedServer) -> None:
    scripted.search.script(lambda request: Status(400))
    for _ in range(6):
        assert (await failing(provider))[0] == f"{case.service} refused the request: HTTP 400"
    assert len(scripted.requests) == 6


async def test_what_may_pass_is_tried_again(case: Case, provider: SearchProvider, scripted: ScriptedServer) -> None:
    replies: list[Reply] = [Drop(), Status(429, {}, {"Retry-After": "0"}), Text(case.body(["https://a.org/1"]))]
    scripted.search.script(lambda request: replies.pop(0))
    assert len((await provider.search(SearchQuery(text="x"), OPTIONS)).results) == 1
    assert len(scripted.requests) == 3


async def test_the_key_is_in_a_header_only(case: Case, provider: SearchProvider, scripted: ScriptedServer) -> None:
    scripted.search.script(lambda request: Text(case.body([])))
    await provider.search(SearchQuery(text="x"), OPTIONS)
    (request,) = scripted.requests
    assert SECRET not in f"{request.path} {request.body}"
    assert any(SECRET in value for value in request.headers.values()) == case.keyed
