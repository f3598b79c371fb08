"""Runs in a PostgreSQL database, for any number of processes on any number of machines."""

# Statements are put together of constants of this module alone.
# ruff: noqa: S608

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from typing import Any, TypeVar

import asyncpg

from providers.journal.base import Renewal, StoredEvent, not_found
from providers.journal.migrations import steps_from
from providers.journal.owner import this_process
from providers.journal.persistence import answer_seconds, persistently, shown_place
from providers.storage_url import without_user
from schemas.errors import ConfigurationError, DeepSearchError, InvalidRequest, JournalError, RunLost, RunNotFound, RunUnderWay
from schemas.events import JOURNAL_EVENT
from schemas.reading import Attachment, Page
from schemas.research import RunSummary

Result = TypeVar("Result")

FORM = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"

_CONNECTIONS = 10
"""Most connections of one process: a write takes a millisecond or two, so that a few serve many runs."""
_WHOLE_RUN_SECONDS = 600.0
"""Longest that a whole run may take to be written at once, or many to be deleted."""
_CLOSE_SECONDS = 5.0
_MIGRATION_LOCK = 0x6465_6570  # any number that all releases share
_NOW = "clock_timestamp()"
_STATE = f"CASE WHEN state = 'running' AND lease_until < {_NOW} THEN 'interrupted' ELSE state END"
_LEASE = f"{_NOW} + make_interval(secs => $3)"

_LOST = (
    OSError,  # a `TimeoutError` too
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # the server is stopped or starts
    asyncpg.TooManyConnectionsError,
    asyncpg.ReadOnlySQLTransactionError,  # another server takes over
    asyncpg.TransactionRollbackError,  # a deadlock
)


class PostgresJournal:
    """A journal in PostgreSQL. A write has been committed by the server when it returns.

    Time is the server's (`clock_timestamp()`), so the clocks of the machines need not agree. Every write of an owner has a
    number that is stored with it: one that was made although its answer was lost is known by it when it is made again, and one
    that arrives late changes nothing.
    """

    def __init__(self, url: str, lease_seconds: float = 10.0) -> None:
        """`url` in the form of libpq, such as `postgresql://user:password@host/database?sslmode=verify-full` or
        `postgresql:///database?host=/var/run/postgresql`. Nothing is connected yet."""
        self._url = url
        self._place = shown_place(url, FORM)
        self._lease_seconds = lease_seconds
        # Two journals of one process are two owners: what one has lost, the other may have claimed.
        self._owner = f"{this_process()}:{secrets.token_hex(8)}"
        self._writes = itertools.count(1)
        self._pool: Any = None
        self._opening = asyncio.Lock()
        self._closed = False

    async def create(self, summary: RunSummary, first: StoredEvent, attachments: Mapping[str, Attachment], asked_by: str = "") -> None:
        """Register a new run of ours. Raises `InvalidRequest` when the id is taken."""
        await self._register(summary, "", [first], [], attachments, lease_seconds=self._lease_seconds, asked_by=asked_by)

    async def _register(
        self,
        summary: RunSummary,
        state_digest: str,
        events: Collection[StoredEvent],
        pages: Collection[Page],
        attachments: Mapping[str, Attachment],
        *,
        lease_seconds: float = 0.0,
        asked_by: str = "",
    ) -> None:
        run_id, number = summary.run_id, next(self._writes)

        async def register(connection: Any) -> None:
            async with connection.transaction():
                made = await connection.fetchval(
                    "INSERT INTO deepsearch_runs (run_id, parent, background, state, started_at, updated_at, owner, writes, lease_until,"
                    f" events, summary, state_digest, asked_by) VALUES ($1, $2, $4, $5, $6, {_NOW}, $7, $8, {_LEASE}, $9, $10, $11, $12)"
                    " ON CONFLICT DO NOTHING RETURNING true",
                    run_id, summary.parent, lease_seconds, summary.background, summary.state, summary.started_at, self._owner, number,
                    len(events), summary.model_dump_json(), state_digest, asked_by,
                )  # fmt: skip
                if not made:
                    row = await connection.fetchrow("SELECT owner, writes FROM deepsearch_runs WHERE run_id = $1", run_id)
                    if row is not None and self._made(row, number):
                        return
                    raise InvalidRequest(f"run_id {run_id!r} is taken: choose another or none", field="run_id")
                await connection.executemany(
                    "INSERT INTO deepsearch_events VALUES ($1, $2, $3, $4)",
                    [(run_id, stored.sequence, stored.time, stored.event.model_dump_json()) for stored in events],
                )
                await connection.executemany(
                    "INSERT INTO deepsearch_pages VALUES ($1, $2, $3)", ((run_id, page.page_id, page.model_dump_json()) for page in pages)
                )
                await connection.executemany(
                    "INSERT INTO deepsearch_attachments VALUES ($1, $2, $3)",
                    [(run_id, url, attachment.model_dump_json()) for url, attachment in attachments.items()],
                )

        await self._do(register, _WHOLE_RUN_SECONDS if pages else None)

    async def append(self, run_id: str, stored: StoredEvent, summary: RunSummary | None = None) -> None:
        """Append the next event of a run of ours. Raises `RunLost` when it belongs to another process."""
        number = next(self._writes)
        line = (summary.model_dump_json(), summary.state) if summary else (None, None)

        async def append(connection: Any) -> None:
            made = await connection.fetchval(
                "WITH ours AS (UPDATE deepsearch_runs SET events = $4, writes = $3, updated_at = clock_timestamp(),"
                " summary = coalesce($7, summary), state = coalesce($8, state)"
                " WHERE run_id = $1 AND owner = $2 AND writes < $3 AND events = $4 - 1 RETURNING run_id)"
                " INSERT INTO deepsearch_events SELECT run_id, $4, $5, $6 FROM ours RETURNING true",
                run_id, self._owner, number, stored.sequence, stored.time, stored.event.model_dump_json(), *line,
            )  # fmt: skip
            if made:
                return
            row = await connection.fetchrow("SELECT owner, writes, events FROM deepsearch_runs WHERE run_id = $1", run_id)
            if row is None or row["owner"] != self._owner:
                raise RunLost(f"run {run_id} is continued by another process", field="run_id")
            if not self._made(row, number):
                raise JournalError(f"run {run_id} has {row['events']} events: the next one cannot have the number {stored.sequence}")

        await self._do(append)

    async def save_page(self, run_id: str, page: Page) -> None:
        """Keep a page's text with the run."""

        async def save(connection: Any) -> None:
            try:
                await connection.execute(
                    "INSERT INTO deepsearch_pages VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", run_id, page.page_id, page.model_dump_json()
                )
            except asyncpg.ForeignKeyViolationError:
                return  # the run was deleted; its owner hears of it with the next event

        await self._do(save)

    async def update(self, summary: RunSummary, state_digest: str = "") -> None:
        """Replace the line about a run of ours."""
        number = next(self._writes)

        async def update(connection: Any) -> None:
            await connection.execute(
                "UPDATE deepsearch_runs SET summary = $4, state = $5, state_digest = $6, writes = $3, updated_at = clock_timestamp()"
                " WHERE run_id = $1 AND owner = $2 AND writes < $3",
                summary.run_id, self._owner, number, summary.model_dump_json(), summary.state, state_digest,
            )  # fmt: skip

        await self._do(update)

    async def claim(self, run_id: str) -> bool:
        """Become the owner of a run. Raises `RunNotFound`, or `RunUnderWay` when it has an owner."""
        number, is_owner_gone = next(self._writes), False

        async def claim(connection: Any) -> None:
            nonlocal is_owner_gone
            async with connection.transaction():
                # Of several that wait for this line, each looks at it as the one before has left it.
                row = await self._row(connection, run_id, "FOR UPDATE")
                if self._made(row, number):
                    return  # and the answer was lost: what was there before, we know from then
                if row["state"] == "running" or (row["owner"] == self._owner and row["writes"] > number):
                    raise RunUnderWay(f"run {run_id} is under way", field="run_id")
                is_owner_gone = row["kept_state"] == "running"
                await connection.execute(
                    f"UPDATE deepsearch_runs SET state = 'running', owner = $2, writes = $4, lease_until = {_LEASE}, cancel_asked = false,"
                    f" updated_at = {_NOW} WHERE run_id = $1",
                    _key(run_id), self._owner, self._lease_seconds, number,
                )  # fmt: skip

        await self._do(claim)
        return is_owner_gone

    async def renew(self, runs: Collection[str]) -> Renewal:
        """Keep these runs of ours for another lease."""
        if not runs:
            return Renewal()
        ours = await self._do(
            lambda connection: connection.fetch(
                f"UPDATE deepsearch_runs SET lease_until = {_LEASE} WHERE run_id = ANY($1) AND owner = $2 RETURNING run_id, cancel_asked",
                list(runs), self._owner, self._lease_seconds,
            )
        )  # fmt: skip
        return Renewal(
            lost=frozenset(runs) - {row["run_id"] for row in ours},
            cancelled=frozenset(row["run_id"] for row in ours if row["cancel_asked"]),
        )

    async def ask_to_cancel(self, run_id: str) -> None:
        """Have the owner of a run learn that the run is to be cancelled. Raises `RunNotFound`."""
        statement = "UPDATE deepsearch_runs SET cancel_asked = true WHERE run_id = $1 RETURNING true"
        if not await self._do(lambda connection: connection.fetchval(statement, _key(run_id))):
            raise not_found(run_id)

    async def events(self, run_id: str, after: int = 0) -> list[StoredEvent]:
        """The events after a sequence number, in order. Raises `RunNotFound`, and `JournalError` when one cannot be read."""

        async def read(connection: Any) -> Any:
            statement = "SELECT sequence, time, event FROM deepsearch_events WHERE run_id = $1 AND sequence > $2 ORDER BY sequence"
            rows = await connection.fetch(statement, _key(run_id), after)
            if not rows:
                await self._row(connection, run_id)
            return rows

        rows = await self._do(read)
        try:
            return [StoredEvent(sequence, at, JOURNAL_EVENT.validate_json(event)) for sequence, at, event in rows]
        except ValueError as error:
            raise JournalError(f"run {run_id} at {self._place} holds an event that this version cannot read") from error

    async def summary(self, run_id: str) -> RunSummary:
        """The line about a run. Raises `RunNotFound`."""
        return _summary(await self._do(lambda connection: self._row(connection, run_id)))

    async def state_digest(self, run_id: str) -> str:
        """Digest of the final state, empty when the run has not ended. Raises `RunNotFound`."""
        row = await self._do(lambda connection: self._row(connection, run_id))
        return str(row["state_digest"])

    async def asked_by(self, run_id: str) -> str:
        """Name of the key that a run belongs to. Raises `RunNotFound`."""
        statement = "SELECT asked_by FROM deepsearch_runs WHERE run_id = $1"
        found = await self._do(lambda connection: connection.fetchval(statement, _key(run_id)))
        if found is None:
            raise not_found(run_id)
        return str(found)

    async def runs(self, limit: int, asked_by: Collection[str] | None = None) -> list[RunSummary]:
        """The newest runs, newest first."""
        newest = "ORDER BY started_at DESC, number DESC LIMIT $1"
        if asked_by is None:
            return await self._summaries(f"parent = '' {newest}", limit)
        return await self._summaries(f"parent = '' AND asked_by = ANY($2) {newest}", limit, list(asked_by))

    async def unfinished(self, limit: int) -> list[RunSummary]:
        """Interrupted jobs, oldest first."""
        return await self._summaries(
            "background AND parent = '' AND state IN ('running', 'interrupted')"
            f" AND {_STATE} = 'interrupted' ORDER BY started_at, number LIMIT $1",
            limit,
        )

    async def children(self, run_id: str) -> list[RunSummary]:
        """The runs that work for this one."""
        return await self._summaries("parent = $1 AND parent <> '' ORDER BY length(run_id), run_id", _key(run_id))

    async def page(self, run_id: str, page_id: str) -> Page:
        """A page that was read in a run. Raises `RunNotFound`."""
        statement = "SELECT page FROM deepsearch_pages WHERE run_id = $1 AND page_id = $2"
        stored = await self._do(lambda connection: connection.fetchval(statement, _key(run_id), _key(page_id)))
        if stored is None:
            raise RunNotFound(f"no page {page_id!r} in run {run_id!r}", field="page_id")
        return Page.model_validate_json(stored)

    async def pages(self, run_id: str) -> AsyncIterator[Page]:
        """Every page that was read in a run, by page id."""
        statement = "SELECT page FROM deepsearch_pages WHERE run_id = $1 AND page_id > $2 ORDER BY page_id LIMIT 1"
        last = ""
        while True:
            stored = await self._do(lambda connection, after=last: connection.fetchval(statement, _key(run_id), after))  # type: ignore[misc]
            if stored is None:
                return
            page = Page.model_validate_json(stored)
            yield page
            last = page.page_id

    async def attachment(self, run_id: str, url: str) -> Attachment:
        """A file that came with the question. Raises `RunNotFound`."""
        statement = "SELECT attachment FROM deepsearch_attachments WHERE run_id = $1 AND url = $2"
        stored = await self._do(lambda connection: connection.fetchval(statement, _key(run_id), _key(url)))
        if stored is None:
            raise RunNotFound(f"no attachment {url!r} in run {run_id!r}", field="url")
        return Attachment.model_validate_json(stored)

    async def attachments(self, run_id: str) -> dict[str, Attachment]:
        """The files that came with the question, by URL."""
        statement = "SELECT url, attachment FROM deepsearch_attachments WHERE run_id = $1 ORDER BY url"
        rows = await self._do(lambda connection: connection.fetch(statement, _key(run_id)))
        return {row["url"]: Attachment.model_validate_json(row["attachment"]) for row in rows}

    async def restore(
        self,
        summary: RunSummary,
        state_digest: str,
        events: Collection[StoredEvent],
        pages: Collection[Page],
        attachments: Mapping[str, Attachment],
    ) -> None:
        """Keep a run that came from another journal. Raises `InvalidRequest` when the id is taken."""
        kept = summary.model_copy(update={"state": "interrupted"}) if summary.state == "running" else summary
        await self._register(kept, state_digest, events, pages, attachments)

    async def forget(self, run_id: str) -> None:
        """Delete a run. Raises `RunNotFound`, or `RunUnderWay` when it or one that works for it has an owner."""
        await self.summary(run_id)  # when the deletion is made again, a run that is gone is no error

        async def forget(connection: Any) -> None:
            async with connection.transaction():
                under_way = await connection.fetchval(f"SELECT run_id FROM ({_FAMILY}) family WHERE state = 'running'", run_id)
                if under_way is not None:
                    raise RunUnderWay(f"run {under_way} is under way: cancel it first", field="run_id")
                await connection.execute(_DELETION, run_id)

        await self._do(forget, _WHOLE_RUN_SECONDS)

    async def forget_before(self, time: float) -> int:
        """Forget every run that has not an owner and was last written before `time`."""
        old = f"parent = '' AND updated_at < to_timestamp($1) AND {_STATE} NOT IN ('running', 'waiting')"
        found = await self._do(
            lambda connection: connection.fetch(f"SELECT run_id FROM deepsearch_runs WHERE {old}", time),
            _WHOLE_RUN_SECONDS,
        )

        def step(run_id: str) -> Callable[[Any], Awaitable[bool]]:
            async def forget(connection: Any) -> bool:
                async with connection.transaction():
                    family = await connection.fetch(_FAMILY, run_id)
                    # Between the two looks at it, it may have been taken up.
                    head = next((row for row in family if row["run_id"] == run_id), None)
                    if any(row["state"] == "running" for row in family) or (head is not None and head["updated_at"] >= time):
                        return False
                    await connection.execute(_DELETION, run_id)
                return True

            return forget

        return sum([await self._do(step(row["run_id"]), _WHOLE_RUN_SECONDS) for row in found])

    async def check(self) -> None:
        """Raise `JournalError` when the server cannot be reached now, or takes no writes."""
        if await self._do(lambda connection: connection.fetchval("SELECT pg_is_in_recovery()"), again=False):
            raise JournalError(f"the journal {self._place} takes no writes: the server is a standby")

    async def close(self) -> None:
        """Release the connections."""
        self._closed = True
        pool, self._pool = self._pool, None
        if pool is None:
            return
        try:
            await asyncio.wait_for(pool.close(), _CLOSE_SECONDS)
        except (TimeoutError, *_LOST):
            pool.terminate()

    async def _row(self, connection: Any, run_id: str, lock: str = "") -> Any:
        row = await connection.fetchrow(
            f"SELECT summary, {_STATE} AS state, state AS kept_state, state_digest, owner, writes FROM deepsearch_runs"
            f" WHERE run_id = $1 {lock}",
            _key(run_id),
        )
        if row is None:
            raise not_found(run_id)
        return row

    async def _summaries(self, which: str, *values: int | str | list[str]) -> list[RunSummary]:
        statement = f"SELECT summary, {_STATE} AS state FROM deepsearch_runs WHERE {which}"
        rows = await self._do(lambda connection: connection.fetch(statement, *values))
        return [_summary(row) for row in rows]

    def _made(self, row: Any, number: int) -> bool:
        """Whether the last write was ours with that number: it has been made already."""
        return bool(row["owner"] == self._owner and row["writes"] == number)

    async def _do(self, step: Callable[[Any], Awaitable[Result]], seconds: float | None = None, *, again: bool = True) -> Result:
        """What `step` gives, with a connection of its own; made again when the connection is lost.

        `seconds` bounds one that takes longer than a write does.
        """
        if self._closed:
            raise JournalError(f"the journal {self._place} is closed")

        async def attempt() -> Result:
            pool = await self._opened()
            connection = await pool.acquire()
            try:
                return await step(connection)
            except (asyncpg.PostgresError, DeepSearchError):
                raise
            except BaseException:
                connection.terminate()  # nobody knows what it still has to say
                raise
            finally:
                await pool.release(connection)

        try:
            return await persistently(attempt, _is_lost if again else _is_final, self._lease_seconds, seconds)
        except (*_LOST, asyncpg.PostgresError, ValueError) as error:
            raise JournalError(f"the journal {self._place} cannot be used ({_cause(error)}): check DEEPSEARCH_STATE_URL") from error

    async def _opened(self) -> Any:
        """The pool of connections, to tables of this release's version."""
        if self._pool is not None:
            return self._pool
        async with self._opening:
            if self._pool is None:
                pool = await self._created()
                try:
                    connection = await pool.acquire()
                    try:
                        await _migrate(connection)
                    finally:
                        await pool.release(connection)
                except BaseException:
                    pool.terminate()
                    raise
                self._pool = pool
        return self._pool

    async def _created(self) -> Any:
        try:
            return await asyncpg.create_pool(
                self._url,
                min_size=0,
                max_size=_CONNECTIONS,
                timeout=answer_seconds(self._lease_seconds),
                reset=_nothing,  # no call leaves anything behind, and asking the server to clean up takes as long as a write
                server_settings={"application_name": "deepsearch"},
            )
        except (asyncpg.ClientConfigurationError, ValueError):
            # asyncpg's message may repeat the URL.
            message = f"DEEPSEARCH_STATE_URL must look like {FORM}, with options that PostgreSQL knows"
            raise ConfigurationError(message, field="DEEPSEARCH_STATE_URL") from None


_FAMILY = (
    f"SELECT run_id, {_STATE} AS state, extract(epoch FROM updated_at)::double precision AS updated_at"
    " FROM deepsearch_runs WHERE run_id = $1 OR (parent = $1 AND parent <> '') ORDER BY run_id FOR UPDATE"
)
_DELETION = "DELETE FROM deepsearch_runs WHERE run_id = $1 OR (parent = $1 AND parent <> '')"


async def _nothing(connection: Any) -> None:
    pass


def _is_lost(error: BaseException) -> bool:
    return isinstance(error, _LOST) and not isinstance(error, asyncpg.ClientConfigurationError | asyncpg.QueryCanceledError)


def _is_final(error: BaseException) -> bool:
    return False


def _cause(error: BaseException) -> str:
    """An error in a few words; what a server says of itself holds no password."""
    return without_user(" ".join(f"{type(error).__name__}: {error}".split()))[:200].rstrip(": ")


def _key(text: str) -> str:
    """A text to look for; PostgreSQL knows no zero character, and nothing that is stored has one."""
    return text.replace("\x00", "\ufffd")


def _summary(row: Any) -> RunSummary:
    return RunSummary.model_validate_json(row["summary"]).model_copy(update={"state": row["state"]})


async def _migrate(connection: Any) -> None:
    """Bring the tables to the version of this release; of several processes that try at once, one does it.

    Raises `JournalError` for tables of a later release, `ConfigurationError` for a database that cannot hold every text.
    """

    async def version() -> int:
        if await connection.fetchval("SELECT to_regclass('deepsearch_journal_version') IS NULL"):
            return 0
        return int(await connection.fetchval("SELECT coalesce(max(version), 0) FROM deepsearch_journal_version"))

    if not steps_from("postgres", await version()):
        return
    encoding = await connection.fetchval("SHOW server_encoding")
    if encoding != "UTF8":
        message = f"the database of DEEPSEARCH_STATE_URL has the encoding {encoding}: make one with ENCODING 'UTF8'"
        raise ConfigurationError(message, field="DEEPSEARCH_STATE_URL")
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _MIGRATION_LOCK)
        await connection.execute("CREATE TABLE IF NOT EXISTS deepsearch_journal_version (version integer PRIMARY KEY)")
        reached = await version()
        for number, step in enumerate(steps_from("postgres", reached), start=reached + 1):
            await connection.execute(step)
            await connection.execute("INSERT INTO deepsearch_journal_version VALUES ($1)", number)
