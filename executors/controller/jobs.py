"""Runs that nobody has to wait for: they go on without a client, and after a restart of their process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

from executors.controller.research import Research
from executors.controller.stages import Stages
from providers.journal.base import Journal
from schemas.errors import DeepSearchError, RunUnderWay
from schemas.events import ResearchEvent
from schemas.reporting import OutlineApproval
from schemas.research import ResearchRequest, RunSummary

logger = logging.getLogger(__name__)

_READY_SECONDS = 1.0
"""Pause between looks at whether the stages are there."""
_MOST_RECOVERED = 1_000


class Jobs:
    """Runs of this process that have no client."""

    def __init__(self, research: Research, journal: Journal, stages: Stages) -> None:
        self._research = research
        self._journal = journal
        self._stages = stages
        self._tasks: set[asyncio.Task[None]] = set()

    async def submit(self, request: ResearchRequest) -> RunSummary:
        """Begin a run and return at once. Raises `InvalidRequest` as `Research.run` does."""
        events = self._research.run(request, background=True)
        first = await anext(events)
        self._start(events)
        return await self._journal.summary(first.run_id)

    async def approve(self, approval: OutlineApproval) -> RunSummary:
        """Go on with a report whose outline is approved, and return at once. Raises what `Research.approve` does."""
        events = self._research.approve(approval)
        await anext(events)
        self._start(events)
        return await self._journal.summary(approval.run_id)

    def recover(self) -> None:
        """Go on with the jobs that an earlier process left unfinished, as soon as every stage can be reached."""
        self._keep(asyncio.get_running_loop().create_task(self._recover()))

    async def close(self) -> None:
        """Interrupt the jobs; they are kept, and the next process goes on with them."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _recover(self) -> None:
        left = await self._journal.unfinished(_MOST_RECOVERED)
        if not left:
            return
        while not await self._stages.ready():  # noqa: ASYNC110  (nothing tells when a stage appears)
            await asyncio.sleep(_READY_SECONDS)
        for run in left:
            self._start(self._research.resume(run.run_id))

    def _start(self, events: AsyncGenerator[ResearchEvent, None]) -> None:
        self._keep(asyncio.get_running_loop().create_task(_finish(events)))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _finish(events: AsyncGenerator[ResearchEvent, None]) -> None:
    try:
        async with aclosing(events):
            async for _ in events:
                pass
    except RunUnderWay:
        return  # another process was quicker to go on with it
    except DeepSearchError:
        logger.exception("a job stopped")
