"""The reader's endpoint."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from executors.page_reader.executor import PageReader
from schemas.errors import InvalidRequest, ReadError
from schemas.reading import ReadRequest
from schemas.settings import Settings
from tests.scripted import ScriptedServer

URL = "https://a.org/tides"
QUESTION = "What moves the sea?"


@pytest.fixture
async def reader(scripted: ScriptedServer) -> AsyncIterator[PageReader]:
    reader = PageReader(settings=Settings(jina_reader_url=scripted.reader_url))
    yield reader
    await reader.close()


@pytest.mark.parametrize("repeats", [1, 2_000])
async def test_read(reader: PageReader, scripted: ScriptedServer, repeats: int) -> None:
    filler = "Sand lies on the shore and waits there for the wind to come.\n\n" * repeats
    text = f"{filler}The moon moves the sea twice a day.\n\n{filler}"
    scripted.reader.add(URL, "Tides", text, links=[(f"Link {n}", f"https://a.org/{n}") for n in range(300)])
    response = await reader.read(ReadRequest(url=f" {URL} ", question=QUESTION))
    assert (response.page.url, response.page.title, response.page.text) == (URL, "Tides", text)
    assert "The moon moves the sea twice a day." in response.passages[0].text
    for passage in response.passages:
        assert passage.text == text[passage.start : passage.end]
    assert [link.url for link in response.links] == [f"https://a.org/{n}" for n in range(200)]
    assert (response.usage.pages, response.errors) == (1, [])


async def test_a_page_that_cannot_be_read(reader: PageReader) -> None:
    with pytest.raises(ReadError, match=r"^Jina reader refused the request: HTTP 422.*; refused: nowhere\.internal is a local name"):
        await reader.read(ReadRequest(url="https://nowhere.internal/", question=QUESTION))


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (ReadRequest(url=" ", question=QUESTION), "url"),
        (ReadRequest(url="ftp://a.org/", question=QUESTION), "url"),
        (ReadRequest(url="https://[", question=QUESTION), "url"),
        (ReadRequest(url=URL, question=""), "question"),
        (ReadRequest(url=URL, question=QUESTION, timeout_seconds=-1), "timeout_seconds"),
    ],
)
async def test_invalid_requests_name_their_field(reader: PageReader, bad: ReadRequest, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await reader.read(bad)
    assert caught.value.field == field
