"""A corpus in a PostgreSQL database, which every searcher and page reader of a cluster shares; only who indexes needs the folder."""

from __future__ import annotations

import json
import logging
import posixpath
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from urllib.parse import unquote_to_bytes, urlsplit

from providers.corpus.base import CorpusHits, CorpusPage, IndexProgress, IndexReport
from providers.corpus.database import Database
from providers.corpus.ranking import QueryVector, Scope, best_documents
from providers.corpus.sharing import Indexing, model_name
from providers.embedding.base import EmbeddingProvider
from providers.patience import within
from providers.reader.documents import Document, DocumentLink
from providers.reader.limits import MAX_BYTES
from schemas.errors import BudgetExceeded, CorpusError, EmbeddingError, InvalidRequest, ReadError
from schemas.usage import Usage

_log = logging.getLogger(__name__)

# Of the ten seconds that a search has by default; the words need the rest.
_EMBEDDING_SECONDS = 5.0


class SharedCorpus:
    """The documents of `folder`, or all, in `database`. It owns neither `database` nor `embedding`, which may be None: then words decide.

    The documents keep the URLs of the files as they were indexed, so `folder` is a path on the machine that indexed; it need not exist
    here. Every document changes in one transaction, and a search sees one state of all.
    """

    def __init__(
        self,
        database: Database,
        folder: Path | None,
        embedding: EmbeddingProvider | None = None,
        *,
        home: Path | None = None,
        max_file_bytes: int = MAX_BYTES,
    ) -> None:
        self.folder = folder
        self._database = database
        self._embedding = embedding
        self._scope = Scope.of(folder.as_uri()) if folder else Scope()
        self._home = home
        self._max_file_bytes = max_file_bytes
        self._is_indexed = False
        self._complained = False

    async def index(self, progress: Callable[[IndexProgress], None] | None = None) -> IndexReport:
        """See `Corpus.index`. Indexers of one folder wait for each other, those of different folders work side by side.

        With an embedding provider every passage gets its vector too; documents that have none of this model are completed.
        """
        if self.folder is None or self._home is None:
            raise CorpusError("which folder is to be indexed? run `deepsearch index FOLDER`", field="DEEPSEARCH_CORPUS_URL")
        indexing = Indexing(self._database, self.folder, self._home, self._embedding, self._max_file_bytes)
        return await indexing.run(progress or (lambda _: None))

    async def is_indexed(self) -> bool:
        """True, or `CorpusError`: asking a question writes nothing into a corpus that others share."""
        if not self._is_indexed:
            where = ("WHERE url >= $1 AND url < $2", self._scope.first, self._scope.beyond) if self.folder else ("",)
            statement = f"SELECT EXISTS (SELECT FROM deepsearch_corpus.documents {where[0]})"  # noqa: S608
            if not await self._database.run(lambda connection: connection.fetchval(statement, *where[1:])):
                raise self._nothing()
            self._is_indexed = True
        return True

    async def search(self, query: str, limit: int, language_code: str | None = None) -> CorpusHits:
        """See `Corpus.search`. With an embedding provider words and vectors decide by half each, without one, or when it fails, words."""
        vector, usage = await self._vector(query)
        hits = await self._database.run(
            lambda connection: best_documents(connection, query, limit, language_code=language_code, scope=self._scope, vector=vector)
        )
        if hits is None:
            raise self._nothing()
        return CorpusHits(hits, usage)

    async def read(self, url: str, *, max_bytes: int | None = None, timeout_seconds: float = 60.0) -> CorpusPage:
        """See `Corpus.read`: the text as it was indexed. No file of this machine is looked at."""
        own_url = _own_url(url)
        if not self._scope.holds(own_url):
            raise InvalidRequest(f"{url[:200]}: outside the corpus", field="url")
        row = await self._database.run(
            lambda connection: connection.fetchrow(
                "SELECT title, text, language, published, author, links, page_id FROM deepsearch_corpus.documents WHERE url = $1", own_url
            )
        )
        if row is None:
            raise ReadError(f"{posixpath.basename(own_url)[:200]}: there is no such document in the shared corpus")
        links = tuple(DocumentLink(*link) for link in json.loads(row["links"]))
        document = Document(row["title"], row["text"], row["language"], row["published"], row["author"], links)
        return CorpusPage(own_url, row["page_id"], document)

    async def close(self) -> None:
        """Nothing of its own is held."""

    async def _vector(self, query: str) -> tuple[QueryVector | None, Usage]:
        embedding = self._embedding
        if embedding is None or not query.strip():
            return None, Usage()
        models = await self._database.run(
            lambda connection: connection.fetch(
                "SELECT id, dimensions FROM deepsearch_corpus.models WHERE name = $1", model_name(embedding)
            )
        )
        if not models:
            self._complain(f"it was indexed without {model_name(embedding)}; run `deepsearch index` with that")
            return None, Usage()
        try:
            embedded = await within(
                _EMBEDDING_SECONDS, lambda: embedding.embed([query], "query"), EmbeddingError, name=embedding.name, texts=[query]
            )
        except (EmbeddingError, BudgetExceeded) as error:
            self._complain(str(error))
            return None, error.usage
        numbers = embedded.vectors[0]
        fitting = [row["id"] for row in models if row["dimensions"] == len(numbers)]
        if not fitting or not numbers.any():
            return None, embedded.usage
        return QueryVector(fitting[0], [float(number) for number in numbers]), embedded.usage

    def _complain(self, cause: str) -> None:
        if not self._complained:
            self._complained = True
            _log.warning("the shared corpus is searched by words alone: %s", cause)

    def _nothing(self) -> CorpusError:
        what = f"no documents of {self.folder}" if self.folder else "no documents"
        fix = f"run `deepsearch index {self.folder or 'FOLDER'}` with this DEEPSEARCH_CORPUS_URL"
        return CorpusError(f"the shared corpus {self._database.place} holds {what}; {fix}", field="DEEPSEARCH_CORPUS_URL")


def _own_url(url: str) -> str:
    """A `file:` URL in the form that documents are indexed under, by its letters alone."""
    parts = urlsplit(url)
    if parts.scheme.lower() != "file" or parts.netloc.lower() not in ("", "localhost"):
        raise InvalidRequest(f"{url[:200]}: not a file URL", field="url")
    raw = unquote_to_bytes(parts.path).decode("utf-8", "surrogateescape")
    if not raw.startswith("/") or "\0" in raw:
        raise InvalidRequest(f"{url[:200]}: not a file name", field="url")
    return PurePosixPath("/" + posixpath.normpath(raw).lstrip("/")).as_uri()
