"""Tables of other releases: older ones are brought up to date once, newer ones are left alone."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import pytest
from journal_storage import Storage, attachment, connected, line, page, resumed, started

from providers.journal.migrations import migrations
from providers.journal.postgres import PostgresJournal
from schemas.errors import ConfigurationError, JournalError
from tests.servers import PASSWORD, PostgresServer, RedisServer

_ROOT = Path(__file__).parents[3]
_OPEN = """
import asyncio, sys
from providers.journal import create_journal
from schemas.settings import Settings

async def main() -> None:
    print("ready", flush=True)
    sys.stdin.readline()
    journal = create_journal(Settings(_env_file=None, deepsearch_state_url=sys.argv[1]))
    print(sorted(run.run_id for run in await journal.runs(9)))
    await journal.close()

asyncio.run(main())
"""


def old_file(path: Path) -> Path:
    connection = sqlite3.connect(path)
    connection.executescript((Path(__file__).parent / "old_sqlite_journal.sql").read_text())
    connection.close()
    return path


def opened_at_once(url: str, count: int = 2) -> list[str]:
    """What as many processes see of the runs that all open the journal at the same moment."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DEEPSEARCH")}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _OPEN, url], cwd=_ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(count)
    ]
    for process in processes:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return [process.communicate(timeout=60)[0].strip() for process in processes]


async def test_the_first_sqlite_journals_go_on(tmp_path: Path) -> None:
    storage = Storage("sqlite", str(old_file(tmp_path / "runs.db")))
    journal = storage.open()
    assert [(run.run_id, run.state) for run in await journal.runs(9)] == [("died", "interrupted"), ("done", "finished")]
    assert await journal.state_digest("done") == "digest" and (await journal.page("done", "p")).text == "text"
    assert (await journal.attachment("done", "attachment:1/x")).content == "Zm9v"
    assert [run.run_id for run in await journal.unfinished(9)] == ["died"]
    assert [await journal.asked_by(run_id) for run_id in ("died", "done")] == ["", ""] and len(await journal.runs(9, [""])) == 2
    await journal.claim("died")
    await journal.append("died", resumed(2))
    assert [stored.sequence for stored in await journal.events("died")] == [1, 2]
    await journal.forget("done")
    await storage.close()
    connection = sqlite3.connect(storage.url)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(migrations("sqlite")),)
    connection.close()


def test_processes_that_bring_an_old_sqlite_journal_up_to_date_at_once(tmp_path: Path) -> None:
    path = old_file(tmp_path / "runs.db")
    assert opened_at_once(f"sqlite:////{str(path)[1:]}") == ["['died', 'done']"] * 2


def test_processes_that_begin_a_sqlite_journal_at_once(tmp_path: Path) -> None:
    assert opened_at_once(f"sqlite:////{str(tmp_path)[1:]}/runs.db") == ["[]"] * 2


async def test_a_sqlite_journal_of_a_later_release_is_left_alone(tmp_path: Path) -> None:
    path = old_file(tmp_path / "runs.db")
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    with pytest.raises(JournalError, match=rf"^the journal has version 99 and this release knows {len(migrations('sqlite'))}: use"):
        Storage("sqlite", str(path)).open()
    assert connection.execute("PRAGMA user_version").fetchone() == (99,)
    connection.close()


async def test_old_runs_in_a_sqlite_file_are_forgotten_one_after_the_other(tmp_path: Path) -> None:
    """Whoever writes meanwhile waits for one of them, not for all."""
    storage = Storage("sqlite", str(tmp_path / "runs.db"))
    journal, other = storage.open(), storage.open()
    for number in range(12):
        await journal.create(line(str(number)), started(), {"attachment:1/x": attachment("Zm9v" * 10_000)})
        await journal.update(line(str(number), state="finished"))
    await journal.create(line("taken up"), started(), {})
    await journal.update(line("taken up", state="interrupted"))
    forgetting = asyncio.create_task(journal.forget_before(time.time() + 1_000))
    left = 13
    while left == 13:
        await asyncio.sleep(0)
        left = len(await other.runs(50))
    assert left > 1 and await other.claim("taken up") is False
    assert await forgetting == 12
    assert [run.run_id for run in await other.runs(50)] == ["taken up"]
    await storage.close()


async def test_others_have_the_sqlite_file_while_its_room_is_given_back(tmp_path: Path) -> None:
    """Its room is given back in pieces: nobody waits for all of it."""
    storage = Storage("sqlite", str(tmp_path / "runs.db"))
    journal, other = storage.open(), storage.open()
    await journal.create(line("kept"), started(), {})
    await journal.create(line("a"), started(), {"attachment:1/x": attachment("Zm9v" * 2_000_000)})
    await journal.update(line("a", state="finished"))
    sizes: set[int] = set()
    forgetting = asyncio.create_task(journal.forget("a"))
    while not forgetting.done():
        await asyncio.sleep(0)
        sizes.add(journal._connection.execute("PRAGMA page_count").fetchone()[0])
        await other.save_page("kept", page(f"p{len(sizes)}"))
    assert len(sizes) >= 3
    await storage.close()


async def test_what_is_deleted_leaves_the_sqlite_file(tmp_path: Path) -> None:
    storage = Storage("sqlite", str(tmp_path / "runs.db"))
    journal = storage.open()
    await journal.create(line("kept"), started(), {})
    empty = files_of(tmp_path)
    await journal.create(line("a"), started(), {})
    for number in range(50):
        await journal.save_page("a", page(f"p{number}", f"a secret {number} " * 2_000))
    await journal.update(line("a", state="finished"))
    assert b"a secret 7" in b"".join(empty_or_read(path) for path in tmp_path.iterdir())
    await journal.forget("a")
    assert files_of(tmp_path) <= empty + 100_000
    assert b"a secret" not in b"".join(empty_or_read(path) for path in tmp_path.iterdir())
    await storage.close()


def files_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def empty_or_read(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


async def test_a_file_that_is_no_journal(tmp_path: Path) -> None:
    (tmp_path / "runs.db").write_text("this is no database, but it is long enough to look at" * 20)
    with pytest.raises(JournalError, match="DEEPSEARCH_STATE_URL"):
        Storage("sqlite", str(tmp_path / "runs.db")).open()


def test_processes_that_begin_a_postgres_journal_at_once(postgres_url: str) -> None:
    assert opened_at_once(postgres_url) == ["[]"] * 2


async def test_journals_of_one_process_that_begin_at_once(postgres_url: str) -> None:
    journals = [PostgresJournal(postgres_url) for _ in range(8)]
    assert await asyncio.gather(*(journal.runs(1) for journal in journals for _ in range(3))) == [[]] * 24
    for journal in journals:
        await journal.close()
    connection = await asyncpg.connect(postgres_url)
    versions = await connection.fetch("SELECT version FROM deepsearch_journal_version ORDER BY 1")
    assert [row["version"] for row in versions] == list(range(1, len(migrations("postgres")) + 1))
    await connection.close()


async def test_a_step_of_a_migration_that_fails_leaves_nothing(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("CREATE TABLE deepsearch_pages (mine integer)")
    journal = PostgresJournal(postgres_url)
    with pytest.raises(JournalError, match="deepsearch_pages"):
        await journal.runs(1)
    assert await connection.fetchval("SELECT to_regclass('deepsearch_runs') IS NULL")
    await connection.execute("DROP TABLE deepsearch_pages")
    assert await journal.runs(1) == []
    await connection.close()
    await journal.close()


async def test_a_postgres_journal_of_a_later_release_is_left_alone(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("CREATE TABLE deepsearch_journal_version AS SELECT 99 AS version")
    journal = PostgresJournal(postgres_url)
    with pytest.raises(JournalError, match=rf"^the journal has version 99 and this release knows {len(migrations('postgres'))}: use"):
        await journal.runs(1)
    assert await connection.fetchval("SELECT to_regclass('deepsearch_runs') IS NULL")
    await connection.close()
    await journal.close()


async def test_a_database_that_cannot_hold_every_text(postgres_server: PostgresServer) -> None:
    postgres_server.run("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'")
    journal = PostgresJournal(postgres_server.url("latin"))
    with pytest.raises(ConfigurationError, match="encoding LATIN1: make one with ENCODING 'UTF8'"):
        await journal.runs(1)
    await journal.close()
    postgres_server.drop(postgres_server.url("latin"))


async def test_a_role_that_may_only_use_the_tables_that_are_there(postgres_server: PostgresServer, postgres_url: str) -> None:
    first = PostgresJournal(postgres_url)
    await first.create(line(), started(), {})
    await first.close()
    name = postgres_url.rpartition("/")[2]
    postgres_server.run(f"CREATE ROLE limited LOGIN PASSWORD '{PASSWORD}'")
    postgres_server.run("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO limited", name)
    journal = PostgresJournal(postgres_url.replace("//postgres:", "//limited:"))
    await journal.create(line("b"), started(), {})
    assert len(await journal.runs(9)) == 2
    await journal.close()
    postgres_server.run("DROP OWNED BY limited", name)
    postgres_server.run("DROP ROLE limited")


async def test_a_redis_journal_of_a_later_release_is_left_alone(redis_url: str) -> None:
    async with connected(redis_url) as client:
        await client.set("deepsearch:journal:version", 99)
        storage = Storage("redis", redis_url)
        with pytest.raises(JournalError, match=r"^the journal has version 99 and this release knows 2: use"):
            await storage.open().runs(1)
        assert await client.keys("*") == [b"deepsearch:journal:version"]
        await storage.close()


async def test_every_redis_key_has_the_prefix_and_the_version_is_there(redis_url: str) -> None:
    storage = Storage("redis", redis_url)
    await storage.open().create(line(), started(), {})
    async with connected(redis_url) as client:
        assert {re.sub(rb":[^:]*$", b"", name) for name in await client.keys("*")} <= {b"deepsearch:journal", b"deepsearch:journal:run",
            b"deepsearch:journal:events"}  # fmt: skip
        assert await client.get("deepsearch:journal:version") == b"2"
        assert await client.dbsize() == 5
    await storage.close()


async def test_redis_keys_of_the_first_version_go_on(redis_url: str) -> None:
    """Their runs name no key, and a process of the release before may still write."""
    storage = Storage("redis", redis_url)
    await storage.open().create(line("old"), started(), {})
    async with connected(redis_url) as client:
        await client.hdel("deepsearch:journal:run:old", "asked_by")
        await client.set("deepsearch:journal:version", 1)
        journal = storage.open()
        assert await journal.asked_by("old") == "" and [run.run_id for run in await journal.runs(9)] == ["old"]
        assert await client.get("deepsearch:journal:version") == b"2"
        await journal.create(line("new"), started(), {}, "key a")
        await client.zadd("deepsearch:journal:runs", {"new": 1.0})
        assert [run.run_id for run in await journal.runs(9, [""])] == ["old"] and len(await journal.runs(9)) == 2
        assert await client.zrange("deepsearch:journal:runs", 0, -1) == [b"old"]  # found in the wrong place, it is taken out
        await client.zadd("deepsearch:journal:runs", {"new": 1.0, "deleted": 2.0})
        assert [run.run_id for run in await journal.runs(1, [""])] == ["old"]  # what is there wrongly takes no place of a run
        await client.zadd("deepsearch:journal:runs", {"new": 1.0})
        await journal.update(line("new", state="finished"))
        await journal.forget("new")
        assert await client.zrange("deepsearch:journal:runs", 0, -1) == [b"old"]
        await storage.open().update(line("old", state="finished"))
    await storage.close()


async def test_nothing_is_left_of_a_key_without_runs(redis_url: str) -> None:
    storage = Storage("redis", redis_url)
    journal = storage.open()
    for run_id in ("a", "b"):
        await journal.create(line(run_id), started(), {}, "key a")
        await journal.update(line(run_id, state="finished"))
    async with connected(redis_url) as client:
        await journal.forget("a")
        assert await client.smembers("deepsearch:journal:askers") == {b"key a"}
        await journal.forget("b")
        assert await client.keys("*") == [b"deepsearch:journal:version"]
    await storage.close()


async def test_the_first_postgres_journals_go_on(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("CREATE TABLE deepsearch_journal_version AS SELECT 1 AS version")
    await connection.execute(migrations("postgres")[0])
    await connection.execute(
        "INSERT INTO deepsearch_runs (run_id, parent, background, state, started_at, updated_at, owner, writes, lease_until, events,"
        " summary) VALUES ('old', '', false, 'finished', 1, now(), 'o', 1, now(), 1, $1)", line("old", state="finished").model_dump_json(),
    )  # fmt: skip
    journal = PostgresJournal(postgres_url)
    assert await journal.asked_by("old") == "" and [run.run_id for run in await journal.runs(9, ["", "key a"])] == ["old"]
    assert await connection.fetchval("SELECT max(version) FROM deepsearch_journal_version") == len(migrations("postgres"))
    await connection.close()
    await journal.close()


@pytest.mark.parametrize("policy", ["noeviction", "allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-ttl"])
async def test_a_redis_server_that_deletes_runs_when_it_is_full_is_refused(policy: str) -> None:
    with RedisServer("--maxmemory-policy", policy) as server:
        storage = Storage("redis", server.url())
        journal = storage.open()
        if policy.startswith("allkeys"):
            with pytest.raises(ConfigurationError, match=rf"maxmemory-policy {policy}\): use noeviction"):
                await journal.create(line(), started(), {})
        else:
            await journal.create(line(), started(), {})
        await storage.close()


async def test_a_redis_cluster_is_refused() -> None:
    with RedisServer("--cluster-enabled", "yes") as server:
        storage = Storage("redis", server.url(0))
        with pytest.raises(ConfigurationError, match="names a Redis Cluster, and the journal needs one server"):
            await storage.open().runs(1)
        await storage.close()


async def test_a_redis_server_that_keeps_nothing_is_told_of_once(redis_url: str, caplog: pytest.LogCaptureFixture) -> None:
    storage = Storage("redis", redis_url)
    journal = storage.open()
    await asyncio.gather(*(journal.runs(1) for _ in range(5)))
    await journal.runs(1)
    assert [record.message for record in caplog.records if "appendonly" in record.message] == [
        "the Redis server of DEEPSEARCH_STATE_URL has no append-only file (appendonly yes): runs are lost when it stops"
    ]
    await storage.close()
    caplog.clear()
    with RedisServer(durable=True) as server:
        durable = Storage("redis", server.url())
        await durable.open().runs(1)
        assert not caplog.records
        await durable.close()


async def test_a_redis_server_that_is_full_tells_so_and_keeps_what_it_has() -> None:
    with RedisServer("--maxmemory", "20mb") as server:
        storage = Storage("redis", server.url())
        journal = storage.open()
        await journal.create(line(), started(), {})
        with pytest.raises(JournalError, match="maxmemory"):
            for number in range(400):
                await journal.save_page("a", page(f"p{number}", secrets.token_hex(100_000)))
        assert [run.run_id for run in await journal.runs(9)] == ["a"] and await journal.events("a") == [started()]
        await storage.close()
