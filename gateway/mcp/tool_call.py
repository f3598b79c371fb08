"""One call of a tool, as the tool sees it: what it may tell its client meanwhile, and whether the client has cancelled it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
from mcp.shared.context import RequestContext

HEARTBEAT_SECONDS = 10.0
"""Longest silence while a tool works: clients that wait for progress give up after 30 to 60 seconds without it."""
_MOST_CHARACTERS = 300
_LEAST_INCREASE = 0.001


class ToolCall:
    """Progress is the seconds since the call began, its total the time limit of the run, when one is known."""

    def __init__(self, context: RequestContext[Any, Any, Any], scope: anyio.CancelScope) -> None:
        self._session = context.session
        self._request_id = str(context.request_id)
        self._token = context.meta.progressToken if context.meta is not None else None
        self._scope = scope
        self._started = self._told = time.monotonic()
        self._progress = 0.0
        self._message = "working"
        self.total: float | None = None

    @property
    def cancelled(self) -> bool:
        """Whether the client has cancelled the call. A connection that is lost cancels nothing."""
        return self._scope.cancel_called

    async def tell(self, message: str = "") -> None:
        """Send progress with `message`, or with the last one again. Nothing is sent to a client that did not ask for it."""
        self._message = " ".join(message.split())[:_MOST_CHARACTERS] or self._message
        self._told = time.monotonic()
        if self._token is None:
            return
        # what counts as progress must grow with each notification
        self._progress = max(self._progress + _LEAST_INCREASE, self._told - self._started)
        total = None if self.total is None else max(self.total, self._progress)
        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):  # the client has gone; the call is about to be ended
            await self._session.send_progress_notification(
                self._token, round(self._progress, 3), total, self._message, related_request_id=self._request_id
            )

    @asynccontextmanager
    async def heartbeats(self) -> AsyncIterator[None]:
        """Within it progress is sent at the latest every `HEARTBEAT_SECONDS`."""
        task = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(max(0.0, self._told + HEARTBEAT_SECONDS - time.monotonic()))
            if time.monotonic() - self._told >= HEARTBEAT_SECONDS:
                await self.tell()
