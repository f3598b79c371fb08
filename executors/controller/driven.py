"""A run that this process drives, as the rest of the process sees it: what has happened to it, and how it can be stopped."""

from __future__ import annotations

import asyncio

from schemas import events as ev
from schemas.errors import JournalError
from schemas.events import JournalEvent

Happening = JournalEvent | ev.AnswerDelta


class Driven:
    """What has happened to a run and is not in its journal yet, and the calls that are made for it."""

    def __init__(self) -> None:
        self.calls: dict[str, asyncio.Task[None]] = {}
        """By the id of their effect."""
        self._happened: asyncio.Queue[Happening | None] = asyncio.Queue()
        self._stopped: JournalError | None = None

    def tell(self, happening: Happening) -> None:
        """Something happened; the loop takes it in its turn."""
        self._happened.put_nowait(happening)

    def cancel(self) -> None:
        """End the run for good. Its calls are cut at once, whatever the loop is busy with."""
        self.tell(ev.RunCancelled())
        self._cut()

    def stop(self, why: JournalError) -> None:
        """Interrupt the run: its calls are cut at once, and nothing that has happened since is taken any more."""
        self._stopped = self._stopped or why
        self._cut()
        self._happened.put_nowait(None)

    async def next(self) -> Happening:
        """What happened next. Raises why the run was stopped, when it was."""
        happening = None if self._stopped else await self._happened.get()
        if self._stopped:
            raise self._stopped
        assert happening is not None
        return happening

    async def calls_ended(self) -> None:
        """Cut the calls that are still under way and wait until they have ended."""
        self._cut()
        await asyncio.gather(*self.calls.values(), return_exceptions=True)

    def _cut(self) -> None:
        for task in self.calls.values():
            task.cancel()
