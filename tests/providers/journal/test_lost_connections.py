"""Connections that are lost at any moment, and servers that stop: every write is made once, or its error is told."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from cutting_proxy import CuttingProxy, How
from journal_storage import Storage, attachment, connected, line, page, resumed, started

from providers.journal import create_journal
from schemas.errors import ConfigurationError, JournalError
from schemas.settings import Settings
from tests.servers import PASSWORD, QUOTED_PASSWORD, PostgresServer, RedisServer

SERVERS = ("postgres", "redis")
_WAIT_SECONDS = 60.0


@pytest.fixture(params=SERVERS)
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Storage]:
    storage = Storage(request.param, request.getfixturevalue(f"{request.param}_url"))
    yield storage
    await storage.close()


async def create(journal: Any) -> None:
    await journal.create(line("new"), started(), {"attachment:1/x": attachment()})


async def append(journal: Any) -> None:
    await journal.append("mine", resumed(2))


async def append_with_line(journal: Any) -> None:
    await journal.append("mine", resumed(2), line("mine", steps=4))


async def update(journal: Any) -> None:
    await journal.update(line("mine", state="finished", steps=4), "digest")


async def claim(journal: Any) -> None:
    await journal.claim("free")


async def renew(journal: Any) -> None:
    assert await journal.renew(["mine", "free"]) == (frozenset(["free"]), frozenset())


async def cancel(journal: Any) -> None:
    await journal.ask_to_cancel("mine")


async def save_page(journal: Any) -> None:
    await journal.save_page("mine", page("new"))


async def restore(journal: Any) -> None:
    await journal.restore(line("new", state="finished"), "d", [started(), resumed(2)], [page("a"), page("b")], {"u": attachment()})


async def forget(journal: Any) -> None:
    await journal.forget("free")


async def forget_old(journal: Any) -> None:
    assert await journal.forget_before(time.time() + 1_000) == 1


async def read(journal: Any) -> None:
    assert await journal.events("mine") == [started()]
    assert (await journal.summary("free")).state == "interrupted"
    assert [one.page_id async for one in journal.pages("mine")] == ["p"]


CALLS: tuple[Callable[[Any], Awaitable[None]], ...] = (
    create, append, append_with_line, update, claim, renew, cancel, save_page, restore, forget, forget_old, read,
)  # fmt: skip


async def everything(journal: Any) -> list[Any]:
    kept: list[Any] = [sorted((run.run_id, run.state, run.steps) for run in await journal.runs(9))]
    for run_id, _, _ in kept[0]:
        kept += [await journal.events(run_id), [one async for one in journal.pages(run_id)], await journal.attachments(run_id)]
        kept += [await journal.state_digest(run_id)]
    return kept


async def prepared(storage: Storage, proxy_url: str) -> Any:
    """A journal behind the proxy that owns the run `mine`; the run `free` is nobody's."""
    direct = storage.open()
    for run in await direct.runs(9):
        await direct.claim(run.run_id) if run.state != "running" else None
        await direct.update(run.model_copy(update={"state": "failed"}))
        await direct.forget(run.run_id)
    journal = Storage(storage.name, proxy_url).open(lease_seconds=30.0)
    await journal.create(line("mine"), started(), {})
    await journal.save_page("mine", page())
    await direct.restore(line("free", state="interrupted"), "", [started()], [page()], {})
    return journal


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
@pytest.mark.parametrize("how", ["before", "after"])
async def test_a_connection_that_is_lost_within_a_call(server: Storage, call: Callable[[Any], Awaitable[None]], how: How) -> None:
    """With every message of the call, before and after the server got it."""
    async with CuttingProxy(server.url) as proxy:
        journal = await prepared(server, proxy.url)
        await call(journal)
        expected = await everything(server.open())
        await finish(journal)
        cuts = 0
        for message in range(1, 60):
            journal = await prepared(server, proxy.url)
            proxy.cut(message, how)
            await asyncio.wait_for(call(journal), _WAIT_SECONDS)
            was_cut = not proxy.is_armed
            proxy.spare()
            assert await everything(server.open()) == expected, message
            await finish(journal)
            await server.close()
            if not was_cut:
                break
            cuts += 1
        assert 1 <= cuts < 40


async def finish(journal: Any) -> None:
    await journal.update(line("mine", state="failed"))
    await journal.update(line("free", state="failed"))
    await journal.update(line("new", state="failed"))
    await journal.close()


async def test_a_connection_that_says_nothing_any_more_is_given_up(server: Storage) -> None:
    async with CuttingProxy(server.url) as proxy:
        journal = Storage(server.name, proxy.url).open(lease_seconds=6.0)
        await journal.create(line(), started(), {})
        proxy.cut(1, "silent")
        await asyncio.wait_for(journal.append("a", resumed(2)), _WAIT_SECONDS)
        assert await journal.events("a") == [started(), resumed(2)]
        await journal.close()


async def test_connections_that_the_server_ends_again_and_again(server: Storage) -> None:
    journal = server.open()
    going, written = True, 0

    async def some_more() -> None:
        """Until something has been written since, so that a busy machine gets on too."""
        before = written
        while going and written < before + 5:
            await asyncio.sleep(0.01)

    async def end_them() -> int:
        ended = 0
        if server.name == "postgres":
            other = await asyncpg.connect(server.url)
            while going:
                ended += await other.fetchval(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
                await some_more()
            await other.close()
        else:
            async with connected(server.url) as client:
                while going:
                    for one in await client.client_list():
                        if one["db"] == server.url.rpartition("/")[2] and one.get("name") == "deepsearch":
                            ended += await client.client_kill_filter(_id=one["id"])
                    await some_more()
        return ended

    async def run(run_id: str) -> None:
        nonlocal written
        await journal.create(line(run_id), started(), {})
        for number in range(2, 40):
            await journal.append(run_id, resumed(number))
            written += 1
            await journal.save_page(run_id, page(f"p{number:02}"))
        await journal.update(line(run_id, state="finished"), "d")

    ending = asyncio.create_task(end_them())
    await asyncio.gather(*(run(f"r{number}") for number in range(6)))
    going = False
    assert await ending > 3
    for number in range(6):
        assert await journal.events(f"r{number}") == [started(), *map(resumed, range(2, 40))]
        assert [one.page_id async for one in journal.pages(f"r{number}")] == [f"p{number:02}" for number in range(2, 40)]
    assert {run.state for run in await journal.runs(9)} == {"finished"}


@pytest.mark.parametrize("kind", SERVERS)
async def test_a_server_that_is_killed_and_started_again(kind: str) -> None:
    """Whatever was confirmed is there afterwards, once."""
    with PostgresServer() if kind == "postgres" else RedisServer(durable=True) as server:
        storage = Storage(kind, server.url())
        journal = storage.open(lease_seconds=60.0)
        confirmed: dict[str, int] = {}
        going = True

        async def run(run_id: str) -> None:
            await journal.create(line(run_id), started(), {})
            confirmed[run_id] = 1
            while going:
                await journal.append(run_id, resumed(confirmed[run_id] + 1))
                confirmed[run_id] += 1

        runs = asyncio.gather(*(run(f"r{number}") for number in range(4)))
        for _ in range(2):
            before = dict(confirmed)
            while len(confirmed) < 4 or any(confirmed[run_id] < before.get(run_id, 0) + 5 for run_id in confirmed):
                assert not runs.done()
                await asyncio.sleep(0.01)
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
        going = False
        await asyncio.wait_for(runs, _WAIT_SECONDS)
        for run_id, number in confirmed.items():
            assert await journal.events(run_id) == [started(), *map(resumed, range(2, number + 1))]
        await storage.close()


@pytest.mark.parametrize("kind", SERVERS)
async def test_a_server_that_stays_away_is_an_error_without_a_secret(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with PostgresServer() if kind == "postgres" else RedisServer() as server:
        url = server.url()
        storage = Storage(kind, url)
        journal = storage.open(lease_seconds=1.0)
        await journal.create(line(), started(), {})
        server.kill()
        for call in (journal.append("a", resumed(2)), journal.events("a"), journal.check(), storage.open(1.0).runs(1)):
            with pytest.raises(JournalError, match=r"cannot be used .*DEEPSEARCH_STATE_URL") as told:
                await call
            assert_no_secret(told.value, caplog.text)
            assert f"127.0.0.1:{server.port}" in str(told.value) and "\n" not in str(told.value)
        server.start()
        await journal.check()
        await storage.close()


def assert_no_secret(error: BaseException, log: str = "") -> None:
    told = [log]
    one: BaseException | None = error
    while one is not None:
        told.append(f"{one} {one!r} {one.args}")
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    for secret in (PASSWORD, QUOTED_PASSWORD, "cret"):
        assert not any(secret in text for text in told)


async def test_a_wrong_password_is_told_at_once(server: Storage) -> None:
    journal = Storage(server.name, server.url.replace(QUOTED_PASSWORD, f"{QUOTED_PASSWORD}x")).open(lease_seconds=600.0)
    with pytest.raises(JournalError, match="DEEPSEARCH_STATE_URL") as told:
        await asyncio.wait_for(journal.runs(1), _WAIT_SECONDS)
    assert_no_secret(told.value)
    await journal.close()


async def test_parts_of_a_run_that_redis_was_not_given_whole_expire(redis_url: str) -> None:
    """A process may die at any point of writing a run, and what it sent may arrive after all was sent again."""
    storage = Storage("redis", redis_url)
    journal = storage.open(lease_seconds=60.0)

    class Broken(list[Any]):
        def __iter__(self) -> Any:
            yield page("a")
            raise RuntimeError("cut short")

    files = {"attachment:1/x": attachment()}
    with pytest.raises(RuntimeError, match="cut short"):
        await journal.restore(line(), "", [started()], Broken([1]), files)
    async with connected(redis_url) as client:
        staged = [key async for key in client.scan_iter("deepsearch:journal:*:a:*")]
        assert len(staged) == 3 and all([0 < await client.ttl(key) <= 3_600 for key in staged])
        register, attempts = journal._run, 0

        async def losing_its_answer(name: str, *values: Any) -> Any:
            nonlocal attempts
            attempts += 1
            made = await register(name, *values)
            if attempts == 1:
                raise ConnectionResetError("the answer is lost")
            return made

        journal._run = losing_its_answer
        await journal.restore(line(), "", [started()], [page("a"), page("b")], files)
        assert attempts == 2 and [one.page_id async for one in journal.pages("a")] == ["a", "b"]
        assert {key async for key in client.scan_iter("deepsearch:journal:*:a:*")} == set(staged), "the second is not needed"
        assert await client.ttl("deepsearch:journal:events:a") == -1
    await storage.close()


@pytest.mark.parametrize("kind", SERVERS)
async def test_no_message_names_the_user(kind: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue(f"{kind}_url")
    journal = Storage(kind, f"{url.partition('://')[0]}://al1ce:x@{url.rpartition('@')[2]}").open(lease_seconds=600.0)
    with pytest.raises(JournalError, match="DEEPSEARCH_STATE_URL") as told:
        await asyncio.wait_for(journal.runs(1), _WAIT_SECONDS)
    assert "al1ce" not in str(told.value)
    await journal.close()


@pytest.mark.parametrize(
    "url",
    [
        "mysql://user:secret@host/db", "runs.db", "sqlite://", "sqlite:///", "postgresql", "redis:", "postgresql:/x",
        "postgresql://user:sec/ret@host/db", "redis://:sec/ret@host:1/0", "postgresql://user:secret@host:99999999/db",
        "redis://:secret@host:x/0", "redis://:secret@host/0?nonsense=secret", "postgresql://user:secret@[half/db",
        "postgresql://user:12/secret@host/db", "redis://:/secret@host:6379/0", "postgresql://user:12?secret@host/db",
        "postgresql://user:12#secret@host/db", "postgresql://user:pass@12/secret@host/db", "redis://:1#secret@host:6379/0",
    ],
)  # fmt: skip
async def test_a_url_that_cannot_be_used(url: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ConfigurationError, match="DEEPSEARCH_STATE_URL must look like") as told:
        journal = create_journal(Settings(_env_file=None, deepsearch_state_url=url))
        await journal.runs(1)
    assert told.value.field == "DEEPSEARCH_STATE_URL" and "\n" not in str(told.value)
    for secret in ("secret", "sec/", "ret@", "'sec'"):
        assert secret not in f"{told.value}{told.value!r}{caplog.text}"
    assert told.value.__cause__ is None and (told.value.__context__ is None or told.value.__suppress_context__)


async def test_a_unix_socket(postgres_server: PostgresServer) -> None:
    database = postgres_server.url().rpartition("/")[2]
    url = f"postgresql://postgres@/{database}?host={postgres_server.folder}&port={postgres_server.port}&sslmode=disable"
    journal = create_journal(Settings(_env_file=None, deepsearch_state_url=url))
    await journal.create(line(), started(), {})
    assert [run.run_id for run in await journal.runs(1)] == ["a"]
    await journal.close()
    postgres_server.drop(url.partition("?")[0])
