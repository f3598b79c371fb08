"""A client that leaves while it waits for a whole answer."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request, Response

Result = TypeVar("Result")

CLIENT_CLOSED_REQUEST = 499
"""Status for logs, as nginx writes it: nobody receives the response."""


async def while_connected(request: Request, work: Coroutine[Any, Any, Result]) -> Result | Response:
    """The result of `work`, which is cancelled as soon as the client has gone; then the response that nobody reads."""
    working, leaving = asyncio.create_task(work), asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else Response(status_code=CLIENT_CLOSED_REQUEST)
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
