"""Research runs for tools: begun as jobs, followed as long as the client waits, taken up again by their id."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from contextlib import aclosing
from typing import Any

import anyio

from gateway.calls import Calls
from gateway.mcp.tool_call import ToolCall
from gateway.openai.thoughts import Thoughts
from gateway.outlines import RunView, view
from schemas.errors import DeepSearchError, RunNotFound
from schemas.events import ResearchEvent
from schemas.reporting import Outline, OutlineApproval
from schemas.research import ResearchRequest, RunQuery, RunSummary

__all__ = ["Calls", "Runs"]

logger = logging.getLogger(__name__)

STOP_SECONDS = 5.0
"""Longest wait for a run to stop after it was told to."""
_DOING = {"query": "searching: ", "url": "reading: ", "text": ""}


class Runs:
    """Begins, follows and stops runs."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def begin(self, request: ResearchRequest, wait_seconds: float, call: ToolCall) -> RunView:
        """Begin a run and wait for its end, at most `wait_seconds`; then it goes on, and the report says that it is running.

        A client that cancels the call stops the run, which nobody could ask for yet; a lost connection does not.
        """
        run_id, asked = uuid.uuid4().hex[:16], time.monotonic()
        try:
            await self._calls.call("/submit", request.model_copy(update={"run_id": run_id}), RunSummary)
            await call.tell(f"run {run_id} began")
            left = wait_seconds - (time.monotonic() - asked)  # a busy gateway lets a run wait for its turn
            return await self._followed(run_id, left, call)
        except asyncio.CancelledError:
            if call.cancelled:
                await self._abandon(run_id)
            raise

    async def wait(self, run_id: str, wait_seconds: float, call: ToolCall) -> RunView:
        """A run as it is after at most `wait_seconds`, or at its end. Raises `RunNotFound`."""
        await call.tell(f"waiting for run {run_id}")
        return await self._follow(run_id, wait_seconds, call, since=time.time())

    async def approve(self, run_id: str, outline: Outline, wait_seconds: float, call: ToolCall) -> RunView:
        """Let a run go on with its outline, and wait for its end, at most `wait_seconds`. Raises `NotWaiting`, or `RunNotFound`."""
        since = time.time()
        await self._calls.call("/approve", OutlineApproval(run_id=run_id, outline=outline), RunSummary)
        await call.tell(f"run {run_id} goes on")
        return await self._follow(run_id, wait_seconds, call, since)

    async def stop(self, run_id: str, call: ToolCall) -> RunView:
        """Stop a run for good; one that has ended stays as it is. Raises `RunNotFound`."""
        await self._calls.call("/cancel", RunQuery(run_id=run_id), RunSummary)
        return await self._follow(run_id, STOP_SECONDS, call, since=time.time())

    async def _followed(self, run_id: str, seconds: float, call: ToolCall) -> RunView:
        try:
            return await self._follow(run_id, seconds, call)
        except DeepSearchError as error:
            raise type(error)(f"{error.message} Run {run_id} may be going on: get_research tells.", field=error.field) from error

    async def _follow(self, run_id: str, seconds: float, call: ToolCall, since: float = 0.0) -> RunView:
        """Tell what happens from the time `since` (seconds since the epoch) on, until the run ends or `seconds` are over."""
        thoughts = Thoughts()
        following: Any = self._calls.stream("/events", RunQuery(run_id=run_id), ResearchEvent)
        if seconds > 0:
            with anyio.move_on_after(seconds):
                async with aclosing(following) as events:
                    async for event in events:
                        if event.type == "run_started":
                            call.total = event.data["limits"]["seconds"]
                        for thought in thoughts.of(event):
                            if event.time >= since:
                                await call.tell(_DOING[thought.kind] + thought.text)
        return await view(self._calls, run_id)

    async def _abandon(self, run_id: str) -> None:
        with anyio.move_on_after(STOP_SECONDS, shield=True):
            try:
                await self._calls.call("/cancel", RunQuery(run_id=run_id), RunSummary)
            except RunNotFound:
                return  # it had not begun
            except DeepSearchError as error:
                logger.warning("run %s was abandoned by its client but could not be stopped: %s", run_id, error)
