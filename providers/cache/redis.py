"""A cache in a Redis database, for all processes of a cluster."""

from __future__ import annotations

import contextlib
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import zstandard
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, ReadOnlyError, RedisError, ResponseError

from providers.cache.base import Entry, Kind
from providers.cache.compression import compressed
from providers.storage_url import place_of, without_user
from schemas.errors import CacheError, ConfigurationError

_ANSWER_SECONDS = 2.0
"""Longest wait for the server: a cache that is slower than this saves no time."""

_SPARED_SECONDS = 5.0
"""How long a server that cannot be reached is not asked again, so that it costs no wait for every answer."""

_KEYS_AT_ONCE = 500
_BYTES_AT_ONCE = 4_000_000  # the server does nothing else while it takes them in

_PREFIX = "deepsearch:cache:"
_HEAD = struct.Struct(">dB")  # when it was stored, and whether it is compressed
_BEYOND_VALUE = 500
"""Bytes that an entry takes in the memory of the server beside its value: its key, three times, and what leads to it."""

# What entries take is counted here and not by the server: its own limit, if it has one, is for all that it holds.
_PUT = """
local used, sizes, total = KEYS[1], KEYS[2], KEYS[3]
local prefix, now, most, beyond = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
for i = 5, #ARGV, 2 do
    local size = #ARGV[i + 1] + beyond
    redis.call('SET', prefix .. ARGV[i], ARGV[i + 1])
    local before = redis.call('HGET', sizes, ARGV[i]) or 0
    redis.call('HSET', sizes, ARGV[i], size)
    redis.call('INCRBY', total, size - before)
    redis.call('ZADD', used, now, ARGV[i])
end
while tonumber(redis.call('GET', total) or 0) > most do
    local oldest = redis.call('ZPOPMIN', used)[1]
    if not oldest then break end
    redis.call('DECRBY', total, redis.call('HGET', sizes, oldest) or 0)
    redis.call('HDEL', sizes, oldest)
    redis.call('UNLINK', prefix .. oldest)
end
"""


class RedisCache:
    """A cache in the Redis database that `url` names, `redis://` or with TLS `rediss://`, as redis-py reads it.

    Connections are made when they are first needed, and again after they were lost. A server that cannot be reached is left alone for
    five seconds. For one event loop.

    `max_bytes` limits what the entries take in the server's memory; those not used for longest go first. `read_only` refuses to write.
    `now` gives seconds since the epoch. Raises `ConfigurationError` for a URL that cannot be used.
    """

    def __init__(self, url: str, max_bytes: int, *, read_only: bool = False, now: Callable[[], float] = time.time) -> None:
        self._place = _place(url)
        self._max_bytes = max_bytes
        self._read_only = read_only
        self._now = now
        self._spared_until = 0.0
        try:
            self._server: Redis = Redis.from_url(
                url,
                socket_timeout=_ANSWER_SECONDS,
                socket_connect_timeout=_ANSWER_SECONDS,
                # Once more at once: a connection that was idle may have been closed by the server.
                retry=Retry(NoBackoff(), 1),
            )
        except (ValueError, TypeError):
            raise _unusable() from None
        self._put: Any = self._server.register_script(_PUT)

    async def get(self, kind: Kind, keys: Sequence[str]) -> dict[str, Entry]:
        """The entries that there are, by key."""
        found: dict[str, Entry] = {}
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            wanted = keys[start : start + _KEYS_AT_ONCE]
            with self._errors():
                async with self._server.pipeline(transaction=False) as pipeline:
                    pipeline.mget([f"{_PREFIX}{kind}:{key}" for key in wanted])
                    if not self._read_only:
                        # Only of what is still there: the rest was thrown out.
                        pipeline.zadd(f"{_PREFIX}used", {f"{kind}:{key}": self._now() for key in wanted}, xx=True, gt=True)
                    values = (await pipeline.execute())[0]
                found.update((key, _entry(value)) for key, value in zip(wanted, values, strict=True) if value is not None)
        return found

    async def put(self, kind: Kind, values: Mapping[str, bytes]) -> None:
        """Keep `values` by key. Raises `CacheError` for one that is larger than half of the cache."""
        if self._read_only:
            raise CacheError(f"the cache {self._place} is readonly in a replay")
        now = self._now()
        packed: dict[str, bytes] = {}
        for key, value in values.items():
            is_compressed, body = compressed(value)
            packed[f"{kind}:{key}"] = _HEAD.pack(now, is_compressed) + body
        for value in packed.values():
            if len(value) + _BEYOND_VALUE > self._max_bytes // 2:
                raise CacheError(f"an answer of {len(value)} bytes is too large for the cache {self._place}: raise DEEPSEARCH_CACHE_MB")
        keys = [f"{_PREFIX}{name}" for name in ("used", "sizes", "bytes")]
        with self._errors():
            for batch in _batches(packed):
                await self._put(keys=keys, args=[_PREFIX, now, self._max_bytes, _BEYOND_VALUE, *batch])

    async def close(self) -> None:
        """Close the connections. The next call opens them again."""
        with contextlib.suppress(RedisError, OSError):
            await self._server.aclose()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        if time.monotonic() < self._spared_until:
            raise CacheError(f"the cache {self._place} could not be reached a moment ago")
        try:
            yield
        except (RedisError, OSError, zstandard.ZstdError, struct.error) as error:
            match error:
                case AuthenticationError():
                    fix = "check the user and password in DEEPSEARCH_CACHE_URL"
                case ResponseError() if "OOM" in str(error):  # within a script the server gives it no type of its own
                    fix = "raise its maxmemory, or lower DEEPSEARCH_CACHE_MB"
                case ReadOnlyError():
                    fix = "it is a replica; name the primary in DEEPSEARCH_CACHE_URL"
                case zstandard.ZstdError() | struct.error():
                    fix = "an entry in it is none of ours; set DEEPSEARCH_CACHE_URL to a database of its own"
                case ResponseError():
                    fix = "check DEEPSEARCH_CACHE_URL"
                case _:
                    fix = "check DEEPSEARCH_CACHE_URL, and that the server runs"
                    self._spared_until = time.monotonic() + _SPARED_SECONDS
            raise CacheError(f"the cache {self._place} cannot be used ({without_user(str(error))}): {fix}") from error


def _place(url: str) -> str:
    """The server and database of a URL, without secrets."""
    try:
        place = place_of(url, 6379).rstrip("/")
    except ValueError:
        raise _unusable() from None  # its message may hold a part of the password
    if "://:" in place:
        raise _unusable()  # no host
    return place


def _unusable() -> ConfigurationError:
    return ConfigurationError(
        "DEEPSEARCH_CACHE_URL cannot be read: write redis://USER:PASSWORD@HOST:PORT/0, with %2F for / and %40 for @ in the password",
        field="DEEPSEARCH_CACHE_URL",
    )


def _entry(value: bytes) -> Entry:
    stored_at, is_compressed = _HEAD.unpack_from(value)
    body = value[_HEAD.size :]
    return Entry(zstandard.decompress(body) if is_compressed else body, stored_at)


def _batches(packed: Mapping[str, bytes]) -> Iterator[list[str | bytes]]:
    """Keys and values in turn, about 4 megabytes at a time."""
    batch: list[str | bytes] = []
    size = 0
    for key, value in packed.items():
        if batch and size + len(value) > _BYTES_AT_ONCE:
            yield batch
            batch, size = [], 0
        batch += [key, value]
        size += len(value)
    if batch:
        yield batch
