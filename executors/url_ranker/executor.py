"""The URLRanker Executor: candidates and texts in, their order and the new ones out."""

import asyncio
from typing import Any, Optional

from docarray import DocList
from jina import Executor, requests

from executors.url_ranker.candidates import passing
from executors.url_ranker.deduping import find_new_texts
from executors.url_ranker.fitting import Fitting
from executors.url_ranker.folding import fold
from executors.url_ranker.scoring import FRESH_WEIGHT, Preferences, best, standing
from executors.url_ranker.vectors import RememberedVectors
from providers.embedding import create_embedding
from providers.embedding.base import EmbeddingProvider
from providers.hostnames import hostnames
from providers.rerank import create_rerank
from providers.rerank.base import RerankProvider
from schemas.errors import InvalidRequest
from schemas.ranking import DedupeRequest, DedupeResponse, RankedUrl, Ranking, RankRequest
from schemas.settings import Settings, get_settings

_MOST_CANDIDATES = 5_000
_MOST_TEXTS = 1_000


class URLRanker(Executor):
    """Orders candidate URLs and drops repeated texts, by rules and, where they are configured, a reranker and embeddings."""

    def __init__(
        self,
        settings: Optional[Settings] = None,
        embedding: Optional[EmbeddingProvider] = None,
        rerank: Optional[RerankProvider] = None,
        **kwargs: Any,
    ) -> None:
        """Without `embedding` or `rerank`, the providers that the settings name, if they name any."""
        super().__init__(**kwargs)
        self._settings = settings or get_settings()
        embedding = embedding or create_embedding(self._settings)
        self._vectors = RememberedVectors(embedding) if embedding is not None else None
        self._fitting = Fitting(rerank or create_rerank(self._settings), self._vectors)

    @requests(on="/rank")
    async def rank(self, doc: RankRequest, **kwargs: Any) -> Ranking:
        """The best candidates for the question, best first."""
        if not doc.question.strip():
            raise InvalidRequest("question is empty", field="question")
        if len(doc.candidates) > _MOST_CANDIDATES:
            raise InvalidRequest(f"candidates: at most {_MOST_CANDIDATES} can be ranked at once", field="candidates")
        for field in ("limit", "per_hostname"):
            if getattr(doc, field) < 1:
                raise InvalidRequest(f"{field} must be at least 1", field=field)
        freshness = self._settings.rank_freshness_weight
        preferences = Preferences(
            boost_hostnames=hostnames(doc.boost_hostnames, "boost_hostnames"),
            freshness_weight=max(freshness, FRESH_WEIGHT) if doc.fresh else freshness,
            source_weight=self._settings.rank_source_weight,
            today=doc.date,
        )
        bad, only = hostnames(doc.bad_hostnames, "bad_hostnames"), hostnames(doc.only_hostnames, "only_hostnames")
        entries = fold(passing(doc.candidates, bad, only))
        standings = standing(entries, preferences)
        fits = await self._fitting.fits(doc.question.strip(), [entry.text for entry in entries], standings, doc.allowance)
        urls = best(entries, standings, fits.scores, per_hostname=doc.per_hostname, limit=doc.limit)
        return Ranking(urls=DocList[RankedUrl](urls), candidates=len(entries), errors=fits.errors, usage=fits.usage)

    @requests(on="/dedupe")
    async def dedupe(self, doc: DedupeRequest, **kwargs: Any) -> DedupeResponse:
        """The texts that say something new."""
        for field in ("texts", "existing"):
            if len(getattr(doc, field)) > _MOST_TEXTS:
                raise InvalidRequest(f"{field}: at most {_MOST_TEXTS} texts can be compared at once", field=field)
        found = await find_new_texts(doc.texts, doc.existing, self._vectors, doc.allowance)
        return DedupeResponse(texts=found.texts, errors=found.errors, usage=found.usage)

    def close(self) -> "asyncio.Task[None]":
        """Start closing connections; jina does not wait for it, others await what is returned."""
        return asyncio.get_running_loop().create_task(self._fitting.close())
