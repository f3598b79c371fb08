"""What the index knows about documents and passages, in SQLite: the truth that the inverted index is made from."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from providers.corpus.preparation import PreparedFile
from providers.reader.documents import Document, DocumentLink

# Raised when tables, passages or terms change; an index of another format is made anew.
FORMAT = 1
_BUSY_SECONDS = 30.0
_SCHEMA = """
CREATE TABLE documents (
    id INTEGER PRIMARY KEY AUTOINCREMENT, url TEXT NOT NULL UNIQUE, mtime_ns INTEGER NOT NULL, size INTEGER NOT NULL,
    hash BLOB NOT NULL, title TEXT NOT NULL, text TEXT NOT NULL, language TEXT NOT NULL, published TEXT, author TEXT NOT NULL,
    links TEXT NOT NULL, page_id TEXT NOT NULL);
CREATE TABLE passages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, document INTEGER NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
    start INTEGER NOT NULL, end INTEGER NOT NULL, heading TEXT NOT NULL);
CREATE INDEX passages_of_document ON passages(document);
CREATE TABLE pending (document INTEGER PRIMARY KEY);
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


@dataclass(frozen=True)
class FileState:
    """A document as it was when it was indexed."""

    document_id: int
    size: int
    mtime_ns: int
    content_hash: bytes


@dataclass(frozen=True)
class StoredPassage:
    """A passage with what a search result shows of its document."""

    passage_id: int
    url: str
    title: str
    text: str
    start: int
    end: int
    heading: str
    language_code: str
    published: str | None
    page_id: str


class Store:
    """One connection to `path`, created when `create`. Use it from one thread at a time.

    Every change of a document marks it as pending until the inverted index has it too, so that an interruption between
    the two is made good by the next run. Methods raise `sqlite3.DatabaseError` when the file is damaged.
    """

    def __init__(self, path: Path, *, create: bool) -> None:
        mode = "rwc" if create else "rw"
        self._connection = sqlite3.connect(
            f"{path.as_uri()}?mode={mode}", uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            self._connection.execute("PRAGMA foreign_keys = ON")
            if create:
                self._connection.execute("PRAGMA journal_mode = WAL")
                # A crash of the machine may lose the last batch, which the next run makes again; it never damages the file.
                self._connection.execute("PRAGMA synchronous = NORMAL")
                if self.format == 0:
                    self._connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {FORMAT}; COMMIT;")
            else:
                self._connection.execute("PRAGMA query_only = ON")
        except BaseException:
            self._connection.close()
            raise

    @property
    def format(self) -> int:
        """Format of the file; 0 when it is new."""
        return int(self._connection.execute("PRAGMA user_version").fetchone()[0])

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything inside together, or nothing."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    # -- writing -------------------------------------------------------------------------------------------------------

    def put(self, url: str, size: int, mtime_ns: int, prepared: PreparedFile, page_id: str) -> int:
        """Add or replace a document with its passages; returns its id."""
        document = prepared.document
        if document is None:
            raise ValueError("a prepared file without a document has not changed")
        values = (
            mtime_ns, size, prepared.content_hash, document.title, document.text, document.language_code, document.published,
            document.author, json.dumps(document.links, ensure_ascii=False), page_id,
        )  # fmt: skip
        row = self._connection.execute("SELECT id FROM documents WHERE url = ?", (url,)).fetchone()
        if row is None:
            document_id = self._connection.execute(
                "INSERT INTO documents (mtime_ns, size, hash, title, text, language, published, author, links, page_id, url)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*values, url),
            ).lastrowid
        else:
            document_id = row[0]
            self._connection.execute(
                "UPDATE documents SET mtime_ns = ?, size = ?, hash = ?, title = ?, text = ?, language = ?, published = ?,"
                " author = ?, links = ?, page_id = ? WHERE id = ?",
                (*values, document_id),
            )
            self._connection.execute("DELETE FROM passages WHERE document = ?", (document_id,))
        self._connection.executemany(
            "INSERT INTO passages (document, start, end, heading) VALUES (?, ?, ?, ?)",
            [(document_id, passage.start, passage.end, passage.heading) for passage in prepared.passages],
        )
        self._connection.execute("INSERT OR IGNORE INTO pending VALUES (?)", (document_id,))
        return int(document_id or 0)

    def touch(self, url: str, size: int, mtime_ns: int) -> None:
        """Note that a file was written again with the same content."""
        self._connection.execute("UPDATE documents SET size = ?, mtime_ns = ? WHERE url = ?", (size, mtime_ns, url))

    def remove(self, urls: Sequence[str]) -> None:
        """Remove documents and their passages."""
        for url in urls:
            self._connection.execute("INSERT OR IGNORE INTO pending SELECT id FROM documents WHERE url = ?", (url,))
            self._connection.execute("DELETE FROM documents WHERE url = ?", (url,))

    def clear_pending(self, document_ids: Sequence[int]) -> None:
        """Note that the inverted index has these documents as they are here."""
        self._connection.executemany("DELETE FROM pending WHERE document = ?", [(i,) for i in document_ids])

    def set_fact(self, name: str, value: str) -> None:
        """Remember something about the index as a whole."""
        self._connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    # -- reading -------------------------------------------------------------------------------------------------------

    def fact(self, name: str) -> str | None:
        """What was remembered with `set_fact`."""
        row = self._connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def files(self) -> dict[str, FileState]:
        """State of every document's file, by URL."""
        rows = self._connection.execute("SELECT url, id, size, mtime_ns, hash FROM documents")
        return {url: FileState(*values) for url, *values in rows}

    def pending(self) -> list[int]:
        """Ids of documents that the inverted index does not have as they are here; some may be removed."""
        return [row[0] for row in self._connection.execute("SELECT document FROM pending ORDER BY document")]

    def count_passages(self) -> int:
        """Number of passages."""
        return int(self._connection.execute("SELECT count(*) FROM passages").fetchone()[0])

    def languages(self) -> list[str]:
        """Languages of the documents, the most frequent first."""
        rows = self._connection.execute("SELECT language FROM documents GROUP BY language ORDER BY count(*) DESC, language")
        return [row[0] for row in rows]

    def document(self, url: str) -> tuple[FileState, Document] | None:
        """A document and the state of its file when it was indexed."""
        row = self._connection.execute(
            "SELECT id, size, mtime_ns, hash, title, text, language, published, author, links FROM documents WHERE url = ?", (url,)
        ).fetchone()
        return (FileState(*row[:4]), _document(row[4:])) if row else None

    def document_by_id(self, document_id: int) -> Document | None:
        """A document; None when it was removed."""
        row = self._connection.execute(
            "SELECT title, text, language, published, author, links FROM documents WHERE id = ?", (document_id,)
        ).fetchone()
        return _document(row) if row else None

    def passages_of(self, document_id: int) -> list[tuple[int, int, int, str]]:
        """Id, start, end and headings of a document's passages, in order."""
        rows = self._connection.execute("SELECT id, start, end, heading FROM passages WHERE document = ? ORDER BY id", (document_id,))
        return list(rows)

    def passage(self, passage_id: int) -> StoredPassage | None:
        """A passage; None when its document has changed since."""
        row = self._connection.execute(
            "SELECT p.id, d.url, d.title, substr(d.text, p.start + 1, p.end - p.start), p.start, p.end, p.heading, d.language,"
            " d.published, d.page_id FROM passages p JOIN documents d ON d.id = p.document WHERE p.id = ?",
            (passage_id,),
        ).fetchone()
        return StoredPassage(*row) if row else None

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _document(row: Sequence[object]) -> Document:
    title, text, language, published, author, links = row
    found = tuple(DocumentLink(*link) for link in json.loads(str(links)))
    return Document(str(title), str(text), str(language), str(published) if published else None, str(author), found)
