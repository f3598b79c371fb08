"""How many runs are under way at once, and who waits for the next place."""

from __future__ import annotations

import asyncio

from gateway.guard.limits import RUN_RETRY_SECONDS
from schemas.errors import Overloaded
from schemas.settings import Settings


class Admission:
    """A number of places, given out in the order in which they were asked for."""

    def __init__(self, settings: Settings) -> None:
        self._most = settings.deepsearch_max_runs
        self._most_waiting = settings.deepsearch_max_waiting
        self._places = asyncio.Semaphore(self._most)
        self.under_way = 0
        self.waiting = 0

    async def enter(self) -> None:
        """Take a place, waiting for one if need be; who is cancelled meanwhile gives up its turn. `leave` gives it back.

        Raises `Overloaded` when too many wait already.
        """
        if self._places.locked():
            if self.waiting >= self._most_waiting:
                raise Overloaded(
                    f"{self._most} runs are under way and {self.waiting} wait (DEEPSEARCH_MAX_RUNS, DEEPSEARCH_MAX_WAITING).",
                    retry_after=RUN_RETRY_SECONDS,
                )
            self.waiting += 1
            try:
                await self._places.acquire()
            finally:
                self.waiting -= 1
        else:
            await self._places.acquire()
        self.under_way += 1

    def leave(self) -> None:
        """Give a place back."""
        self.under_way -= 1
        self._places.release()
