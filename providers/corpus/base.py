"""The contract of a corpus: documents that are indexed incrementally, searched, and read under their `file:` URLs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from providers.reader.documents import Document
from schemas.usage import Usage


@dataclass(frozen=True)
class IndexProgress:
    """How far an indexing is: `done` of `total` files, `path` the last one. `waiting`: another process is indexing this folder."""

    stage: Literal["waiting", "indexing"]
    done: int
    total: int
    path: str = ""


@dataclass
class IndexReport:
    """What an indexing did. `failed`: documents that are not in the index, with the cause; `skipped`: what was left out on purpose."""

    added: int = 0
    updated: int = 0
    removed: int = 0
    unchanged: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    rebuilt: str = ""
    """Why the index was made anew; empty when it was not."""
    without_vectors: str = ""
    """Why some documents can be found by their words only, although embeddings are configured; the next indexing completes them."""
    usage: Usage = field(default_factory=Usage)
    """What embedding the documents cost."""
    seconds: float = 0.0


@dataclass(frozen=True)
class CorpusHit:
    """A document with its best passage: `snippet` is `text[start:end]` of the document. `score` is 0 to 1."""

    url: str
    title: str
    snippet: str
    start: int
    end: int
    heading: str
    score: float
    language_code: str
    published: str | None
    page_id: str


@dataclass(frozen=True)
class CorpusHits:
    """What a search found, best first, and what it cost."""

    hits: list[CorpusHit]
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True)
class CorpusPage:
    """A document of the corpus under its URL."""

    url: str
    page_id: str
    document: Document


class Corpus(Protocol):
    """Documents and their index; safe for any number of tasks and processes at once. URLs are those of the files when they were indexed."""

    async def index(self, progress: Callable[[IndexProgress], None] | None = None) -> IndexReport:
        """Bring the index up to date with the folder: only new and changed files are read; what is gone leaves it.

        A file that cannot be read never stops it, and an interruption loses at most what was read in the last seconds. `progress` may be
        called from another thread. Raises `CorpusError` when the folder holds no document that can be read, or the index cannot be used.
        """
        ...

    async def is_indexed(self) -> bool:
        """Whether it can be searched; False when `index` must be called first. Raises `CorpusError` when that cannot be done from here."""
        ...

    async def search(self, query: str, limit: int, language_code: str | None = None) -> CorpusHits:
        """The documents that fit the query best, best first, each with its best passage, at most `limit`.

        The query's words are looked up in every language that the corpus has, and in `language_code`. Raises `CorpusError` when it was
        never indexed, `UpstreamError` when the index is out of reach at the moment.
        """
        ...

    async def read(self, url: str, *, max_bytes: int | None = None, timeout_seconds: float = 60.0) -> CorpusPage:
        """The document at a `file:` URL.

        Raises `InvalidRequest` for anything that is no document of this corpus, `ReadError` when it cannot be read, `UpstreamError` when
        the index is out of reach at the moment.
        """
        ...

    async def close(self) -> None:
        """Release what it holds."""
        ...
