"""The cache on a Redis server: limits, lost connections, and what is said about a server that cannot be used."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis

from providers.cache import Codec, Memory, Question
from providers.cache.redis import RedisCache
from schemas.errors import CacheError, ConfigurationError
from schemas.usage import Usage
from tests.gateway.guard.test_guard_tls import self_signed
from tests.servers import PASSWORD, QUOTED_PASSWORD, RedisServer

MEGABYTE = 1_000_000
TEXT: Codec[str] = Codec(lambda text: text.encode(), lambda value: value.decode())
QUESTION = Question("search", {"text": "q"}, "q")


@asynccontextmanager
async def opened(url: str, megabytes: int = 1, **options: Any) -> AsyncIterator[RedisCache]:
    cache = RedisCache(url, megabytes * MEGABYTE, **options)
    try:
        yield cache
    finally:
        await cache.close()


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    server: Any = Redis.from_url(url)
    try:
        yield server
    finally:
        await server.aclose()


@pytest.mark.parametrize("size", [0, 300, 20_000])
async def test_the_limit_is_what_the_server_uses(redis_url: str, size: int) -> None:
    dice = random.Random(0)
    async with opened(redis_url, 3) as cache, connected(redis_url) as server:
        before = (await server.info("memory"))["used_memory"]
        for turn in range(10_000_000 // (size + 500) // 100 + 1):
            await cache.put("embedding", {f"{turn:032x}{number:032x}": dice.randbytes(size) for number in range(100)})
        used = (await server.info("memory"))["used_memory"] - before
        assert 1.5 * MEGABYTE <= used <= 3.3 * MEGABYTE
        # Nothing is left behind of what went.
        entries = await server.dbsize() - 3
        assert entries == await server.zcard("deepsearch:cache:used") == await server.hlen("deepsearch:cache:sizes")
        assert (
            sum(map(int, await server.hvals("deepsearch:cache:sizes"))) == int(await server.get("deepsearch:cache:bytes")) <= 3 * MEGABYTE
        )


async def test_what_the_server_threw_out_itself_is_missed_by_nobody(redis_url: str) -> None:
    async with opened(redis_url) as cache, connected(redis_url) as server:
        await cache.put("page", {"a": b"text", "b": b"text"})
        await server.delete("deepsearch:cache:page:a")
        assert list(await cache.get("page", ["a", "b"])) == ["b"]
        for number in range(60):
            await cache.put("page", {str(number): random.Random(number).randbytes(50_000)})
        assert int(await server.get("deepsearch:cache:bytes")) <= MEGABYTE


async def test_a_replay_changes_nothing(redis_url: str) -> None:
    async with opened(redis_url, now=lambda: 1.0) as cache, opened(redis_url, read_only=True) as replay, connected(redis_url) as server:
        await cache.put("page", {"a": b"text"})
        await replay.get("page", ["a"])
        assert await server.zscore("deepsearch:cache:used", "page:a") == 1.0


async def test_an_entry_of_somebody_else_is_told(redis_url: str) -> None:
    async with opened(redis_url) as cache, connected(redis_url) as server:
        await server.set("deepsearch:cache:page:a", b"x")
        with pytest.raises(CacheError, match=r"cannot be used \(.*\): an entry in it is none of ours"):
            await cache.get("page", ["a"])
        await server.lpush("deepsearch:cache:used", b"x")
        with pytest.raises(CacheError, match=r"cannot be used \(.*WRONGTYPE.*\): check DEEPSEARCH_CACHE_URL$"):
            await cache.put("page", {"b": b"x"})


async def test_a_connection_that_was_cut_is_made_again(redis_url: str) -> None:
    async with opened(redis_url) as cache, connected(redis_url) as server:
        await cache.put("page", {"a": b"text"})
        for _ in range(3):
            await server.client_kill_filter(_type="normal", skipme=True)
            assert (await cache.get("page", ["a"]))["a"].value == b"text"


async def test_a_cache_that_fails_fails_no_answer_and_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    async def ask() -> tuple[str, Usage]:
        return "from outside", Usage(searches=1)

    with RedisServer() as server:
        cache = RedisCache(server.url(), MEGABYTE)
        memory = Memory(cache, "read-write", 60.0)
        await memory.answer(QUESTION, ask, TEXT)
        assert (await memory.answer(QUESTION, ask, TEXT))[1].searches == 0
        server.kill()
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                assert (await memory.answer(QUESTION, ask, TEXT))[1].searches == 1
        [message] = [record.getMessage() for record in caplog.records]  # once
        assert f"the cache redis://127.0.0.1:{server.port}/0 cannot be used" in message
        assert PASSWORD not in message
        assert QUOTED_PASSWORD not in message
        with pytest.raises(CacheError, match="could not be reached a moment ago"):
            await cache.get("page", ["a"])
        server.start()
        cache._spared_until = 0.0
        assert (await memory.answer(QUESTION, ask, TEXT))[1].searches == 1
        assert (await memory.answer(QUESTION, ask, TEXT))[1].searches == 0
        await memory.close()


async def test_a_server_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("providers.cache.redis._ANSWER_SECONDS", 0.2)
    ended = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        ended.set()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    async with silent, opened(f"redis://127.0.0.1:{port}") as cache:
        with pytest.raises(CacheError, match=rf"the cache redis://127\.0\.0\.1:{port} cannot be used \(.*\): check DEEPSEARCH_CACHE_URL"):
            await cache.get("page", ["a"])
        await ended.wait()


async def test_a_wrong_password_is_told_and_not_shown(redis_url: str) -> None:
    async with opened(redis_url.replace(QUOTED_PASSWORD, "wr0ng")) as cache:
        with pytest.raises(CacheError, match="check the user and password in DEEPSEARCH_CACHE_URL") as raised:
            await cache.get("page", ["a"])
        assert "wr0ng" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis://:pass/word@host:1",
        "redis://user:s3cret@host:port/0",
        "redis://:s3cret@[::1",
        "redis://h?db=x&password=s3cret",
        "redis://:/s3cret@host:6379/0",
        "redis://user:12/s3cret@host",
        "redis://user:12#s3cret@host",
    ],
)
def test_a_url_that_cannot_be_read_is_told_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError, match="DEEPSEARCH_CACHE_URL cannot be read: write redis://") as raised:
        RedisCache(url, MEGABYTE)
    assert raised.value.field == "DEEPSEARCH_CACHE_URL"
    assert "s3cret" not in str(raised.value)
    assert "word@host" not in str(raised.value)
    assert raised.value.__cause__ is None


async def test_a_server_that_is_full_is_told() -> None:
    with RedisServer("--maxmemory", "2mb", "--maxmemory-policy", "noeviction") as server:
        async with opened(server.url(), 100) as cache:
            with pytest.raises(CacheError, match="raise its maxmemory, or lower DEEPSEARCH_CACHE_MB"):
                for number in range(100):
                    await cache.put("page", {str(number): random.Random(number).randbytes(50_000)})


async def test_the_connection_may_be_encrypted(redis_url: str, tmp_path: Path) -> None:
    chain, key = self_signed(tmp_path / "tls")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain, key)
    port = urlsplit(redis_url).port
    assert port is not None
    async with encrypting(port, context) as encrypted:
        url = redis_url.replace("redis://", "rediss://").replace(str(port), str(encrypted))
        async with opened(f"{url}?ssl_ca_certs={chain}") as cache:
            await cache.put("page", {"a": b"text"})
            assert (await cache.get("page", ["a"]))["a"].value == b"text"
        async with opened(url) as unknown:
            with pytest.raises(
                CacheError, match=rf"the cache rediss://127\.0\.0\.1:{encrypted}/\d+ cannot be used \(.*certificate verify failed"
            ):
                await unknown.get("page", ["a"])


@asynccontextmanager
async def encrypting(port: int, context: ssl.SSLContext) -> AsyncIterator[int]:
    """The port of a server that speaks TLS and hands on to `port`."""
    tasks: set[asyncio.Task[None]] = set()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())  # type: ignore[arg-type]
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, inner_writer), copy(inner_reader, writer))

    server = await asyncio.start_server(hand_on, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*tasks)
