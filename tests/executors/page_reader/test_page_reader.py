"""The reader's endpoint."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
from pydantic import SecretStr

from executors.page_reader.executor import PageReader
from providers.reader import SOURCES, Reading, ReadOptions
from providers.reader.pages import page_id
from schemas.errors import InvalidRequest, ReadError
from schemas.reading import Attachment, Page, ReadRequest
from schemas.settings import Settings
from schemas.usage import Allowance
from tests.embedding_stand_in import HashedEmbedding
from tests.scripted import ScriptedServer
from tests.scripted.replies import Json, Status

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
    with pytest.raises(ReadError, match=r"refused: nowhere\.internal is a local name"):
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


# -- pages that come with the request ----------------------------------------------------------------------------------

TEXT = "Sand lies on the shore.\n\n" * 200 + "The moon moves the sea twice a day.\n"


async def test_a_page_that_is_there_already_is_not_fetched(reader: PageReader, scripted: ScriptedServer) -> None:
    given = Page(url="http://www.a.org/tides#top", title="Tides", text=TEXT, published="2024-01-02", source="jina")
    response = await reader.read(ReadRequest(url=URL, question=QUESTION, page=given))
    assert response.page.page_id == page_id(URL, TEXT)
    assert (response.page.url, response.page.language_code) == (URL, "en")
    assert (response.page.title, response.page.text, response.page.published, response.page.source) == ("Tides", TEXT, "2024-01-02", "jina")
    assert "The moon moves the sea" in response.passages[0].text
    assert all(passage.text == TEXT[passage.start : passage.end] for passage in response.passages)
    assert (response.usage.total_tokens, response.usage.pages, response.errors) == (0, 0, [])
    assert scripted.requests == []


async def test_what_a_page_has_not_is_filled_in(reader: PageReader) -> None:
    response = await reader.read(ReadRequest(url=URL, question=QUESTION, page=Page(text="Der Mond bewegt das Meer und die Erde nicht.")))
    assert (response.page.url, response.page.language_code) == (URL, "de")
    kept = await reader.read(ReadRequest(url=URL, question=QUESTION, page=response.page.model_copy(update={"language_code": "nl"})))
    assert (kept.page.page_id, kept.page.language_code) == (response.page.page_id, "nl")


@pytest.mark.parametrize("said", ["2026-11-21T10:00:00Z", "2026-11-21T12:00:00.5+02:00"])
async def test_a_page_that_is_there_already_keeps_the_time_of_its_reading(reader: PageReader, said: str) -> None:
    response = await reader.read(ReadRequest(url=URL, question=QUESTION, page=Page(text=TEXT, read_at=said)))
    assert response.page.read_at == "2026-11-21T10:00:00Z"


async def test_a_page_from_the_cache_keeps_the_time_of_its_reading(
    scripted: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted.reader.add(URL, "Tides", TEXT)
    settings = Settings(jina_reader_url=scripted.reader_url, deepsearch_home=tmp_path, deepsearch_cache="read-write")
    for now in ("2026-11-21T10:00:00Z", "2026-11-21T11:00:00Z"):
        monkeypatch.setattr("providers.reader.jina.reading_time", lambda now=now: now)
        reader = PageReader(settings=settings)
        assert (await reader.read(ReadRequest(url=URL, question=QUESTION))).page.read_at == "2026-11-21T10:00:00Z"
        await reader.close()
    assert len(scripted.sent("/reader/")) == 1


async def test_every_page_says_when_it_was_read_and_every_image_where_it_was_found(reader: PageReader, scripted: ScriptedServer) -> None:
    data = {"title": "Tides", "url": URL + "#moon", "content": TEXT, "images": {"Image 1: The shore": "https://a.org/shore.jpg"}}
    scripted.reader.script(lambda request: Json({"code": 200, "data": data}))
    requests = [
        ReadRequest(url=URL, question=QUESTION, with_images=True),
        ReadRequest(url=URL, question=QUESTION, page=Page(text=TEXT)),
        attachment(with_images=True),
    ]
    for request in requests:
        before = datetime.now(timezone.utc).replace(microsecond=0)
        response = await reader.read(request)
        assert response.page.read_at is not None
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", response.page.read_at)
        assert before <= datetime.fromisoformat(response.page.read_at) <= datetime.now(timezone.utc)
        assert {image.page_url for image in response.images} == ({response.page.url} if request.with_images else set())


@pytest.mark.parametrize(
    ("page", "field"),
    [
        (Page(url=URL, text="other", page_id="0123456789abcdef"), "page"),
        (Page(url=URL, text=" \n"), "page"),
        (Page(url=URL, text="é" * 600_000), "page"),
        (Page(url="nonsense", text="text"), "url"),
        *(
            (Page(url=URL, text="text", read_at=time), "page")
            for time in ("yesterday", "2026-11-21", "2026-11-21T10:00:00", "0001-01-01T00:00:00+14:00")
        ),
    ],
)
async def test_a_page_that_cannot_be_is_refused(scripted: ScriptedServer, page: Page, field: str) -> None:
    reader = PageReader(settings=Settings(jina_reader_url=scripted.reader_url, max_page_bytes=1_000_000))
    with pytest.raises(InvalidRequest) as caught:
        await reader.read(ReadRequest(url=URL, question=QUESTION, page=page))
    assert caught.value.field == field
    await reader.close()
    assert scripted.requests == []


# -- images, failures, embeddings --------------------------------------------------------------------------------------


async def test_images_only_when_they_are_asked_for(reader: PageReader, scripted: ScriptedServer) -> None:
    data = {"title": "Tides", "url": URL, "content": TEXT, "images": {"Image 1: The shore": "https://a.org/shore.jpg"}}
    scripted.reader.script(lambda request: Json({"code": 200, "data": data}))
    assert len((await reader.read(ReadRequest(url=URL, question=QUESTION))).images) == 0
    response = await reader.read(ReadRequest(url=URL, question=QUESTION, with_images=True))
    assert [image.url for image in response.images] == ["https://a.org/shore.jpg"]


async def test_failures_ask_another_reader_first(monkeypatch: pytest.MonkeyPatch) -> None:
    class Named:
        def __init__(self, name: str) -> None:
            self.name = name

        def accepts(self, url: str) -> bool:
            return True

        async def read(self, url: str, options: ReadOptions) -> Reading:
            assert (options.failures > 0) == (self.name == "second")
            return Reading(Page(url=url, text="The moon moves the sea.", source=self.name))

        async def close(self) -> None:
            pass

    monkeypatch.setitem(SOURCES, "jina", lambda settings: Named("first"))
    monkeypatch.setitem(SOURCES, "direct", lambda settings: Named("second"))
    reader = PageReader(settings=Settings(jina_reader_url="http://127.0.0.1:1/"))
    for failures, source in ((0, "first"), (1, "second")):
        response = await reader.read(ReadRequest(url=URL, question=QUESTION, failures=failures))
        assert response.page.source == source
    await reader.close()


LONG = "\n\n".join(
    f"## Part {i}\n\n" + ("The moon moves the sea twice a day. " if i == 31 else "Sand lies on the shore and waits. ") * 14
    for i in range(40)
)


@pytest.fixture
def with_key(scripted: ScriptedServer) -> Settings:
    return Settings(jina_reader_url=scripted.reader_url, jina_api_url=scripted.llm_url, jina_api_key=SecretStr("k"))


async def test_passages_by_late_chunking_over_http(scripted: ScriptedServer, with_key: Settings) -> None:
    scripted.reader.add(URL, "Tides", LONG)
    reader = PageReader(settings=with_key)
    response = await reader.read(ReadRequest(url=URL, question=QUESTION))
    await reader.close()
    assert "The moon moves the sea" in response.passages[0].text
    assert response.errors == []
    question, *windows = [request.body for request in scripted.sent("/v1/embeddings")]
    assert (question["input"], question["task"]) == ([QUESTION], "retrieval.query")
    assert {(window["task"], window["late_chunking"]) for window in windows} == {("retrieval.passage", True)}
    assert "".join(sorted(text for window in windows for text in window["input"])) == "".join(
        sorted(LONG[start : start + 300] for start in range(0, len(LONG), 300))
    )
    reading = len(LONG) // 4
    assert response.usage.provider_tokens > reading + len(LONG) // 5
    assert response.usage.pages == 1


async def test_a_page_is_read_although_embedding_fails(scripted: ScriptedServer, with_key: Settings) -> None:
    scripted.reader.add(URL, "Tides", LONG)
    scripted.embeddings.script(lambda request: Status(402, {"detail": "no balance"}))
    reader = PageReader(settings=with_key)
    response = await reader.read(ReadRequest(url=URL, question=QUESTION))
    await reader.close()
    assert "The moon moves the sea" in response.passages[0].text
    assert len(response.errors) == 1
    assert response.errors[0].startswith("passages were compared by their words alone: Jina embeddings ")
    assert response.usage.provider_tokens == len(LONG) // 4


async def test_embedding_has_what_reading_left_of_the_allowance(scripted: ScriptedServer) -> None:
    scripted.reader.add(URL, "Tides", LONG)
    embedding = HashedEmbedding()
    reader = PageReader(settings=Settings(jina_reader_url=scripted.reader_url), embedding=embedding)
    tokens = len(LONG) // 4
    response = await reader.read(ReadRequest(url=URL, question=QUESTION, allowance=Allowance(tokens=tokens + 100)))
    assert "exceed the 96 left" in response.errors[0]
    assert response.usage.provider_tokens == tokens + 4
    await reader.close()
    assert embedding.closed


DATED = (
    b'<html><head><title>Tides</title><meta name="author" content="Ann Lee"><meta property="article:published_time" content="2024-05-06">'
    b'<meta property="article:modified_time" content="2024-05-07"></head><body><article><h1>Tides</h1><p>'
    + b"The moon moves the sea twice a day. "
    * 20
    + b'<a href="https://a.org/moon">the moon</a></p><figure><img src="https://a.org/sea.png" width=600 height=400>'
    b"<figcaption>The sea</figcaption></figure>"
    b"<p>The sea moves the sand along the shore, and the sand lies there.</p></article></body></html>"
)


def attachment(content: bytes = DATED, name: str = "tides.html", **changed: object) -> ReadRequest:
    file = Attachment(name=name, content=base64.encodebytes(content).decode())
    return ReadRequest(**{"url": "attachment:1/tides.html", "question": QUESTION, "attachment": file, **changed})  # type: ignore[arg-type]


async def test_an_attachment_in_base64_with_line_breaks_is_read_with_all_it_says(reader: PageReader) -> None:
    response = await reader.read(attachment(with_images=True))
    page = response.page
    assert (page.url, page.title, page.author) == ("attachment:1/tides.html", "Tides", "Ann Lee")
    assert (page.published, page.modified, page.date_source, page.source) == ("2024-05-06", "2024-05-07", "meta", "attachment")
    assert page.page_id == page_id(page.url, page.text)
    assert [image.url for image in response.images] == ["https://a.org/sea.png"]
    assert [link.url for link in response.links] == ["https://a.org/moon"]
    assert (await reader.read(attachment())).images == []


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (attachment(url="foo"), "url"),
        (attachment(url="https://bank.example/"), "url"),
        (attachment(url="file:///a.txt"), "url"),
        (attachment(url="attachment:"), "url"),
        (attachment(name=" "), "attachment"),
        (attachment(name=""), "attachment"),
        (attachment(attachment=Attachment(name="a.txt", content="no base64!")), "attachment"),
    ],
)
async def test_an_attachment_that_cannot_be_one(reader: PageReader, request_: ReadRequest, field: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await reader.read(request_)
    assert raised.value.field == field
