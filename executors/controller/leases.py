"""The runs of this process stay its own: their leases are renewed, and who has lost a run, or is to cancel it, is told."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from executors.controller.driven import Driven
from providers.journal.base import Journal, Renewal
from schemas.errors import JournalError, RunLost

logger = logging.getLogger(__name__)

_MOST_SECONDS_BETWEEN = 0.5
"""Longest time between renewals; a run that another process is asked to cancel goes on for as long."""
_PER_LEASE = 4
"""Renewals in the time of a lease, so that one or two may fail."""


class Leases:
    """Renews the leases of all runs that are driven here, in one task that lives as long as there is one."""

    def __init__(self, journal: Journal, lease_seconds: float) -> None:
        self._journal = journal
        self._lease_seconds = lease_seconds
        self._held: dict[str, Driven] = {}
        self._until: dict[str, float] = {}
        self._keeping: asyncio.Task[None] | None = None

    @contextmanager
    def holding(self, run_id: str, driven: Driven) -> Iterator[None]:
        """Keep a run, whose lease has just begun, as our own. It is stopped when it is lost."""
        self._held[run_id] = driven
        self._until[run_id] = time.monotonic() + self._lease_seconds
        if self._keeping is None:
            self._keeping = asyncio.get_running_loop().create_task(self._keep())
        try:
            yield
        finally:
            if self._held.get(run_id) is driven:
                del self._held[run_id], self._until[run_id]
            if not self._held and self._keeping is not None:
                self._keeping.cancel()
                self._keeping = None

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(min(self._lease_seconds / _PER_LEASE, _MOST_SECONDS_BETWEEN))
            asked = time.monotonic()
            runs = list(self._held)
            try:
                async with asyncio.timeout(max(min(self._until.values()) - asked, _MOST_SECONDS_BETWEEN)):
                    renewal = await self._journal.renew(runs)
            except (JournalError, TimeoutError) as error:
                logger.warning("the leases of %d runs could not be renewed: %s", len(runs), error)
                self._give_up_what_ran_out()
            except Exception:
                logger.exception("the leases of %d runs could not be renewed", len(runs))
                self._give_up_what_ran_out()
            else:
                self._heed(runs, renewal, asked + self._lease_seconds)

    def _heed(self, runs: list[str], renewal: Renewal, until: float) -> None:
        for run_id in runs:
            driven = self._held.get(run_id)
            if driven is None:
                continue  # it has ended meanwhile
            if run_id in renewal.lost:
                driven.stop(RunLost(f"run {run_id} is continued by another process", field="run_id"))
                continue
            self._until[run_id] = until
            if run_id in renewal.cancelled:
                driven.cancel()

    def _give_up_what_ran_out(self) -> None:
        """Without a sign from the journal others may have begun to make the same calls."""
        for run_id, driven in self._held.items():
            if time.monotonic() >= self._until[run_id]:
                driven.stop(RunLost(f"the lease of run {run_id} could not be renewed in time", field="run_id"))
