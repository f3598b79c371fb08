"""A bulkhead: how many calls one process works on, how many may wait, and how it is said early that there is no room.

What a process takes on beyond its strength makes every call late. A call that would not begin in time is therefore refused at
once, so that whoever made it can ask another replica, or come back, while there is time left.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from schemas.errors import Overloaded

LONGEST_WAIT_SECONDS = 30.0
"""Longest that a call without a deadline waits for its turn."""
_LONGEST_RETRY_SECONDS = 30
_SHARE_OF_LAST = 0.2
"""Weight of the last call in the mean time of calls."""

WAITED: ContextVar[float] = ContextVar("waited", default=0.0)
"""Seconds that the current call has waited for its turn, which are gone from the time that its request names."""


class Bulkhead:
    """A number of places for calls, given out in the order in which they were asked for. To be used from one event loop."""

    def __init__(self, at_once: int, waiting: int, *, name: str, settings: tuple[str, str]) -> None:
        """`name` is whose places they are and `settings` what their numbers are set by, for the message of a refusal."""
        self.at_once = at_once
        self.most_waiting = waiting
        self.under_way = 0
        self.waiting = 0
        self.refused = 0
        """Calls that were refused so far."""
        self._name = name
        self._settings = settings
        self._places = asyncio.Semaphore(at_once)
        self._mean_seconds = 0.0

    @asynccontextmanager
    async def place(self, seconds: float | None) -> AsyncIterator[None]:
        """Around a call that has `seconds` until its deadline, None for no deadline.

        It waits at most half of that, so that it can still be done by the deadline, here or elsewhere. Raises `Overloaded`: at once
        when too many wait already, or when the mean time of calls says that its turn would come later.
        """
        begun = time.monotonic()
        if self._places.locked():
            await self._wait(LONGEST_WAIT_SECONDS if seconds is None else seconds / 2)
        else:
            await self._places.acquire()
        self.under_way += 1
        began = time.monotonic()
        WAITED.set(began - begun)
        try:
            yield
        finally:
            took = time.monotonic() - began
            self._mean_seconds += (took - self._mean_seconds) * (_SHARE_OF_LAST if self._mean_seconds else 1.0)
            self.under_way -= 1
            self._places.release()

    async def _wait(self, seconds: float) -> None:
        expected = (self.waiting + 1) * self._mean_seconds / self.at_once
        if self.waiting >= self.most_waiting or expected > seconds:
            raise self._overloaded(expected)
        self.waiting += 1
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._places.acquire()
        except TimeoutError:
            raise self._overloaded(expected) from None
        finally:
            self.waiting -= 1

    def _overloaded(self, expected: float) -> Overloaded:
        self.refused += 1
        return Overloaded(
            f"{self._name} has {self.under_way} calls under way and {self.waiting} waiting ({', '.join(self._settings)}).",
            retry_after=min(_LONGEST_RETRY_SECONDS, max(1, math.ceil(expected))),
        )
