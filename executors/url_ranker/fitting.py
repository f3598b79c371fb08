"""How well the text of each candidate fits the question: by a reranker, by vectors and words, or by words alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from executors.url_ranker.remembered import Remembered
from executors.url_ranker.scoring import RELEVANCE
from executors.url_ranker.vectors import RememberedVectors
from providers.fusion import fused
from providers.lexical import relevance
from providers.patience import within
from providers.rerank.base import RerankProvider
from schemas.errors import BudgetExceeded, EmbeddingError, RerankError
from schemas.usage import Allowance, Usage

_MOST_JUDGED = 100
_MOST_REMEMBERED = 5_000
"""Scores of a question and a text."""


@dataclass(frozen=True)
class Fits:
    """The relevance of each text, 0 to 1, why it is lexical although a provider is configured, and what it cost."""

    scores: list[float]
    errors: list[str] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)


class Fitting:
    """Judges texts against the question at hand.

    With a reranker the scores are the reranker's, with vectors those of `providers.fusion`, without either lexical relevance. Tokens
    are money, so only the 100 texts that stand best by the rest of the score and lexical relevance are judged by a provider; the
    others keep their lexical relevance, scaled so that on both scales the judged ones have the same mean. A pair of a
    question and a text that was judged is not paid for again while it is among the last 5,000.
    """

    def __init__(self, rerank: RerankProvider | None, vectors: RememberedVectors | None) -> None:
        self._rerank = rerank
        self._vectors = vectors
        self._reranked: Remembered[tuple[str, str], float] = Remembered(_MOST_REMEMBERED)

    async def fits(self, question: str, texts: Sequence[str], standings: Sequence[float], allowance: Allowance) -> Fits:
        """The fit of each text, within `allowance`. A provider that fails leaves lexical relevance and a line in `errors`."""
        lexical = relevance(question, texts)
        if self._rerank is None and self._vectors is None:
            return Fits(lexical)
        order = sorted(range(len(texts)), key=lambda i: (-(standings[i] + RELEVANCE * lexical[i]), i))
        judged = sorted(i for i in order[:_MOST_JUDGED] if texts[i].strip())
        if not judged:
            return Fits(lexical)
        try:
            if self._rerank is not None:
                found, usage = await self._scores(self._rerank, question, [texts[i] for i in judged], allowance)
            elif self._vectors is not None:
                similarities, usage = await self._vectors.similarities(question, [texts[i] for i in judged], allowance)
                found = fused([lexical[i] for i in judged], similarities)
        except (RerankError, EmbeddingError, BudgetExceeded) as error:
            return Fits(lexical, [f"candidates were compared by their words alone: {error}"], error.usage)
        return Fits(merged(lexical, dict(zip(judged, found, strict=True))), usage=usage)

    async def _scores(self, rerank: RerankProvider, question: str, texts: Sequence[str], allowance: Allowance) -> tuple[list[float], Usage]:
        known = {text: score for text in dict.fromkeys(texts) if (score := self._reranked.get((question, text))) is not None}
        new = [text for text in dict.fromkeys(texts) if text not in known]
        usage = Usage()
        if new:
            answer = await within(
                allowance.seconds,
                lambda: rerank.rerank(question, new, max_tokens=allowance.tokens),
                RerankError,
                name=rerank.name,
                texts=[*new, *[question] * len(new)],
            )
            usage = answer.usage
            for text, score in zip(new, answer.scores, strict=True):
                known[text] = min(1.0, max(0.0, score))
                self._reranked.put((question, text), known[text])
        return [known[text] for text in texts], usage

    async def close(self) -> None:
        """Close the providers' connections."""
        if self._rerank is not None:
            await self._rerank.close()
        if self._vectors is not None:
            await self._vectors.close()


def merged(lexical: Sequence[float], judged: dict[int, float]) -> list[float]:
    """The judgement of every text that has one; the others' lexical relevance, scaled to the judgements' mean, at most as it was."""
    lexical_sum = sum(lexical[i] for i in judged)
    scale = min(1.0, sum(judged.values()) / lexical_sum) if lexical_sum > 0 else 1.0
    return [judged[i] if i in judged else score * scale for i, score in enumerate(lexical)]
