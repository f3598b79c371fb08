"""The package's own client, and what tests want to know of a conversation."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from mcp import ClientSession, StdioServerParameters, types
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client

ROOT = Path(__file__).parents[3]


@asynccontextmanager
async def http_client(url: str) -> AsyncIterator[ClientSession]:
    """A client of `/mcp` that has said hello."""
    async with streamablehttp_client(f"{url}/mcp") as (incoming, outgoing, _), ClientSession(incoming, outgoing) as session:
        await session.initialize()
        yield session


@asynccontextmanager
async def process_client(*arguments: str, home: Path, log: TextIO, **settings: str) -> AsyncIterator[ClientSession]:
    """A client of a `deepsearch mcp` process with only these settings, that has said hello."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "DEEPSEARCH_HOME": str(home), "PYTHONPATH": str(ROOT), **settings}
    command = StdioServerParameters(command=sys.executable, args=["-m", "deepsearch", "mcp", *arguments], env=environment, cwd=home)
    async with stdio_client(command, log) as (incoming, outgoing), ClientSession(incoming, outgoing) as session:
        await session.initialize()
        yield session


@dataclass
class Progress:
    """The progress of a call."""

    told: list[tuple[float, float | None, str]] = field(default_factory=list)
    _first: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None:
        self.told.append((progress, total, message or ""))
        self._first.set()

    async def begun(self) -> str:
        """Wait for the first notification; returns its message."""
        await self._first.wait()
        return self.told[0][2]

    def messages(self) -> list[str]:
        return [message for _, _, message in self.told]


async def call(session: ClientSession, name: str, progress: Progress | None = None, **arguments: Any) -> types.CallToolResult:
    """Call a tool."""
    return await session.call_tool(name, arguments, progress_callback=progress)


def text(result: types.CallToolResult) -> str:
    """The text of a result."""
    (content,) = result.content
    assert isinstance(content, types.TextContent)
    return content.text


def fields(result: types.CallToolResult) -> dict[str, Any]:
    """The fields of a result that is no error."""
    assert not result.isError, text(result)
    assert result.structuredContent is not None
    return result.structuredContent


def failure(result: types.CallToolResult) -> str:
    """The one line of a result that is an error."""
    assert result.isError and result.structuredContent is None
    assert "\n" not in text(result) and "Traceback" not in text(result)
    return text(result)


async def cancel(session: ClientSession, request_id: int) -> None:
    """Say that the answer to a request is no longer wanted."""
    params = types.CancelledNotificationParams(requestId=request_id, reason="enough")
    notification = types.CancelledNotification(method="notifications/cancelled", params=params)
    await session.send_notification(types.ClientNotification(notification))
