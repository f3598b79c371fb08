"""A cache in one SQLite file."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import zstandard

from providers.cache.base import Entry, Kind
from providers.cache.compression import compressed
from schemas.errors import CacheError

_LOCK_SECONDS = 1.0
"""Longest wait for another process that writes; writers hold the lock for about a millisecond."""

_TOUCH_SECONDS = 3_600.0
"""How much older than a use its record may be: a use is written down once in this time, so that reading hardly ever writes."""

_EVICTED_AT_ONCE = 8
_KEYS_AT_ONCE = 500  # older SQLite allows 999 parameters

_SCHEMA = """
CREATE TABLE entries (
    kind TEXT NOT NULL, key TEXT NOT NULL, stored_at REAL NOT NULL, used_at REAL NOT NULL, compressed INTEGER NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (kind, key)
);
CREATE INDEX entries_by_use ON entries (used_at);
"""


class SQLiteCache:
    """A cache in a SQLite file in write-ahead mode: any number of processes read and write it.

    The file is opened when it is first used, and made readable for its owner alone. Calls take some tens of microseconds
    and are therefore made in the event loop itself; one that meets a lock waits for at most a second.

    `max_bytes` limits what the entries take in the file. The entries not used for longest go first; when they were used
    is known to the hour. `read_only` refuses to write and leaves the file as it is. `now` gives seconds since the epoch.
    """

    def __init__(self, path: Path, max_bytes: int, *, read_only: bool = False, now: Callable[[], float] = time.time) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._read_only = read_only
        self._now = now
        self._connection: sqlite3.Connection | None = None
        self._page_bytes = 4_096

    async def get(self, kind: Kind, keys: Sequence[str]) -> dict[str, Entry]:
        """The entries that there are, by key."""
        found: dict[str, Entry] = {}
        with self._errors() as connection:
            for start in range(0, len(keys), _KEYS_AT_ONCE):
                wanted = keys[start : start + _KEYS_AT_ONCE]
                marks = ",".join("?" * len(wanted))
                rows = connection.execute(
                    f"SELECT key, stored_at, used_at, compressed, value FROM entries WHERE kind = ? AND key IN ({marks})",  # noqa: S608 - marks
                    (kind, *wanted),
                ).fetchall()
                now = self._now()
                touched = [(now, kind, key) for key, _, used_at, _, _ in rows if used_at < now - _TOUCH_SECONDS]
                if touched and not self._read_only:
                    # When it was used is an approximation anyway: not worth failing a reading for.
                    with contextlib.suppress(sqlite3.OperationalError):
                        connection.executemany("UPDATE entries SET used_at = ? WHERE kind = ? AND key = ?", touched)
                for key, stored_at, _, is_compressed, value in rows:
                    found[key] = Entry(zstandard.decompress(value) if is_compressed else value, stored_at)
        return found

    async def put(self, kind: Kind, values: Mapping[str, bytes]) -> None:
        """Keep `values` by key. Raises `CacheError` for one that is larger than half of the cache."""
        now = self._now()
        rows = [(kind, key, now, now, *compressed(value)) for key, value in values.items()]
        for row in rows:
            if len(row[-1]) > self._max_bytes // 2:
                raise CacheError(f"an answer of {len(row[-1])} bytes is too large for the cache {self._path}: raise DEEPSEARCH_CACHE_MB")
        with self._errors() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.executemany(
                    "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET"
                    " stored_at = excluded.stored_at, used_at = excluded.used_at, compressed = excluded.compressed, value = excluded.value",
                    rows,
                )
                self._make_room(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    async def close(self) -> None:
        """Close the file. The next call opens it again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[sqlite3.Connection]:
        try:
            if self._connection is None:
                self._connection = self._opened()
            yield self._connection
        except (sqlite3.Error, OSError, zstandard.ZstdError) as error:
            fix = "delete it, or set DEEPSEARCH_CACHE_URL" if _is_broken(error) else "check DEEPSEARCH_CACHE_URL"
            raise CacheError(f"the cache {self._path} cannot be used ({error}): {fix}") from error

    def _opened(self) -> sqlite3.Connection:
        if self._read_only and not self._path.exists():
            raise CacheError(
                f"there is no recording {self._path}: record a run with DEEPSEARCH_CACHE=record, or check DEEPSEARCH_CACHE_URL"
            )
        if not self._path.exists():
            self._create()
        connection = _connected(self._address())
        try:
            connection.execute("PRAGMA cache_size=-1000")  # kilobytes; the system caches the file as well
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("SELECT 1 FROM entries LIMIT 1")
            self._page_bytes = connection.execute("PRAGMA page_size").fetchone()[0]
        except BaseException:
            connection.close()
            raise
        return connection

    def _create(self) -> None:
        """Make an empty cache beside its place and then put it there, whole: what SQLite does to begin one fails when two do it."""
        folder = self._path.parent
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=f"{self._path.name}.") as made_in:
            made = Path(made_in) / self._path.name
            # SQLite gives the files that it makes beside this one the same mode.
            os.close(os.open(made, os.O_CREAT | os.O_WRONLY, 0o600))
            connection = _connected(made.absolute().as_uri())
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.executescript(_SCHEMA)
            finally:
                connection.close()
            with contextlib.suppress(FileExistsError):  # another process was faster
                os.link(made, self._path)

    def _address(self) -> str:
        address = self._path.absolute().as_uri()
        if not self._read_only:
            return address
        # Where nobody can write, SQLite cannot make the files that readers share with writers, and need not.
        return f"{address}?{'mode=ro' if os.access(self._path.parent, os.W_OK) else 'immutable=1'}"

    def _make_room(self, connection: sqlite3.Connection) -> None:
        while self._used_bytes(connection) > self._max_bytes:
            oldest = "SELECT rowid FROM entries ORDER BY used_at, rowid LIMIT ?"
            if not connection.execute(f"DELETE FROM entries WHERE rowid IN ({oldest})", (_EVICTED_AT_ONCE,)).rowcount:  # noqa: S608
                return

    def _used_bytes(self, connection: sqlite3.Connection) -> int:
        pages, free = (connection.execute(f"PRAGMA {count}").fetchone()[0] for count in ("page_count", "freelist_count"))
        return int((pages - free) * self._page_bytes)


def _connected(address: str) -> sqlite3.Connection:
    return sqlite3.connect(address, uri=True, timeout=_LOCK_SECONDS, isolation_level=None, check_same_thread=False)


def _is_broken(error: Exception) -> bool:
    """Whether the file is no cache, rather than out of reach."""
    return isinstance(error, zstandard.ZstdError) or type(error) is sqlite3.DatabaseError
