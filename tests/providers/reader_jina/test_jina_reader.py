"""Jina reader against a server that speaks its wire format, and the chain of page sources."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr

from providers.reader import create_reader
from providers.reader.base import Reading, ReadOptions
from providers.reader.chain import PageSourceChain
from providers.reader.jina import JinaReader
from providers.reader.pages import page_id
from schemas.errors import CorpusError, InvalidRequest, PageUnavailable, ReadError
from schemas.reading import Page
from schemas.settings import Settings
from schemas.usage import Usage
from tests.scripted import Delay, Drop, Json, Reply, ScriptedServer, Status, Text

OPTIONS = ReadOptions(timeout_seconds=5.0, max_bytes=1_000_000)
URL = "http://www.a.org/tides?utm_source=x"


@pytest.fixture
async def jina(scripted: ScriptedServer) -> AsyncIterator[JinaReader]:
    jina = JinaReader(Settings(jina_reader_url=scripted.reader_url, jina_api_key=SecretStr("secret-key")))
    yield jina
    await jina.close()


def answer(**data: Any) -> Json:
    return Json({"code": 200, "status": 20000, "data": {"url": URL, "content": "Some text.", **data}})


async def test_a_page(jina: JinaReader, scripted: ScriptedServer) -> None:
    text = "# Tides\n\nThe moon moves the sea, and the sea moves the sand along the shore."
    scripted.reader.add(URL, " Tides ", text, links=[("Moon", "https://a.org/moon")], published="2024-05-06T07:08:09Z")
    reading = await jina.read(URL, OPTIONS)
    assert reading.page.model_dump(exclude={"id", "read_at"}) == {
        "page_id": page_id("https://a.org/tides", text), "url": "https://a.org/tides", "title": "Tides", "text": text,
        "author": "", "language_code": "en", "published": "2024-05-06", "modified": None, "date_source": "service", "source": "jina",
    }  # fmt: skip
    assert [(link.url, link.text) for link in reading.links] == [("https://a.org/moon", "Moon")]
    assert (reading.usage.pages, reading.usage.provider_tokens) == (1, len(text) // 4)


async def test_the_request(jina: JinaReader, scripted: ScriptedServer) -> None:
    scripted.reader.add(URL, "T", "text")
    await jina.read(URL, ReadOptions(timeout_seconds=30))
    await jina.read(URL, ReadOptions(timeout_seconds=1_000))
    await jina.read(URL, ReadOptions(timeout_seconds=1.5))
    assert [request.headers["x-timeout"] for request in scripted.requests] == ["29", "180", "1"]
    request = scripted.requests[0]
    assert request.body == {"url": URL}
    expected = {
        "authorization": "Bearer secret-key", "accept": "application/json", "x-md-link-style": "discarded",
        "x-with-links-summary": "all", "x-retain-images": "none",
    }  # fmt: skip
    assert {name: request.headers[name] for name in expected} == expected


async def test_the_address_that_was_reached_is_the_pages(jina: JinaReader, scripted: ScriptedServer) -> None:
    scripted.reader.script(lambda request: answer(url="https://b.org/final"))
    assert (await jina.read(URL, OPTIONS)).page.url == "https://b.org/final"
    for useless in (None, 7, "", "javascript:1", "http://["):
        scripted.reader.script(lambda request, useless=useless: answer(url=useless))
        assert (await jina.read(URL, OPTIONS)).page.url == "https://a.org/tides"


@pytest.mark.parametrize(
    ("links", "found"),
    [
        ([["A", "https://a.org/"], ["B", "http://b.org/"]], [("https://a.org/", "A"), ("http://b.org/", "B")]),
        ({"A": "https://a.org/", " B\n b ": "http://b.org/"}, [("https://a.org/", "A"), ("http://b.org/", "B b")]),
        ([["A", "https://a.org/"], ["again", "https://a.org/"]], [("https://a.org/", "A")]),
        (
            [["mail", "mailto:x@a.org"], ["js", "javascript:1"], ["file", "file:///etc/passwd"], ["long", "https://a.org/" + "x" * 5_000]],
            [],
        ),
        ([None, 7, "ab", [], ["one"], ["a", "b", "c"], ["A", 7]], []),
        ([[None, "https://a.org/"]], [("https://a.org/", "")]),
        (None, []),
        ("text", []),
    ],
)
async def test_links(jina: JinaReader, scripted: ScriptedServer, links: Any, found: list[tuple[str, str]]) -> None:
    scripted.reader.script(lambda request: answer(links=links))
    assert [(link.url, link.text) for link in (await jina.read(URL, OPTIONS)).links] == found


@pytest.mark.parametrize("content", ["", " \n\t ", None, 7, ["text"]])
async def test_a_page_without_text(jina: JinaReader, scripted: ScriptedServer, content: Any) -> None:
    scripted.reader.script(lambda request: answer(content=content, usage={"tokens": 9}))
    with pytest.raises(ReadError, match=r"^Jina reader found no text on http://www\.a\.org/tides") as caught:
        await jina.read(URL, OPTIONS)
    assert (caught.value.usage.pages, caught.value.usage.provider_tokens) == (1, 9)


async def test_text_that_cannot_be_encoded(jina: JinaReader, scripted: ScriptedServer) -> None:
    scripted.reader.script(lambda request: answer(content="a \ud800 b", title="\udfff"))
    page = (await jina.read(URL, OPTIONS)).page
    assert (page.text, page.title) == ("a ? b", "?")


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Status(401), "Jina reader rejected the key: check JINA_API_KEY"),
        (Status(402), "Jina reader is out of credit: top up the account of JINA_API_KEY"),
        (Status(429, {}, {"Retry-After": "30"}), "Jina reader limits the rate: HTTP 429, it asks to wait 30 s"),
        (Status(500), "Jina reader is failing: HTTP 500"),
        (Status(422, {"message": "could not be resolved"}), "Jina reader refused the request: HTTP 422 (could not be resolved)"),
        (Text("<html>"), "Jina reader sent a malformed body: not a JSON object"),
        (Json({"code": 200, "data": "text"}), "Jina reader sent a malformed body: `data` is not an object"),
        (Text(" " * 1_000_001), "Jina reader sent more than 1000000 bytes"),
        (Delay(60, Json({})), "Jina reader did not answer within 0.5 s"),
    ],
)
async def test_failures(jina: JinaReader, scripted: ScriptedServer, reply: Reply, message: str) -> None:
    scripted.reader.script(lambda request: reply)
    options = ReadOptions(timeout_seconds=0.5) if isinstance(reply, Delay) else OPTIONS
    with pytest.raises(ReadError) as caught:
        await jina.read(URL, options)
    assert str(caught.value) == message
    assert caught.value.usage.pages == 1


async def test_a_broken_connection_is_tried_again(jina: JinaReader, scripted: ScriptedServer) -> None:
    replies: list[Reply] = [Drop(), Status(503), answer()]
    scripted.reader.script(lambda request: replies.pop(0))
    assert (await jina.read(URL, OPTIONS)).page.text == "Some text."


@pytest.mark.parametrize(
    ("reply", "passing"),
    [
        (Status(429), True), (Status(500), True), (Status(503), True), (Drop(), True), (Delay(60, Json({})), True),
        (Status(401), False), (Status(402), False), (Status(422), False), (Text("<html>"), False), (answer(content=""), False),
        (answer(content="Please verify you are human."), True), (answer(title="Page not found", content="Sorry."), False),
    ],
)  # fmt: skip
async def test_failures_that_may_pass(jina: JinaReader, scripted: ScriptedServer, reply: Reply, passing: bool) -> None:
    scripted.reader.script(lambda request: reply)
    with pytest.raises(ReadError) as caught:
        await jina.read(URL, ReadOptions(timeout_seconds=0.3))
    assert isinstance(caught.value, PageUnavailable) == passing
    assert caught.value.usage.pages == 1


async def test_notices_in_place_of_the_page(jina: JinaReader, scripted: ScriptedServer) -> None:
    scripted.reader.script(lambda request: answer(title="Just a moment...", content="a.org", usage={"tokens": 9}))
    with pytest.raises(PageUnavailable, match=r"^Jina reader got a notice in place of http://www\.a\.org/tides\S*: a bot check$") as caught:
        await jina.read(URL, OPTIONS)
    assert caught.value.usage.provider_tokens == 9


async def test_images_when_they_are_asked_for(jina: JinaReader, scripted: ScriptedServer) -> None:
    images = {
        "Image 1: The sea": "https://a.org/sea.png", "Image 2": "http://a.org/2.png", "Image 3: again": "https://a.org/sea.png",
        "Image 4": "data:image/png;base64,AA", "Image 5": 7, "Image 6": "https://a.org/" + "x" * 5_000,
    }  # fmt: skip
    content = "The sea.\n\n![Image 1: The sea](https://a.org/sea.png)\n\nIt moves."
    scripted.reader.script(lambda request: answer(content=content, images=images))
    reading = await jina.read(URL, ReadOptions(timeout_seconds=5, with_images=True))
    assert [(image.url, image.text) for image in reading.images] == [("https://a.org/sea.png", "The sea"), ("http://a.org/2.png", "")]
    assert reading.page.text == "The sea.\n\n\n\nIt moves."
    assert scripted.requests[-1].headers["x-with-images-summary"] == "true" and "x-retain-images" not in scripted.requests[-1].headers
    assert (await jina.read(URL, OPTIONS)).images == []
    assert scripted.requests[-1].headers["x-retain-images"] == "none"
    for useless in (None, 7, [["a", "b"]], "text", {}):
        scripted.reader.script(lambda request, useless=useless: answer(images=useless))
        assert (await jina.read(URL, ReadOptions(timeout_seconds=5, with_images=True))).images == []


async def test_dates_of_the_service(jina: JinaReader, scripted: ScriptedServer) -> None:
    for said, found in [("Mon, 06 May 2024 10:00:00 GMT", "2024-05-06"), ("2999-01-01", None), ("1970-01-01", None), (None, None)]:
        scripted.reader.script(lambda request, said=said: answer(publishedTime=said))
        page = (await jina.read(URL, OPTIONS)).page
        assert (page.published, page.date_source) == (found, "service" if found else None)


PRIVATE = [
    "http://wiki/",
    "http://wiki.corp/x",
    "http://10.1.2.3/",
    "http://[fd00::1]/",
    "http://printer.local/",
    "http://a.internal/",
    "http://other.corp/",
]


def test_addresses_of_private_pages_are_never_sent_to_the_public_service() -> None:
    allowed = "wiki.corp, 10.0.0.0/8, fd00::/8, printer.local, a.internal"
    public = JinaReader(Settings(deepsearch_allow_hosts=allowed))
    own = JinaReader(Settings(deepsearch_allow_hosts=allowed, jina_reader_url="http://127.0.0.1:9/"))
    assert [public.accepts(url) for url in PRIVATE] == [False] * len(PRIVATE)
    assert [own.accepts(url) for url in PRIVATE] == [True] * len(PRIVATE)
    assert public.accepts("https://a.org/") and own.accepts("https://a.org/")


async def test_what_is_refused_is_refused_before_any_reader_sees_it(scripted: ScriptedServer) -> None:
    chain = create_reader(Settings(jina_reader_url=scripted.reader_url))
    for url in (
        "http://10.1.2.3/",
        "http://localhost/",
        "http://169.254.169.254/",
        "http://user:x@a.org/",
        "http://a.org:22/",
        "http://[::1]/",
    ):
        with pytest.raises(ReadError, match=r"^refused: ") as caught:
            await chain.read(url, OPTIONS)
        assert caught.value.usage.pages == 0
    assert scripted.requests == []
    await chain.close()


def test_accepts() -> None:
    jina = JinaReader(Settings())
    assert [jina.accepts(url) for url in ("http://a.org", "HTTPS://a.org", "file:///x", "ftp://a.org", "")] == [
        True,
        True,
        False,
        False,
        False,
    ]


class Source:
    """A page source for one scheme that gives a page, or fails."""

    def __init__(self, name: str, scheme: str, error: Exception | None = None) -> None:
        self.name, self.scheme, self.error, self.closed = name, scheme, error, False

    def accepts(self, url: str) -> bool:
        return url.startswith(self.scheme)

    async def read(self, url: str, options: ReadOptions) -> Reading:
        if self.error is not None:
            raise self.error
        return Reading(Page(url=url, text="text", source=self.name), usage=Usage(pages=1))

    async def close(self) -> None:
        self.closed = True


def failing(name: str) -> Source:
    return Source(name, "https:", ReadError(f"{name} failed", usage=Usage(pages=1, provider_tokens=5)))


async def test_the_first_source_that_can_reads_and_every_attempt_is_counted() -> None:
    chain = PageSourceChain([Source("file", "file:"), failing("one"), Source("two", "https:"), failing("three")])
    reading, errors = await chain.read("https://a.org/", OPTIONS)
    assert (reading.page.source, errors) == ("two", ["one failed"])
    assert (reading.usage.pages, reading.usage.provider_tokens) == (2, 5)
    assert (await chain.read("file:///x", OPTIONS))[0].page.source == "file"


async def test_each_failure_before_puts_another_source_first() -> None:
    chain = PageSourceChain([Source("file", "file:"), Source("one", "https:"), Source("two", "https:")])
    read = [(await chain.read("https://a.org/", ReadOptions(failures=n)))[0].page.source for n in range(5)]
    assert read == ["one", "two", "one", "two", "one"]
    assert (await chain.read("file:///x", ReadOptions(failures=7)))[0].page.source == "file"


async def test_one_cause_that_may_pass_makes_the_failure_one_that_may() -> None:
    passing = Source("two", "https:", PageUnavailable("two is slow"))
    for sources, expected in (([failing("one"), passing], PageUnavailable), ([failing("one"), failing("three")], ReadError)):
        with pytest.raises(ReadError) as caught:
            await PageSourceChain(sources).read("https://a.org/", OPTIONS)
        assert type(caught.value) is expected


class Held(Source):
    """A source whose readings end when they are let go; it notes how many it had at once, and the time each was given."""

    def __init__(self) -> None:
        super().__init__("held", "https:")
        self.go, self.now, self.most, self.seconds = asyncio.Event(), 0, 0, 0.0

    async def read(self, url: str, options: ReadOptions) -> Reading:
        self.now += 1
        self.most = max(self.most, self.now)
        self.seconds = options.timeout_seconds
        try:
            await self.go.wait()
        finally:
            self.now -= 1
        return await super().read(url, options)


async def test_so_many_pages_at_once_and_waiting_counts() -> None:
    held = Held()
    chain = PageSourceChain([held], concurrency=3)
    tasks = [asyncio.create_task(chain.read("https://a.org/", OPTIONS)) for _ in range(8)]
    while held.now < 3:
        await asyncio.sleep(0)
    with pytest.raises(
        PageUnavailable,
        match=r"^https://a\.org/: 0\.05 s passed while other pages were read; READER_CONCURRENCY allows 3 at the same time$",
    ):
        await chain.read("https://a.org/", ReadOptions(timeout_seconds=0.05))
    assert (held.now, held.most) == (3, 3)
    tasks[0].cancel()
    held.go.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(result, tuple) for result in results) == 7
    assert held.most == 3 and held.seconds < OPTIONS.timeout_seconds - 0.05
    assert (await chain.read("https://a.org/", OPTIONS))[1] == []


async def test_the_time_is_that_of_all_sources_together() -> None:
    given: list[float] = []

    class Noting(Source):
        async def read(self, url: str, options: ReadOptions) -> Reading:
            given.append(options.timeout_seconds)
            return await super().read(url, options)

    error = ReadError("failed")
    with pytest.raises(ReadError):
        await PageSourceChain([Noting("a", "https:", error), Noting("b", "https:", error)]).read(
            "https://a.org/", ReadOptions(timeout_seconds=30)
        )
    assert given == [pytest.approx(20, abs=4.9), pytest.approx(30, abs=4.9)]


async def test_no_time_left_for_the_next_source() -> None:
    class Slow(Source):
        async def read(self, url: str, options: ReadOptions) -> Reading:
            await asyncio.sleep(0.02)
            return await super().read(url, options)

    chain = PageSourceChain([Slow("one", "https:", ReadError("one failed")), Source("two", "https:")])
    with pytest.raises(PageUnavailable, match=r"^one failed; https://a\.org/: no time was left for the two reader$"):
        await chain.read("https://a.org/", ReadOptions(timeout_seconds=0.01))


async def test_all_sources_failing() -> None:
    with pytest.raises(ReadError, match=r"^one failed; two failed$") as caught:
        await PageSourceChain([failing("one"), failing("two")]).read("https://a.org/", OPTIONS)
    assert caught.value.usage.provider_tokens == 10


async def test_a_url_for_nobody() -> None:
    with pytest.raises(InvalidRequest) as caught:
        await PageSourceChain([failing("one")]).read("ftp://a.org/", OPTIONS)
    assert caught.value.field == "url"


async def test_a_file_outside_the_corpus_is_not_tried_elsewhere() -> None:
    chain = PageSourceChain([Source("one", "file:", CorpusError("outside")), Source("two", "file:")])
    with pytest.raises(CorpusError):
        await chain.read("file:///etc/passwd", OPTIONS)


async def test_closing_closes_every_source() -> None:
    sources = [Source("one", "a"), Source("two", "b")]
    await PageSourceChain(sources).close()
    assert all(source.closed for source in sources)


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        (r"http://ex.com\@127.0.0.1/", "http://ex.com/@127.0.0.1/"),
        ("HTTPS://EX.com/a b#/part", "https://ex.com/a%20b#/part"),
        ("http://ex\t.com/", "http://ex.com/"),
    ],
)
async def test_the_service_is_sent_the_address_that_was_checked(
    jina: JinaReader, scripted: ScriptedServer, written: str, sent: str
) -> None:
    scripted.reader.script(lambda request: answer())
    await jina.read(written, OPTIONS)
    assert scripted.requests[-1].body == {"url": sent}


@pytest.mark.parametrize("piece", ["![", "![](", "![a](b(", "![a](" + "(b)" * 50])
async def test_images_are_taken_out_in_linear_time(jina: JinaReader, scripted: ScriptedServer, piece: str) -> None:
    content = piece * (900_000 // len(piece)) + "\n\nThe ![Image 1: sea](https://a.org/sea_(1).png)moon."
    scripted.reader.script(lambda request: answer(content=content))
    started = time.process_time()
    reading = await jina.read(URL, ReadOptions(timeout_seconds=30, max_bytes=2_000_000, with_images=True))
    assert time.process_time() - started < 20
    assert reading.page.text.endswith("The moon.")
