"""The URLRanker Executor: candidates and texts in, their order and the new ones out."""

from typing import Any

from docarray import DocList
from jina import Executor, requests

from executors.url_ranker.deduping import new_texts
from executors.url_ranker.scoring import rank
from providers.hostnames import hostnames
from schemas.errors import InvalidRequest
from schemas.ranking import DedupeRequest, DedupeResponse, RankedUrl, Ranking, RankRequest

_MOST_CANDIDATES = 5_000
_MOST_TEXTS = 1_000


class URLRanker(Executor):
    """Orders candidate URLs and drops repeated texts, by rules alone."""

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
        urls, candidates = rank(
            doc.question,
            doc.candidates,
            boost_hostnames=hostnames(doc.boost_hostnames, "boost_hostnames"),
            bad_hostnames=hostnames(doc.bad_hostnames, "bad_hostnames"),
            only_hostnames=hostnames(doc.only_hostnames, "only_hostnames"),
            per_hostname=doc.per_hostname,
            limit=doc.limit,
        )
        return Ranking(urls=DocList[RankedUrl](urls), candidates=candidates)

    @requests(on="/dedupe")
    async def dedupe(self, doc: DedupeRequest, **kwargs: Any) -> DedupeResponse:
        """The texts that say something new."""
        for field in ("texts", "existing"):
            if len(getattr(doc, field)) > _MOST_TEXTS:
                raise InvalidRequest(f"{field}: at most {_MOST_TEXTS} texts can be compared at once", field=field)
        return DedupeResponse(texts=new_texts(doc.texts, doc.existing))
