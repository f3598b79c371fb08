"""What one allowance leaves to each of several calls, and to the material of one prompt."""

from __future__ import annotations

from collections.abc import Sequence

from providers.llm.base import ChatModel, Prompt
from schemas.settings import Settings
from schemas.usage import Allowance


def shared(allowance: Allowance, needs: Sequence[int]) -> list[Allowance]:
    """The allowances of calls that run at the same time: together never more than `allowance`.

    Tokens and money are divided in proportion to `needs`, in tokens; model calls equally, the first calls getting what is left
    over. Time passes for all of them at once.
    """
    whole = max(1, sum(needs))
    each, over = divmod(allowance.llm_calls, max(1, len(needs)))
    return [
        Allowance(
            tokens=allowance.tokens * need // whole,
            llm_calls=each + (number < over),
            seconds=allowance.seconds,
            cost_usd=None if allowance.cost_usd is None else allowance.cost_usd * need / whole,
        )
        for number, need in enumerate(needs)
    ]


def room_beside(bare: Prompt, allowance: Allowance, model: ChatModel, settings: Settings) -> int:
    """Tokens of material that fit beside a prompt without any, and beside the model's answer; negative when not even that fits.

    An answer gets what settings let it have, but at most a quarter of everything.
    """
    whole = min(allowance.tokens, settings.llm_context_tokens)
    return whole - min(settings.llm_max_output_tokens, whole // 4) - tokens_of(bare, model)


def tokens_of(prompt: Prompt, model: ChatModel) -> int:
    """Tokens of a prompt."""
    return model.count_tokens(prompt.system) + model.count_tokens(prompt.user)
