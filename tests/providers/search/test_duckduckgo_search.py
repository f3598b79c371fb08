"""DuckDuckGo against pages in the form of its search without scripts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

import pytest

from providers.search.base import SearchOptions
from providers.search.duckduckgo import DuckDuckGoSearch
from schemas.errors import SearchError
from schemas.search import SearchQuery
from schemas.settings import Settings
from tests.scripted import Reply, ScriptedServer, Status, Text
from tests.scripted.duckduckgo import captcha_page, nothing_found_page, results_page

OPTIONS = SearchOptions(max_results=10, timeout_seconds=5.0)
CAPTCHA = r"^DuckDuckGo asks for a captcha: it has had too many searches from here; wait, or search with a key, such as JINA_API_KEY$"


@pytest.fixture
async def duckduckgo(scripted: ScriptedServer) -> AsyncIterator[DuckDuckGoSearch]:
    made = DuckDuckGoSearch(Settings(duckduckgo_url=scripted.search_url))
    yield made
    await made.close()


def form(scripted: ScriptedServer) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(scripted.requests[-1].body, keep_blank_values=True).items()}


@pytest.mark.parametrize("redirected", [False, True])
async def test_results_with_the_addresses_as_they_are(duckduckgo: DuckDuckGoSearch, scripted: ScriptedServer, redirected: bool) -> None:
    results = [
        ("https://a.org/a%2Fb?x=1&y=%26%20z", "Tides & <the moon>", "The moon moves the sea."),
        ("https://b.org/mond", "Ebbe und Flut – eine Übersicht", ""),
        ("https://duckduckgo.com/about", "About", "Its own pages are pages."),
    ]
    scripted.search.script(lambda request: Text(results_page(results, redirected=redirected, ads=["shop.example"])))
    found = await duckduckgo.search(SearchQuery(text="moon"), OPTIONS)
    assert [(result.url, result.title, result.snippet) for result in found.results] == results
    assert {(result.query, result.source) for result in found.results} == {("moon", "duckduckgo")}
    assert (found.usage.searches, found.usage.provider_tokens) == (1, 0)


async def test_only_advertisements_are_nothing(duckduckgo: DuckDuckGoSearch, scripted: ScriptedServer) -> None:
    scripted.search.script(lambda request: Text(results_page([], ads=["shop.example"])))
    assert (await duckduckgo.search(SearchQuery(text="moon"), OPTIONS)).results == []


async def test_nothing_found(duckduckgo: DuckDuckGoSearch, scripted: ScriptedServer) -> None:
    scripted.search.script(lambda request: Text(nothing_found_page()))
    assert (await duckduckgo.search(SearchQuery(text="zzz"), OPTIONS)).results == []


@pytest.mark.parametrize("reply", [Status(202, captcha_page()), Text(captcha_page()), Status(202, "")])
async def test_a_captcha_is_no_empty_page_and_ends_the_asking(duckduckgo: DuckDuckGoSearch, scripted: ScriptedServer, reply: Reply) -> None:
    scripted.search.script(lambda request: reply)
    with pytest.raises(SearchError, match=CAPTCHA) as caught:
        await duckduckgo.search(SearchQuery(text="moon"), OPTIONS)
    assert caught.value.usage.searches == 1
    with pytest.raises(SearchError, match=r"^DuckDuckGo is not asked for 60 s: it asks for a captcha: ") as caught:
        await duckduckgo.search(SearchQuery(text="sea"), OPTIONS)
    assert caught.value.usage.searches == 0
    assert len(scripted.requests) == 1


async def test_the_request(duckduckgo: DuckDuckGoSearch, scripted: ScriptedServer) -> None:
    scripted.search.script(lambda request: Text(nothing_found_page()))
    await duckduckgo.search(SearchQuery(text="moon & sea"), OPTIONS)
    assert form(scripted) == {"q": "moon & sea", "b": "", "l": "wt-wt"}
    headers = scripted.requests[-1].headers
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert headers["user-agent"] == "Mozilla/5.0 (compatible; deepsearch/0.1)"
    query = SearchQuery(text="mond", time_range="week", location="DE", language_code="de")
    await duckduckgo.search(query, SearchOptions(only_hostnames=("a.org", "b.org")))
    assert form(scripted) == {"q": "mond (site:a.org OR site:b.org)", "b": "", "l": "de-de", "df": "w"}


@pytest.mark.parametrize(("time_range", "code"), [("hour", "d"), ("day", "d"), ("month", "m"), ("year", "y")])
async def test_time_ranges_of_the_form(duckduckgo: DuckDuckGoSearch, scripted: ScriptedServer, time_range: Any, code: str) -> None:
    scripted.search.script(lambda request: Text(nothing_found_page()))
    await duckduckgo.search(SearchQuery(text="x", time_range=time_range), OPTIONS)
    assert form(scripted)["df"] == code


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ((None, "en"), ("wt-wt", "x")),
        ((None, "fr"), ("fr-fr", "x")),
        ((None, "ja"), ("jp-jp", "x")),
        ((None, "pt-BR"), ("br-pt", "x")),
        ((None, "zh"), ("cn-zh", "x")),
        ((None, "zh-TW"), ("tw-tzh", "x")),
        ((None, "sw"), ("wt-wt", "x")),
        (("GB", "en"), ("uk-en", "x")),
        (("ch", "fr"), ("ch-fr", "x")),
        (("CH", None), ("ch-de", "x")),
        (("Berlin", "de"), ("de-de", "x Berlin")),
        (("Berlin", None), ("wt-wt", "x Berlin")),
        (("", ""), ("wt-wt", "x")),
        (("-", "-"), ("wt-wt", "x -")),
    ],
)
async def test_regions(
    duckduckgo: DuckDuckGoSearch, scripted: ScriptedServer, asked: tuple[str | None, str | None], sent: tuple[str, str]
) -> None:
    scripted.search.script(lambda request: Text(nothing_found_page()))
    await duckduckgo.search(SearchQuery(text="x", location=asked[0], language_code=asked[1]), OPTIONS)
    assert (form(scripted)["l"], form(scripted)["q"]) == sent


async def test_a_query_as_long_as_it_takes(duckduckgo: DuckDuckGoSearch, scripted: ScriptedServer) -> None:
    scripted.search.script(lambda request: Text(nothing_found_page()))
    await duckduckgo.search(SearchQuery(text="x" * 480), SearchOptions(only_hostnames=("a.org", "b.org", "c.org")))
    assert form(scripted)["q"] == "x" * 480 + " (site:a.org)"
    await duckduckgo.search(SearchQuery(text="x" * 600), SearchOptions(only_hostnames=("a.org",)))
    assert form(scripted)["q"] == "x" * 499


@pytest.mark.parametrize(
    "body",
    [
        '<?xml version="1.0" encoding="utf-8"?><html/>',
        "\x00",
        "<div>" * 50_000,
        '<div class="body">' * 200 + "<h2>x</h2>" * 100_000,
        '{"error": "?"}',
        results_page([("javascript:alert(1)", "t", "s")]).replace("href", "hrev"),
    ],
)
async def test_pages_that_are_none_of_its(duckduckgo: DuckDuckGoSearch, scripted: ScriptedServer, body: str) -> None:
    scripted.search.script(lambda request: Text(body))
    with pytest.raises(SearchError, match=r"^DuckDuckGo sent a malformed body: not a page of results$"):
        await duckduckgo.search(SearchQuery(text="x"), OPTIONS)


async def test_links_that_lead_nowhere_are_left_out(duckduckgo: DuckDuckGoSearch, scripted: ScriptedServer) -> None:
    links = ["javascript:alert(1)", "/relative", "https://[", "//duckduckgo.com/l/?rut=1", "ftp://a.org/", "https://a.org/"]
    scripted.search.script(lambda request: Text(results_page([(link, "t", "s") for link in links])))
    assert [result.url for result in (await duckduckgo.search(SearchQuery(text="x"), OPTIONS)).results] == ["https://a.org/"]


def test_the_library_is_loaded_only_for_duckduckgo() -> None:
    program = (
        "import sys; from providers.search import create_search; from schemas.settings import Settings; "
        "create_search(Settings(_env_file=None)); print('ddgs' in sys.modules or 'primp' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "False\n"
