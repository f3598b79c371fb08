"""What a call may spend, and what it did spend."""

from typing import Optional

from docarray import BaseDoc

_MOST = 2**31 - 1  # what a service reports is not to be trusted, and jina carries 32 bits


class Usage(BaseDoc):
    """What has been spent. Sums are plain field-wise sums; `total_tokens` is what a token budget counts."""

    llm_calls: int = 0
    """Requests that the language model answered, usefully or not; those that failed before an answer are not counted."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    """Part of `prompt_tokens` that the provider served from its prompt cache."""
    provider_tokens: int = 0
    """Tokens billed by search, reader, embedding and rerank providers."""
    searches: int = 0
    """Queries sent to a search provider."""
    pages: int = 0
    """Pages fetched, whether or not they could be read."""
    cost_usd: float = 0.0
    """Money, by the configured prices; 0 when none are configured."""
    estimated: bool = False
    """True when a provider reported no usage and a tokenizer counted in its place."""

    @property
    def total_tokens(self) -> int:
        """Tokens that count against a budget: prompt, completion and provider tokens."""
        return self.prompt_tokens + self.completion_tokens + self.provider_tokens

    def __add__(self, other: "Usage") -> "Usage":
        def total(field: str) -> int:
            return int(min(getattr(self, field) + getattr(other, field), _MOST))

        return Usage(
            llm_calls=total("llm_calls"),
            prompt_tokens=total("prompt_tokens"),
            completion_tokens=total("completion_tokens"),
            cached_tokens=total("cached_tokens"),
            provider_tokens=total("provider_tokens"),
            searches=total("searches"),
            pages=total("pages"),
            cost_usd=self.cost_usd + other.cost_usd,
            estimated=self.estimated or other.estimated,
        )


class Allowance(BaseDoc):
    """The most that one stage call may spend, retries included. The stage makes no model call that could exceed it.

    The defaults serve a person who calls one stage directly; within a run the controller sets every field.
    """

    tokens: int = 32_000
    """Prompt and completion tokens together."""
    llm_calls: int = 6
    """Model requests, retries and repairs included."""
    seconds: float = 120.0
    cost_usd: Optional[float] = None
    """Money; None means no limit."""

    def less(self, spent: Usage, seconds: float = 0.0) -> "Allowance":
        """What is left after `spent` and `seconds` of time; never below zero."""
        return Allowance(
            tokens=max(0, self.tokens - spent.total_tokens),
            llm_calls=max(0, self.llm_calls - spent.llm_calls),
            seconds=max(0.0, self.seconds - seconds),
            cost_usd=None if self.cost_usd is None else max(0.0, self.cost_usd - spent.cost_usd),
        )
