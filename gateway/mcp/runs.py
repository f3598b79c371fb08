"""Research runs for tools: begun as jobs, followed as long as the client waits, taken up again by their id."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Protocol, TypeVar

import anyio
from docarray import BaseDoc

from gateway.mcp.tool_call import ToolCall
from gateway.openai.thoughts import Thoughts
from schemas.errors import DeepSearchError, RunNotFound
from schemas.events import ResearchEvent
from schemas.research import ResearchRequest, RunQuery, RunReport, RunSummary

logger = logging.getLogger(__name__)

Result = TypeVar("Result", bound=BaseDoc)

STOP_SECONDS = 5.0
"""Longest wait for a run to stop after it was told to."""
_DOING = {"query": "searching: ", "url": "reading: ", "text": ""}


class Calls(Protocol):
    """Calls endpoints of the Flow, or what stands for it in one process; `gateway.calls.StageCalls` is one."""

    async def call(self, endpoint: str, request: BaseDoc, returns: type[Result]) -> Result:
        """The answer of a unary endpoint. Raises errors of `schemas.errors`."""
        ...

    def stream(self, endpoint: str, request: BaseDoc, returns: type[Result]) -> AsyncIterator[Result]:
        """What a streaming endpoint gives, as it comes. Closing the iterator stops the stage."""
        ...


class Runs:
    """Begins, follows and stops runs."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def begin(self, request: ResearchRequest, wait_seconds: float, call: ToolCall) -> RunReport:
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

    async def wait(self, run_id: str, wait_seconds: float, call: ToolCall) -> RunReport:
        """A run as it is after at most `wait_seconds`, or at its end. Raises `RunNotFound`."""
        await call.tell(f"waiting for run {run_id}")
        return await self._follow(run_id, wait_seconds, call, since=time.time())

    async def stop(self, run_id: str, call: ToolCall) -> RunReport:
        """Stop a run for good; one that has ended stays as it is. Raises `RunNotFound`."""
        await self._calls.call("/cancel", RunQuery(run_id=run_id), RunSummary)
        return await self._follow(run_id, STOP_SECONDS, call, since=time.time())

    async def _followed(self, run_id: str, seconds: float, call: ToolCall) -> RunReport:
        try:
            return await self._follow(run_id, seconds, call)
        except DeepSearchError as error:
            raise type(error)(f"{error.message} Run {run_id} may be going on: get_research tells.", field=error.field) from error

    async def _follow(self, run_id: str, seconds: float, call: ToolCall, since: float = 0.0) -> RunReport:
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
        return await self._calls.call("/run", RunQuery(run_id=run_id), RunReport)

    async def _abandon(self, run_id: str) -> None:
        with anyio.move_on_after(STOP_SECONDS, shield=True):
            try:
                await self._calls.call("/cancel", RunQuery(run_id=run_id), RunSummary)
            except RunNotFound:
                return  # it had not begun
            except DeepSearchError as error:
                logger.warning("run %s was abandoned by its client but could not be stopped: %s", run_id, error)
