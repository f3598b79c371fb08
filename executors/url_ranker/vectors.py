"""Vectors of texts, paid for once as long as they are remembered."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from executors.url_ranker.remembered import Remembered
from providers.batched.texts import has_words
from providers.embedding.base import EmbeddingProvider, Task, Vectors
from providers.embedding.similarities import similarities
from providers.patience import within
from schemas.errors import DeepSearchError, EmbeddingError
from schemas.usage import Allowance, Usage

_MOST_REMEMBERED = 2_000
"""Vectors; of 1,024 dimensions they take 8 MB."""


class RememberedVectors:
    """An embedding provider that is asked only for what it was not asked before.

    A text counts as known for the same task only. Of calls that run at the same time each may pay for the same text. All vectors
    that are remembered have the same dimensions: when those change, the earlier vectors are forgotten.
    """

    def __init__(self, provider: EmbeddingProvider) -> None:
        self._provider = provider
        self._known: Remembered[tuple[Task, str], Vectors] = Remembered(_MOST_REMEMBERED)
        self._dimensions = 0

    async def of(self, texts: Sequence[str], task: Task, allowance: Allowance) -> tuple[Vectors, Usage]:
        """The vectors of `texts`, in order, and what the new ones cost.

        Texts without any word are not sent, and have zeros: as many as the others have numbers, none when there are no others.
        Raises `EmbeddingError` and `BudgetExceeded` as the provider does, the former also when the time of `allowance` is over,
        and when new vectors have other dimensions than those that were remembered.
        """
        wanted = [text for text in dict.fromkeys(texts) if has_words(text)]
        vectors = {text: vector for text in wanted if (vector := self._known.get((task, text))) is not None}
        new = [text for text in wanted if text not in vectors]
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
            found = np.nan_to_num(embedded.vectors)
            self._remember(new, task, found)
            dimensions = found.shape[1]
            if other := {len(vector) for vector in vectors.values()} - {dimensions}:
                message = f"{self._provider.name} gave vectors of {dimensions} dimensions, and of {other.pop()} before"
                raise EmbeddingError(message, usage=usage)
            vectors |= dict(zip(new, found, strict=True))
        if not vectors:
            return np.zeros((len(texts), 0), dtype=np.float32), usage
        nothing = np.zeros_like(next(iter(vectors.values())))
        return np.stack([vectors.get(text, nothing) for text in texts]), usage

    async def similarities(self, question: str, texts: Sequence[str], allowance: Allowance) -> tuple[list[float], Usage]:
        """The similarity of each text to `question`, -1 to 1; 0 where either has no word. Raises as `of` does, with all usage."""
        if not has_words(question):
            return [0.0] * len(texts), Usage()
        started = time.monotonic()
        asked, usage = await self.of([question], "query", allowance)
        try:
            vectors, more = await self.of(texts, "passage", allowance.less(usage, time.monotonic() - started))
            usage += more
            return similarities(asked[0], vectors), usage
        except DeepSearchError as error:
            raise type(error)(error.message, field=error.field, usage=usage + error.usage) from error

    def _remember(self, texts: Sequence[str], task: Task, vectors: Vectors) -> None:
        if vectors.shape[1] != self._dimensions:
            self._dimensions = vectors.shape[1]
            self._known = Remembered(_MOST_REMEMBERED)
        for text, vector in zip(texts, vectors, strict=True):
            if vector.any():
                self._known.put((task, text), vector.copy())

    async def close(self) -> None:
        """Close the provider's connections."""
        await self._provider.close()
