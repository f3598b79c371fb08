"""What a run has spent, as OpenAI's clients read it."""

from __future__ import annotations

from typing import Any

from schemas.usage import Usage


def usage_of(usage: Usage) -> dict[str, Any]:
    """The `usage` of a chat completion. `total_tokens` is prompt plus completion; what providers bill stands beside it."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": 0},
        **_spent(usage),
    }


def response_usage_of(usage: Usage) -> dict[str, Any]:
    """The `usage` of a response: the same under the names of the Responses API."""
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        **_spent(usage),
    }


def _spent(usage: Usage) -> dict[str, Any]:
    fields = ("provider_tokens", "llm_calls", "searches", "pages", "cost_usd", "estimated")
    return {field: getattr(usage, field) for field in fields}
