"""A corpus: indexing, searching and reading a folder of documents.

The index lies in `home / "corpora" / <hash of the folder>`, never in the folder: `documents.db` (SQLite) is the truth,
`terms` (tantivy) is made from it, `lock` is held by whoever indexes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes, urlsplit

from providers.corpus.base import CorpusHit, CorpusHits, CorpusPage, IndexProgress, IndexReport
from providers.corpus.files import (
    SUFFIXES,
    FoundFile,
    SkippedFile,
    checked_folder,
    index_folder,
    named,
    nothing_readable,
    own_files,
    read_bytes,
    walk,
)
from providers.corpus.preparation import PreparedFile, joined, passage_terms, prepare
from providers.corpus.store import FORMAT, FileState, Store
from providers.lexical import terms
from providers.reader.conversion import convert_document
from providers.reader.documents import Document
from providers.reader.limits import MAX_BYTES
from providers.reader.pages import page_id
from providers.reader.workers import WorkerDied, shared_pool
from schemas.errors import CorpusError, InvalidRequest, ReadError

if TYPE_CHECKING:
    # tantivy is loaded when it is first used: a process that only reads pages never needs it.
    from providers.corpus.inverted import InvertedReader, InvertedWriter

_log = logging.getLogger(__name__)

# A batch is committed at whichever comes first; what is committed survives an interruption.
_BATCH_FILES = 64
_BATCH_CHARACTERS = 4_000_000
_BATCH_SECONDS = 5.0
_FILE_SECONDS = 60.0
# The languages a query is tried in; a corpus of more has them by quotation or by mistake.
_MAX_LANGUAGES = 8


class _Damaged(Exception):
    """The index cannot be used; the message says why. It is made anew."""


def open_corpus(folder: Path, home: Path, *, max_file_bytes: int = MAX_BYTES) -> FolderCorpus:
    """The corpus of `folder`, with its index below `home`. Nothing is written yet.

    Files larger than `max_file_bytes` are left out. Raises `CorpusError` when the folder is missing, not a folder, or
    unreadable; the message names it and what to do.
    """
    return FolderCorpus(checked_folder(folder), home.expanduser().resolve(), max_file_bytes)


class FolderCorpus:
    """A folder of documents and its index. Safe for use by many threads, tasks and processes; made by `open_corpus`."""

    def __init__(self, folder: Path, home: Path, max_file_bytes: int) -> None:
        self.folder = folder
        self.index_folder = index_folder(folder, home)
        self._leave_out = own_files(folder, home)
        self._max_file_bytes = max_file_bytes
        self._searching = threading.Lock()
        self._reader: _IndexReader | None = None

    @property
    def _database(self) -> Path:
        return self.index_folder / "documents.db"

    @property
    def _terms(self) -> Path:
        return self.index_folder / "terms"

    async def index(self, progress: Callable[[IndexProgress], None] | None = None) -> IndexReport:
        """Bring the index up to date: new and changed files are converted, the rest is left alone.

        Files count as changed by size and time, then by content. A file that cannot be read never stops it. Finished batches
        are durable at once, so an interruption loses only the last seconds. While another process indexes the same folder
        this waits for it. `progress` is called from another thread.

        Raises `CorpusError` when the folder holds no document that can be read.
        """
        stop = threading.Event()
        try:
            return await asyncio.to_thread(self._index, progress or (lambda _: None), stop)
        finally:
            stop.set()

    async def is_indexed(self) -> bool:
        """Whether the folder was once indexed to the end."""
        return await asyncio.to_thread(self._is_indexed)

    async def search(self, query: str, limit: int, language_code: str | None = None) -> CorpusHits:
        """The documents that fit the query best, best first, each with its best passage, at most `limit`.

        The query's words are looked up in every language that the corpus has, and in `language_code`. A damaged index
        is made anew first. Raises `CorpusError` when the folder was never indexed.
        """
        try:
            return CorpusHits(await asyncio.to_thread(self._search, query, limit, language_code))
        except _Damaged as error:
            _log.warning("the index of %s is damaged (%s); making it anew", self.folder, error)
        await self.index()
        try:
            return CorpusHits(await asyncio.to_thread(self._search, query, limit, language_code))
        except _Damaged as error:
            raise CorpusError(f"the index of {self.folder} is damaged ({error}); delete {self.index_folder} and index again") from error

    async def read(self, url: str, *, max_bytes: int | None = None, timeout_seconds: float = _FILE_SECONDS) -> CorpusPage:
        """The document at a `file:` URL: from the index when the file is unchanged since, otherwise converted now.

        Raises `InvalidRequest` for anything that is no document of this folder (links that lead outside included),
        `ReadError` when it cannot be read.
        """
        path = await asyncio.to_thread(self._document_path, url)
        own_url = path.as_uri()
        try:
            status = await asyncio.to_thread(path.stat)
            document = await asyncio.to_thread(self._stored, own_url, status.st_size, status.st_mtime_ns)
            if document is None:
                limit = min(self._max_file_bytes, max_bytes or self._max_file_bytes)
                data = await asyncio.to_thread(read_bytes, path, limit)
                document = await convert_document(data, path.name, max_bytes=limit, timeout_seconds=timeout_seconds)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise ReadError(f"{path.name}: it cannot be read ({reason})") from error
        return CorpusPage(own_url, page_id(own_url, document.text), document)

    async def close(self) -> None:
        """Close the index."""
        with self._searching:
            self._close_reader()

    # -- indexing ------------------------------------------------------------------------------------------------------

    def _index(self, progress: Callable[[IndexProgress], None], stop: threading.Event) -> IndexReport:
        started = time.monotonic()
        report = IndexReport()
        with self._lock(progress, stop):
            if stop.is_set():
                return report
            try:
                self._update(report, progress, stop)
            except _Damaged as error:
                report = IndexReport(rebuilt=str(error))
                _log.warning("the index of %s cannot be used (%s); making it anew", self.folder, error)
                self._wipe()
                try:
                    self._update(report, progress, stop)
                except _Damaged as again:
                    raise CorpusError(f"the index folder {self.index_folder} cannot be used ({again}); set DEEPSEARCH_HOME") from again
        report.seconds = time.monotonic() - started
        return report

    @contextmanager
    def _lock(self, progress: Callable[[IndexProgress], None], stop: threading.Event) -> Iterator[None]:
        """Hold the lock of the index, unless `stop` is set while waiting for it; the system releases it when the process dies."""
        import fcntl  # noqa: PLC0415  (POSIX only; searching works without)

        try:
            self.index_folder.mkdir(parents=True, exist_ok=True)
            file = (self.index_folder / "lock").open("w")
        except OSError as error:
            raise CorpusError(f"the index folder {self.index_folder} cannot be written ({error.strerror}); set DEEPSEARCH_HOME") from error
        with file:
            told = False
            while not stop.is_set():
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if not told:
                        progress(IndexProgress("waiting", 0, 0))
                    told = True
                    stop.wait(0.1)
            yield

    def _wipe(self) -> None:
        shutil.rmtree(self._terms, ignore_errors=True)
        for path in self.index_folder.glob("documents.db*"):
            path.unlink()

    def _update(self, report: IndexReport, progress: Callable[[IndexProgress], None], stop: threading.Event) -> None:
        found: list[FoundFile] = []
        for item in walk(self.folder, leave_out=self._leave_out, max_file_bytes=self._max_file_bytes):
            if isinstance(item, SkippedFile):
                (report.failed if item.failed else report.skipped).append((named(item.path, self.folder), item.reason))
            else:
                found.append(item)
        indexing = _Indexing(self._database, self._terms, report)
        try:
            indexing.recover()
            self._update_files(found, indexing, report, progress, stop)
            documents = indexing.finish(self.folder, complete=not stop.is_set())
        finally:
            indexing.close()
        if not documents and not stop.is_set():
            raise nothing_readable(self.folder, report.failed)

    def _update_files(
        self,
        found: list[FoundFile],
        indexing: _Indexing,
        report: IndexReport,
        progress: Callable[[IndexProgress], None],
        stop: threading.Event,
    ) -> None:
        known = indexing.store.files()
        gone = known.keys() - {file.path.as_uri() for file in found}
        changed: list[tuple[FoundFile, FileState | None]] = []
        for file in found:
            state = known.get(file.path.as_uri())
            if state is not None and (state.size, state.mtime_ns) == (file.size, file.mtime_ns):
                report.unchanged += 1
            else:
                changed.append((file, state))
        indexing.remove(sorted(gone))
        report.removed = len(gone)
        done = report.unchanged
        pool = shared_pool()
        waiting = iter(changed)
        running: dict[Future[PreparedFile], tuple[FoundFile, FileState | None]] = {}
        while not stop.is_set():
            # A few more than there are workers, so that none waits while a batch is committed; not all, for memory's sake.
            while len(running) < 4 * (os.cpu_count() or 1) and (following := next(waiting, None)) is not None:
                file, state = following
                known_hash = state.content_hash if state else None
                running[pool.submit(prepare, file.path, self._max_file_bytes, known_hash, timeout=_FILE_SECONDS)] = following
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                file, state = running.pop(future)
                try:
                    indexing.put(file, state, future.result())
                except (ReadError, WorkerDied, TimeoutError, MemoryError) as error:
                    report.failed.append((named(file.path, self.folder), str(error).removeprefix(f"{file.path.name}: ")))
                    if state is not None:
                        # What the file said before is no longer what it says.
                        indexing.remove([file.path.as_uri()])
                done += 1
                progress(IndexProgress("indexing", done, len(found), named(file.path, self.folder)))
        for future in running:
            future.cancel()
        indexing.flush()

    # -- searching and reading -----------------------------------------------------------------------------------------

    def _is_indexed(self) -> bool:
        if not self._database.exists():
            return False
        try:
            with _damage():
                store = Store(self._database, create=False)
                try:
                    return store.format == FORMAT and store.fact("complete") is not None
                finally:
                    store.close()
        except _Damaged:
            return False

    def _search(self, query: str, limit: int, language_code: str | None) -> list[CorpusHit]:
        with self._searching, _damage():
            reader = self._open_reader()
            if reader is None:
                raise CorpusError(f"corpus {self.folder} was never indexed; run `deepsearch index` on it")
            languages = list(dict.fromkeys([*reader.languages, *([language_code[:2].lower()] if language_code else [])]))
            hits: dict[str, CorpusHit] = {}
            wanted = 4 * limit
            while True:
                found = reader.inverted.search(query, languages, wanted)
                for hit in found:
                    passage = reader.store.passage(hit.passage_id) if len(hits) < limit else None
                    # A passage that is gone belongs to a document that is being indexed again.
                    if passage is not None and passage.url not in hits:
                        hits[passage.url] = CorpusHit(
                            passage.url, passage.title, passage.text, passage.start, passage.end, passage.heading,
                            hit.score, passage.language_code, passage.published, passage.page_id,
                        )  # fmt: skip
                if len(hits) >= limit or len(found) < wanted:
                    return list(hits.values())
                wanted *= 4

    def _open_reader(self) -> _IndexReader | None:
        try:
            inode = self._database.stat().st_ino
            if self._reader is not None and self._reader.inode != inode:
                # The index was made anew.
                self._close_reader()
            if self._reader is None:
                self._reader = _IndexReader(self._database, self._terms, inode)
            else:
                self._reader.refresh()
        except FileNotFoundError:
            self._close_reader()
            return None
        return self._reader

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.store.close()
            self._reader = None

    def _stored(self, url: str, size: int, mtime_ns: int) -> Document | None:
        with self._searching:
            try:
                with _damage():
                    reader = self._open_reader()
                    found = reader.store.document(url) if reader else None
            except _Damaged as error:
                _log.warning("the index of %s is damaged (%s); the file itself is read", self.folder, error)
                return None
        if found is None or (found[0].size, found[0].mtime_ns) != (size, mtime_ns):
            return None
        return found[1]

    def _document_path(self, url: str) -> Path:
        """Path of a document of this folder, links resolved. The same rules as for indexing hold."""
        parts = urlsplit(url)
        if parts.scheme.lower() != "file" or parts.netloc.lower() not in ("", "localhost"):
            raise InvalidRequest(f"{url[:200]}: not a file URL of this machine", field="url")
        raw = os.fsdecode(unquote_to_bytes(parts.path))
        try:
            path = Path(raw).resolve()
        except (OSError, ValueError, RuntimeError) as error:
            raise InvalidRequest(f"{url[:200]}: not a file name ({error})", field="url") from error
        if not raw.startswith("/") or not path.is_relative_to(self.folder):
            raise InvalidRequest(f"{url[:200]}: outside the corpus", field="url")
        inside = path.relative_to(self.folder)
        hidden = any(part.startswith(".") for part in inside.parts)
        if hidden or path.suffix.lower() not in SUFFIXES or path.is_relative_to(self._leave_out):
            raise InvalidRequest(f"{url[:200]}: not a document of the corpus; those are files of type {', '.join(SUFFIXES)}", field="url")
        if not path.exists():
            raise ReadError(f"{path.name}: there is no such file in the corpus")
        if not path.is_file():
            raise InvalidRequest(f"{url[:200]}: not a file", field="url")
        return path


class _IndexReader:
    """The two halves of the index, open for reading, under the inode of the database that tells when it was made anew."""

    def __init__(self, database: Path, terms_folder: Path, inode: int) -> None:
        from providers.corpus.inverted import InvertedReader  # noqa: PLC0415

        self.inode = inode
        self.store = Store(database, create=False)
        try:
            self.inverted: InvertedReader = InvertedReader(terms_folder)
            self.languages = self._frequent_languages()
        except BaseException:
            self.store.close()
            raise

    def refresh(self) -> None:
        """See the latest commit."""
        if self.inverted.refresh():
            self.languages = self._frequent_languages()

    def _frequent_languages(self) -> list[str]:
        return self.store.languages()[:_MAX_LANGUAGES]


class _Indexing:
    """One indexing: collects changes and commits them in batches, first to the store, then to the inverted index."""

    def __init__(self, database: Path, terms_folder: Path, report: IndexReport) -> None:
        from providers.corpus.inverted import InvertedWriter  # noqa: PLC0415

        self._report = report
        self._batch: list[tuple[FoundFile, FileState | None, PreparedFile]] = []
        self._removed: list[str] = []
        self._characters = 0
        self._flushed = time.monotonic()
        with _damage():
            # The terms first: readers take the database for the sign that there is an index.
            self._writer: InvertedWriter = InvertedWriter(terms_folder)
            try:
                self.store = Store(database, create=True)
            except BaseException:
                self._writer.close()
                raise

    def recover(self) -> None:
        """Give the inverted index what an interrupted run did not; all of it when the two do not agree."""
        with _damage():
            if self.store.format != FORMAT:
                raise _Damaged(f"it was written by another version: format {self.store.format}, not {FORMAT}")
            self._index_pending({})
            if self._writer.count() != self.store.count_passages():
                raise _Damaged("its two halves do not agree")

    def finish(self, folder: Path, *, complete: bool) -> int:
        """Note what was indexed, and whether to the end; returns the number of documents."""
        with _damage(), self.store.transaction():
            self.store.set_fact("folder", os.fsencode(folder).decode("utf-8", "replace"))
            if complete:
                self.store.set_fact("complete", "yes")
            return len(self.store.files())

    def put(self, file: FoundFile, state: FileState | None, prepared: PreparedFile) -> None:
        self._batch.append((file, state, prepared))
        self._characters += len(prepared.document.text) if prepared.document else 0
        full = len(self._batch) >= _BATCH_FILES or self._characters >= _BATCH_CHARACTERS
        if full or time.monotonic() - self._flushed >= _BATCH_SECONDS:
            self.flush()

    def remove(self, urls: list[str]) -> None:
        self._removed += urls

    def flush(self) -> None:
        batch, removed = self._batch, self._removed
        self._batch, self._removed, self._characters = [], [], 0
        prepared_by_id: dict[int, PreparedFile] = {}
        if batch or removed:
            with _damage(), self.store.transaction():
                self.store.remove(removed)
                for file, state, prepared in batch:
                    url = file.path.as_uri()
                    if prepared.document is None:
                        self.store.touch(url, file.size, file.mtime_ns)
                        self._report.unchanged += 1
                    else:
                        identity = page_id(url, prepared.document.text)
                        prepared_by_id[self.store.put(url, file.size, file.mtime_ns, prepared, identity)] = prepared
                        self._report.added += state is None
                        self._report.updated += state is not None
            with _damage():
                self._index_pending(prepared_by_id)
        self._flushed = time.monotonic()

    def close(self) -> None:
        """Release both halves. What was not flushed is lost."""
        self.store.close()
        self._writer.close()

    def _index_pending(self, prepared_by_id: dict[int, PreparedFile]) -> None:
        """Bring the pending documents into the inverted index, as one commit."""
        pending = self.store.pending()
        if not pending:
            return
        for document_id in pending:
            self._writer.remove(document_id)
            document = self.store.document_by_id(document_id)
            if document is None:
                continue
            stored = self.store.passages_of(document_id)
            prepared = prepared_by_id.get(document_id)
            if prepared is not None:
                title_terms, all_terms = prepared.title_terms, [passage.terms for passage in prepared.passages]
            else:
                language = document.language_code
                title_terms = joined(terms(document.title, language))
                all_terms = [passage_terms(heading, document.text[start:end], language) for _, start, end, heading in stored]
            for (passage_id, *_), words in zip(stored, all_terms, strict=True):
                self._writer.add(document_id, passage_id, title_terms, words)
        self._writer.commit()
        with self.store.transaction():
            self.store.clear_pending(pending)


@contextmanager
def _damage() -> Iterator[None]:
    """Turn what SQLite and tantivy raise for a damaged index into `_Damaged`."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if str(error).startswith("no such"):
            raise _Damaged(str(error)) from error
        raise CorpusError(f"the index cannot be used ({error}); is the disk full, or DEEPSEARCH_HOME read-only?") from error
    except (sqlite3.DatabaseError, ValueError) as error:
        raise _Damaged(str(error).strip().splitlines()[0][:200]) from error
