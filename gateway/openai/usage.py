"""What a run has spent, as OpenAI's clients read it."""

from __future__ import annotations

from typing import Any

from gateway.support import totals_of
from schemas.support import SupportReport
from schemas.usage import Usage


def usage_of(usage: Usage, support: SupportReport | None = None) -> dict[str, Any]:
    """The `usage` of a chat completion. `total_tokens` is prompt plus completion; what providers bill stands beside it.

    `support` is of the answer that was paid for: how many statements were checked, and how they came out.
    """
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": 0},
        **_spent(usage, support),
    }


def response_usage_of(usage: Usage, support: SupportReport | None = None) -> dict[str, Any]:
    """The `usage` of a response: the same under the names of the Responses API."""
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        **_spent(usage, support),
    }


def _spent(usage: Usage, support: SupportReport | None) -> dict[str, Any]:
    fields = ("provider_tokens", "llm_calls", "searches", "pages", "cost_usd", "estimated")
    totals = totals_of(support) if support is not None else None
    return {field: getattr(usage, field) for field in fields} | ({"support": totals.model_dump()} if totals else {})
