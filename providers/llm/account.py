"""What one call may spend, what it has spent, and what its next request may cost at most."""

from __future__ import annotations

import math

from schemas.errors import BudgetExceeded, ModelRejected
from schemas.settings import Settings
from schemas.usage import Allowance, Usage

SMALLEST_OUTPUT = 64
"""Tokens. A request that leaves room for less cannot bring anything useful and is not sent."""


class Account:
    """The account of one call. A request is opened before it is sent, and then settled or, when it cost nothing, released.

    A request that was opened and neither settled nor released (it timed out, its connection broke, it was cancelled)
    may have been billed: it counts with its prompt.
    """

    def __init__(self, allowance: Allowance, settings: Settings) -> None:
        self._allowance = allowance
        self._settings = settings
        self._settled = Usage()
        self._open = 0

    @property
    def spent(self) -> Usage:
        """Everything spent so far, in tokens and money."""
        if not self._open:
            return self._settled
        return self._settled + Usage(prompt_tokens=self._open, cost_usd=self._cost(self._open, 0), estimated=True)

    def most_output(self, prompt_tokens: int, because: str) -> int:
        """How many tokens the answer to a prompt may have.

        `because` says why another request is needed, for the message. Raises `BudgetExceeded` when the allowance
        leaves too few, `ModelRejected` when the context window does.
        """
        spent = self.spent
        if spent.llm_calls >= self._allowance.llm_calls:
            message = f"all {self._allowance.llm_calls} model calls that were allowed are used{because}"
            raise BudgetExceeded(message, field="llm_calls", usage=spent)
        left = self._allowance.tokens - spent.total_tokens
        if left - prompt_tokens < SMALLEST_OUTPUT:
            message = f"a prompt of {prompt_tokens} tokens and an answer of {SMALLEST_OUTPUT} exceed the {left} tokens left{because}"
            raise BudgetExceeded(message, field="tokens", usage=spent)
        window = self._settings.llm_context_tokens - prompt_tokens
        if window < SMALLEST_OUTPUT:
            message = f"a prompt of {prompt_tokens} tokens does not fit the context window of {self._settings.llm_context_tokens} tokens"
            raise ModelRejected(f"{message}: shorten it or raise LLM_CONTEXT_TOKENS", field="llm_context_tokens", usage=spent)
        output = min(self._settings.llm_max_output_tokens, left - prompt_tokens, window)
        if self._allowance.cost_usd is not None and self._settings.llm_price_output + self._settings.llm_price_input > 0:
            money = self._allowance.cost_usd - spent.cost_usd - self._cost(prompt_tokens, 0)
            if money < self._cost(0, SMALLEST_OUTPUT):
                message = f"a prompt of {prompt_tokens} tokens and its answer cost more than the money left{because}"
                raise BudgetExceeded(message, field="cost_usd", usage=spent)
            if self._settings.llm_price_output > 0:
                output = min(output, math.floor(money * 1e6 / self._settings.llm_price_output))
        return output

    def open(self, prompt_tokens: int) -> None:
        """A request is about to be sent."""
        self._open += prompt_tokens

    def release(self, prompt_tokens: int) -> None:
        """An opened request was refused, or never left: it costs nothing."""
        self._open -= prompt_tokens

    def settle(self, prompt_tokens: int, usage: Usage) -> None:
        """An opened request was answered, at the cost `usage`."""
        self._open -= prompt_tokens
        self._settled += usage.model_copy(update={"cost_usd": self._cost(usage.prompt_tokens, usage.completion_tokens)})

    def restore(self, spent: Usage) -> None:
        """Everything spent so far is `spent`: what a recorded call had spent by then."""
        self._settled, self._open = spent, 0

    def _cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        return (prompt_tokens * self._settings.llm_price_input + completion_tokens * self._settings.llm_price_output) / 1e6
