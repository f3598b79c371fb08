"""An embedding provider and a reranker that need no service: vectors of hashed words, in which synonyms are one word."""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from providers.embedding.base import Embedded, Task
from providers.rerank.base import Reranked
from schemas.errors import BudgetExceeded, EmbeddingError, RerankError
from schemas.usage import Usage

_DIMENSIONS = 1_024


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", text.casefold())


@dataclass
class HashedEmbedding:
    """Vectors are blind to digits, as some real ones nearly are; one token is one word."""

    synonyms: dict[str, str] = field(default_factory=dict)
    supports_late_chunking: bool = False
    fails_at: int = 0
    """Which call fails, counted from 1; 0: none."""
    hangs: bool = False
    calls: list[tuple[Task, list[str], bool]] = field(default_factory=list)
    name: str = "hashed"
    model: str = "words"
    closed: bool = False

    async def embed(self, texts: Sequence[str], task: Task, *, late_chunking: bool = False, max_tokens: int | None = None) -> Embedded:
        tokens = sum(len(_words(text)) for text in texts)
        if max_tokens is not None and tokens > max_tokens:
            raise BudgetExceeded(f"{tokens} tokens exceed the {max_tokens} left")
        self.calls.append((task, list(texts), late_chunking))
        if self.hangs:
            await asyncio.Event().wait()
        if len(self.calls) == self.fails_at:
            raise EmbeddingError("hashed embeddings refused: HTTP 402", usage=Usage(provider_tokens=1))
        vectors = np.zeros((len(texts), _DIMENSIONS), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in _words(text):
                vectors[row, zlib.crc32(self.synonyms.get(word, word).encode()) % _DIMENSIONS] += 1
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return Embedded(vectors / np.where(norms == 0, 1, norms), Usage(provider_tokens=tokens))

    async def close(self) -> None:
        self.closed = True


@dataclass
class CountingRerank:
    """The score is the share of `wanted[query]`'s words that a document holds; one token is one document."""

    wanted: dict[str, str] = field(default_factory=dict)
    fails: bool = False
    calls: list[tuple[str, list[str]]] = field(default_factory=list)
    name: str = "counting"
    model: str = "words"
    closed: bool = False

    async def rerank(self, query: str, documents: Sequence[str], *, max_tokens: int | None = None) -> Reranked:
        if max_tokens is not None and len(documents) > max_tokens:
            raise BudgetExceeded(f"{len(documents)} tokens exceed the {max_tokens} left")
        self.calls.append((query, list(documents)))
        if self.fails:
            raise RerankError("counting reranker refused: HTTP 402", usage=Usage(provider_tokens=2))
        await asyncio.sleep(0)
        wanted = set(_words(self.wanted.get(query, query)))
        scores = [len(wanted & set(_words(document))) / len(wanted) for document in documents]
        return Reranked(scores, Usage(provider_tokens=len(documents)))

    async def close(self) -> None:
        self.closed = True
