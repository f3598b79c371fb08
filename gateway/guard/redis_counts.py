"""The commands by which counts are kept in Redis, for all gateways. Every one of them is atomic, and whatever it writes expires.

Its keys hold names of callers and hashes of the ids of runs, which clients may choose.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import redis
from limits.aio.storage import RedisStorage
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError
from redis.exceptions import TimeoutError as NoAnswer

from gateway.guard.counts import DAY_SECONDS, RequestWindow, today
from schemas.errors import ConfigurationError

SETTING = "DEEPSEARCH_LIMITS_URL"
ANSWER_SECONDS = 1.0
"""Longest wait for the server, by which a request is late at most."""
FAILURES = (RedisError, OSError)
"""What is raised when the server cannot be used; the end of a time limit is one of them."""

_START_SECONDS = 5.0
_SCHEMES = ("redis", "rediss")
_PREFIX = "deepsearch:limits"
_KEPT_SECONDS = 2 * DAY_SECONDS
"""How long the tokens of a day are kept, and what is counted of a run since somebody last looked at it."""
_MOST_CONNECTIONS = 32
_MOST_TOKENS = 2**53
"""Numbers of Redis' scripts are exact up to here."""

# The server's clock is the one that all gateways share.
_NOW = "local time = redis.call('TIME') local now = time[1] * 1000 + math.floor(time[2] / 1000) "
_TAKE = _NOW + """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""  # fmt: skip
# The first key is a sign of life: a write even when there is no place, which a server that takes none refuses.
_RENEW = _NOW + """
redis.call('SET', KEYS[1], now, 'PX', ARGV[1])
for i = 2, #KEYS do
    redis.call('ZADD', KEYS[i], now + ARGV[1], ARGV[i])
    redis.call('PEXPIRE', KEYS[i], ARGV[1])
end
return #KEYS - 1
"""  # fmt: skip
_SPEND = """
local new = tonumber(ARGV[1])
if KEYS[2] then
    local before = tonumber(redis.call('GET', KEYS[2]) or 0)
    redis.call('SET', KEYS[2], math.max(before, new), 'EX', ARGV[2])
    new = new - before
end
if new <= 0 then return 0 end
redis.call('INCRBY', KEYS[1], new)
redis.call('EXPIRE', KEYS[1], ARGV[2])
return new
"""
_REMEMBER = """
local before = tonumber(redis.call('GET', KEYS[1]) or 0)
redis.call('SET', KEYS[1], math.max(before, tonumber(ARGV[1])), 'EX', ARGV[2])
return before
"""


class RedisCounts:
    """Counts in the Redis database that `url` names, as the contract in `counts` says, but that a place lapses after `place_seconds` unless
    it is renewed, so that a gateway that dies keeps none, and that a failure of the server is raised, as one of `FAILURES`.

    Connections are made when they are first needed, and again after they were lost. For one event loop. Raises `ConfigurationError` for
    a URL that cannot be used.
    """

    def __init__(self, url: str, per_minute: int, place_seconds: float) -> None:
        self._url = _checked(url)
        self._place_milliseconds = round(place_seconds * 1_000)
        try:
            pool = BlockingConnectionPool.from_url(
                url,
                max_connections=_MOST_CONNECTIONS,
                timeout=ANSWER_SECONDS / 2,  # for a connection, so that none of a crowd waits longer than the answer may take
                socket_timeout=ANSWER_SECONDS,
                socket_connect_timeout=ANSWER_SECONDS,
                retry=Retry(NoBackoff(), 1),  # once more at once: the server may have closed a connection that was idle
            )
        except (ValueError, TypeError):
            raise _unusable() from None
        self._server: Redis = Redis.from_pool(pool)
        # Its own URL is not asked when there is a pool.
        storage = RedisStorage("redis://localhost:6379", implementation="redispy", key_prefix=_PREFIX, connection_pool=pool)  # type: ignore[arg-type]
        self._requests = RequestWindow(storage, per_minute)
        self._take, self._renew, self._spend, self._remember = map(self._script, (_TAKE, _RENEW, _SPEND, _REMEMBER))

    def check(self) -> None:
        """Raise `ConfigurationError`, without any secret, when the server cannot be reached or takes nothing. Blocks."""
        try:
            with redis.Redis.from_url(
                self._url,
                socket_timeout=_START_SECONDS,
                socket_connect_timeout=_START_SECONDS,
                retry=redis.retry.Retry(NoBackoff(), 0),
            ) as server:
                server.register_script(_RENEW)(keys=[_ALIVE], args=[self._place_milliseconds])
        except FAILURES as error:
            raise ConfigurationError(f"{SETTING}: {reason(error)}; check it, and that the server runs.", field=SETTING) from None
        except (ValueError, TypeError):
            raise _unusable() from None

    async def request(self, caller: str) -> int:
        """As in the contract."""
        return await self._requests.count(caller)

    async def take(self, caller: str, place: str, most: int) -> bool:
        """As in the contract."""
        return bool(await self._take(keys=[_places(caller)], args=[place, most, self._place_milliseconds]))

    async def renew(self, held: Iterable[tuple[str, str]]) -> int:
        """Hold on to places, each with its caller before it, also to those that have lapsed; how many they were."""
        places = list(held)
        keys = [_ALIVE, *(_places(caller) for caller, _ in places)]
        return int(await self._renew(keys=keys, args=[self._place_milliseconds, *(place for _, place in places)]))

    async def give_back(self, caller: str, place: str) -> int:
        """As in the contract, at once."""
        return int(await self._server.zrem(_places(caller), place))

    async def tokens(self, caller: str) -> int:
        """As in the contract."""
        return int(await self._server.get(_tokens(caller)) or 0)

    async def spend(self, caller: str, tokens: int, run_id: str = "") -> int:
        """As in the contract. A run is remembered for two days."""
        keys = [_tokens(caller), _run(run_id)] if run_id else [_tokens(caller)]
        return int(await self._spend(keys=keys, args=[min(tokens, _MOST_TOKENS), _KEPT_SECONDS]))

    async def knows(self, run_id: str) -> bool:
        """As in the contract."""
        return bool(await self._server.exists(_run(run_id)))

    async def remember(self, run_id: str, tokens: int) -> int:
        """As in the contract."""
        return int(await self._remember(keys=[_run(run_id)], args=[min(tokens, _MOST_TOKENS), _KEPT_SECONDS]))

    async def forget(self, run_id: str) -> int:
        """As in the contract."""
        return int(await self._server.delete(_run(run_id)))

    async def close(self) -> None:
        """Close the connections. The next call opens them again."""
        await self._server.aclose()

    def _script(self, text: str) -> Any:
        return self._server.register_script(text)


def reason(error: Exception) -> str:
    """Why the server cannot be used, without any secret."""
    match error:
        case AuthenticationError():
            return "the server refuses the user or the password"
        case NoPermissionError():
            return "the server does not let this user write what it must"
        case NoAnswer() | TimeoutError():
            return "the server does not answer in time"
        case _:
            return f"the server cannot be used ({str(error).rstrip('.') or type(error).__name__})"


def _checked(url: str) -> str:
    """`url`. Raises `ConfigurationError` for another scheme, or where nobody can tell the password from the host."""
    try:
        parts = urlsplit(url)
        scheme, host, _ = parts.scheme, parts.hostname, parts.port
    except ValueError:
        raise _unusable() from None  # its message may hold a part of the password
    if scheme not in _SCHEMES:
        raise ConfigurationError(f"{SETTING} must begin with redis:// or rediss://.", field=SETTING)
    if not host or "@" in parts.path + parts.query + parts.fragment:
        raise _unusable()
    return url


def _unusable() -> ConfigurationError:
    return ConfigurationError(
        f"{SETTING} cannot be read: write redis://USER:PASSWORD@HOST:PORT/0, with %2F for / and %40 for @ in the password.", field=SETTING
    )


_ALIVE = f"{_PREFIX}:alive"


def _places(caller: str) -> str:
    return f"{_PREFIX}:runs:{caller}"


def _tokens(caller: str) -> str:
    return f"{_PREFIX}:tokens:{today()}:{caller}"


def _run(run_id: str) -> str:
    return f"{_PREFIX}:run:{sha256(run_id.encode('utf-8', 'surrogatepass')).hexdigest()}"
