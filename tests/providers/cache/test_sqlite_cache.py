"""The cache in a SQLite file: what it keeps and forgets, what it says when it cannot, and several processes at once."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from providers.cache import create_cache
from providers.cache.redis import RedisCache
from providers.cache.sqlite import SQLiteCache
from schemas.errors import CacheError, ConfigurationError
from schemas.settings import Settings

ROOT = Path(__file__).parents[3]
MEGABYTE = 1_000_000


async def test_what_gains_by_it_is_compressed(tmp_path: Path) -> None:
    cache = SQLiteCache(tmp_path / "cache.db", 10 * MEGABYTE)
    noise = random.Random(0).randbytes(100_000)
    await cache.put("page", {"words": b"a word and " * 100_000, "noise": noise})
    found = await cache.get("page", ["words", "noise"])
    assert (found["words"].value, found["noise"].value) == (b"a word and " * 100_000, noise)
    await cache.close()
    assert 100_000 < (tmp_path / "cache.db").stat().st_size < 200_000


async def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    cache = SQLiteCache(tmp_path / "cache.db", MEGABYTE)
    await cache.put("page", {"a": b"text"})
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"cache.db": 0o600, "cache.db-wal": 0o600, "cache.db-shm": 0o600}
    await cache.close()
    assert [path.name for path in tmp_path.iterdir()] == ["cache.db"]


async def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    clock = [0.0]
    cache = SQLiteCache(tmp_path / "cache.db", MEGABYTE, now=lambda: clock[0])
    dice = random.Random(0)
    for number in range(40):
        clock[0] += 10_000
        await cache.put("page", {f"{number}": dice.randbytes(50_000)})
        assert await cache.get("page", ["0"])  # always in use
    left = sorted(map(int, await cache.get("page", [str(number) for number in range(40)])))
    assert left[0] == 0
    assert left[1:] == list(range(left[1], 40))
    assert 10 <= len(left) <= 20
    await cache.close()
    assert (tmp_path / "cache.db").stat().st_size <= 1.1 * MEGABYTE


async def test_reading_writes_once_an_hour_at_most(tmp_path: Path) -> None:
    clock = [0.0]
    cache = SQLiteCache(tmp_path / "cache.db", MEGABYTE, now=lambda: clock[0])
    await cache.put("page", {"a": b"text"})
    written = []
    for seconds in (0, 1_800, 3_599, 3_601, 3_700, 7_300):
        clock[0] = seconds
        await cache.get("page", ["a"])
        assert cache._connection is not None
        written.append(cache._connection.total_changes)
    assert written == [1, 1, 1, 2, 2, 3]
    await cache.close()


async def test_a_file_that_is_no_cache_is_told(tmp_path: Path) -> None:
    (tmp_path / "cache.db").write_bytes(b"no database at all" * 1_000)
    cache = SQLiteCache(tmp_path / "cache.db", MEGABYTE)
    for _ in range(2):
        with pytest.raises(
            CacheError, match=r"the cache .*cache\.db cannot be used \(file is not a database\): delete it, or set DEEPSEARCH_CACHE_URL"
        ):
            await cache.get("page", ["a"])
    await cache.close()


async def test_another_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE runs (run_id TEXT)")
    before = path.read_bytes()
    cache = SQLiteCache(path, MEGABYTE)
    with pytest.raises(CacheError, match=r"cannot be used \(no such table: entries\): check DEEPSEARCH_CACHE_URL"):
        await cache.put("page", {"a": b"text"})
    assert path.read_bytes() == before


async def test_a_file_that_was_damaged_is_told(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    cache = SQLiteCache(path, MEGABYTE)
    await cache.put("page", {str(number): random.Random(number).randbytes(2_000) for number in range(50)})
    await cache.close()
    damaged = bytearray(path.read_bytes())
    damaged[4_096:] = b"\x00" * (len(damaged) - 4_096)
    path.write_bytes(damaged)
    cache = SQLiteCache(path, MEGABYTE)
    with pytest.raises(CacheError, match="delete it, or set DEEPSEARCH_CACHE_URL"):
        await cache.put("page", {"a": b"text"})
    await cache.close()


async def test_an_unwritable_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = SQLiteCache(tmp_path / "file" / "cache.db", MEGABYTE)
    with pytest.raises(CacheError, match=r"cannot be used \(.*\): check DEEPSEARCH_CACHE_URL"):
        await cache.put("page", {"a": b"text"})
    cache = SQLiteCache(tmp_path, MEGABYTE)
    with pytest.raises(CacheError, match=r"cannot be used \(.*\): check DEEPSEARCH_CACHE_URL"):
        await cache.get("page", ["a"])


async def test_a_recording_is_only_read(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    missing = SQLiteCache(path, MEGABYTE, read_only=True)
    with pytest.raises(CacheError, match=r"there is no recording .*cache\.db: record a run with DEEPSEARCH_CACHE=record"):
        await missing.get("page", ["a"])
    assert not path.exists()
    cache = SQLiteCache(path, MEGABYTE, now=lambda: 0.0)
    await cache.put("page", {"a": b"text"})
    await cache.close()
    before = path.read_bytes()
    recording = SQLiteCache(path, MEGABYTE, read_only=True)
    assert (await recording.get("page", ["a"]))["a"].value == b"text"
    with pytest.raises(CacheError, match="readonly"):
        await recording.put("page", {"a": b"other"})
    await recording.close()
    assert path.read_bytes() == before


WORKER = """
import asyncio, random, sys
from pathlib import Path
from providers.cache.sqlite import SQLiteCache

async def work(path, number):
    cache = SQLiteCache(Path(path), 2_000_000)
    print("ready", flush=True)
    sys.stdin.readline()
    for fresh in range(10):
        made = SQLiteCache(Path(f"{path}.{fresh}"), 2_000_000)
        await made.put("page", {str(number): b"made at the same moment"})
        await made.close()
    dice = random.Random(number)
    for turn in range(150):
        key = str(dice.randrange(60))
        await cache.put("page", {key: key.encode() + b":" + dice.randbytes(dice.randrange(20_000)), f"{number}-{turn}": b"small"})
        for found, entry in (await cache.get("page", [str(dice.randrange(60)) for _ in range(5)])).items():
            assert entry.value.startswith(found.encode() + b":")
    await cache.close()

asyncio.run(work(sys.argv[1], int(sys.argv[2])))
"""


async def test_several_processes_write_and_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    workers = [
        subprocess.Popen(  # noqa: ASYNC220
            [sys.executable, "-c", WORKER, str(path), str(number)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        )
        for number in range(4)
    ]  # fmt: skip
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")  # all of them make the file at the same moment
        worker.stdin.flush()
    assert [worker.communicate(timeout=50)[1] for worker in workers] == [""] * 4
    assert [worker.returncode for worker in workers] == [0] * 4
    cache = SQLiteCache(path, 2_000_000)
    kept = await cache.get("page", [f"{number}-149" for number in range(4)])
    assert len(kept) == 4
    for fresh in range(10):
        made = SQLiteCache(Path(f"{path}.{fresh}"), 2_000_000)
        assert len(await made.get("page", list("0123"))) == 4
        await made.close()
    assert path.stat().st_size <= 2_200_000
    assert cache._connection is not None
    assert cache._connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    await cache.close()


def test_the_settings_choose_the_store(tmp_path: Path) -> None:
    def chosen(**values: Any) -> object:
        return create_cache(Settings(_env_file=None, deepsearch_home=tmp_path, **values))

    assert chosen() is None
    default = chosen(deepsearch_cache="record")
    assert isinstance(default, SQLiteCache)
    assert default._path == tmp_path / "cache.db"
    other = chosen(deepsearch_cache="replay", deepsearch_cache_url="sqlite:///here/c.db")
    assert isinstance(other, SQLiteCache)
    assert (other._path, other._read_only) == (Path("here/c.db"), True)
    for scheme in ("redis", "rediss"):
        shared = chosen(deepsearch_cache="replay", deepsearch_cache_url=f"{scheme}://user:secret@host/2")
        assert isinstance(shared, RedisCache)
        assert (shared._place, shared._read_only) == (f"{scheme}://host:6379/2", True)
    with pytest.raises(ConfigurationError, match="DEEPSEARCH_CACHE_URL must begin with one of: sqlite://, redis://, rediss://"):
        chosen(deepsearch_cache="record", deepsearch_cache_url="memcached://host")
    with pytest.raises(ConfigurationError, match="DEEPSEARCH_CACHE_URL names no file"):
        chosen(deepsearch_cache="record", deepsearch_cache_url="sqlite:///")
