"""What no parser foresaw costs a query one provider, not all of them."""

from __future__ import annotations

import asyncio
import logging

import pytest

import providers.search.brave
from providers.search import create_search
from providers.search.base import Found, SearchOptions
from providers.search.contained import Contained
from schemas.errors import InvalidRequest, SearchError
from schemas.search import SearchQuery, SearchResponse
from schemas.settings import Settings
from tests.scripted import Json, ScriptedServer, Status

QUERY = SearchQuery(text="tea")


class Raising:
    """A provider that raises."""

    name = "raising"

    def __init__(self, error: BaseException) -> None:
        self._error = error
        self.closed = False

    async def search(self, query: SearchQuery, options: SearchOptions) -> Found:
        raise self._error

    async def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("error", [OverflowError("too large"), RecursionError(), KeyError("x"), TypeError("no")])
async def test_an_unforeseen_exception_becomes_a_search_error(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SearchError) as caught:
        await Contained(Raising(error)).search(QUERY, SearchOptions())
    kind = type(error).__name__
    assert str(caught.value) == f"raising: failed in an unforeseen way ({kind}); the log has the details"
    assert (caught.value.usage.searches, caught.value.__cause__) == (1, error)
    (record,) = caplog.records
    assert (record.levelno, record.name) == (logging.ERROR, "providers.search.contained")
    assert record.exc_info is not None
    assert record.exc_info[1] is error


@pytest.mark.parametrize("error", [asyncio.CancelledError(), InvalidRequest("no", field="x"), SearchError("down")])
async def test_what_is_foreseen_passes(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(type(error)) as caught:
        await Contained(Raising(error)).search(QUERY, SearchOptions())
    assert caught.value is error
    assert not caplog.records


async def test_closing() -> None:
    provider = Raising(ValueError())
    await Contained(provider).close()
    assert provider.closed


def settings(scripted: ScriptedServer, **values: object) -> Settings:
    return Settings(
        brave_api_key="brave-key",
        brave_search_url=f"{scripted.url}/search/brave",
        serper_api_key="serper-key",
        serper_search_url=f"{scripted.url}/search/serper",
        use_duckduckgo=False,
        **values,
    )


async def searched(configured: Settings) -> SearchResponse:
    search = create_search(configured)
    try:
        return await search.search([QUERY], SearchOptions(timeout_seconds=5))
    finally:
        await search.close()


SERPER = Json({"searchParameters": {}, "organic": [{"link": "https://ok.example/", "title": "t"}]})
HOSTILE_DATE = {"url": "https://a.example/", "title": "a", "age": "Mon, 01 Jan 2024 00:00:00 +99999999999999"}


async def test_a_hostile_date_is_no_date(scripted: ScriptedServer) -> None:
    scripted.search.script(lambda _: Json({"type": "search", "web": {"results": [HOSTILE_DATE]}}))
    found = await searched(settings(scripted))
    assert [(result.url, result.published) for result in found.results] == [("https://a.example/", None)]


@pytest.mark.parametrize("mode", ["off", "record"])
async def test_the_next_provider_answers(
    scripted: ScriptedServer, tmp_path: object, mode: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def unforeseen(*_: object) -> None:
        raise OverflowError

    monkeypatch.setattr(providers.search.brave, "_result", unforeseen)
    scripted.search.script(
        lambda request: Json({"type": "search", "web": {"results": [HOSTILE_DATE]}}) if "text_decorations" in request else SERPER
    )
    cache = {"deepsearch_cache_url": f"sqlite:///{tmp_path}/k.db"}
    found = await searched(settings(scripted, deepsearch_cache=mode, **cache))
    assert [result.url for result in found.results] == ["https://ok.example/"]
    assert found.outcomes[0].errors == ["brave: failed in an unforeseen way (OverflowError); the log has the details"]
    assert found.usage.searches == 2
    assert len(caplog.records) == 1
    if mode == "record":
        scripted.search.script(lambda _: Status(500, {}))
        replayed = await searched(settings(scripted, deepsearch_cache="replay", **cache))
        assert (replayed.outcomes[0].errors, replayed.usage.searches) == (found.outcomes[0].errors, 2)
