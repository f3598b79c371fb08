"""Jina reranker, by POST to JINA_API_URL/rerank."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from providers.batched.bill import Bill
from providers.batched.service import Service, ask, service_url, spared
from providers.batched.texts import divided, has_words, sendable
from providers.http import Endpoint, authorization, create_client
from providers.rerank.base import Reranked
from schemas.errors import RerankError
from schemas.settings import Settings

_BATCH = 128
_BATCH_BYTES = 100_000
"""Documents, and their UTF-8 bytes, in one request: some 25,000 tokens; the query is billed with each document again."""

_DOCUMENT_CHARACTERS = 24_000
"""Of a document: about what 8,192 tokens hold; the service cuts the rest."""

_QUERY_CHARACTERS = 2_000


class JinaRerank:
    """Judges documents through Jina's reranker, or any server that speaks its wire format.

    Up to 128 documents go in one request, fewer when they are long, and up to four requests at the same time.
    """

    name = "jina"

    def __init__(self, settings: Settings) -> None:
        self.model = settings.rerank_model
        self._timeout_seconds = settings.embedding_timeout_seconds
        self._endpoint = Endpoint(
            url=service_url(settings.jina_api_url, "rerank", "JINA_API_URL"),
            service="Jina reranker",
            key_setting="JINA_API_KEY",
            error=RerankError,
            headers=authorization(settings.jina_api_key, "JINA_API_KEY"),
            upstream=spared(self._timeout_seconds),
        )
        self._client = create_client()

    async def rerank(self, query: str, documents: Sequence[str], *, max_tokens: int | None = None) -> Reranked:
        """As the contract in `base.py` says; for a query without any word every score is 0."""
        asked = sendable(query, _QUERY_CHARACTERS)
        scores = [0.0] * len(documents)
        places = [place for place, document in enumerate(documents) if has_words(document[:_DOCUMENT_CHARACTERS])]
        if not places or not has_words(asked):
            return Reranked(scores)
        service = Service(
            endpoint=self._endpoint,
            client=self._client,
            timeout_seconds=self._timeout_seconds,
            item="score",
            payload=lambda batch: {
                "model": self.model,
                "query": asked,
                "documents": list(batch),
                "top_n": len(batch),
                "return_documents": False,
            },
            read=self._scores,
        )
        sent = [sendable(documents[place], _DOCUMENT_CHARACTERS) for place in places]
        bill = Bill(max_tokens, beside=asked)
        for place, score in zip(places, await ask(service, divided(sent, _BATCH, _BATCH_BYTES), bill), strict=True):
            scores[place] = score
        return Reranked(scores, bill.spent)

    async def close(self) -> None:
        """Close connections."""
        await self._client.aclose()

    def _scores(self, answer: Mapping[str, Any], count: int) -> dict[int, float]:
        """The scores of `{results: [{index, relevance_score}]}` by `index`, within 0 to 1.

        Left out is what cannot be used: an index out of range or given twice, and what is not a finite number.
        """
        results = answer.get("results")
        if not isinstance(results, list):
            raise self._endpoint.fails("sent a malformed body: `results` is not a list")
        found: dict[int, float] = {}
        twice = set()
        for item in results[: 2 * count]:
            index, score = (item.get("index"), item.get("relevance_score")) if isinstance(item, dict) else (None, None)
            if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < count:
                continue
            if index in found:
                twice.add(index)
            if isinstance(score, int | float) and not isinstance(score, bool) and abs(score) < math.inf:
                found[index] = float(min(max(score, 0), 1))
        return {index: score for index, score in found.items() if index not in twice}
