"""Bringing a folder of documents into a shared corpus: each document in one transaction, its passages, terms and vectors with it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from providers.corpus.base import IndexProgress, IndexReport
from providers.corpus.database import Database, is_about_values
from providers.corpus.files import FoundFile, SkippedFile, checked_folder, named, nothing_readable, own_files, walk
from providers.corpus.preparation import PreparedFile, PreparedPassage, prepare
from providers.corpus.ranking import MOST_INDEXED_DIMENSIONS, Scope, vector_text
from providers.embedding.base import EmbeddingProvider, Vectors
from providers.reader.pages import page_id
from providers.reader.workers import WorkerDied, shared_pool
from schemas.errors import BudgetExceeded, CorpusError, EmbeddingError, ReadError

# Raised when passages or terms are made in another way: documents of another format are read again by the next indexing.
FORMAT = 1
_FILE_SECONDS = 60.0
_PATIENCE_SECONDS = 60.0
"""How long an indexing waits for a database that cannot be reached, before it gives up."""
_WAITING_SECONDS = 0.2


@dataclass(frozen=True)
class _Known:
    size: int
    mtime_ns: int
    content_hash: bytes | None
    model: int | None


@dataclass(frozen=True)
class _Model:
    """An embedding model, by the number that the database gave it."""

    number: int
    dimensions: int


def model_name(embedding: EmbeddingProvider) -> str:
    """What tells vectors of one model from those of another, with their dimensions. A model in a folder may lie elsewhere elsewhere."""
    return f"{embedding.name}:{Path(embedding.model).name if embedding.name == 'local' else embedding.model}"


class Indexing:
    """One indexing of `folder`. Raises `CorpusError` when that is no folder."""

    def __init__(self, database: Database, folder: Path, home: Path, embedding: EmbeddingProvider | None, max_file_bytes: int) -> None:
        self._database = database
        self._folder = checked_folder(folder)
        self._scope = Scope.of(self._folder.as_uri())
        self._leave_out = own_files(self._folder, home.expanduser().resolve())
        self._embedding = embedding
        self._max_file_bytes = max_file_bytes
        self._report = IndexReport()
        self._model: _Model | None = None

    async def run(self, progress: Callable[[IndexProgress], None]) -> IndexReport:
        """See `Corpus.index`."""
        started = time.monotonic()
        await self._database.migrate()
        if self._embedding is not None:
            await self._database.add_vectors()
        async with self._turn(progress):
            await self._update(progress)
            if self._report.added or self._report.updated or self._report.removed:
                await self._do("ANALYZE deepsearch_corpus.documents, deepsearch_corpus.passages, deepsearch_corpus.postings")
        documents = await self._database.run(
            lambda connection: connection.fetchval(
                "SELECT count(*) FROM deepsearch_corpus.documents WHERE url >= $1 AND url < $2", self._scope.first, self._scope.beyond
            ),
            patience_seconds=_PATIENCE_SECONDS,
        )
        if not documents:
            raise nothing_readable(self._folder, self._report.failed)
        self._report.seconds = time.monotonic() - started
        return self._report

    @asynccontextmanager
    async def _turn(self, progress: Callable[[IndexProgress], None]) -> AsyncIterator[None]:
        """Wait until nobody else indexes this folder. The server ends the turn of who dies; two at once would only do the work twice."""
        number = int.from_bytes(hashlib.sha256(self._scope.first.encode()).digest()[:8], "big", signed=True)
        ready, done = asyncio.Event(), asyncio.Event()

        async def hold(connection: Any) -> None:
            told = False
            while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", number):
                if not told:
                    progress(IndexProgress("waiting", 0, 0))
                told = True
                await asyncio.sleep(_WAITING_SECONDS)
            try:
                ready.set()
                await done.wait()
            finally:
                await connection.fetchval("SELECT pg_advisory_unlock($1)", number)

        holding = asyncio.create_task(self._database.run(hold, patience_seconds=_PATIENCE_SECONDS))
        try:
            waiting = asyncio.create_task(ready.wait())
            await asyncio.wait((holding, waiting), return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if holding.done():
                holding.result()
            yield
        finally:
            done.set()
            if not ready.is_set():
                holding.cancel()
            await asyncio.gather(holding, return_exceptions=True)

    async def _update(self, progress: Callable[[IndexProgress], None]) -> None:
        found = await asyncio.to_thread(self._found)
        known = await self._known()
        if self._embedding is not None:
            self._model = await self._known_model()
        changed: list[tuple[FoundFile, _Known | None]] = []
        for file in found:
            state = known.get(file.path.as_uri())
            fresh = state is not None and state.content_hash is not None and (state.size, state.mtime_ns) == (file.size, file.mtime_ns)
            if fresh and state is not None and self._has_vectors(state):
                self._report.unchanged += 1
            else:
                changed.append((file, state))
        if known and not found:
            raise CorpusError(
                f"{self._folder} holds no documents now, and {len(known)} of its documents are indexed: is it mounted? Nothing was changed",
                field="corpus",
            )
        for url in sorted(known.keys() - {file.path.as_uri() for file in found}):
            await self._remove(url)
            self._report.removed += 1
        waiting = iter(changed)
        done = self._report.unchanged

        async def work() -> None:
            nonlocal done
            for file, state in waiting:
                await self._index(file, state)
                done += 1
                progress(IndexProgress("indexing", done, len(found), named(file.path, self._folder)))

        # Some are read while others are written; their number bounds the memory.
        tasks = [asyncio.create_task(work()) for _ in range(2 + (os.cpu_count() or 1))]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _found(self) -> list[FoundFile]:
        found: list[FoundFile] = []
        for item in walk(self._folder, leave_out=self._leave_out, max_file_bytes=self._max_file_bytes):
            if isinstance(item, SkippedFile):
                (self._report.failed if item.failed else self._report.skipped).append((named(item.path, self._folder), item.reason))
            else:
                found.append(item)
        return found

    async def _known(self) -> dict[str, _Known]:
        rows = await self._database.run(
            lambda connection: connection.fetch(
                "SELECT url, size, mtime_ns, hash, model, format FROM deepsearch_corpus.documents WHERE url >= $1 AND url < $2",
                self._scope.first, self._scope.beyond,
            ),
            patience_seconds=_PATIENCE_SECONDS,
        )  # fmt: skip
        return {
            row["url"]: _Known(row["size"], row["mtime_ns"], row["hash"] if row["format"] == FORMAT else None, row["model"]) for row in rows
        }

    def _has_vectors(self, state: _Known) -> bool:
        return self._embedding is None or (self._model is not None and state.model == self._model.number)

    async def _index(self, file: FoundFile, state: _Known | None) -> None:
        """One file: read, and written when it differs."""
        url = file.path.as_uri()
        known_hash = state.content_hash if state and self._has_vectors(state) else None
        name = named(file.path, self._folder)
        try:
            prepared = await asyncio.wrap_future(
                shared_pool().submit(prepare, file.path, self._max_file_bytes, known_hash, timeout=_FILE_SECONDS)
            )
        except (ReadError, WorkerDied, TimeoutError, MemoryError) as error:
            self._report.failed.append((name, str(error).removeprefix(f"{file.path.name}: ")))
            if state is not None:
                # What the file said before is no longer what it says.
                await self._remove(url)
            return
        if prepared.document is None:
            await self._do("UPDATE deepsearch_corpus.documents SET size = $2, mtime_ns = $3 WHERE url = $1", url, file.size, file.mtime_ns)
            self._report.unchanged += 1
            return
        vectors = await self._vectors(prepared)
        model = self._model if vectors is not None else None
        try:
            await self._database.run(
                lambda connection: _write(connection, url, file, prepared, model=model, vectors=vectors), patience_seconds=_PATIENCE_SECONDS
            )
        except CorpusError as error:
            if not is_about_values(error):
                raise
            self._report.failed.append((name, str(error)))
            return
        unchanged = state is not None and state.content_hash == prepared.content_hash
        self._report.added += state is None
        self._report.updated += state is not None and not unchanged
        self._report.unchanged += unchanged

    async def _remove(self, url: str) -> None:
        await self._do("DELETE FROM deepsearch_corpus.documents WHERE url = $1", url)

    async def _do(self, statement: str, *values: object) -> None:
        await self._database.run(lambda connection: connection.execute(statement, *values), patience_seconds=_PATIENCE_SECONDS)

    # -- vectors -------------------------------------------------------------------------------------------------------

    async def _vectors(self, prepared: PreparedFile) -> Vectors | None:
        """A vector for each passage; None without a provider, and after it has failed once: then words have to do until the next time."""
        if self._embedding is None or self._report.without_vectors:
            return None
        assert prepared.document is not None
        texts = [_with_heading(prepared.document.text, passage) for passage in prepared.passages]
        try:
            embedded = await self._embedding.embed(texts, "passage")
        except (EmbeddingError, BudgetExceeded) as error:
            self._report.without_vectors = str(error)
            self._report.usage += error.usage
            return None
        self._report.usage += embedded.usage
        dimensions = embedded.vectors.shape[1]
        if self._model is None or self._model.dimensions != dimensions:
            self._model = await self._new_model(dimensions)
        return embedded.vectors

    async def _known_model(self) -> _Model | None:
        """The model that this provider's vectors were made with the last time."""
        assert self._embedding is not None
        name = model_name(self._embedding)
        row = await self._database.run(
            lambda connection: connection.fetchrow(
                "SELECT id, dimensions FROM deepsearch_corpus.models WHERE name = $1 ORDER BY id DESC LIMIT 1", name
            ),
            patience_seconds=_PATIENCE_SECONDS,
        )
        return _Model(row["id"], row["dimensions"]) if row else None

    async def _new_model(self, dimensions: int) -> _Model:
        assert self._embedding is not None
        name = model_name(self._embedding)

        async def add(connection: Any) -> int:
            async with connection.transaction():
                await connection.execute("LOCK TABLE deepsearch_corpus.models IN EXCLUSIVE MODE")
                known = await connection.fetchval(
                    "SELECT id FROM deepsearch_corpus.models WHERE name = $1 AND dimensions = $2", name, dimensions
                )
                if known is not None:
                    return int(known)
                number = int(
                    await connection.fetchval(
                        "INSERT INTO deepsearch_corpus.models (name, dimensions) VALUES ($1, $2) RETURNING id", name, dimensions
                    )
                )
                if dimensions <= MOST_INDEXED_DIMENSIONS:
                    await connection.execute(
                        f"CREATE INDEX embeddings_of_model_{number} ON deepsearch_corpus.embeddings"
                        f" USING hnsw ((vector::vector({dimensions})) vector_cosine_ops) WHERE model = {number}"
                    )
                return number

        return _Model(await self._database.run(add, patience_seconds=_PATIENCE_SECONDS), dimensions)


async def _write(
    connection: Any, url: str, file: FoundFile, prepared: PreparedFile, *, model: _Model | None, vectors: Vectors | None
) -> None:
    """Add or replace a document with all that belongs to it. Whoever indexes the same document at the same time waits."""
    document = prepared.document
    assert document is not None
    postings = _Postings(prepared)
    async with connection.transaction():
        number, is_new = await connection.fetchrow(
            "INSERT INTO deepsearch_corpus.documents AS d (url, format, mtime_ns, size, hash, title, text, language, published, author,"
            " links, page_id, passages, terms, title_terms, model) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,"
            " $15, $16) ON CONFLICT (url) DO UPDATE SET format = $2, mtime_ns = $3, size = $4, hash = $5, title = $6, text = $7,"
            " language = $8, published = $9, author = $10, links = $11, page_id = $12, passages = $13, terms = $14, title_terms = $15,"
            " model = $16 RETURNING id, xmax = 0",
            url, FORMAT, file.mtime_ns, file.size, prepared.content_hash, document.title, document.text, document.language_code,
            document.published, document.author, json.dumps(document.links, ensure_ascii=False), page_id(url, document.text),
            len(prepared.passages), sum(postings.lengths), postings.title_length, model.number if model else None,
        )  # fmt: skip
        if not is_new:
            await connection.execute("DELETE FROM deepsearch_corpus.postings WHERE document = $1", number)
            await connection.execute("DELETE FROM deepsearch_corpus.passages WHERE document = $1", number)
        await connection.copy_records_to_table(
            "passages", schema_name="deepsearch_corpus", columns=["document", "number", "starts", "ends", "heading"],
            records=[(number, i, passage.start, passage.end, passage.heading) for i, passage in enumerate(prepared.passages)],
        )  # fmt: skip
        await connection.copy_records_to_table(
            "postings", schema_name="deepsearch_corpus",
            columns=["term", "document", "in_title", "numbers", "frequencies", "lengths"], records=postings.rows(number),
        )  # fmt: skip
        if model is not None and vectors is not None:
            await connection.executemany(
                "INSERT INTO deepsearch_corpus.embeddings VALUES ($1, $2, $3, $4::text::vector)",
                [(number, i, model.number, vector_text(vector)) for i, vector in enumerate(vectors.tolist())],
            )


class _Postings:
    """The terms of a document, as the inverted index keeps them."""

    def __init__(self, prepared: PreparedFile) -> None:
        title = prepared.title_terms.split()
        self.title_length = len(title)
        self.lengths: list[int] = []
        self._in_title = Counter(title)
        self._in_passages: dict[str, list[tuple[int, int]]] = {}
        for number, passage in enumerate(prepared.passages):
            words = passage.terms.split()
            self.lengths.append(len(words))
            for word, frequency in Counter(words).items():
                self._in_passages.setdefault(word, []).append((number, frequency))

    def rows(self, document: int) -> Iterator[tuple[str, int, int, Sequence[int], Sequence[int], Sequence[int]]]:
        """Term, document, how often in the title; in which passages, how often there, and how long those are."""
        for word in self._in_title.keys() | self._in_passages.keys():
            places = self._in_passages.get(word, [])
            numbers = [number for number, _ in places]
            yield word, document, self._in_title[word], numbers, [often for _, often in places], [self.lengths[i] for i in numbers]


def _with_heading(text: str, passage: PreparedPassage) -> str:
    return f"{passage.heading}\n{text[passage.start : passage.end]}".strip()
