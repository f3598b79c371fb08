"""What is particular to arXiv: its query language, its feed, its turns."""

from __future__ import annotations

import asyncio
import re
from datetime import date
from itertools import pairwise

import pytest

from providers.search.arxiv import ArxivSearch
from providers.search.base import Found, SearchOptions
from schemas.errors import SearchError
from schemas.search import SearchQuery
from schemas.settings import Settings
from tests.scripted import Delay, ScriptedServer, Text

EMPTY = '<feed xmlns="http://www.w3.org/2005/Atom"/>'
FEED = """<?xml version="1.0" encoding="UTF-8"?>
<feed xmlns="http://www.w3.org/2005/Atom" xmlns:arxiv="http://arxiv.org/schemas/atom">
  <title>arXiv Query</title>
  <entry>
    <id>http://arxiv.org/abs/2401.00001v2</id>
    <published>2024-01-03T17:59:59Z</published>
    <title>Long titles
      are broken</title>
    <summary>  Where x &lt; y,
      things differ.
    </summary>
    <link href="http://arxiv.org/pdf/2401.00001v2" rel="related" type="application/pdf" title="pdf"/>
  </entry>
  <entry><title>Without an address</title></entry>
</feed>"""


async def ask(server: ScriptedServer, body: str, query: SearchQuery, options: SearchOptions | None = None) -> Found:
    server.search.script(lambda request: Text(body))
    arxiv = ArxivSearch(Settings(arxiv_search_url=server.search_url), interval_seconds=0)
    try:
        return await arxiv.search(query, options or SearchOptions())
    finally:
        await arxiv.close()


async def test_papers(scripted: ScriptedServer) -> None:
    found = await ask(scripted, FEED, SearchQuery(text="x"))
    (paper,) = found.results
    assert (paper.url, paper.title, paper.snippet, paper.published) == (
        "https://arxiv.org/abs/2401.00001v2", "Long titles are broken", "Where x < y, things differ.", "2024-01-03",
    )  # fmt: skip


async def test_the_request(scripted: ScriptedServer) -> None:
    await ask(scripted, EMPTY, SearchQuery(text='What is "Sparse" attention: AND (cat:x)?'), SearchOptions(max_results=3))
    await ask(scripted, EMPTY, SearchQuery(text="tides", time_range="week", location="Berlin", language_code="de"))
    plain, recent = (request.body for request in scripted.requests)
    assert plain == {"search_query": "all:sparse OR all:attention OR all:cat OR all:x", "max_results": "3"}
    match = re.fullmatch(r"\(all:tides\) AND submittedDate:\[(\d{8})0000 TO (\d{8})2359\]", recent["search_query"])
    assert match
    since, until = (date(int(day[:4]), int(day[4:6]), int(day[6:])) for day in match.groups())
    assert (until - since).days == 7
    assert scripted.requests[0].headers["accept"] == "application/atom+xml"


@pytest.mark.parametrize(("hosts", "asked"), [(("arxiv.org",), 1), (("org",), 1), (("a.org",), 0)])
async def test_hostnames(hosts: tuple[str, ...], asked: int, scripted: ScriptedServer) -> None:
    found = await ask(scripted, FEED, SearchQuery(text="x"), SearchOptions(only_hostnames=hosts))
    assert (len(found.results), found.usage.searches, len(scripted.requests)) == (asked, asked, asked)


async def test_a_query_without_words_finds_nothing(scripted: ScriptedServer) -> None:
    assert (await ask(scripted, FEED, SearchQuery(text="?! :"))).results == []
    assert scripted.requests == []


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            f'<!DOCTYPE feed [<!ENTITY l0 "lol">{LAUGHS}]><feed>&l11;</feed>',
            "arXiv sent a malformed body: an Atom feed has no document type",
        ),
        ('<!DOCTYPE feed SYSTEM "file:///etc/passwd"><feed/>', "arXiv sent a malformed body: an Atom feed has no document type"),
        ("<feed/>", "arXiv sent a malformed body: not an Atom feed"),
        ('<feed xmlns="http://www.w3.org/2005/Atom">&undefined;</feed>', "arXiv sent a malformed body: not an Atom feed"),
        ("<a>" * 100_000, "arXiv sent a malformed body: not an Atom feed"),
        ("\ufeff" + "\x00", "arXiv sent a malformed body: not an Atom feed"),
        (
            '<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>http://arxiv.org/api/errors#x</id>'
            "<summary>No\nsuch field</summary></entry></feed>",
            "arXiv refused the query: No such field",
        ),
    ],
    ids=["entities", "external", "no namespace", "undefined entity", "deep", "zero", "error entry"],
)
async def test_hostile_feeds(body: str, message: str, scripted: ScriptedServer) -> None:
    with pytest.raises(SearchError) as caught:
        await ask(scripted, body, SearchQuery(text="x"))
    assert str(caught.value) == message
    assert caught.value.usage.searches == 1


async def test_requests_take_turns(scripted: ScriptedServer) -> None:
    scripted.search.script(lambda request: Text(EMPTY))
    arxiv = ArxivSearch(Settings(arxiv_search_url=scripted.search_url), interval_seconds=0.1)
    await asyncio.gather(*(arxiv.search(SearchQuery(text=text), SearchOptions()) for text in ("x", "y", "z")))
    times = [request.time for request in scripted.requests]
    assert [request.body["search_query"] for request in scripted.requests] == ["all:x", "all:y", "all:z"]
    assert min(later - earlier for earlier, later in pairwise(times)) >= 0.09
    await arxiv.close()


async def test_a_turn_that_comes_too_late(scripted: ScriptedServer) -> None:
    scripted.search.script(lambda request: Text(EMPTY))
    arxiv = ArxivSearch(Settings(arxiv_search_url=scripted.search_url), interval_seconds=60)
    await arxiv.search(SearchQuery(text="x"), SearchOptions())
    with pytest.raises(SearchError, match=r"^arXiv had no turn for it in time \(1 at a time, 1 in 60 s\)$") as caught:
        await arxiv.search(SearchQuery(text="y"), SearchOptions(timeout_seconds=0.2))
    assert caught.value.usage.searches == 0
    assert len(scripted.requests) == 1
    await arxiv.close()


async def test_a_query_that_is_cancelled_gives_its_turn_back(scripted: ScriptedServer) -> None:
    replies = [Delay(60, Text(EMPTY)), Text(FEED)]
    scripted.search.script(lambda request: replies.pop(0))
    arxiv = ArxivSearch(Settings(arxiv_search_url=scripted.search_url), interval_seconds=0)
    first = asyncio.create_task(arxiv.search(SearchQuery(text="x"), SearchOptions()))
    assert await asyncio.to_thread(scripted.wait_for_requests)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert len((await arxiv.search(SearchQuery(text="y"), SearchOptions(timeout_seconds=2))).results) == 1
    await arxiv.close()
