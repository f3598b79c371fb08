"""Runs in one SQLite file."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from providers.journal.base import StoredEvent
from schemas.errors import InvalidRequest, JournalError, RunNotFound
from schemas.events import JOURNAL_EVENT
from schemas.reading import Attachment, Page
from schemas.research import RunSummary

_LOCK_SECONDS = 1.0
"""Longest wait for another process that writes; writers hold the lock for less than a millisecond."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    run_id TEXT PRIMARY KEY, started_at REAL NOT NULL, updated_at REAL NOT NULL, owner TEXT NOT NULL,
    summary TEXT NOT NULL, state_digest TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS runs_by_start ON runs (started_at DESC);
CREATE TABLE IF NOT EXISTS events (
    run_id TEXT NOT NULL, sequence INTEGER NOT NULL, time REAL NOT NULL, type TEXT NOT NULL, event TEXT NOT NULL,
    PRIMARY KEY (run_id, sequence)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS attachments (
    run_id TEXT NOT NULL, url TEXT NOT NULL, attachment TEXT NOT NULL, PRIMARY KEY (run_id, url)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pages (
    run_id TEXT NOT NULL, page_id TEXT NOT NULL, page TEXT NOT NULL, PRIMARY KEY (run_id, page_id)
) WITHOUT ROWID;
"""


class SQLiteJournal:
    """A journal in a SQLite file in write-ahead mode: any number of processes may read while others write.

    Calls take well under a millisecond and are therefore made in the event loop itself; one that meets a lock waits for
    at most a second. A commit survives the
    death of the process; the last ones may be lost when the whole machine loses power.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._owner = _owner(os.getpid())
        with self._errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                _begin(path)
            self._connection = _connected(path)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.executescript(_SCHEMA)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise JournalError(f"the journal {self._path} cannot be used ({error}): check DEEPSEARCH_STATE_URL") from error

    async def create(self, summary: RunSummary) -> None:
        """Register a new run. Raises `InvalidRequest` when the id is taken."""
        with self._errors():
            try:
                self._connection.execute(
                    "INSERT INTO runs (run_id, started_at, updated_at, owner, summary) VALUES (?, ?, ?, ?, ?)",
                    (summary.run_id, summary.started_at, time.time(), self._owner, summary.model_dump_json()),
                )
            except sqlite3.IntegrityError as error:
                raise InvalidRequest(f"run_id {summary.run_id!r} is taken: choose another or none", field="run_id") from error

    async def append(self, run_id: str, stored: StoredEvent) -> None:
        """Append the next event. Raises `JournalError` when its sequence number is taken."""
        with self._errors():
            self._connection.execute(
                "INSERT INTO events VALUES (?, ?, ?, ?, ?)",
                (run_id, stored.sequence, stored.time, stored.event.type, stored.event.model_dump_json()),
            )

    async def save_page(self, run_id: str, page: Page) -> None:
        """Keep a page's text with the run."""
        with self._errors():
            self._connection.execute("INSERT OR IGNORE INTO pages VALUES (?, ?, ?)", (run_id, page.page_id, page.model_dump_json()))

    async def save_attachment(self, run_id: str, url: str, attachment: Attachment) -> None:
        """Keep a file that came with the question."""
        with self._errors():
            self._connection.execute("INSERT OR IGNORE INTO attachments VALUES (?, ?, ?)", (run_id, url, attachment.model_dump_json()))

    async def attachment(self, run_id: str, url: str) -> Attachment:
        """A file that came with the question. Raises `RunNotFound`."""
        query = "SELECT attachment FROM attachments WHERE run_id = ? AND url = ?"
        with self._errors():
            row = self._connection.execute(query, (run_id, url)).fetchone()
        if row is None:
            raise RunNotFound(f"no attachment {url!r} in run {run_id!r}", field="url")
        return Attachment.model_validate_json(row[0])

    async def update(self, summary: RunSummary, state_digest: str = "") -> None:
        """Replace the line about a run."""
        with self._errors():
            self._connection.execute(
                "UPDATE runs SET summary = ?, updated_at = ?, state_digest = ? WHERE run_id = ? AND owner = ?",
                (summary.model_dump_json(), time.time(), state_digest, summary.run_id, self._owner),
            )

    async def claim(self, run_id: str) -> None:
        """Become the owner of an interrupted run. Raises `RunNotFound`, or `InvalidRequest` when another owner lives."""
        stored, owner, _ = self._row(run_id)
        summary = RunSummary.model_validate_json(stored)
        if summary.state != "running" or not _alive(owner):
            summary.state = "running"
            query = "UPDATE runs SET owner = ?, summary = ?, updated_at = ? WHERE run_id = ? AND owner = ? AND summary = ?"
            with self._errors():
                claimed = self._connection.execute(query, (self._owner, summary.model_dump_json(), time.time(), run_id, owner, stored))
            if claimed.rowcount == 1:
                return
        raise InvalidRequest(f"run {run_id} is under way", field="run_id")

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
        return str(self._row(run_id)[2])

    async def runs(self, limit: int) -> list[RunSummary]:
        """The newest runs, newest first."""
        with self._errors():
            rows = self._connection.execute(
                "SELECT summary, owner, state_digest FROM runs WHERE coalesce(json_extract(summary, '$.parent'), '') = '' "
                "ORDER BY started_at DESC, rowid DESC LIMIT ?",
                (limit,),
            ).fetchall()
        return [self._summary(row) for row in rows]

    async def page(self, run_id: str, page_id: str) -> Page:
        """A page that was read in a run. Raises `RunNotFound`."""
        with self._errors():
            row = self._connection.execute("SELECT page FROM pages WHERE run_id = ? AND page_id = ?", (run_id, page_id)).fetchone()
        if row is None:
            raise RunNotFound(f"no page {page_id!r} in run {run_id!r}", field="page_id")
        return Page.model_validate_json(row[0])

    async def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _row(self, run_id: str) -> tuple[str, str, str]:
        with self._errors():
            row: tuple[str, str, str] | None = self._connection.execute(
                "SELECT summary, owner, state_digest FROM runs WHERE run_id = ?", (run_id,)
            ).fetchone()
        if row is None:
            raise RunNotFound(f"no run {run_id!r}: `deepsearch runs` lists them", field="run_id")
        return row

    def _summary(self, row: tuple[str, str, str]) -> RunSummary:
        summary = RunSummary.model_validate_json(row[0])
        if summary.state == "running" and not _alive(row[1]):
            summary.state = "interrupted"
        return summary


def _connected(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=_LOCK_SECONDS, isolation_level=None, check_same_thread=False)


def _begin(path: Path) -> None:
    """Make an empty journal beside its place and then put it there, whole: what SQLite does to begin one fails when two do it."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{path.name}.") as folder:
        made = Path(folder) / path.name
        connection = _connected(made)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(_SCHEMA)
        finally:
            connection.close()
        with contextlib.suppress(FileExistsError):  # another process was faster
            os.link(made, path)


def _alive(owner: str) -> bool:
    """Whether the process that owns a run still lives; a process on another machine is taken to live."""
    host, pid, _ = owner.rsplit(":", 2)
    return host != socket.gethostname() or owner == _owner(int(pid))


def _owner(pid: int) -> str:
    """Name of a process that no later one has: machine, process id, and when the process started, as far as the system tells."""
    try:
        started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        started = "" if Path("/proc/self").exists() else "unknown"
    return f"{socket.gethostname()}:{pid}:{started}"
