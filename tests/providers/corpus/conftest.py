"""Every test of what a corpus is runs on both: a folder's own index, and a database that is shared."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from providers.corpus import Corpus, open_corpus
from providers.corpus.database import Database
from providers.corpus.shared import SharedCorpus
from providers.reader.limits import MAX_BYTES

MakeCorpus = Callable[..., Corpus]


@pytest.fixture(params=["folder", "postgres"])
def corpus_url(request: pytest.FixtureRequest) -> str:
    """DEEPSEARCH_CORPUS_URL; empty for a folder's own index."""
    return str(request.getfixturevalue("postgres_url")) if request.param == "postgres" else ""


@pytest.fixture
async def make_corpus(corpus_url: str) -> AsyncIterator[MakeCorpus]:
    """`make_corpus(folder, home, max_file_bytes=...)`: a corpus as another process opens it."""
    made: list[Corpus | Database] = []

    def make(folder: Path, home: Path, *, max_file_bytes: int = MAX_BYTES) -> Corpus:
        if not corpus_url:
            made.append(corpus := open_corpus(folder, home, max_file_bytes=max_file_bytes))
            return corpus
        made.append(database := Database(corpus_url))
        return SharedCorpus(database, folder, home=home, max_file_bytes=max_file_bytes)

    yield make
    for opened in made:
        await opened.close()
