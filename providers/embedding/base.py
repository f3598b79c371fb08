"""The contract of an embedding provider."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from schemas.usage import Usage

Vectors = npt.NDArray[np.float32]
"""Of shape (texts, dimensions)."""

Task = Literal["query", "passage", "match"]
"""What the vectors are for: a question, the passages that may answer it, or texts to be compared with their like."""


@dataclass(frozen=True)
class Embedded:
    """One vector of length 1 for each text, in the order of the texts, and what they cost."""

    vectors: Vectors
    usage: Usage = field(default_factory=Usage)


class EmbeddingProvider(Protocol):
    """Turns texts into vectors whose dot product is their similarity, -1 to 1."""

    name: str
    model: str
    supports_late_chunking: bool

    async def embed(self, texts: Sequence[str], task: Task, *, late_chunking: bool = False, max_tokens: int | None = None) -> Embedded:
        """A vector for every text; a text without any word or number gets a vector of zeros.

        With `late_chunking` (only where it is supported) the texts are consecutive pieces of one document, and each vector
        knows its surroundings. `max_tokens` is the most that may be billed, None for no limit.

        Raises `EmbeddingError` naming the cause (also for a timeout, 401, 402 and 429) and `BudgetExceeded` when the texts
        would cost more than `max_tokens`; either carries the usage of what was billed before it.
        """
        ...

    async def close(self) -> None:
        """Close connections."""
        ...
