"""Hostile pages and servers: mutated files, enormous bodies, endless answers; with limits on time and memory that are measured."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from providers.reader.base import ReadOptions
from providers.reader.direct import DirectReader
from providers.reader.documents import convert
from schemas.errors import PageUnavailable, ReadError
from schemas.settings import Settings
from tests.providers.guarded.page_server import PageServer, Stream, http
from tests.providers.reader_files.pdf_writer import make_pdf

SENTENCE = "The moon moves the sea twice a day, and the sea moves the sand along the shore. "
HTML = (
    '<!DOCTYPE html><html lang="en"><head><title>Tides</title><meta charset="utf-8"><meta name="date" content="2024-05-06">'
    '<script type="application/ld+json">{"@type": "Article", "datePublished": "2024-05-06"}</script></head><body>'
    '<nav><a href="/">x</a></nav>'
    f"<article><h1>Tides</h1><p>{SENTENCE * 5}</p><ul><li>one<li>two</ul><table><tr><th>a<td>b</table><pre><code>x = 1</code></pre>"
    f'<img src="/a.png" alt="é&amp;"><p>{SENTENCE * 5}<a href="?q=%C3%A9">link</a></p></article><footer>©</footer></body></html>'
).encode()
PDF = make_pdf([[SENTENCE] * 10, [SENTENCE] * 10], title="Tides")
PIECES = [b"<", b">", b"&", b"\0", b"\xff\xfe", b"</", b"<!--", b"<![CDATA[", b"<table>", b"<p>" * 50, b"<div>" * 300, b'"', b"\xed\xa0\x80", b"<svg>", b"%%EOF", b" 0 obj", b"<<" * 100, b"9" * 30, b"endstream", b"/Length -1"]  # fmt: skip  # noqa: E501


def mutated(data: bytes, seed: int) -> bytes:
    generator = random.Random(seed)
    out = bytearray(data)
    for _ in range(generator.randint(1, 8)):
        at = generator.randrange(len(out))
        match generator.randrange(5):
            case 0:
                out[at] = generator.randrange(256)
            case 1:
                del out[at : at + generator.randint(1, 60)]
            case 2:
                out[at:at] = generator.choice(PIECES)
            case 3:
                out[at:at] = out[at // 2 : at // 2 + generator.randint(1, 200)]
            case _:
                del out[max(1, at) :]
        if not out:
            out = bytearray(b"x")
    return bytes(out)


@pytest.mark.parametrize("kind", ["html", "pdf"])
def test_mutated_files_are_read_or_refused(kind: str) -> None:
    data, read, longest = HTML if kind == "html" else PDF, 0, 0.0
    for seed in range(150):
        broken = mutated(data, seed)
        started = time.process_time()
        try:
            text = convert(broken, f"https://a.org/x.{kind}").text
        except ReadError as error:
            assert "\n" not in str(error) and len(str(error)) < 500
        else:
            read += 1
            assert text.strip() and "\0" not in text
            text.encode()
        longest = max(longest, time.process_time() - started)
    assert read > (75 if kind == "html" else 25)
    assert longest < 20


@pytest.fixture
async def server() -> AsyncIterator[PageServer]:
    async with PageServer() as server:
        server.pages["/robots.txt"] = http("")
        yield server


@pytest.fixture
async def reader() -> AsyncIterator[DirectReader]:
    reader = DirectReader(Settings(deepsearch_allow_hosts="127.0.0.1"))
    yield reader
    await reader.close()


def endless(head: bytes, piece: bytes, sent: list[int], pause: float = 0.0) -> Stream:
    async def stream(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        sent.append(0)
        while sent[0] < 200_000_000:
            writer.write(piece)
            await writer.drain()
            sent[0] += len(piece)
            if pause:
                await asyncio.sleep(pause)

    return stream


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", b"<p>text" * 5_000),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"2710\r\n" + b"x" * 10_000 + b"\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"X-Header: y\r\n" * 1_000),
        (b"HTTP/1.1 200 OK\r\nX-Long: ", b"y" * 10_000),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;", b"extension=1;" * 1_000),
        (b"", b"\r\n" * 5_000),
        (b"HTTP/1.1 200 ", b"a reason " * 2_000),
        (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 100),
    ],
)
async def test_answers_that_never_end(reader: DirectReader, server: PageServer, head: bytes, piece: bytes) -> None:
    sent: list[int] = []
    server.pages["/"] = endless(head, piece, sent)
    started = time.monotonic()
    with pytest.raises(ReadError):
        await reader.read(server.url(), ReadOptions(timeout_seconds=1.5, max_bytes=1_000_000))
    assert time.monotonic() - started < 10
    assert sent[0] < 100_000_000


async def test_a_slow_drip(reader: DirectReader, server: PageServer) -> None:
    sent: list[int] = []
    server.pages["/"] = endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x", sent, pause=0.01)
    with pytest.raises(PageUnavailable, match=r"0\.3 s$"):
        await reader.read(server.url(), ReadOptions(timeout_seconds=0.3))


async def test_redirects_without_end(reader: DirectReader, server: PageServer) -> None:
    server.pages["/"] = http(status=302, Location="/")
    with pytest.raises(ReadError, match="redirects more than 5 times"):
        await reader.read(server.url(), ReadOptions(timeout_seconds=5))
    assert len(server.paths) <= 8
    for number in range(10):
        server.pages[f"/{number}"] = http(status=302, Location=f"http://127.0.0.1:{server.port}/{number + 1}")
    with pytest.raises(ReadError, match="redirects more than 5 times"):
        await reader.read(server.url("/0"), ReadOptions(timeout_seconds=5))
    for location in ("", " ", "http://", "//", "?" + "x" * 5_000, "\x7f", "http://127.0.0.1:0/", "#"):
        server.pages["/where"] = http(status=302, Location=location)
        with pytest.raises(ReadError):
            await reader.read(server.url("/where"), ReadOptions(timeout_seconds=5))


_MEASURED = """
import json, sys, time
from providers.reader.documents import convert
from schemas.errors import ReadError
from tests.providers.reader_files.pdf_writer import make_pdf
kind, count = sys.argv[1], int(sys.argv[2])
sentence = b"The moon moves the sea twice a day, and the sea moves the sand along the shore. "
make = {
    "html": lambda: b"<html><body><article>" + (b"<p>" + sentence * 20 + b"</p>") * (count // 1_600) + b"</article></body></html>",
    "text": lambda: (sentence * 12 + b"\\n\\n") * (count // 960),
    "pdf": lambda: b"%PDF-1.7\\n" + (b"1 0 obj << /Type /Page " + sentence) * (count // 100),
    "report": lambda: make_pdf([[sentence.decode()] * 50] * (count // 4_000)),
    "deep": lambda: b"<html><body>" + b"<div>" * (count // 5),
    "attributes": lambda: b"<html><body><p " + b"a=b " * (count // 4) + b">x",
    "line": lambda: b"x" * count,
    "json": lambda: b"[" + b"1," * (count // 2) + b"1]",
    "xml": lambda: b"<?xml version='1.0'?><r>" + b"<a>text</a>" * (count // 11) + b"</r>",
    "csv": lambda: b"a,b\\n" * (count // 4),
}[kind]
data = make()
name = "https://a.org/x" + (".csv" if kind == "csv" else "")
media = "application/json" if kind == "json" else None
started = time.process_time()
try:
    outcome = len(convert(data, name, media_type=media, max_bytes=int(sys.argv[3])).text)
except ReadError as error:
    outcome = str(error)
seconds = time.process_time() - started
with open("/proc/self/status") as status:  # of this process alone: `getrusage` begins with the peak of the one that started it
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
print(json.dumps([outcome, seconds, peak]))
"""


def measured(kind: str, count: int, most: int = 20_000_000) -> tuple[int | str, float, float]:
    """What the conversion of `count` bytes makes in a process of its own, its CPU seconds and its largest memory in megabytes."""
    command = [sys.executable, "-c", _MEASURED, kind, str(count), str(most)]
    outcome, seconds, megabytes = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path.cwd()).stdout)
    return outcome, seconds, megabytes


@pytest.mark.parametrize("kind", ["html", "text", "pdf"])
def test_fifty_megabytes_are_refused_at_once(kind: str) -> None:
    outcome, seconds, megabytes = measured(kind, 50_000_000)
    assert outcome == "https://a.org/x: it is larger than 20,000,000 bytes"
    assert seconds < 0.5 and megabytes < 250


def test_a_report_of_300_pages() -> None:
    outcome, seconds, megabytes = measured("report", 1_200_000)
    assert isinstance(outcome, int) and outcome > 1_000_000
    assert seconds < 5 and megabytes < 200, (seconds, megabytes)


@pytest.mark.parametrize("kind", ["html", "text", "pdf", "deep", "attributes", "line", "json", "xml", "csv"])
def test_two_megabytes_take_bounded_time_and_memory(kind: str) -> None:
    outcome, seconds, megabytes = measured(kind, 2_000_000)
    assert isinstance(outcome, str) or 0 < outcome < 20_000_000
    assert seconds < 12, (outcome, seconds, megabytes)
    assert megabytes < 900, (outcome, seconds, megabytes)
