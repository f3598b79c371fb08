"""Which provider answers a query, and what is kept of its results."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from pydantic import SecretStr

from providers.search import create_search
from providers.search.base import Found, SearchOptions
from providers.search.chain import Registered, SearchChain
from schemas.errors import BudgetExceeded, ConfigurationError, CorpusError, InvalidRequest, SearchError
from schemas.search import SearchQuery, SearchResult
from schemas.settings import Settings
from schemas.usage import Usage
from tests.scripted import Delay, Json, Reply, ScriptedServer, Status, Text
from tests.scripted.duckduckgo import results_page

OPTIONS = SearchOptions()


class Shelf:
    """A provider that finds the same URLs for every query, or fails."""

    def __init__(self, name: str, urls: list[str], error: Exception | None = None, tokens: int = 0) -> None:
        self.name, self.urls, self.error, self.tokens = name, urls, error, tokens
        self.asked: list[str] = []
        self.at_once = self.most_at_once = 0
        self.closed = False

    async def search(self, query: SearchQuery, options: SearchOptions) -> Found:
        self.asked.append(query.text)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        if self.error is not None:
            raise self.error
        results = [SearchResult(url=url, query=query.text, source=self.name) for url in self.urls]
        return Found(results, Usage(searches=1, provider_tokens=self.tokens))

    async def close(self) -> None:
        self.closed = True


def chain(*shelves: Shelf, most_tokens: int = 0) -> SearchChain:
    registered = {shelf.name: Registered(lambda shelf=shelf: shelf, lambda options: most_tokens) for shelf in shelves}
    return SearchChain(registered, [shelf.name for shelf in shelves])


def queries(*texts: str) -> list[SearchQuery]:
    return [SearchQuery(text=text) for text in texts]


async def test_the_first_provider_that_finds_something_answers() -> None:
    broken = Shelf("broken", [], SearchError("broken is down", usage=Usage(searches=1)))
    empty, full, spare = Shelf("empty", []), Shelf("full", ["https://a.org/1"]), Shelf("spare", ["https://a.org/2"])
    response = await chain(broken, empty, full, spare).search(queries("x"), OPTIONS)
    assert [(result.url, result.source) for result in response.results] == [("https://a.org/1", "full")]
    (outcome,) = response.outcomes
    assert (outcome.query, outcome.provider, outcome.results, outcome.errors) == (
        "x",
        "full",
        1,
        ["broken is down", "empty: found nothing"],
    )
    assert response.usage.searches == 3
    assert spare.asked == []


async def test_results_keep_the_order_of_the_queries() -> None:
    response = await chain(Shelf("a", ["https://a.org/1", "https://a.org/2"])).search(queries("x", "y"), OPTIONS)
    assert [(result.query, result.url[-1]) for result in response.results] == [("x", "1"), ("x", "2"), ("y", "1"), ("y", "2")]
    assert [outcome.query for outcome in response.outcomes] == ["x", "y"]


async def test_nothing_found_is_no_failure() -> None:
    response = await chain(Shelf("a", []), Shelf("b", [], SearchError("b is down"))).search(queries("x"), OPTIONS)
    assert not response.results
    assert [(outcome.provider, outcome.errors) for outcome in response.outcomes] == [("a", ["a: found nothing", "b is down"])]


async def test_every_provider_failing_for_every_query_is_a_failure() -> None:
    failing = chain(Shelf("a", [], SearchError("a is down", usage=Usage(searches=1))), Shelf("b", [], SearchError("b is down")))
    with pytest.raises(SearchError, match=r"^no search provider answered: a is down; b is down$") as caught:
        await failing.search(queries("x", "y"), OPTIONS)
    assert caught.value.usage.searches == 2


async def test_a_wrong_corpus_is_not_hidden_by_another_provider() -> None:
    with pytest.raises(CorpusError):
        await chain(Shelf("a", [], CorpusError("no folder")), Shelf("b", ["https://b.org/"])).search(queries("x"), OPTIONS)


async def test_pages_found_twice_are_listed_once_per_query() -> None:
    shelf = Shelf("a", ["http://www.a.org/1?utm_source=x", "https://a.org/1#top", "not a url", "javascript:1", "https://a.org/2"])
    response = await chain(shelf).search(queries("x", "y"), OPTIONS)
    assert [result.url for result in response.results] == ["http://www.a.org/1?utm_source=x", "https://a.org/2"] * 2


async def test_hostnames() -> None:
    shelf = Shelf("a", ["https://a.org/", "https://docs.a.org/", "https://nota.org/", "https://b.org/", "file:///corpus/x.txt"])
    only = await chain(shelf).search(queries("x"), SearchOptions(only_hostnames=("a.org",)))
    assert [result.url for result in only.results] == ["https://a.org/", "https://docs.a.org/"]
    bad = await chain(shelf).search(queries("x"), OPTIONS, bad_hostnames=["a.org"])
    assert [result.url for result in bad.results] == ["https://nota.org/", "https://b.org/"]


@pytest.mark.parametrize("options", [OPTIONS, SearchOptions(only_hostnames=("a.org",))])
async def test_only_the_corpus_gives_files(options: SearchOptions) -> None:
    urls = ["file:///corpus/x.txt", "FILE:///etc/passwd", "file://a.org/x", "attachment:x.txt", "https://a.org/"]
    web = await chain(Shelf("web", urls)).search(queries("x"), options)
    assert [result.url for result in web.results] == ["https://a.org/"]
    corpus = await chain(Shelf("local", urls[:1])).search(queries("x"), options)
    assert [result.url for result in corpus.results] == ["file:///corpus/x.txt"]


async def test_a_provider_whose_results_are_all_unwanted_did_not_find_anything() -> None:
    response = await chain(Shelf("a", ["https://bad.org/"]), Shelf("b", ["https://good.org/"])).search(
        queries("x"), OPTIONS, bad_hostnames=["bad.org"]
    )
    assert [result.source for result in response.results] == ["b"]
    assert response.outcomes[0].errors == ["a: found only pages that are not wanted"]


async def test_one_provider_by_name() -> None:
    first, second = Shelf("first", ["https://a.org/"]), Shelf("second", [])
    response = await chain(first, second).search(queries("x"), OPTIONS, provider="second")
    assert (len(response.results), first.asked, second.asked) == (0, [], ["x"])
    with pytest.raises(InvalidRequest, match="no search provider is called 'third'; there are: first, second") as caught:
        await chain(first, second).search(queries("x"), OPTIONS, provider="third")
    assert caught.value.field == "search_provider"


async def test_queries_run_in_parallel_as_far_as_the_setting_allows(scripted: ScriptedServer) -> None:
    under_way: list[int] = []

    def slowly(request: object) -> Reply:
        under_way.append(scripted.under_way)
        return Delay(0.5 if len(under_way) <= 3 else 0.02, Json({"data": [{"url": "https://a.org/"}]}))

    scripted.search.script(slowly)
    search = create_search(Settings(jina_search_url=scripted.search_url, search_concurrency=3))
    await search.search(queries(*"abcdef"), OPTIONS)
    assert len(under_way) == 6 and max(under_way) == 3
    await search.close()


async def test_a_provider_that_does_not_fit_the_budget_is_not_asked() -> None:
    costly = Shelf("costly", ["https://a.org/"], tokens=10)
    costly_chain = chain(costly, most_tokens=10)
    response = await costly_chain.search(queries("x", "y", "z"), OPTIONS, tokens=25)
    assert costly.asked == ["x", "y"]
    assert response.usage.provider_tokens == 20
    assert response.outcomes[2].errors == ["costly: a query may cost 10 tokens, more than is left"]
    with pytest.raises(BudgetExceeded, match="costly: a query may cost 10 tokens"):
        await costly_chain.search(queries("x"), OPTIONS, tokens=9)


async def test_closing_closes_what_was_used() -> None:
    used, unused = Shelf("used", ["https://a.org/"]), Shelf("unused", [])
    both = chain(used, unused)
    await both.search(queries("x"), OPTIONS)
    await both.close()
    assert (used.closed, unused.closed) == (True, False)


HOW = "set DEEPSEARCH_CORPUS to a folder, or JINA_API_KEY, BRAVE_API_KEY, SERPER_API_KEY or SEARXNG_URL"


async def test_nothing_configured() -> None:
    search = create_search(Settings(use_duckduckgo=False))
    for provider in (None, "local"):
        with pytest.raises(ConfigurationError, match=f"^nothing to search: {HOW}$"):
            await search.search(queries("x"), OPTIONS, provider=provider)
    with pytest.raises(InvalidRequest, match=r"there are: local, jina, brave, serper, searxng, duckduckgo, arxiv$"):
        await search.search(queries("x"), OPTIONS, provider="duck")


async def test_nothing_configured_and_no_network() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    search = create_search(Settings(use_duckduckgo=True, duckduckgo_url=url))
    with pytest.raises(
        SearchError, match=f"^no search provider answered: DuckDuckGo cannot be reached: .+; to search otherwise, {HOW}$"
    ) as caught:
        await search.search(queries("x", "y"), OPTIONS)
    assert caught.value.usage.searches == 2
    with pytest.raises(ConfigurationError, match=f"^nothing to search: {HOW}$"):
        await search.search(queries("x"), OPTIONS, provider="local")
    await search.close()


KEY = SecretStr("k")
CORPUS = Path("c")


@pytest.mark.parametrize(
    ("settings", "options", "order"),
    [
        (Settings(deepsearch_corpus=CORPUS), OPTIONS, ["local"]),
        (Settings(jina_api_key=KEY), OPTIONS, ["jina"]),
        (Settings(jina_search_url="http://h/"), OPTIONS, ["jina"]),
        (Settings(deepsearch_corpus=CORPUS, jina_api_key=KEY), OPTIONS, ["local", "jina"]),
        (Settings(deepsearch_corpus=CORPUS, jina_api_key=KEY, use_jina_search=False), OPTIONS, ["local"]),
        (Settings(), SearchOptions(corpus="d"), ["local"]),
        (Settings(jina_api_key=KEY), SearchOptions(corpus="d"), ["local", "jina"]),
        (Settings(searxng_url="http://h", serper_api_key=KEY), OPTIONS, ["serper", "searxng"]),
        (
            Settings(deepsearch_corpus=CORPUS, jina_api_key=KEY, brave_api_key=KEY, serper_api_key=KEY, searxng_url="http://h"),
            OPTIONS,
            ["local", "jina", "brave", "serper", "searxng"],
        ),
    ],
)
def test_the_order_that_settings_make(settings: Settings, options: SearchOptions, order: list[str]) -> None:
    without = settings.model_copy(update={"use_duckduckgo": False})
    assert list(create_search(without)._order(None, options)) == order
    with_it = settings.model_copy(update={"use_duckduckgo": True})
    assert list(create_search(with_it)._order(None, options)) == (order if order == ["local"] else [*order, "duckduckgo"])
    assert list(create_search(without)._order("duckduckgo", options)) == ["duckduckgo"]


def test_without_any_setting_the_web_is_searched_but_a_named_corpus_alone() -> None:
    search = create_search(Settings(use_duckduckgo=True))
    assert list(search._order(None, OPTIONS)) == ["duckduckgo"]
    assert list(search._order(None, SearchOptions(corpus="d"))) == ["local"]


async def test_a_corpus_alone_never_leaves_the_machine(tmp_path: Path, scripted: ScriptedServer) -> None:
    (tmp_path / "tides.md").write_text("# Tides\n\nThe moon moves the sea.\n")
    settings = Settings(use_duckduckgo=True, duckduckgo_url=scripted.search_url, deepsearch_home=tmp_path / "home")
    search = create_search(settings.model_copy(update={"deepsearch_corpus": tmp_path}))
    for named in ("", str(tmp_path)):
        response = await search.search(queries("moon", "qqqqq"), SearchOptions(corpus=named))
        assert [(outcome.provider, outcome.results) for outcome in response.outcomes] == [("local", 1), ("local", 0)]
    await search.close()
    with pytest.raises(InvalidRequest, match=r"^corpus: "):
        await create_search(settings).search(queries("moon"), SearchOptions(corpus=str(tmp_path)))
    assert scripted.requests == []


async def test_duckduckgo_answers_when_the_others_do_not(scripted: ScriptedServer) -> None:
    def reply(request: object) -> Json | Status | Text:
        if isinstance(request, dict):
            return Status(401) if request["q"] == "x" else Json({"data": []})
        return Text(results_page([("https://a.org/1", "One", "First.")]))

    scripted.search.script(reply)
    search = create_search(
        Settings(jina_api_key=KEY, jina_search_url=scripted.search_url, use_duckduckgo=True, duckduckgo_url=scripted.search_url)
    )
    (empty,) = (await search.search(queries("y"), OPTIONS)).outcomes
    assert (empty.provider, empty.results, empty.errors) == ("duckduckgo", 1, ["jina: found nothing"])
    (rejected,) = (await search.search(queries("x"), OPTIONS)).outcomes
    assert (rejected.provider, rejected.errors) == ("duckduckgo", ["Jina search rejected the key: check JINA_API_KEY"])
    response = await search.search(queries("y"), OPTIONS)
    assert response.outcomes[0].errors == ["Jina search is not asked for 60 s: it rejected the key: check JINA_API_KEY"]
    assert response.usage.searches == 1
    await search.close()


async def test_queries_that_wait_go_on_as_soon_as_their_provider_is_left_alone(scripted: ScriptedServer) -> None:
    scripted.search.script(lambda request: Status(500) if "num" in request else Json({"results": [{"url": "https://a.org/1"}]}))
    search = create_search(
        Settings(
            jina_api_key=KEY, jina_search_url=scripted.search_url, searxng_url=scripted.url, search_concurrency=1, use_duckduckgo=False
        )
    )
    response = await search.search(queries(*"abcdefghij"), OPTIONS)
    assert {(outcome.provider, outcome.results) for outcome in response.outcomes} == {("searxng", 1)}
    refused = "Jina search is not asked for 30 s, after 5 failures in a row: it is failing: HTTP 500"
    assert [outcome.errors for outcome in response.outcomes] == [["Jina search is failing: HTTP 500"]] * 5 + [[refused]] * 5
    assert response.usage.searches == 15
    assert len(scripted.sent("/search/")) == 5
    await search.close()


async def test_the_most_that_jina_bills(scripted: ScriptedServer) -> None:
    def most(options: SearchOptions = OPTIONS, **values: object) -> int:
        return create_search(Settings(jina_api_key=KEY, **values))._registered["jina"].most_tokens(options)

    assert most() == 10_000
    assert most(jina_fetch_content=True) == 100_000
    assert most(SearchOptions(max_results=3), jina_fetch_content=True) == 30_000
    assert most(jina_fetch_content=True, jina_search_per_keyword=2) == 20_000


async def test_from_settings_to_results(scripted: ScriptedServer) -> None:
    scripted.add_page("https://a.org/tides", "Tides", "The moon moves the sea.")
    search = create_search(Settings(jina_search_url=scripted.search_url, use_duckduckgo=False))
    response = await search.search(queries("moon sea", "coffee"), OPTIONS)
    assert [result.url for result in response.results] == ["https://a.org/tides"]
    assert [outcome.results for outcome in response.outcomes] == [1, 0]
    await search.close()


async def test_a_provider_by_name_needs_its_setting() -> None:
    search = create_search(Settings(jina_api_key=SecretStr("k")))
    for provider, setting in (("brave", "BRAVE_API_KEY"), ("serper", "SERPER_API_KEY"), ("searxng", "SEARXNG_URL")):
        with pytest.raises(ConfigurationError, match=f"^{setting} is not set$") as caught:
            await search.search(queries("x"), OPTIONS, provider=provider)
        assert caught.value.field == setting


async def test_the_next_provider_answers_when_one_fails(scripted: ScriptedServer) -> None:
    scripted.search.script(lambda request: Status(500) if "autocorrect" in request else Json({"results": [{"url": "https://a.org/1"}]}))
    search = create_search(Settings(serper_api_key=SecretStr("k"), serper_search_url=scripted.search_url, searxng_url=scripted.url))
    response = await search.search(queries("x"), OPTIONS)
    (outcome,) = response.outcomes
    assert (outcome.provider, outcome.results, outcome.errors) == ("searxng", 1, ["Serper is failing: HTTP 500"])
    assert response.usage.searches == 2
    await search.close()
