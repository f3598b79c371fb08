"""Embedding providers that remember the vectors of texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from providers.cache import Codec, Memory, Question, address, create_memory
from providers.embedding.base import Embedded, EmbeddingProvider, Task, Vectors
from schemas.settings import Settings
from schemas.usage import Usage

_FORM = "<f4"  # the same bytes on every machine


def _decoded(value: bytes) -> Vectors:
    return np.frombuffer(value, _FORM).astype(np.float32)


_CODEC: Codec[Vectors] = Codec(lambda vector: vector.astype(_FORM).tobytes(), _decoded)


def with_cache(provider: EmbeddingProvider, settings: Settings) -> EmbeddingProvider:
    """`provider`, remembered as DEEPSEARCH_CACHE says; the provider itself when that is off, or when its model is on this machine."""
    if settings.deepsearch_cache == "off" or provider.name == "local":
        return provider
    return CachedEmbedding(provider, create_memory(settings), settings)


class CachedEmbedding:
    """Gives vectors from `memory` where it can, and from `provider` the rest, in one call.

    A text is remembered by itself; with late chunking the pieces of a document are remembered together, because each
    vector depends on all of them.
    """

    def __init__(self, provider: EmbeddingProvider, memory: Memory, settings: Settings) -> None:
        self.name = provider.name
        self.model = provider.model
        self.supports_late_chunking = provider.supports_late_chunking
        self._provider = provider
        self._memory = memory
        server = settings.jina_api_url if provider.name == "jina" else settings.embedding_base_url or settings.openai_base_url or ""
        self._determining = {
            "provider": self.name,
            "server": address(server),
            "model": self.model,
            "dimensions": settings.embedding_dimensions,
        }

    async def embed(self, texts: Sequence[str], task: Task, *, late_chunking: bool = False, max_tokens: int | None = None) -> Embedded:
        """As the contract in `base.py` says. Raises `NotRecorded` and `CacheError` too."""
        if not texts:
            return await self._provider.embed(texts, task, late_chunking=late_chunking, max_tokens=max_tokens)
        late = late_chunking and self.supports_late_chunking
        groups = [list(texts)] if late else [[text] for text in texts]

        async def ask(wanted: Sequence[int]) -> tuple[list[Vectors], Usage]:
            asked = [text for index in wanted for text in groups[index]]
            embedded = await self._provider.embed(asked, task, late_chunking=late, max_tokens=max_tokens)
            return [vectors.reshape(-1) for vectors in np.split(embedded.vectors, len(wanted))], embedded.usage

        questions = [self.question(group, task, late_chunking=late) for group in groups]
        # Zeros cost nothing, and asked for alone they may have another length than vectors of the model.
        vectors, usage = await self._memory.answers(questions, ask, _CODEC, worth=lambda vector: bool(vector.any()))
        length = max(map(len, vectors))
        alike = [vector if len(vector) == length else np.zeros(length, dtype=np.float32) for vector in vectors]
        return Embedded(np.concatenate(alike).reshape(len(texts), -1), usage)

    def question(self, texts: Sequence[str], task: Task, *, late_chunking: bool = False) -> Question:
        """What is asked: the vector of one text, or with late chunking those of all `texts`."""
        material = {**self._determining, "task": task, "late_chunking": late_chunking, "texts": list(texts)}
        return Question("embedding", material, f"{texts[0]} ({self.model})")

    async def close(self) -> None:
        """Close the provider's connections and the cache."""
        await self._provider.close()
        await self._memory.close()
