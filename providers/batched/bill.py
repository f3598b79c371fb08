"""What one call of a service that bills tokens has spent, and whether its next request fits."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from providers.llm.tokens import count_tokens
from schemas.errors import BudgetExceeded
from schemas.usage import Usage


class Bill:
    """The bill of one call. A request is opened before it is sent, and then settled, or released when it was refused.

    A request that was opened and neither settled nor released (it was cut off) may have been billed: it counts by an
    estimate. `beside` is a text that is billed once more with each text, as a reranker's query is.
    """

    def __init__(self, max_tokens: int | None, beside: str = "") -> None:
        self._max_tokens = max_tokens
        self._beside = beside
        self._settled = Usage()
        self._open: dict[int, Sequence[str]] = {}
        self._opened = 0

    @property
    def spent(self) -> Usage:
        """Everything billed so far, in `provider_tokens`."""
        if not self._open:
            return self._settled
        return self._settled + Usage(provider_tokens=self._tokens(self._in_flight()), estimated=True)

    def check(self, texts: Sequence[str]) -> None:
        """Raises `BudgetExceeded` when `texts`, beside what is in flight, would cost more than what is left."""
        if self._max_tokens is None:
            return
        left = self._max_tokens - self._settled.provider_tokens
        asked = [*self._in_flight(), *texts]
        # No text has more tokens than bytes, so most calls fit without being counted.
        if sum(len(text.encode()) for text in asked) + len(asked) * len(self._beside.encode()) <= left:
            return
        tokens = self._tokens(asked)
        if tokens > left:
            raise BudgetExceeded(f"{len(asked)} texts of {tokens} tokens exceed the {left} tokens left", field="tokens", usage=self.spent)

    def open(self, texts: Sequence[str]) -> int:
        """A request with `texts` is about to be sent; the number it is settled by. Raises as `check` does."""
        self.check(texts)
        self._opened += 1
        self._open[self._opened] = texts
        return self._opened

    def release(self, opened: int) -> None:
        """An opened request was refused: it costs nothing."""
        del self._open[opened]

    def settle(self, opened: int, reported: int) -> None:
        """An opened request was answered; `reported` tokens are billed, 0: the answer does not say."""
        texts = self._open.pop(opened)
        self._settled += Usage(provider_tokens=reported or self._tokens(texts), estimated=not reported)

    def _in_flight(self) -> list[str]:
        return list(chain.from_iterable(self._open.values()))

    def _tokens(self, texts: Sequence[str]) -> int:
        return sum(map(count_tokens, texts)) + (len(texts) * count_tokens(self._beside) if self._beside else 0)
