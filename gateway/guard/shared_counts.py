"""Counts that all gateways share, for as long as there is somebody to share them with."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from gateway.guard.counts import MemoryCounts
from gateway.guard.redis_counts import ANSWER_SECONDS, FAILURES, SETTING, RedisCounts, reason

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 2.0
"""Longest time after which places are renewed, and a server that was away is asked whether it is back."""

Answer = TypeVar("Answer")


class SharedCounts:
    """Counts in Redis, and in the memory of this gateway what this gateway has seen.

    Redis decides. When it fails, the counts in memory do, from then on without asking it: no request fails because of it, or waits longer
    than `ANSWER_SECONDS`. Every `_LOOK_SECONDS`, or three times while a place lasts, places are renewed; with that Redis is found again,
    and told of the runs that began meanwhile.
    """

    def __init__(self, shared: RedisCounts, own: MemoryCounts, place_seconds: float) -> None:
        self._shared = shared
        self._own = own
        self._look_seconds = min(_LOOK_SECONDS, place_seconds / 3)
        self._is_away = False
        self._looking: asyncio.Task[None] | None = None
        self._renewing = asyncio.Lock()
        self._releases: set[asyncio.Task[Any]] = set()
        self._spending: set[asyncio.Task[int]] = set()

    async def request(self, caller: str) -> int:
        """As in the contract."""
        wait = await self._ask(self._shared.request, caller)
        return await self._own.request(caller) if wait is None else wait

    async def take(self, caller: str, place: str, most: int) -> bool:
        """As in the contract."""
        if self._releases:
            await asyncio.wait(self._releases)
        try:
            taken = await self._ask(self._shared.take, caller, place, most)
        except asyncio.CancelledError:
            self.give_back(caller, place)  # Redis may have given it
            raise
        if taken is None:
            return await self._own.take(caller, place, most)
        if taken:
            self._own.hold(caller, place)
        return taken

    def give_back(self, caller: str, place: str) -> None:
        """As in the contract."""
        self._own.give_back(caller, place)
        _kept(self._release(caller, place), self._releases)

    async def tokens(self, caller: str) -> int:
        """As in the contract, at least what this gateway has counted itself: Redis may have lost some of it."""
        return max(await self._own.tokens(caller), await self._ask(self._shared.tokens, caller) or 0)

    async def spend(self, caller: str, tokens: int, run_id: str = "") -> int:
        """As in the contract; who is cancelled meanwhile pays all the same."""
        return await asyncio.shield(_kept(self._spend(caller, tokens, run_id), self._spending))

    async def _spend(self, caller: str, tokens: int, run_id: str) -> int:
        new = await self._ask(self._shared.spend, caller, tokens, run_id)
        if new is None:
            return await self._own.spend(caller, tokens, run_id)
        await self._own.spend(caller, new)
        if run_id:
            await self._own.remember(run_id, tokens)
        return new

    async def knows(self, run_id: str) -> bool:
        """As in the contract."""
        known = await self._ask(self._shared.knows, run_id)
        return await self._own.knows(run_id) if known is None else known

    async def remember(self, run_id: str, tokens: int) -> int:
        """As in the contract."""
        own = await self._own.remember(run_id, tokens)
        before = await self._ask(self._shared.remember, run_id, tokens)
        return own if before is None else before

    async def forget(self, run_id: str) -> None:
        """As in the contract."""
        await self._own.forget(run_id)
        await self._ask(self._shared.forget, run_id)

    async def close(self) -> None:
        """As in the contract."""
        for caller, place in self._own.held():
            self.give_back(caller, place)
        if waiting := self._releases | self._spending:
            await asyncio.wait(waiting)
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
            self._looking = None
        with contextlib.suppress(*FAILURES):
            await self._shared.close()

    async def _ask(self, question: Callable[..., Awaitable[Answer]], *arguments: Any) -> Answer | None:
        """Redis' answer, None when there is none."""
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        if self._is_away:
            return None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await question(*arguments)
        except FAILURES as error:
            self._miss(error)
            return None

    async def _look(self) -> None:
        """Renew places for ever."""
        while True:
            await asyncio.sleep(self._look_seconds)
            # A place that is given back meanwhile is given back after it was renewed.
            async with self._renewing:
                try:
                    async with asyncio.timeout(ANSWER_SECONDS):
                        await self._shared.renew(self._own.held())
                except FAILURES as error:
                    self._miss(error)
                else:
                    if self._is_away:
                        self._is_away = False
                        logger.info("%s: the server answers again; limits are shared again", SETTING)

    async def _release(self, caller: str, place: str) -> None:
        async with self._renewing:
            await self._ask(self._shared.give_back, caller, place)

    def _miss(self, error: Exception) -> None:
        if not self._is_away:
            self._is_away = True
            logger.warning("%s: %s; until it is back this gateway counts limits by itself", SETTING, reason(error))


def _kept(work: Coroutine[Any, Any, Answer], tasks: set[asyncio.Task[Answer]]) -> asyncio.Task[Answer]:
    task = asyncio.ensure_future(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return task
