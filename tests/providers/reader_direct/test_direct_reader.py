"""Reading pages directly from a server on loopback: conversion, links, notices in place of pages, politeness, the chain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from pydantic import SecretStr

from providers.reader import create_reader
from providers.reader.base import ReadOptions
from providers.reader.direct import DirectReader
from providers.reader.pages import normalise_url, page_id
from schemas.errors import PageUnavailable, ReadError
from schemas.settings import Settings
from tests.providers.guarded.page_server import PageServer, http
from tests.providers.reader_files.pdf_writer import make_pdf

OPTIONS = ReadOptions(timeout_seconds=20.0, max_bytes=1_000_000)
SENTENCE = "The moon moves the sea twice a day, and the sea moves the sand along the shore. "
PAGE = f"""<!DOCTYPE html><html lang="en"><head><title>Tides</title>
<meta property="article:published_time" content="2024-05-06T07:08:09Z"></head><body><nav><a href="/">Home</a></nav><article><h1>Tides</h1>
<p>{SENTENCE * 4}See <a href="moon?b=1">the moon</a>, <a href="//b.org/x">elsewhere</a> and <a href="javascript:1">nothing</a>.</p>
<h2>Heights</h2><table><tr><th>Port</th><th>Metres</th></tr><tr><td>Brest</td><td>7.3</td></tr></table>
<pre><code>height = 7.3
print(height)</code></pre><p>{SENTENCE * 4}</p></article></body></html>"""


@pytest.fixture
async def server() -> AsyncIterator[PageServer]:
    async with PageServer() as server:
        yield server


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def reader(clock: Clock) -> AsyncIterator[DirectReader]:
    reader = DirectReader(Settings(deepsearch_allow_hosts="127.0.0.1"), now=lambda: clock.now, sleep=clock.sleep)
    yield reader
    await reader.close()


async def test_a_page(reader: DirectReader, server: PageServer) -> None:
    server.pages["/old"] = http(status=301, Location="/sea/tides.html?utm_source=x")
    server.pages["/sea/tides.html?utm_source=x"] = http(PAGE, Content_Type="text/html; charset=utf-8")
    reading = await reader.read(server.url("/old"), OPTIONS)
    page = reading.page
    assert page.url == normalise_url(server.url("/sea/tides.html"))
    assert (page.title, page.language_code, page.published, page.source) == ("Tides", "en", "2024-05-06", "direct")
    assert page.page_id == page_id(page.url, page.text)
    assert "## Heights" in page.text and "| Brest | 7.3 |" in page.text
    assert "```\nheight = 7.3\nprint(height)\n```" in page.text
    assert {(link.url, link.text) for link in reading.links} >= {(server.url("/sea/moon?b=1"), "the moon"), ("http://b.org/x", "elsewhere")}
    assert all(link.url.startswith("http") for link in reading.links)
    assert reading.usage.pages == 1
    assert server.paths == ["/robots.txt", "/old", "/sea/tides.html?utm_source=x"]


async def test_author_and_dates_and_images(reader: DirectReader, server: PageServer) -> None:
    head = '<meta name="author" content="Ann Ahn"><meta property="article:modified_time" content="2024-05-08">'
    image = f'<figure><img src="/sea.png" width="640" height="480" alt="x"><figcaption>The sea</figcaption></figure><p>{SENTENCE * 3}</p>'
    server.pages["/"] = http(PAGE.replace("</head>", f"{head}</head>").replace("<h2>", f"{image}<h2>"), Content_Type="text/html")
    reading = await reader.read(server.url(), OPTIONS)
    page = reading.page
    assert (page.author, page.published, page.modified, page.date_source) == ("Ann Ahn", "2024-05-06", "2024-05-08", "meta")
    assert reading.images == []
    images = (await reader.read(server.url(), ReadOptions(with_images=True))).images
    assert [(i.url, i.text, i.width, i.height) for i in images] == [(server.url("/sea.png"), "The sea", 640, 480)]


@pytest.mark.parametrize(
    ("last_modified", "date", "modified"),
    [
        ("Mon, 06 May 2024 10:00:00 GMT", "Tue, 07 May 2024 10:00:00 GMT", "2024-05-06"),
        ("Mon, 06 May 2024 10:00:00 GMT", "", "2024-05-06"),
        ("Tue, 07 May 2024 09:59:58 GMT", "Tue, 07 May 2024 10:00:00 GMT", None),
        ("Mon, 06 May 1974 10:00:00 GMT", "", None),
        ("Fri, 06 May 2095 10:00:00 GMT", "", None),
        ("soon", "", None),
        ("Mon, 99 May 2024 99:00:00 GMT", "never", None),
    ],
)
async def test_the_servers_date_of_the_file(
    reader: DirectReader, server: PageServer, last_modified: str, date: str, modified: str | None
) -> None:
    headers = {"Content_Type": "text/plain", "Last_Modified": last_modified, **({"Date": date} if date else {})}
    server.pages["/"] = http(SENTENCE, **headers)
    page = (await reader.read(server.url(), OPTIONS)).page
    assert (page.published, page.modified, page.date_source) == (None, modified, "header" if modified else None)
    server.pages["/"] = http(PAGE, **{**headers, "Content_Type": "text/html"})
    assert (await reader.read(server.url(), OPTIONS)).page.date_source == "meta"


@pytest.mark.parametrize(
    ("answer", "passing"),
    [
        (http("x", 404), False), (http("x", 410), False), (http("x", 401), False), (http("x", 403), False), (http("x", 501), False),
        (http("x", 408), True), (http("x", 429), True), (http("x", 500), True), (http("x", 502), True), (http("x", 504), True),
        (http("x", 522), True), (http("x", 403, cf_mitigated="challenge"), True), (b"", True), (b"nonsense\r\n\r\n", True),
        (http("<html><body><div id=root></div><script src=app.js></script></body></html>"), True),
        (http("<html><body><div id=root></div></body></html>"), False),
        (http("Please verify you are human."), True), (http("<title>Page not found</title><p>Sorry."), False),
        (http(b"\x89PNG"), False), (http(status=302, Location="http://10.0.0.1/"), False), (http("x" * 1_000_001), False),
    ],
)  # fmt: skip
async def test_failures_that_may_pass(reader: DirectReader, server: PageServer, answer: bytes, passing: bool) -> None:
    server.pages["/robots.txt"] = http("")
    server.pages["/"] = answer

    async def hang_up(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    if not answer.startswith(b"HTTP"):
        server.pages["/"] = hang_up
    with pytest.raises(ReadError) as caught:
        await reader.read(server.url(), OPTIONS)
    assert isinstance(caught.value, PageUnavailable) == passing, caught.value
    assert caught.value.usage.pages == 1


async def test_robots_that_cannot_be_read_may_pass_and_those_that_forbid_may_not(server: PageServer) -> None:
    for answer, expected in ((http("", 503), PageUnavailable), (http("User-agent: *\nDisallow: /"), ReadError)):
        server.pages["/robots.txt"] = answer
        reader = DirectReader(Settings(deepsearch_allow_hosts="127.0.0.1"))
        with pytest.raises(ReadError) as caught:
            await reader.read(server.url(), OPTIONS)
        assert type(caught.value) is expected
        await reader.close()


async def test_retry_after_as_a_time(reader: DirectReader, server: PageServer, clock: Clock) -> None:
    later = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=9), usegmt=True)
    server.pages["/"] = [http(status=503, Retry_After=later), http(PAGE)]
    assert (await reader.read(server.url(), OPTIONS)).page.title == "Tides"
    assert len(clock.slept) == 1 and 0 < clock.slept[0] <= 9
    server.pages["/"] = [http(status=503, Retry_After="Mon, 06 May 2024 10:00:00 GMT"), http(PAGE)]
    assert (await reader.read(server.url(), OPTIONS)).page.title == "Tides"
    assert clock.slept[1:] == [0]


async def test_the_base_element_and_many_links(reader: DirectReader, server: PageServer) -> None:
    items = "".join(f'<li>{SENTENCE}<a href="{n}">Page {n}</a></li>' for n in range(300))
    server.pages["/"] = http(
        f'<html><head><base href="http://b.org/c/"></head><body><ul>{items}</ul></body></html>', Content_Type="text/html"
    )
    links = (await reader.read(server.url(), OPTIONS)).links
    assert [link.url for link in links] == [f"http://b.org/c/{n}" for n in range(200)]


@pytest.mark.parametrize("media_type", ["text/html", "application/octet-stream", "image/png"])
async def test_a_pdf_by_any_name(reader: DirectReader, server: PageServer, media_type: str) -> None:
    server.pages["/x"] = http(make_pdf([[SENTENCE] * 3], title="Tides"), Content_Type=media_type)
    page = (await reader.read(server.url("/x"), OPTIONS)).page
    assert page.title == "Tides"
    assert SENTENCE.strip() in page.text


async def test_text_under_a_wrong_name(reader: DirectReader, server: PageServer) -> None:
    server.pages["/x"] = http(PAGE, Content_Type="application/pdf")
    assert "| Brest | 7.3 |" in (await reader.read(server.url("/x"), OPTIONS)).page.text


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (http("x", 404), "answers HTTP 404"),
        (http("x", 500), "answers HTTP 500"),
        (http("x", 304), "answers HTTP 304"),
        (http(""), "it is empty"),
        (http(b"\x89PNG\r\n\x1a\n", Content_Type="text/html"), "it is a PNG picture"),
        (http("<html><body><div id=root></div></body></html>", Content_Type="text/html"), "it holds no text"),
        (http("x" * 1_000_001), "is larger than 1,000,000 bytes"),
        (http(status=302, Location="http://169.254.169.254/"), "refused: 169.254.169.254 is a link-local address"),
        (
            http("<html><title>Just a moment...</title><body><p>Enable JavaScript and cookies to continue</p></body></html>"),
            "is a notice in place of the page: a bot check",
        ),
    ],
)
async def test_failures(reader: DirectReader, server: PageServer, answer: bytes, message: str) -> None:
    server.pages["/"] = answer
    with pytest.raises(ReadError) as caught:
        await reader.read(server.url(), OPTIONS)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.usage.pages == 1


async def test_refused_addresses_count_nothing(reader: DirectReader) -> None:
    with pytest.raises(
        ReadError, match=r"^refused: 10\.0\.0\.1 is a private address; add it to DEEPSEARCH_ALLOW_HOSTS to allow it$"
    ) as caught:
        await reader.read("http://10.0.0.1/", OPTIONS)
    assert caught.value.usage.pages == 0


async def test_a_page_that_takes_too_long(reader: DirectReader, server: PageServer) -> None:
    async def never(writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    server.pages["/"] = never
    with pytest.raises(ReadError, match=r"0\.1 s$") as caught:
        await reader.read(server.url(), ReadOptions(timeout_seconds=0.1))
    assert caught.value.usage.pages == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_honoured_once(reader: DirectReader, server: PageServer, clock: Clock, status: int) -> None:
    server.pages["/"] = [http(status=status, Retry_After="7"), http(PAGE)]
    assert (await reader.read(server.url(), OPTIONS)).page.title == "Tides"
    assert clock.slept == [7]
    server.pages["/"] = http(status=status, Retry_After="7")
    with pytest.raises(ReadError, match=f"answers HTTP {status}$"):
        await reader.read(server.url(), OPTIONS)
    assert clock.slept == [7, 7]


@pytest.mark.parametrize("asked", ["", "20", "999999999999", "-1", "soon"])
async def test_retry_after_that_does_not_fit(reader: DirectReader, server: PageServer, clock: Clock, asked: str) -> None:
    server.pages["/"] = http(status=429, Retry_After=asked)
    with pytest.raises(ReadError, match=r"answers HTTP 429$"):
        await reader.read(server.url(), OPTIONS)
    assert (clock.slept, server.paths) == ([], ["/robots.txt", "/"])


async def test_robots(server: PageServer) -> None:
    server.pages["/robots.txt"] = http("User-agent: tester\nDisallow: /secret\n")
    server.pages["/"] = http(status=302, Location="/secret")
    server.pages["/secret"] = http(PAGE)
    settings = Settings(deepsearch_allow_hosts="127.0.0.1", reader_user_agent="Tester/1.0 (+https://a.org)")
    reader = DirectReader(settings)
    with pytest.raises(ReadError, match=r"/secret is not read: its robots\.txt forbids it$"):
        await reader.read(server.url(), OPTIONS)
    assert server.paths == ["/robots.txt", "/"]
    assert {headers["user-agent"] for _, headers in server.requests} == {"Tester/1.0 (+https://a.org)"}
    await reader.close()
    reader = DirectReader(settings.model_copy(update={"reader_robots": False}))
    assert (await reader.read(server.url(), OPTIONS)).page.title == "Tides"
    await reader.close()


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, ["direct"]),
        ({"jina_api_key": SecretStr("key")}, ["jina", "direct"]),
        ({"jina_reader_url": "http://127.0.0.1:9/"}, ["jina", "direct"]),
    ],
)
async def test_who_reads_web_pages(settings: dict[str, object], names: list[str]) -> None:
    chain = create_reader(Settings(**settings))
    assert [source.name for source in chain._sources if source.accepts("https://a.org/")] == names
    assert [source.name for source in chain._sources if source.accepts("file:///a")] == ["file"]
    await chain.close()


async def test_what_a_service_cannot_read_is_read_directly(server: PageServer) -> None:
    server.pages["/"] = http(PAGE)
    chain = create_reader(Settings(jina_reader_url=server.url("/reader"), deepsearch_allow_hosts="127.0.0.1"))
    reading, errors = await chain.read(server.url(), OPTIONS)
    assert (reading.page.source, reading.usage.pages, len(errors)) == ("direct", 2, 1)
    assert errors[0].startswith("Jina reader ")
    await chain.close()
