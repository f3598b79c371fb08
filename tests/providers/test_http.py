"""Every way in which a provider can fail, over a real socket, and the one line that each becomes."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from email.utils import formatdate
from functools import partial

import brotli
import httpx
import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr

from providers.http import (
    Endpoint,
    authorization,
    count_field,
    create_client,
    get_body,
    get_json,
    post_form,
    post_json,
    required_key,
    text_field,
)
from providers.upstream import Policy, Upstream, retry_after_seconds
from schemas.errors import ConfigurationError, SearchError
from schemas.usage import Usage

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


class RawServer:
    """Gives the answers of `script` in turn, the last one for ever, and remembers each request's head and body."""

    def __init__(self, *script: Answer) -> None:
        self.script = list(script)
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.lines: list[str] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.lines.append(head.split("\r\n")[0])
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:])}
                self.requests.append((headers, await reader.readexactly(int(headers.get("content-length", 0)))))
                await (self.script.pop(0) if len(self.script) > 1 else self.script[0])(writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


def status(code: int, body: object = None, headers: str = "") -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body or {}).encode()

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {code} X\r\ncontent-length: {len(content)}\r\n{headers}\r\n".encode() + content)
        await writer.drain()

    return answer


OK = status(200, {"ok": True})


async def drop(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()  # type: ignore[attr-defined]


async def silence(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def drip(writer: asyncio.StreamWriter) -> None:
    """One byte at a time, for ever: no single read ever takes long."""
    writer.write(b"HTTP/1.1 200 X\r\ncontent-length: 1000000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def flood(writer: asyncio.StreamWriter) -> None:
    """Without an end, and without saying so."""
    writer.write(b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b" " * 65536 + b"\r\n")
        await writer.drain()


@asynccontextmanager
async def serving(*script: Answer) -> AsyncIterator[tuple[RawServer, Endpoint, httpx.AsyncClient]]:
    raw = RawServer(*script)
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(raw(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    endpoint = Endpoint(
        url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/path",
        service="Some search",
        key_setting="SOME_KEY",
        error=SearchError,
        headers={"Authorization": "Bearer secret-key"},
        failed_usage=Usage(searches=1),
    )
    client = create_client()
    try:
        yield raw, endpoint, client
    finally:
        await client.aclose()
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def failure(*script: Answer, timeout_seconds: float = 5.0, **changes: object) -> str:
    async with serving(*script) as (_, endpoint, client):
        with pytest.raises(SearchError) as caught:
            await post_json(client, replace(endpoint, **changes), {}, timeout_seconds=timeout_seconds, max_bytes=100_000)
        assert caught.value.usage.searches == 1
        assert "secret-key" not in str(caught.value)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 400
        return str(caught.value)


async def test_the_request_as_it_arrives() -> None:
    async with serving(OK) as (raw, endpoint, client):
        assert await post_json(client, endpoint, {"q": "é\ud800"}, timeout_seconds=5, headers={"X-More": "1"}) == {"ok": True}
    headers, body = raw.requests[0]
    assert json.loads(body) == {"q": "é\ud800"}
    assert headers["user-agent"] == "deepsearch"
    assert headers["content-type"] == headers["accept"] == "application/json"
    assert (headers["authorization"], headers["x-more"]) == ("Bearer secret-key", "1")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (status(401), "Some search rejected the key: check SOME_KEY"),
        (status(403, {"detail": "no such key"}), "Some search rejected the key: check SOME_KEY (no such key)"),
        (status(402, {"readableMessage": "Top\nup"}), "Some search is out of credit: top up the account of SOME_KEY (Top up)"),
        (status(500, b"<html>"), "Some search is failing: HTTP 500"),
        (status(422, {"message": "m" * 1000}), f"Some search refused the request: HTTP 422 ({'m' * 200})"),
        (status(400, {"error": {"message": "bad q"}}), "Some search refused the request: HTTP 400 (bad q)"),
        (status(400, {"error": ["?"]}), "Some search refused the request: HTTP 400"),
        (status(302, {}, "location: http://127.0.0.1:1/\r\n"), "Some search refused the request: HTTP 302"),
        (status(200, b"<html>not json"), "Some search sent a malformed body: not a JSON object"),
        (status(200, b"[1]"), "Some search sent a malformed body: not a JSON object"),
        (status(200, b"[" * 90_000), "Some search sent a malformed body: not a JSON object"),
        (status(200, b'{"n": ' + b"9" * 90_000 + b"}"), "Some search sent a malformed body: not a JSON object"),
        (status(200, b"\xff\xfe{"), "Some search sent a malformed body: not a JSON object"),
        (status(200, b" " * 100_001), "Some search sent more than 100000 bytes"),
        (status(200, gzip.compress(b" " * 10_000_000), "content-encoding: gzip\r\n"), "Some search sent more than 100000 bytes"),
        (flood, "Some search sent more than 100000 bytes"),
    ],
)
async def test_failures_that_are_not_tried_again(answer: Answer, message: str) -> None:
    assert await failure(answer, OK) == message


@pytest.mark.parametrize(
    ("body", "coding", "message"),
    [
        (b"not gzip", "gzip", "cannot be used: its answer cannot be decompressed, "),
        (gzip.compress(b'{"ok": true}')[:-9], "gzip", "cannot be used: its answer cannot be decompressed, it ends too early"),
        (b"{}", "rot13", "cannot be used: it sent an encoding that was not asked for, 'rot13'"),
    ],
)
async def test_an_encoding_that_cannot_be_undone_is_a_failure_in_one_line(body: bytes, coding: str, message: str) -> None:
    assert (await failure(status(200, body, f"content-encoding: {coding}\r\n"), OK)).startswith(f"Some search {message}")


async def test_what_a_status_says_needs_no_body() -> None:
    assert await failure(status(401, b"not gzip", "content-encoding: gzip\r\n")) == "Some search rejected the key: check SOME_KEY"


PACKED = {"gzip": gzip.compress, "br": partial(brotli.compress, quality=1), "zstd": zstandard.compress}


@pytest.mark.parametrize("coding", PACKED)
async def test_compressed_answers_are_asked_for_and_read(coding: str) -> None:
    async with serving(status(200, PACKED[coding](b'{"n": 7}'), f"content-encoding: {coding}\r\n")) as (raw, endpoint, client):
        assert await post_json(client, endpoint, {}, timeout_seconds=5) == {"n": 7}
    assert raw.requests[0][0]["accept-encoding"] == "gzip, deflate, br, zstd"


@pytest.mark.parametrize("coding", PACKED)
@pytest.mark.parametrize("code", [200, 500])
async def test_a_small_body_that_becomes_a_large_one_takes_no_memory(coding: str, code: int) -> None:
    bomb = PACKED[coding](bytes(50_000_000))
    tracemalloc.start()
    try:
        message = await failure(status(code, bomb, f"content-encoding: {coding}\r\n"), OK)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
    assert message == f"Some search {'sent more than 100000 bytes' if code == 200 else 'is failing: HTTP 500'}"


async def test_compressed_data_that_become_nothing_are_not_read_for_ever() -> None:
    empty_members = gzip.compress(b"") * 10_000
    assert await failure(status(200, empty_members, "content-encoding: gzip\r\n"), OK) == "Some search sent more than 100000 bytes"


async def test_a_get_as_it_arrives() -> None:
    async with serving(OK) as (raw, endpoint, client):
        parameters = {"q": "é&a=b c\ud800", "count": 3}
        assert await get_json(client, endpoint, parameters, timeout_seconds=5) == {"ok": True}
        assert await get_body(client, endpoint, {}, timeout_seconds=5) == b'{"ok": true}'
    assert raw.lines == ["GET /path?q=%C3%A9%26a%3Db+c%3F&count=3 HTTP/1.1", "GET /path? HTTP/1.1"]
    headers, body = raw.requests[0]
    assert (headers["authorization"], headers["accept"]) == ("Bearer secret-key", "application/json")
    assert (body, "content-type" in headers) == (b"", False)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (status(401), "Some search rejected the key: check SOME_KEY"),
        (status(200, b"[1]"), "Some search sent a malformed body: not a JSON object"),
        (flood, "Some search sent more than 100000 bytes"),
        (drip, "Some search did not answer within 0.5 s"),
    ],
)
async def test_a_get_fails_like_a_post(answer: Answer, message: str) -> None:
    async with serving(answer) as (_, endpoint, client):
        with pytest.raises(SearchError) as caught:
            await get_json(client, endpoint, {}, timeout_seconds=0.5 if answer is drip else 5, max_bytes=100_000)
    assert str(caught.value) == message


async def test_what_a_status_means_to_one_service() -> None:
    meanings = {403: "speaks another language", 429: "is asleep"}
    assert await failure(status(403, {"detail": "no"}), OK, meanings=meanings) == "Some search speaks another language (no)"
    assert await failure(status(429), OK, meanings=meanings) == "Some search is asleep"


@pytest.mark.parametrize("code", [401, 402, 403])
async def test_a_service_without_keys_asks_for_none(code: int) -> None:
    assert await failure(status(code), key_setting="") == f"Some search refused the request: HTTP {code}"


async def test_a_key_in_a_header_of_its_own() -> None:
    changes = {"key_header": "X-Key", "headers": {"X-Key": "secret-key"}}
    assert await failure(status(401), **changes) == "Some search rejected the key: check SOME_KEY"
    assert await failure(status(401), key_header="X-Key") == "Some search asks for a key: set SOME_KEY"


KEY = "secret-key"  # which `failure` looks for in every message


@pytest.mark.parametrize("field", ["readableMessage", "message", "detail", "error"])
@pytest.mark.parametrize("code", [400, 401, 402, 403, 429, 500])
async def test_a_key_that_is_sent_back_is_not_shown(field: str, code: int) -> None:
    said = {field: f"no such token: Bearer {KEY}, or {KEY}"}
    assert "(no such token: Bearer ***, or ***)" in await failure(status(code, said, "retry-after: 0\r\n"))
    nested = {"error": {field: f"no {KEY}"}}
    if field in ("message", "detail"):
        assert "(no ***)" in await failure(status(code, nested, "retry-after: 0\r\n"))


@pytest.mark.parametrize("before", [*range(185, 201), 790, 795])
async def test_not_even_a_part_of_a_key_is_shown(before: int) -> None:
    message = await failure(status(401, {"message": f"{'x' * before}{KEY}"}))
    assert "secret" not in message
    spaced = await failure(status(401, {"message": f"{' ' * before}{KEY}"}))
    assert spaced == "Some search rejected the key: check SOME_KEY (***)"


async def test_a_key_in_a_broken_answer_is_not_shown() -> None:
    async def broken(writer: asyncio.StreamWriter) -> None:
        writer.write(f"{KEY}\r\n\r\n".encode())
        await writer.drain()

    assert (await failure(broken)).startswith("Some search cannot be reached: ")


def test_a_password_in_the_address_is_not_shown() -> None:
    endpoint = Endpoint("http://me:pass%40word@127.0.0.1/", "S", "", SearchError)
    assert endpoint.said("me, pass@word and\npass%40word") == "me, *** and ***"
    assert endpoint.said(["pass@word"]) == ""


async def test_no_key() -> None:
    assert await failure(status(401), headers={}) == "Some search asks for a key: set SOME_KEY"


@pytest.mark.parametrize("answer", [silence, drip])
async def test_the_time_limit_is_for_everything_together(answer: Answer) -> None:
    started = time.monotonic()
    assert await failure(answer, timeout_seconds=0.2) == "Some search did not answer within 0.2 s"
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("answer", [status(429), status(502), status(503), status(504), drop, status(429, {}, "retry-after: 0\r\n")])
async def test_what_may_pass_is_tried_again(answer: Answer) -> None:
    async with serving(answer, answer, OK) as (raw, endpoint, client):
        assert await post_json(client, endpoint, {"q": "x"}, timeout_seconds=20) == {"ok": True}
    assert len(raw.requests) == 3
    assert {body for _, body in raw.requests} == {b'{"q": "x"}'}


async def test_three_attempts_at_most() -> None:
    async with serving(status(503, {"message": "busy"}, "retry-after: 0\r\n")) as (raw, endpoint, client):
        with pytest.raises(SearchError, match=r"^Some search is failing: HTTP 503 \(busy\)$"):
            await post_json(client, endpoint, {}, timeout_seconds=20)
    assert len(raw.requests) == 3


async def test_the_pause_asked_for_is_kept() -> None:
    async with serving(status(429, {}, "retry-after: 1\r\n"), OK) as (_, endpoint, client):
        started = time.monotonic()
        await post_json(client, endpoint, {}, timeout_seconds=20)
        assert 1.0 <= time.monotonic() - started < 20


async def test_a_service_that_wants_longer_pauses_gets_them() -> None:
    async with serving(status(429, {}, "retry-after: 0\r\n"), OK) as (_, endpoint, client):
        started = time.monotonic()
        await post_json(client, replace(endpoint, pause_seconds=0.3), {}, timeout_seconds=20)
        assert 0.3 <= time.monotonic() - started < 20


@pytest.mark.parametrize("retry_after", ["60", formatdate(time.time() + 86_400, usegmt=True)])
async def test_a_pause_beyond_the_deadline_fails_at_once(retry_after: str) -> None:
    started = time.monotonic()
    message = await failure(status(429, {}, f"retry-after: {retry_after}\r\n"), OK)
    assert message.startswith("Some search limits the rate: HTTP 429, it asks to wait ")
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(("patience", "second"), [(9.0, "did not answer within 0.05 s"), (0.0, "is not asked for 30 s: it did not")])
async def test_a_call_with_little_time_proves_nothing(patience: float, second: str) -> None:
    async with serving(silence) as (_, endpoint, client):
        spared = replace(endpoint, upstream=Upstream(Policy(failures=1, patience_seconds=patience)))
        for message in ("did not answer within 0.05 s", second):
            with pytest.raises(SearchError) as caught:
                await post_json(client, spared, {}, timeout_seconds=0.05)
            assert str(caught.value).startswith(f"Some search {message}")


@pytest.mark.parametrize("retry_after", [b"\xb2", b"Mon, 01 Jan 99999999999999999999 00:00:00 GMT", b"-5", b"soon", b"\xb2" * 5_000])
async def test_a_pause_that_is_none_is_an_ordinary_failure(retry_after: bytes) -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 503 X\r\ncontent-length: 0\r\nretry-after: " + retry_after + b"\r\n\r\n")
        await writer.drain()

    assert await failure(answer) == "Some search is failing: HTTP 503"


@given(
    st.one_of(
        st.text(st.characters()),
        st.text(st.characters(categories=("Nd", "No"))),
        st.from_regex(r"(Mon, )?\d{1,25} (Jan|Dec) -?\d{1,25} \d{1,12}:\d{1,12}(:\d{1,12})? ([+-]?\d{1,25}|GMT|[A-Z]{1,5})"),
    )
)
@example("\u00b2")
@example("Mon, 01 Jan 9999 00:00:00 -2359")
def test_any_text_asks_for_a_pause_or_none(retry_after: str) -> None:
    seconds = retry_after_seconds(retry_after)
    assert seconds is None or 0 <= seconds < 1e12


async def test_a_form_as_it_arrives() -> None:
    async with serving(OK) as (raw, endpoint, client):
        assert await post_form(client, endpoint, {"q": "é&a=b c\ud800", "n": "3"}, timeout_seconds=5) == b'{"ok": true}'
    headers, body = raw.requests[0]
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert body == b"q=%C3%A9%26a%3Db+c%3F&n=3"


async def test_calls_that_have_no_turn_in_time_were_not_made() -> None:
    async with serving(silence) as (raw, endpoint, client):
        spared = replace(endpoint, upstream=Upstream(Policy(at_once=1)))
        first = asyncio.create_task(post_json(client, spared, {}, timeout_seconds=60))
        while not raw.requests:
            await asyncio.wait({first}, timeout=0.01)
        with pytest.raises(SearchError, match=r"^Some search had no turn for it in time \(1 at a time\)$") as caught:
            await post_json(client, spared, {}, timeout_seconds=0.05)
        assert caught.value.usage.searches == 0
        assert len(raw.requests) == 1
        first.cancel()


async def test_nothing_listens() -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    server.close()
    await server.wait_closed()
    assert (await failure(OK, url=url)).startswith("Some search cannot be reached: ")


@pytest.mark.parametrize("url", ["ftp://host/", "no url", "http://127.0.0.1:port/", ""])
async def test_an_address_that_is_none(url: str) -> None:
    assert (await failure(OK, url=url)).startswith("Some search cannot be used: ")


async def test_cancelling_ends_the_request() -> None:
    async with serving(silence) as (raw, endpoint, client):
        call = asyncio.create_task(post_json(client, endpoint, {}, timeout_seconds=60))
        while not raw.requests:
            await asyncio.wait({call}, timeout=0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


def test_secrets_do_not_show() -> None:
    endpoint = Endpoint("http://h/", "S", "K", SearchError, headers={"Authorization": "Bearer secret-key"})
    assert "secret-key" not in repr(endpoint)


def test_a_key_that_cannot_be_sent_is_named_not_shown() -> None:
    assert authorization(SecretStr(" key\n"), "SOME_KEY") == {"Authorization": "Bearer key"}
    assert authorization(None, "SOME_KEY") == {}
    assert required_key(SecretStr(" key\n"), "SOME_KEY") == "key"
    with pytest.raises(ConfigurationError, match=r"^SOME_KEY is not set$"):
        required_key(None, "SOME_KEY")
    for key in ("two words", "line\nbreak", "schlüssel"):
        with pytest.raises(ConfigurationError) as caught:
            authorization(SecretStr(key), "SOME_KEY")
        assert caught.value.field == "SOME_KEY"
        assert key not in str(caught.value)


def test_fields_of_hostile_answers() -> None:
    assert text_field("abc", 2) == "ab"
    assert text_field("\ud800", 9) == "?"
    assert [text_field(value, 9) for value in (None, 1, ["x"], {})] == ["", "", "", ""]
    assert [count_field(value) for value in (7, 7.9, -1, True, "7", None, float("nan"), float("inf"), 2**40)] == [
        7,
        7,
        0,
        0,
        0,
        0,
        0,
        2**31 - 1,
        2**31 - 1,
    ]
