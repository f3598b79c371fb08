"""Runs in one SQLite file."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from providers.journal.base import Renewal, StoredEvent, not_found
from providers.journal.migrations import steps_from
from providers.journal.owner import is_known_dead, this_process
from schemas.errors import InvalidRequest, JournalError, RunLost, RunNotFound, RunUnderWay
from schemas.events import JOURNAL_EVENT
from schemas.reading import Attachment, Page
from schemas.research import RunSummary

_LOCK_SECONDS = 1.0
"""Longest wait for another process that writes; writers hold the lock for less than a millisecond."""
_PAGES_AT_ONCE = 500
"""Of the file, in a piece that is given back: about 2 MB."""


class SQLiteJournal:
    """A journal in a SQLite file in write-ahead mode: any number of processes may read while others write.

    Calls take well under a millisecond and are therefore made in the event loop itself; one that meets a lock waits for
    at most a second. A commit survives the death of the process; the last ones may be lost when the whole machine loses power.
    An owner on this machine whose process has ended is known to be gone at once, without waiting for its lease.
    """

    def __init__(self, path: Path, lease_seconds: float = 10.0) -> None:
        self._path = path
        self._lease_seconds = lease_seconds
        self._owner = this_process()
        with self._errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                _begin(path)
            self._connection = _connected(path)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute("PRAGMA secure_delete=ON")  # what is deleted is overwritten
            _migrate(self._connection)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise JournalError(f"the journal {self._path} cannot be used ({error}): check DEEPSEARCH_STATE_URL") from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All that is written inside is committed together, or nothing is."""
        with self._errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    async def create(self, summary: RunSummary, first: StoredEvent, attachments: Mapping[str, Attachment], asked_by: str = "") -> None:
        """Register a new run of ours. Raises `InvalidRequest` when the id is taken."""
        with self._transaction() as connection:
            self._register(connection, summary, "", time.time() + self._lease_seconds, asked_by)
            _write(connection, summary.run_id, [first], [], attachments)

    def _register(
        self, connection: sqlite3.Connection, summary: RunSummary, state_digest: str, lease_until: float, asked_by: str = ""
    ) -> None:
        line = summary.model_dump_json()
        try:
            connection.execute(
                "INSERT INTO runs (run_id, started_at, updated_at, owner, lease_until, summary, state_digest, asked_by)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (summary.run_id, summary.started_at, time.time(), self._owner, lease_until, line, state_digest, asked_by),
            )
        except sqlite3.IntegrityError as error:
            raise InvalidRequest(f"run_id {summary.run_id!r} is taken: choose another or none", field="run_id") from error

    async def append(self, run_id: str, stored: StoredEvent, summary: RunSummary | None = None) -> None:
        """Append the next event of a run of ours. Raises `RunLost` when it belongs to another process."""
        with self._transaction() as connection:
            ours = connection.execute(
                "UPDATE runs SET summary = coalesce(?, summary), updated_at = ? WHERE run_id = ? AND owner = ?",
                (summary.model_dump_json() if summary else None, time.time(), run_id, self._owner),
            )
            if ours.rowcount == 0:
                raise RunLost(f"run {run_id} is continued by another process", field="run_id")
            (events,) = connection.execute("SELECT coalesce(max(sequence), 0) FROM events WHERE run_id = ?", (run_id,)).fetchone()
            if stored.sequence != events + 1:
                raise JournalError(f"run {run_id} has {events} events: the next one cannot have the number {stored.sequence}")
            _write(connection, run_id, [stored], [], {})

    async def save_page(self, run_id: str, page: Page) -> None:
        """Keep a page's text with the run."""
        with self._errors():
            self._connection.execute(
                # Of a run that was deleted nothing is kept; its owner hears of it with the next event.
                "INSERT OR IGNORE INTO pages SELECT run_id, ?, ? FROM runs WHERE run_id = ?",
                (page.page_id, page.model_dump_json(), run_id),
            )

    async def update(self, summary: RunSummary, state_digest: str = "") -> None:
        """Replace the line about a run of ours."""
        with self._errors():
            self._connection.execute(
                "UPDATE runs SET summary = ?, updated_at = ?, state_digest = ? WHERE run_id = ? AND owner = ?",
                (summary.model_dump_json(), time.time(), state_digest, summary.run_id, self._owner),
            )

    async def claim(self, run_id: str) -> bool:
        """Become the owner of a run. Raises `RunNotFound`, or `RunUnderWay` when it has an owner."""
        with self._transaction() as connection:
            row = self._row(run_id)
            summary = self._summary(row)
            if summary.state == "running":
                raise RunUnderWay(f"run {run_id} is under way", field="run_id")
            is_owner_gone = RunSummary.model_validate_json(row[0]).state == "running"
            summary.state = "running"
            connection.execute(
                "UPDATE runs SET owner = ?, lease_until = ?, cancel_asked = 0, summary = ?, updated_at = ? WHERE run_id = ?",
                (self._owner, time.time() + self._lease_seconds, summary.model_dump_json(), time.time(), run_id),
            )
        return is_owner_gone

    async def renew(self, runs: Collection[str]) -> Renewal:
        """Keep these runs of ours for another lease."""
        if not runs:
            return Renewal()
        with self._transaction() as connection:
            marks = ",".join("?" * len(runs))
            ours = connection.execute(
                f"UPDATE runs SET lease_until = ? WHERE owner = ? AND run_id IN ({marks}) RETURNING run_id, cancel_asked",  # noqa: S608
                (time.time() + self._lease_seconds, self._owner, *runs),
            ).fetchall()
        return Renewal(
            lost=frozenset(runs) - {run_id for run_id, _ in ours}, cancelled=frozenset(run_id for run_id, cancelled in ours if cancelled)
        )

    async def ask_to_cancel(self, run_id: str) -> None:
        """Have the owner of a run learn that the run is to be cancelled. Raises `RunNotFound`."""
        with self._errors():
            asked = self._connection.execute("UPDATE runs SET cancel_asked = 1 WHERE run_id = ?", (run_id,))
        if asked.rowcount == 0:
            raise not_found(run_id)

    async def events(self, run_id: str, after: int = 0) -> list[StoredEvent]:
        """The events after a sequence number, in order. Raises `RunNotFound`, and `JournalError` when one cannot be read."""
        with self._errors():
            rows = self._connection.execute(
                "SELECT sequence, time, event FROM events WHERE run_id = ? AND sequence > ? ORDER BY sequence", (run_id, after)
            ).fetchall()
        if not rows:
            self._row(run_id)
        try:
            return [StoredEvent(sequence, at, JOURNAL_EVENT.validate_json(event)) for sequence, at, event in rows]
        except ValueError as error:
            raise JournalError(f"run {run_id} in {self._path} holds an event that this version cannot read") from error

    async def summary(self, run_id: str) -> RunSummary:
        """The line about a run. Raises `RunNotFound`."""
        return self._summary(self._row(run_id))

    async def state_digest(self, run_id: str) -> str:
        """Digest of the final state, empty when the run has not ended. Raises `RunNotFound`."""
        return str(self._row(run_id)[3])

    async def asked_by(self, run_id: str) -> str:
        """Name of the key that a run belongs to. Raises `RunNotFound`."""
        with self._errors():
            row = self._connection.execute("SELECT asked_by FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        if row is None:
            raise not_found(run_id)
        return str(row[0])

    async def runs(self, limit: int, asked_by: Collection[str] | None = None) -> list[RunSummary]:
        """The newest runs, newest first."""
        whose = f" AND asked_by IN ({','.join('?' * len(asked_by))})" if asked_by is not None else ""
        heads = f"coalesce(json_extract(summary, '$.parent'), '') = ''{whose} ORDER BY started_at DESC, rowid DESC"
        return self._summaries(heads, limit, *(asked_by or ()))

    async def unfinished(self, limit: int) -> list[RunSummary]:
        """Interrupted jobs, oldest first."""
        jobs = "json_extract(summary, '$.background') AND coalesce(json_extract(summary, '$.parent'), '') = ''"
        found = self._summaries(
            f"json_extract(summary, '$.state') IN ('running', 'interrupted') AND {jobs} ORDER BY started_at, rowid",
            -1,
        )
        return [summary for summary in found if summary.state == "interrupted"][:limit]

    async def children(self, run_id: str) -> list[RunSummary]:
        """The runs that work for this one."""
        found = self._summaries("json_extract(summary, '$.parent') = ?", -1, run_id)
        return sorted(found, key=lambda child: (len(child.run_id), child.run_id))

    async def page(self, run_id: str, page_id: str) -> Page:
        """A page that was read in a run. Raises `RunNotFound`."""
        with self._errors():
            row = self._connection.execute("SELECT page FROM pages WHERE run_id = ? AND page_id = ?", (run_id, page_id)).fetchone()
        if row is None:
            raise RunNotFound(f"no page {page_id!r} in run {run_id!r}", field="page_id")
        return Page.model_validate_json(row[0])

    async def pages(self, run_id: str) -> AsyncIterator[Page]:
        """Every page that was read in a run, by page id."""
        last = ""
        while True:
            with self._errors():
                row = self._connection.execute(
                    "SELECT page FROM pages WHERE run_id = ? AND page_id > ? ORDER BY page_id LIMIT 1", (run_id, last)
                ).fetchone()
            if row is None:
                return
            page = Page.model_validate_json(row[0])
            yield page
            last = page.page_id

    async def attachment(self, run_id: str, url: str) -> Attachment:
        """A file that came with the question. Raises `RunNotFound`."""
        query = "SELECT attachment FROM attachments WHERE run_id = ? AND url = ?"
        with self._errors():
            row = self._connection.execute(query, (run_id, url)).fetchone()
        if row is None:
            raise RunNotFound(f"no attachment {url!r} in run {run_id!r}", field="url")
        return Attachment.model_validate_json(row[0])

    async def attachments(self, run_id: str) -> dict[str, Attachment]:
        """The files that came with the question, by URL."""
        with self._errors():
            rows = self._connection.execute("SELECT url, attachment FROM attachments WHERE run_id = ?", (run_id,)).fetchall()
        return {url: Attachment.model_validate_json(attachment) for url, attachment in rows}

    async def restore(
        self,
        summary: RunSummary,
        state_digest: str,
        events: Collection[StoredEvent],
        pages: Collection[Page],
        attachments: Mapping[str, Attachment],
    ) -> None:
        """Keep a run that came from another journal. Raises `InvalidRequest` when the id is taken."""
        with self._transaction() as connection:
            kept = summary.model_copy(update={"state": "interrupted"}) if summary.state == "running" else summary
            self._register(connection, kept, state_digest, 0.0)
            _write(connection, summary.run_id, events, pages, attachments)

    async def forget(self, run_id: str) -> None:
        """Delete a run. Raises `RunNotFound`, or `RunUnderWay` when it or one that works for it has an owner."""
        with self._transaction() as connection:
            family = [self._summary(self._row(run_id)), *await self.children(run_id)]
            for run in family:
                if run.state == "running":
                    raise RunUnderWay(f"run {run.run_id} is under way: cancel it first", field="run_id")
            _delete(connection, [run.run_id for run in family])
        await self._shrink()

    async def forget_before(self, time: float) -> int:
        """Forget every run that has not an owner and was last written before `time`: one after the other, others may write between."""
        with self._errors():
            old = self._connection.execute(
                "SELECT run_id FROM runs WHERE coalesce(json_extract(summary, '$.parent'), '') = '' AND updated_at < ?", (time,)
            ).fetchall()
        forgotten = 0
        for (run_id,) in old:
            begun = monotonic()
            forgotten += await self._forget_if_before(run_id, time)
            await asyncio.sleep(monotonic() - begun)  # as long as it had the file, others have it
        if forgotten:
            await self._shrink()
        return forgotten

    async def _forget_if_before(self, run_id: str, time: float) -> bool:
        with self._transaction() as connection:
            # Since it was found it may have been taken up, or be gone.
            found = self._summaries("run_id = ? AND updated_at < ?", 1, run_id, time)
            family = [*found, *await self.children(run_id)]
            if not found or found[0].state == "waiting" or any(run.state == "running" for run in family):
                return False
            _delete(connection, [run.run_id for run in family])
        return True

    async def _shrink(self) -> None:
        """Give the space of what was deleted back, a piece at a time: of the file, and of the log that still holds it."""
        # Where others write without a pause, it is given back the next time, and used again until then.
        with self._errors(), contextlib.suppress(sqlite3.OperationalError):
            while left := self._connection.execute("PRAGMA freelist_count").fetchone()[0]:
                begun = monotonic()
                # `execute` would stop after the first page.
                self._connection.executescript(f"PRAGMA incremental_vacuum({_PAGES_AT_ONCE})")
                if self._connection.execute("PRAGMA freelist_count").fetchone()[0] >= left:
                    break  # a file that was begun without it keeps its size
                await asyncio.sleep(monotonic() - begun)
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    async def check(self) -> None:
        """Raise `JournalError` when the file cannot be read and written."""
        with self._transaction():
            pass

    async def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _row(self, run_id: str) -> tuple[str, str, float, str]:
        with self._errors():
            row: tuple[str, str, float, str] | None = self._connection.execute(
                f"SELECT {_ROW} FROM runs WHERE run_id = ?",  # noqa: S608
                (run_id,),
            ).fetchone()
        if row is None:
            raise not_found(run_id)
        return row

    def _summary(self, row: tuple[str, str, float, str]) -> RunSummary:
        stored, owner, lease_until, _ = row
        summary = RunSummary.model_validate_json(stored)
        if summary.state == "running" and (lease_until < time.time() or is_known_dead(owner)):
            summary.state = "interrupted"
        return summary

    def _summaries(self, which: str, limit: int, *values: str | float) -> list[RunSummary]:
        with self._errors():
            rows = self._connection.execute(f"SELECT {_ROW} FROM runs WHERE {which} LIMIT ?", (*values, limit)).fetchall()  # noqa: S608
        return [self._summary(row) for row in rows]


_ROW = "summary, owner, lease_until, state_digest"


def _write(
    connection: sqlite3.Connection,
    run_id: str,
    events: Collection[StoredEvent],
    pages: Collection[Page],
    attachments: Mapping[str, Attachment],
) -> None:
    connection.executemany(
        "INSERT INTO events VALUES (?, ?, ?, ?, ?)",
        ((run_id, stored.sequence, stored.time, stored.event.type, stored.event.model_dump_json()) for stored in events),
    )
    connection.executemany("INSERT INTO pages VALUES (?, ?, ?)", ((run_id, page.page_id, page.model_dump_json()) for page in pages))
    connection.executemany(
        "INSERT INTO attachments VALUES (?, ?, ?)", ((run_id, url, attachment.model_dump_json()) for url, attachment in attachments.items())
    )


def _delete(connection: sqlite3.Connection, runs: Collection[str]) -> None:
    for table in ("events", "pages", "attachments", "runs"):
        connection.executemany(f"DELETE FROM {table} WHERE run_id = ?", ((run_id,) for run_id in runs))  # noqa: S608


def _connected(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=_LOCK_SECONDS, isolation_level=None, check_same_thread=False)


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables to the version of this release; of several processes that try at once, one does it."""

    def steps() -> tuple[str, ...]:
        return steps_from("sqlite", connection.execute("PRAGMA user_version").fetchone()[0])

    if not steps():
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        for step in steps():
            for statement in step.split(";\n"):  # not `executescript`, which would commit
                connection.execute(statement)
            version += 1
        connection.execute(f"PRAGMA user_version = {version}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _begin(path: Path) -> None:
    """Make an empty journal beside its place and then put it there, whole: what SQLite does to begin one fails when two do it."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{path.name}.") as folder:
        made = Path(folder) / path.name
        connection = _connected(made)
        try:
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")  # to be said before there is anything in it
            connection.execute("PRAGMA journal_mode=WAL")
            _migrate(connection)
        finally:
            connection.close()
        with contextlib.suppress(FileExistsError):  # another process was faster
            os.link(made, path)
