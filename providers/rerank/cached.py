"""Rerank providers that remember the scores of documents."""

from __future__ import annotations

import json
from collections.abc import Sequence

from providers.cache import Codec, Memory, Question, address, create_memory
from providers.rerank.base import Reranked, RerankProvider
from schemas.settings import Settings
from schemas.usage import Usage


def _decoded(value: bytes) -> float:
    return float(json.loads(value))


_CODEC: Codec[float] = Codec(lambda score: json.dumps(float(score)).encode("ascii"), _decoded)


def with_cache(provider: RerankProvider, settings: Settings) -> RerankProvider:
    """`provider`, remembered as DEEPSEARCH_CACHE says; the provider itself when that is off."""
    if settings.deepsearch_cache == "off":
        return provider
    return CachedRerank(provider, create_memory(settings), settings)


class CachedRerank:
    """Gives scores from `memory` where it can, and from `provider` the rest, in one call. A score is a document's own."""

    def __init__(self, provider: RerankProvider, memory: Memory, settings: Settings) -> None:
        self.name = provider.name
        self.model = provider.model
        self._provider = provider
        self._memory = memory
        self._determining = {"provider": self.name, "server": address(settings.jina_api_url), "model": self.model}

    async def rerank(self, query: str, documents: Sequence[str], *, max_tokens: int | None = None) -> Reranked:
        """As the contract in `base.py` says. Raises `NotRecorded` and `CacheError` too."""
        if not documents:
            return await self._provider.rerank(query, documents, max_tokens=max_tokens)

        async def ask(wanted: Sequence[int]) -> tuple[list[float], Usage]:
            reranked = await self._provider.rerank(query, [documents[index] for index in wanted], max_tokens=max_tokens)
            return reranked.scores, reranked.usage

        questions = [self.question(query, document) for document in documents]
        return Reranked(*await self._memory.answers(questions, ask, _CODEC))

    def question(self, query: str, document: str) -> Question:
        """What is asked: the relevance of one document to the query."""
        return Question("rerank", {**self._determining, "query": query, "document": document}, f"{query} ({self.model})")

    async def close(self) -> None:
        """Close the provider's connections and the cache."""
        await self._provider.close()
        await self._memory.close()
