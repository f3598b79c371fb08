"""Vectors of texts, paid for once as long as they are remembered."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from executors.url_ranker.remembered import Remembered
from providers.embedding.base import EmbeddingProvider, Task, Vectors
from providers.patience import within
from schemas.errors import DeepSearchError, EmbeddingError
from schemas.usage import Allowance, Usage

_MOST_REMEMBERED = 2_000
"""Vectors; of 1,024 dimensions they take 8 MB."""


class RememberedVectors:
    """An embedding provider that is asked only for what it was not asked before.

    A text counts as known for the same task only. Of calls that run at the same time each may pay for the same text.
    """

    def __init__(self, provider: EmbeddingProvider) -> None:
        self._provider = provider
        self._known: Remembered[tuple[Task, str], Vectors] = Remembered(_MOST_REMEMBERED)

    async def of(self, texts: Sequence[str], task: Task, allowance: Allowance) -> tuple[Vectors, Usage]:
        """The vectors of `texts`, in order, and what the new ones cost.

        Raises `EmbeddingError` and `BudgetExceeded` as the provider does, the former also when the time of `allowance` is over.
        """
        vectors = {text: vector for text in dict.fromkeys(texts) if (vector := self._known.get((task, text))) is not None}
        new = [text for text in dict.fromkeys(texts) if text not in vectors]
        usage = Usage()
        if new:
            embedded = await within(
                allowance.seconds,
                lambda: self._provider.embed(new, task, max_tokens=allowance.tokens),
                EmbeddingError,
                name=self._provider.name,
                texts=new,
            )
            usage = embedded.usage
            for text, vector in zip(new, np.nan_to_num(embedded.vectors), strict=True):
                vectors[text] = vector
                self._known.put((task, text), vector.copy())
        return np.stack([vectors[text] for text in texts]), usage

    async def similarities(self, question: str, texts: Sequence[str], allowance: Allowance) -> tuple[list[float], Usage]:
        """The similarity of each text to `question`, -1 to 1. Raises as `of` does, with the usage of both requests."""
        started = time.monotonic()
        asked, usage = await self.of([question], "query", allowance)
        try:
            vectors, more = await self.of(texts, "passage", allowance.less(usage, time.monotonic() - started))
        except DeepSearchError as error:
            raise type(error)(error.message, field=error.field, usage=usage + error.usage) from error
        return [float(product) for product in np.clip(vectors @ asked[0], -1.0, 1.0)], usage + more

    async def close(self) -> None:
        """Close the provider's connections."""
        await self._provider.close()
