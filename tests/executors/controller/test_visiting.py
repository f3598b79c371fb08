"""Visits: the order of what arrives, pages that fail for now, texts that a search delivered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from docarray import DocList
from scripted_stages import ScriptedStages, page, results

from executors.controller.research import Research
from providers.journal import SQLiteJournal
from schemas.errors import PageUnavailable, ReadError
from schemas.events import ResearchEvent
from schemas.planning import Decision
from schemas.reading import Image, ReadRequest, ReadResponse
from schemas.research import ResearchRequest
from schemas.search import SearchResponse, SearchResult
from schemas.settings import Settings
from schemas.usage import Usage


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SQLiteJournal]:
    made = SQLiteJournal(tmp_path / "runs.db")
    yield made
    await made.close()


async def run(journal: SQLiteJournal, stages: ScriptedStages, **request: Any) -> list[ResearchEvent]:
    research = Research(stages, journal, Settings(_env_file=None))
    request.setdefault("question", "What is the answer?")
    return [event async for event in research.run(ResearchRequest(run_id="r1", **request))]


def search_and_visit(*urls: str) -> dict[str, list[Any]]:
    return {
        "search": [results(*urls)],
        "decide": [Decision(action="search", queries=["a"]), Decision(action="visit", urls=list(urls))],
    }


async def test_evidence_is_numbered_in_the_order_of_the_choice_and_not_of_arrival(journal: SQLiteJournal) -> None:
    second_came = asyncio.Event()

    async def slow(request: ReadRequest) -> ReadResponse:
        await second_came.wait()
        return page(request.url, "From the first.")

    async def quick(request: ReadRequest) -> ReadResponse:
        second_came.set()
        return page(request.url, "From the second.")

    stages = ScriptedStages(**search_and_visit("https://a.test/", "https://b.test/"), read=[slow, quick])
    events = await run(journal, stages)
    assert [event.data["page"]["url"] for event in events if event.type == "page_read"] == ["https://b.test/", "https://a.test/"]
    items = [item for item in stages.of("decide")[2].knowledge if item.kind == "url"]
    assert [(e.evidence_id, e.quote) for item in items for e in item.evidence] == [("e1", "From the first."), ("e2", "From the second.")]


async def test_what_two_pages_both_say_is_one_evidence(journal: SQLiteJournal) -> None:
    stages = ScriptedStages(**search_and_visit("https://a.test/", "https://mirror.test/"))
    events = await run(journal, stages)
    evidence = [e for item in stages.of("decide")[2].knowledge for e in item.evidence]
    assert [(e.evidence_id, e.url) for e in evidence] == [("e1", "https://a.test/")]
    assert events[-1].data["answer"]["read_urls"] == ["https://a.test/", "https://mirror.test/"]


async def test_a_page_that_is_unavailable_can_be_chosen_once_more(journal: SQLiteJournal) -> None:
    script = search_and_visit("https://a.test/", "https://b.test/")
    script["decide"] += [Decision(action="search", queries=["b"]), Decision(action="visit", urls=["https://a.test/"])] * 2
    unavailable = PageUnavailable("a.test is overloaded", usage=Usage(pages=1))
    stages = ScriptedStages(**script, read=[unavailable, page("https://b.test/"), unavailable])
    await run(journal, stages)
    assert [(request.url, request.failures) for request in stages.of("read")][:3] == [
        ("https://a.test/", 0),
        ("https://b.test/", 0),
        ("https://a.test/", 1),
    ]
    assert "https://a.test/" not in [request.url for request in stages.of("read")[3:]]
    offered = {candidate.url: candidate.weight for candidate in stages.of("rank")[1].candidates}
    assert offered["https://a.test/"] == 0.1


async def test_a_page_that_cannot_be_read_is_not_chosen_again(journal: SQLiteJournal) -> None:
    script = search_and_visit("https://a.test/", "https://b.test/")
    script["decide"] += [Decision(action="search", queries=["b"]), Decision(action="visit", urls=["https://a.test/"])]
    stages = ScriptedStages(**script, read=[ReadError("404", usage=Usage(pages=1))])
    await run(journal, stages)
    assert [request.url for request in stages.of("read")].count("https://a.test/") == 1


def delivered(request: ReadRequest) -> ReadResponse:
    """What the page reader makes of a page whose text it is given."""
    response = page(request.url, request.page.text)
    return response.model_copy(update={"page": request.page, "usage": Usage()})


async def test_a_text_that_a_search_delivered_is_read_without_being_fetched(journal: SQLiteJournal) -> None:
    found = SearchResult(url="http://www.a.test/?utm_source=x", title="A", snippet="s", content="# A\n\nAll of it.", published="2026-01-02")
    stages = ScriptedStages(
        search=[SearchResponse(results=DocList[SearchResult]([found]), usage=Usage(searches=1))],
        decide=[
            Decision(action="search", queries=["a"]),
            Decision(action="visit", urls=["https://a.test/"]),
            Decision(action="answer", answer="All [e1]."),
        ],
        read=[delivered],
    )
    events = await run(journal, stages)
    (request,) = stages.of("read")
    assert (request.page.text, request.page.url, request.page.title) == ("# A\n\nAll of it.", "https://a.test/", "A")
    assert (request.page.published, request.page.date_source) == ("2026-01-02", "service")
    (searched,) = [event for event in events if event.type == "searched"]
    (result,) = searched.data["response"]["results"]
    assert "content" not in result and result["page_id"] == request.page.page_id
    assert events[-1].data["answer"]["usage"].get("pages", 0) == 0


async def test_b8_a_page_that_is_found_again_stays_as_it_was_read(journal: SQLiteJournal) -> None:
    script = search_and_visit("https://a.test/")
    script["search"].append(results("https://a.test/"))
    script["decide"] += [Decision(action="search", queries=["b"])]
    stages = ScriptedStages(**script, read=[page("https://a.test/", "The whole page.")])
    await run(journal, stages)
    quotes = [e.quote for item in stages.of("finalize")[0].knowledge for e in item.evidence]
    assert quotes[0] == "The whole page."
    assert (await journal.page("r1", "page-https://a.test/")).text == "The whole page."


async def test_images_are_collected_when_asked_for(journal: SQLiteJournal) -> None:
    def with_image(request: ReadRequest) -> ReadResponse:
        response = page(request.url)
        response.images = DocList[Image]([Image(url="https://a.test/a.png", text="A")])
        return response

    stages = ScriptedStages(**search_and_visit("https://a.test/"), read=[with_image])
    events = await run(journal, stages, with_images=True)
    assert stages.of("read")[0].with_images
    (read,) = [event for event in events if event.type == "page_read"]
    assert [(image["url"], image["text"]) for image in read.data["images"]] == [("https://a.test/a.png", "A")]


async def test_the_date_of_a_run_is_the_one_it_began_with_or_was_given(journal: SQLiteJournal) -> None:
    stages = ScriptedStages()
    events = await run(journal, stages, today="2025-02-03")
    assert events[0].data["request"]["today"] == "2025-02-03"
    assert {request.date for request in stages.of("decide") + stages.of("rank")} == {"2025-02-03"}
