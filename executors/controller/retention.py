"""How long runs are kept: one is deleted when somebody asks for it, all old ones when they may not be kept any longer."""

from __future__ import annotations

import asyncio
import logging
import time

from providers.journal.base import Journal
from schemas.errors import DeepSearchError, InvalidRequest, RunNotFound
from schemas.research import RunSummary

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 3_600.0
_DAY_SECONDS = 86_400.0


async def forget(journal: Journal, run_id: str) -> RunSummary:
    """Delete a run with its pages, its files and the runs that worked for it; gives the line about it.

    Raises `RunNotFound`, `RunUnderWay`, or `InvalidRequest` for one that works for another run, which goes with that one.
    """
    summary = await journal.summary(run_id)
    if summary.parent:
        try:
            await journal.summary(summary.parent)
        except RunNotFound:
            pass  # it was left alone, when a run was being imported
        else:
            raise InvalidRequest(f"run {run_id} works for run {summary.parent}: delete that one", field="run_id")
    await journal.forget(run_id)
    return summary


class Retention:
    """Deletes runs that ended, or were interrupted, longer ago than `DEEPSEARCH_KEEP_DAYS`: at once, and then every hour.

    Any number of processes may do so on one journal.
    """

    def __init__(self, journal: Journal, keep_days: float | None) -> None:
        """With None nothing is ever deleted."""
        self._journal = journal
        self._keep_days = keep_days
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Begin with it, in the running loop."""
        if self._keep_days is not None:
            self._task = asyncio.get_running_loop().create_task(self._forget_old(self._keep_days * _DAY_SECONDS))

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _forget_old(self, seconds: float) -> None:
        while True:
            try:
                forgotten = await self._journal.forget_before(time.time() - seconds)
            except DeepSearchError as error:
                logger.warning("old runs could not be deleted, in an hour they are tried again: %s", error)
            except Exception:
                logger.exception("old runs could not be deleted, in an hour they are tried again")
            else:
                if forgotten:
                    logger.info("%d runs were older than DEEPSEARCH_KEEP_DAYS and are deleted", forgotten)
            await asyncio.sleep(_PAUSE_SECONDS)
