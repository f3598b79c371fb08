"""Waiting for a paid call no longer than its caller has time, and still counting what it may have cost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from providers.llm.tokens import count_tokens
from schemas.errors import UpstreamError
from schemas.usage import Usage

Answer = TypeVar("Answer")


async def within(
    seconds: float | None, call: Callable[[], Awaitable[Answer]], error: type[UpstreamError], *, name: str, texts: Sequence[str]
) -> Answer:
    """What `call` answers, which sends `texts` to the provider `name`; None for no limit of time.

    Raises `error` when `seconds` are over: without usage when nothing was sent, else with the estimated tokens of `texts`, which
    may be billed although the answer was not awaited. Errors of the call pass through.
    """
    if seconds is not None and seconds <= 0:
        raise error(f"{name} was not asked, the time is over")
    try:
        async with asyncio.timeout(seconds):
            return await call()
    except TimeoutError:
        usage = Usage(provider_tokens=sum(map(count_tokens, texts)), estimated=True)
        raise error(f"{name} took longer than the {seconds:.1f} s that were left", usage=usage) from None
