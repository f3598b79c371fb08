"""The contract of a rerank provider."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from schemas.usage import Usage


@dataclass(frozen=True)
class Reranked:
    """The relevance of each document to the query, 0 to 1, in the order of the documents, and what it cost."""

    scores: list[float]
    usage: Usage = field(default_factory=Usage)


class RerankProvider(Protocol):
    """Judges documents against a query, both read together."""

    name: str
    model: str

    async def rerank(self, query: str, documents: Sequence[str], *, max_tokens: int | None = None) -> Reranked:
        """A score for every document; an empty document gets 0. `max_tokens` is the most that may be billed, None for no limit.

        Raises `RerankError` naming the cause (also for a timeout, 401, 402 and 429) and `BudgetExceeded` when the documents
        would cost more than `max_tokens`; either carries the usage of what was billed before it.
        """
        ...

    async def close(self) -> None:
        """Close connections."""
        ...
