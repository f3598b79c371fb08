"""Request bodies: how large, and how slow. The routes see whole bodies only."""

from __future__ import annotations

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import metrics
from gateway.guard.call import CURRENT
from gateway.guard.refusals import response
from schemas.errors import InvalidRequest, TooLarge, TooSlow

BODY_SECONDS = 60.0
"""Longest that a body may take to arrive: the default 30 MB at 4 Mbit/s."""


class Bodies:
    """Receives a request's body before anything is done with it, whether it says its length or not."""

    def __init__(self, app: ASGIApp, most_bytes: int, seconds: float = BODY_SECONDS) -> None:
        self._app = app
        self._most = most_bytes
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body = await self._body(scope, receive)
        except InvalidRequest as error:
            metrics.REFUSED.labels(error.code).inc()
            await response(scope["path"], error)(scope, receive, send)
            return
        if body is None:
            return  # the client left in the middle
        given = False

        async def whole() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def left() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        call = CURRENT.get()
        if call is None:  # a route that everybody may ask
            await self._app(scope, whole, send)
            return
        call.left = left
        try:
            await self._app(scope, whole, send)
        finally:
            call.left = None  # what goes on after the response must not take its end for the client's leaving

    async def _body(self, scope: Scope, receive: Receive) -> bytes | None:
        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if int(length) > self._most:  # h11 lets only digits pass
            raise self._too_large()
        parts, size = [], 0
        try:
            with anyio.fail_after(self._seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    part = message.get("body", b"")
                    size += len(part)
                    if size > self._most:
                        raise self._too_large()
                    parts.append(part)
                    if not message.get("more_body"):
                        return b"".join(parts)
        except TimeoutError:
            raise TooSlow(f"The body did not arrive within {self._seconds:g} seconds.") from None

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The body has more than {self._most:,} bytes (DEEPSEARCH_MAX_BODY_BYTES).")
