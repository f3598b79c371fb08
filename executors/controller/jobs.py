"""Runs that nobody has to wait for: they go on without a client, and where their process dies another one goes on with them."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing

from executors.controller.research import Research
from executors.controller.stages import Stages
from providers.journal.base import Journal
from schemas.errors import DeepSearchError, RunUnderWay, StageUnavailable
from schemas.events import ResearchEvent
from schemas.reporting import OutlineApproval
from schemas.research import ResearchRequest, RunSummary

logger = logging.getLogger(__name__)

_READY_SECONDS = 1.0
"""Pause between looks at whether the stages are there."""
_LOOK_SECONDS = 1.0
"""Longest pause, on average, between looks at what others have left unfinished."""
_LOOKS_PER_LEASE = 4
_MOST_TAKEN_UP = 32
"""Jobs of others that one process goes on with at once; more wait until it has finished some, or another takes them."""
_MOST_FAILURES = 3
"""Attempts of one process to go on with a job that it cannot even read."""


class Jobs:
    """Runs of this process that have no client."""

    def __init__(self, research: Research, journal: Journal, stages: Stages, lease_seconds: float = 10.0) -> None:
        self._research = research
        self._journal = journal
        self._stages = stages
        self._pause = min(lease_seconds / _LOOKS_PER_LEASE, _LOOK_SECONDS)
        self._tasks: set[asyncio.Task[None]] = set()
        self._looking: asyncio.Task[None] | None = None
        self._taken_up: dict[str, asyncio.Task[None]] = {}
        self._failures: Counter[str] = Counter()
        self._handed_over = False

    async def submit(self, request: ResearchRequest) -> RunSummary:
        """Begin a run and return at once. Raises `InvalidRequest` as `Research.run` does, or `StageUnavailable` when stopping."""
        self._check_open()
        events = self._research.run(request, background=True)
        first = await anext(events)
        self._start(events)
        return await self._journal.summary(first.run_id)

    async def approve(self, approval: OutlineApproval) -> RunSummary:
        """Go on with a report whose outline is approved, and return at once. Raises what `Research.approve` does, or `StageUnavailable`."""
        self._check_open()
        events = self._research.approve(approval)
        await anext(events)
        self._start(events)
        return await self._journal.summary(approval.run_id)

    def recover(self) -> None:
        """From now on, go on with jobs whose process has died or stopped, as soon as every stage can be reached."""
        self._looking = asyncio.get_running_loop().create_task(self._look())

    async def hand_over(self) -> None:
        """Interrupt the jobs at once; another process, or the next one, goes on with them. None is begun or taken up any more."""
        self._handed_over = True
        tasks = [*self._tasks, *([self._looking] if self._looking else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        """As `hand_over`."""
        await self.hand_over()

    def _check_open(self) -> None:
        if self._handed_over:
            raise StageUnavailable("this controller is stopping: ask again")

    async def _look(self) -> None:
        """Look, at times that no two processes share for long, for what others have left, and go on with it."""
        while True:
            try:
                await self._take_up()
            except DeepSearchError as error:
                logger.warning("jobs of other controllers cannot be looked for: %s", error)
            except Exception:
                logger.exception("jobs of other controllers cannot be looked for")
            await asyncio.sleep(self._pause * random.uniform(0.5, 1.5))  # noqa: S311  (jitter)

    async def _take_up(self) -> None:
        self._taken_up = {run_id: task for run_id, task in self._taken_up.items() if not task.done()}
        room = _MOST_TAKEN_UP - len(self._taken_up)
        left = await self._journal.unfinished(_MOST_TAKEN_UP + len(self._failures))
        left = [run for run in left if self._failures.get(run.run_id, 0) < _MOST_FAILURES and run.run_id not in self._taken_up]
        if not left or room <= 0:
            return
        while not await self._stages.ready():  # noqa: ASYNC110  (nothing tells when a stage appears)
            await asyncio.sleep(_READY_SECONDS)
        for run in left[:room]:
            self._taken_up[run.run_id] = self._start(self._research.resume(run.run_id), run.run_id)

    def _start(self, events: AsyncGenerator[ResearchEvent, None], run_id: str = "") -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self._finish(events, run_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _finish(self, events: AsyncGenerator[ResearchEvent, None], run_id: str) -> None:
        try:
            async with aclosing(events):
                async for _ in events:
                    pass
        except RunUnderWay:
            return  # another process was quicker to go on with it
        except Exception:
            self._failures[run_id] += 1
            logger.exception("a job stopped")
