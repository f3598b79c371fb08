"""Calls to a storage over a network: made again while its connection is lost, for as long as a lease lasts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_random_exponential

from providers.storage_url import place_of
from schemas.errors import ConfigurationError

Result = TypeVar("Result")

_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0


async def persistently(
    call: Callable[[], Awaitable[Result]], is_lost: Callable[[BaseException], bool], seconds: float, call_seconds: float | None = None
) -> Result:
    """What `call` gives. While it raises what `is_lost` says of, it is made again, after random pauses of up to a second.

    When `seconds` are over its last error is raised. So a call has to be one that does no harm when it is made twice. One that
    hangs is given up after `call_seconds`, so that it can be made again over another connection; None: after a third of `seconds`.
    """

    async def attempt() -> Result:
        async with asyncio.timeout(call_seconds or answer_seconds(seconds)):
            return await call()

    retrying = AsyncRetrying(
        stop=stop_after_delay(seconds),
        wait=wait_random_exponential(multiplier=_FIRST_PAUSE_SECONDS, max=_LONGEST_PAUSE_SECONDS),
        retry=retry_if_exception(is_lost),
        reraise=True,
    )
    return await retrying(attempt)


def answer_seconds(lease_seconds: float) -> float:
    """How long a storage may take to answer, so that there is time to ask again before a lease is over."""
    return max(1.0, lease_seconds / 3)


def shown_place(url: str, form: str) -> str:
    """A journal's address as it may be shown, see `place_of`.

    Raises `ConfigurationError` with the `form` that is expected when `url` cannot be read; it never repeats any part of it.
    """
    try:
        return place_of(url)
    except ValueError:
        # What cannot be read may be a part of a password, so the cause is not shown either.
        message = f"DEEPSEARCH_STATE_URL must look like {form}; in a password, write / : @ # ? as %2F %3A %40 %23 %3F"
        raise ConfigurationError(message, field="DEEPSEARCH_STATE_URL") from None
