"""What every store of a cache keeps to, on the real thing."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from providers.cache import create_cache
from providers.cache.base import Cache
from schemas.errors import CacheError
from schemas.settings import Settings

ROOT = Path(__file__).parents[3]
MakeCache = Callable[..., Cache]


@pytest.fixture(params=["sqlite", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(request.getfixturevalue("redis_url")) if request.param == "redis" else f"sqlite:///{tmp_path}/cache.db"


@pytest.fixture
async def cache_of(url: str) -> AsyncIterator[MakeCache]:
    """`cache_of(megabytes=1, mode="read-write", now=clock)`."""
    made: list[Cache] = []

    def make(megabytes: int = 1, mode: str = "read-write", now: Callable[[], float] | None = None) -> Cache:
        values: Any = {"deepsearch_cache": mode, "deepsearch_cache_url": url, "deepsearch_cache_mb": megabytes}
        cache = create_cache(Settings(_env_file=None, **values))
        assert cache is not None
        if now is not None:
            cache._now = now  # type: ignore[attr-defined]
        made.append(cache)
        return cache

    yield make
    for cache in made:
        await cache.close()


async def test_entries_are_kept_by_kind_and_key(cache_of: MakeCache) -> None:
    cache = cache_of(now=lambda: 1000.0)
    await cache.put("page", {"a": b"first", "b": b""})
    await cache.put("page", {"a": b"second"})
    found = await cache.get("page", ["a", "b", "c"])
    assert {key: (entry.value, entry.stored_at) for key, entry in found.items()} == {"a": (b"second", 1000.0), "b": (b"", 1000.0)}
    assert await cache.get("search", ["a"]) == {}
    assert await cache.get("page", []) == {}
    await cache.close()
    assert (await cache.get("page", ["a"]))["a"].value == b"second"  # opened again
    assert (await cache_of().get("page", ["a"]))["a"].value == b"second"  # by another process


async def test_many_keys_and_much_at_once(cache_of: MakeCache) -> None:
    cache = cache_of(20)
    dice = random.Random(0)
    values = {f"key {number}": str(number).encode() for number in range(1_234)} | {str(n): dice.randbytes(900_000) for n in range(10)}
    await cache.put("embedding", values)
    assert {key: entry.value for key, entry in (await cache.get("embedding", list(values))).items()} == values


async def test_every_byte_comes_back(cache_of: MakeCache) -> None:
    cache = cache_of()
    values = {"words": b"a word and " * 10_000, "noise": random.Random(0).randbytes(10_000), "zeros": bytes(600), "lines": b"\r\n$-1\r\n"}
    await cache.put("page", values)
    assert {key: entry.value for key, entry in (await cache.get("page", list(values))).items()} == values


async def test_what_was_not_used_for_longest_goes_first(cache_of: MakeCache) -> None:
    clock = [0.0]
    cache = cache_of(now=lambda: clock[0])
    dice = random.Random(0)
    for number in range(40):
        clock[0] += 10_000
        await cache.put("page", {f"{number}": dice.randbytes(50_000)})
        assert await cache.get("page", ["0"])  # always in use
    left = sorted(map(int, await cache.get("page", [str(number) for number in range(40)])))
    assert left[0] == 0
    assert left[1:] == list(range(left[1], 40))
    assert 10 <= len(left) <= 20


async def test_an_answer_that_is_too_large_is_refused_and_costs_no_other(cache_of: MakeCache) -> None:
    cache = cache_of()
    await cache.put("page", {"a": b"text"})
    with pytest.raises(CacheError, match=r"an answer of 6000\d\d bytes is too large for the cache .*: raise DEEPSEARCH_CACHE_MB"):
        await cache.put("page", {"b": random.Random(0).randbytes(600_000)})
    assert list(await cache.get("page", ["a", "b"])) == ["a"]


async def test_a_recording_is_only_read(cache_of: MakeCache) -> None:
    await cache_of(now=lambda: 0.0).put("page", {"a": b"text"})
    recording = cache_of(mode="replay")
    assert (await recording.get("page", ["a"]))["a"].value == b"text"
    with pytest.raises(CacheError, match="readonly"):
        await recording.put("page", {"a": b"other"})
    assert (await cache_of().get("page", ["a"]))["a"].value == b"text"


WORKER = """
import asyncio, random, sys
from providers.cache import create_cache
from schemas.settings import Settings

async def work(url, number):
    cache = create_cache(Settings(_env_file=None, deepsearch_cache="read-write", deepsearch_cache_url=url, deepsearch_cache_mb=2))
    print("ready", flush=True)
    sys.stdin.readline()
    dice = random.Random(number)
    for turn in range(150):
        key = str(dice.randrange(60))
        await cache.put("page", {key: key.encode() + b":" + dice.randbytes(dice.randrange(20_000)), f"{number}-{turn}": b"small"})
        for found, entry in (await cache.get("page", [str(dice.randrange(60)) for _ in range(5)])).items():
            assert entry.value.startswith(found.encode() + b":")
    await cache.close()

asyncio.run(work(sys.argv[1], int(sys.argv[2])))
"""


async def test_several_processes_write_and_read_at_once(url: str, cache_of: MakeCache) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def started(number: int) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", WORKER, url, str(number)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip

    workers = [started(number) for number in range(4)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    ended = await asyncio.gather(*(asyncio.to_thread(worker.communicate, timeout=50) for worker in workers))
    assert [errors for _, errors in ended] == [""] * 4
    assert [worker.returncode for worker in workers] == [0] * 4
    assert len(await cache_of(2).get("page", [f"{number}-149" for number in range(4)])) == 4
