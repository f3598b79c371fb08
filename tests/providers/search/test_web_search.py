"""What is particular to Brave, Serper and SearXNG: their requests, and the forms of their answers."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from providers.search import PROVIDERS
from providers.search.base import Found, SearchOptions
from schemas.errors import ConfigurationError, SearchError
from schemas.search import SearchQuery
from schemas.settings import Settings
from tests.scripted import Json, Reply, ScriptedServer, Status

FILTERED = SearchQuery(text="filtered", time_range="week", location="Berlin", language_code="de")
HOSTS = SearchOptions(max_results=3, only_hostnames=("a.org", "b.org"))
KEY = SecretStr("secret-key")


async def ask(
    name: str, server: ScriptedServer, reply: Reply, query: SearchQuery | None = None, options: SearchOptions | None = None
) -> Found:
    server.search.script(lambda request: reply)
    settings = Settings(
        brave_api_key=KEY,
        brave_search_url=server.search_url,
        serper_api_key=KEY,
        serper_search_url=server.search_url,
        searxng_url=f"{server.url}/",
    )
    provider = PROVIDERS[name](settings)
    try:
        return await provider.search(query or SearchQuery(text="plain"), options or SearchOptions())
    finally:
        await provider.close()


def fields(found: Found) -> list[tuple[str, str, str, str | None]]:
    return [(result.url, result.title, result.snippet, result.published) for result in found.results]


@pytest.mark.parametrize(("provider", "setting"), [("brave", "BRAVE_API_KEY"), ("serper", "SERPER_API_KEY")])
def test_a_key_that_is_none(provider: str, setting: str) -> None:
    values: dict[str, Any] = {setting.lower(): SecretStr("two words")}
    with pytest.raises(ConfigurationError, match=f"^{setting} is not set$"):
        PROVIDERS[provider](Settings())
    with pytest.raises(ConfigurationError, match=f"^{setting} holds characters") as caught:
        PROVIDERS[provider](Settings(**values))
    assert "two words" not in str(caught.value)


NO_URLS: list[Any] = [None, 7, "text", [], {}, {"url": None, "link": 7}, {"url": "https://a.org/" + "x" * 5_000}]


@pytest.mark.parametrize(
    ("provider", "body"),
    [
        (
            "brave",
            {"web": {"results": [*NO_URLS, {"url": "https://a.org/1", "title": ["x"], "description": {}, "page_age": 7, "age": []}]}},
        ),
        ("serper", {"answerBox": 7, "knowledgeGraph": [], "organic": [*NO_URLS, {"link": "https://a.org/1", "snippet": 7, "date": {}}]}),
        ("searxng", {"results": [*NO_URLS, {"url": "https://a.org/1", "content": 7, "score": "high", "publishedDate": []}]}),
    ],
)
async def test_fields_of_any_type_do_no_harm(provider: str, body: Any, scripted: ScriptedServer) -> None:
    assert fields(await ask(provider, scripted, Json(body))) == [("https://a.org/1", "", "", None)]


@pytest.mark.parametrize(
    ("provider", "body", "message"),
    [
        ("brave", {}, "Brave Search sent a malformed body: `web.results` is not a list"),
        ("brave", {"web": [1]}, "Brave Search sent a malformed body: `web.results` is not a list"),
        ("serper", {}, "Serper sent a malformed body: `organic` is not a list"),
        ("serper", {"searchParameters": {}, "organic": None}, "Serper sent a malformed body: `organic` is not a list"),
        ("searxng", {"results": None}, "SearXNG sent a malformed body: `results` is not a list"),
    ],
)
async def test_answers_of_another_shape(provider: str, body: Any, message: str, scripted: ScriptedServer) -> None:
    with pytest.raises(SearchError) as caught:
        await ask(provider, scripted, Json(body))
    assert str(caught.value) == message


# -- Brave -------------------------------------------------------------------------------------------------------------


async def test_braves_request(scripted: ScriptedServer) -> None:
    fixed = {"result_filter": "web", "text_decorations": "false"}
    nothing = Json({"type": "search"})
    await ask("brave", scripted, nothing)
    await ask("brave", scripted, nothing, FILTERED, HOSTS)
    await ask("brave", scripted, nothing, SearchQuery(text="x", time_range="hour", location="de", language_code="ja-JP"))
    await ask("brave", scripted, nothing, SearchQuery(text="x", location="XX", language_code="tlh"), SearchOptions(max_results=50))
    plain, filtered, country, unknown = (request.body for request in scripted.requests)
    assert plain == {"q": "plain", "count": "10", **fixed}
    assert filtered == {
        "q": "filtered Berlin (site:a.org OR site:b.org)", "count": "3", "freshness": "pw", "search_lang": "de", **fixed,
    }  # fmt: skip
    assert country == {"q": "x", "count": "10", "freshness": "pd", "country": "DE", "search_lang": "jp", **fixed}
    assert unknown == {"q": "x XX", "count": "20", **fixed}
    assert scripted.requests[0].headers["x-subscription-token"] == "secret-key"
    assert "authorization" not in scripted.requests[0].headers


async def test_brave_is_asked_no_more_than_it_takes(scripted: ScriptedServer) -> None:
    hosts = tuple(f"host{n}.example.org" for n in range(60))
    await ask("brave", scripted, Json({"type": "search"}), SearchQuery(text="word " * 20), SearchOptions(only_hostnames=hosts))
    await ask("brave", scripted, Json({"type": "search"}), SearchQuery(text="word " * 80), SearchOptions(only_hostnames=hosts))
    several, none = (request.body["q"] for request in scripted.requests)
    assert len(several) <= 400
    assert len(several.split()) <= 50
    assert several.startswith("word ")
    assert "(site:host0.example.org OR site:host1.example.org" in several
    assert none == " ".join(["word"] * 50)


async def test_braves_results(scripted: ScriptedServer) -> None:
    items = [
        {"url": "https://a.org/1", "title": "Q&amp;A", "description": "It&#x27;s first.", "page_age": "2024-01-03T10:00:00"},
        {"url": "https://a.org/2", "title": "Two", "description": "Second.", "page_age": None, "age": "January 3, 2024"},
        {"url": "https://a.org/3", "title": "Three", "description": "Third.", "age": "2 days ago"},
    ]
    assert fields(await ask("brave", scripted, Json({"type": "search", "web": {"results": items}}))) == [
        ("https://a.org/1", "Q&A", "It's first.", "2024-01-03"),
        ("https://a.org/2", "Two", "Second.", "2024-01-03"),
        ("https://a.org/3", "Three", "Third.", None),
    ]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ({"code": "SUBSCRIPTION_TOKEN_INVALID", "detail": "The token is invalid."}, "Brave Search rejected the key: check BRAVE_API_KEY"),
        ({"code": "VALIDATION", "detail": "q is\ntoo long"}, "Brave Search refused the query: q is too long"),
    ],
)
async def test_what_brave_does_not_accept(error: Any, message: str, scripted: ScriptedServer) -> None:
    with pytest.raises(SearchError) as caught:
        await ask("brave", scripted, Status(422, {"type": "ErrorResponse", "error": error}))
    assert str(caught.value) == message


# -- Serper ------------------------------------------------------------------------------------------------------------


async def test_serpers_request(scripted: ScriptedServer) -> None:
    await ask("serper", scripted, Json({"organic": []}))
    await ask("serper", scripted, Json({"searchParameters": {}}), FILTERED, HOSTS)
    plain, filtered = scripted.requests
    assert plain.body == {"q": "plain", "num": 10, "autocorrect": False}
    assert filtered.body == {
        "q": "filtered (site:a.org OR site:b.org)", "num": 3, "tbs": "qdr:w", "location": "Berlin", "hl": "de", "autocorrect": False,
    }  # fmt: skip
    assert plain.headers["x-api-key"] == "secret-key"


async def test_serpers_boxes_are_results_when_they_name_a_page(scripted: ScriptedServer) -> None:
    organic = [{"link": "https://a.org/1", "title": "One", "snippet": "First.", "date": "Jan 3, 2024", "position": 1}]
    box = {"title": "Box", "answer": "42", "link": "https://b.org/"}
    graph = {"title": "Graph", "description": "Known.", "descriptionLink": "https://c.org/", "website": "https://d.org/"}
    body = {"answerBox": box, "knowledgeGraph": graph, "organic": organic}
    assert fields(await ask("serper", scripted, Json(body))) == [
        ("https://b.org/", "Box", "42", None),
        ("https://c.org/", "Graph", "Known.", None),
        ("https://a.org/1", "One", "First.", "2024-01-03"),
    ]
    body = {"answerBox": {"answer": "42"}, "knowledgeGraph": {"title": "Graph"}, "organic": organic}
    assert [result.title for result in (await ask("serper", scripted, Json(body))).results] == ["One"]


# -- SearXNG -----------------------------------------------------------------------------------------------------------


async def test_searxngs_request(scripted: ScriptedServer) -> None:
    await ask("searxng", scripted, Json({"results": []}))
    await ask("searxng", scripted, Json({"results": []}), FILTERED, HOSTS)
    plain, filtered = scripted.requests
    assert (plain.path, plain.body) == ("/search", {"q": "plain", "format": "json"})
    assert filtered.body == {
        "q": "filtered Berlin (site:a.org OR site:b.org)", "format": "json", "time_range": "week", "language": "de",
    }  # fmt: skip


async def test_searxngs_scores_are_parts_of_the_best(scripted: ScriptedServer) -> None:
    scores: list[Any] = [8.0, 2, None, -1, True, "3", 10**400]
    items = [{"url": f"https://a.org/{n}", "score": score, "publishedDate": "2024-01-03T00:00:00"} for n, score in enumerate(scores)]
    found = await ask("searxng", scripted, Json({"results": items}))
    assert [result.score for result in found.results] == [1.0, 0.25, 0.0, 0.0, 0.0, 0.0, 0.0]
    assert {result.published for result in found.results} == {"2024-01-03"}


async def test_nothing_found_by_engines_that_failed_is_a_failure(scripted: ScriptedServer) -> None:
    engines: list[Any] = [["google", "timeout"], ["brave\n", "access denied"], 7, []]
    with pytest.raises(SearchError) as caught:
        await ask("searxng", scripted, Json({"results": [], "unresponsive_engines": engines}))
    assert str(caught.value) == "SearXNG found nothing, and some of its engines did not answer: google, brave"
    body = {"results": [{"url": "https://a.org/1"}], "unresponsive_engines": engines}
    assert len((await ask("searxng", scripted, Json(body))).results) == 1


@pytest.mark.parametrize("time_range", ["hour", "day", "week", "month", "year"])
@pytest.mark.parametrize("provider", ["brave", "serper", "searxng"])
async def test_every_time_range_is_sent(provider: str, time_range: Any, scripted: ScriptedServer) -> None:
    bodies = {"brave": {"type": "search"}, "serper": {"organic": []}, "searxng": {"results": []}}
    await ask(provider, scripted, Json(bodies[provider]), SearchQuery(text="x", time_range=time_range))
    sent = scripted.requests[0].body
    assert (
        sent[{"brave": "freshness", "serper": "tbs", "searxng": "time_range"}[provider]]
        in {
            "brave": {"pd", "pw", "pm", "py"},
            "serper": {"qdr:h", "qdr:d", "qdr:w", "qdr:m", "qdr:y"},
            "searxng": {"day", "week", "month", "year"},
        }[provider]
    )
