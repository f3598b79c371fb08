"""Server-sent events: their frames, and a stream that stays alive while nothing happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import anyio
from fastapi.responses import StreamingResponse

HEARTBEAT_SECONDS = 15.0
"""Longest silence on a stream; proxies give up after 30 to 60 seconds of it."""
_COMMENT = b": keep-alive\n\n"


def frame(data: str, *, event: str = "", event_id: str = "") -> bytes:
    """One event; `data` holds no line breaks, as JSON does not."""
    lines = [f"id: {event_id}"] if event_id else []
    lines += [f"event: {event}"] if event else []
    return "\n".join([*lines, f"data: {data}", "", ""]).encode("utf-8", "replace")


async def with_heartbeat(
    frames: AsyncGenerator[bytes, None], seconds: float = HEARTBEAT_SECONDS, beat: bytes = _COMMENT
) -> AsyncGenerator[bytes, None]:
    """The frames, and a `beat` (unset: a comment) whenever there was none for `seconds`. Closing it closes `frames` too."""
    pending: asyncio.Task[bytes] | None = None
    try:
        while True:
            pending = pending or asyncio.ensure_future(anext(frames))
            done, _ = await asyncio.wait({pending}, timeout=seconds)
            if not done:
                yield beat
                continue
            try:
                current, pending = pending.result(), None
            except StopAsyncIteration:
                return
            yield current
    finally:
        await _ended(pending)
        await frames.aclose()


async def until(frames: AsyncGenerator[bytes, None], stopping: asyncio.Event) -> AsyncGenerator[bytes, None]:
    """The frames until `stopping` is set: for streams that can be taken up again, which no stop of the gateway has to wait for."""
    stopped = asyncio.ensure_future(stopping.wait())
    coming: asyncio.Task[bytes] | None = None
    try:
        while not stopping.is_set():
            coming = asyncio.ensure_future(anext(frames))
            await asyncio.wait({coming, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                return
            try:
                current = coming.result()
            except StopAsyncIteration:
                return
            yield current
    finally:
        stopped.cancel()
        await _ended(coming)
        await frames.aclose()


async def _ended(coming: asyncio.Task[bytes] | None) -> None:
    """Wait for the end of what nobody waits for any more; how it ended is of no interest, and not to be logged."""
    if coming is not None:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)


class Stream(StreamingResponse):
    """A response whose generator is closed when the client leaves, also while something is being sent to it."""

    async def stream_response(self, send: Any) -> None:
        """ASGI."""
        frames: Any = self.body_iterator
        try:
            await super().stream_response(send)
        finally:
            with anyio.CancelScope(shield=True):
                await frames.aclose()


def response(frames: AsyncGenerator[bytes, None]) -> Stream:
    """The HTTP response that carries `frames`, unbuffered and uncached."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return Stream(with_heartbeat(frames), media_type="text/event-stream", headers=headers)
