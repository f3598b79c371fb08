"""Failures of the gateway's own code, and calls that it does not finish before it stops: a status for the client, and a log without a
word of what was asked.

Left to the server, a stack trace would be logged with the exception's message, which often quotes the request.
"""

from __future__ import annotations

import asyncio
import logging
import traceback

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.guard.refusals import response
from schemas.errors import DeepSearchError, StageUnavailable

logger = logging.getLogger(__name__)

_FRAMES = 5


class Failures:
    """Answers what nothing else did."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except asyncio.CancelledError:
            if scope["type"] != "http":
                raise
            # The server cancels what it has not finished when its time to stop is over.
            logger.warning("%s is cut off: the gateway stops", getattr(scope.get("route"), "path", "a request"))
            if not started:
                stopping = StageUnavailable("The gateway stopped before there was an answer; ask another one.")
                await response(scope["path"], stopping)(scope, receive, send)
        except Exception as error:
            if scope["type"] == "lifespan":
                raise
            logger.error("%s failed: %s", getattr(scope.get("route"), "path", "a request"), where(error))
            if scope["type"] == "http" and not started:
                await response(scope["path"], DeepSearchError("The gateway failed; its log says where."))(scope, receive, send)


def where(error: BaseException) -> str:
    """Kind and place of an exception, without its message."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    return f"{type(error).__name__} at " + " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames))
