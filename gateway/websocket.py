"""`jina.Client(protocol="websocket")` on the HTTP port: unary endpoints, any number of requests on one connection.

The wire is jina's: binary messages, each one `DataRequest`, and a single zero byte when the client has no more. A failure
closes the connection with code 1011 and its line as the reason, which the client raises.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import aclosing

from fastapi import FastAPI
from jina.types.request.data import DataRequest
from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway.guard.call import CURRENT
from gateway.jina_patches import EndpointStreamer
from schemas.errors import ClientLeft, DeepSearchError, InvalidRequest

_END = b"\x00"
_FAILURE = 1011
_MOST_REASON_BYTES = 123
"""Of a close frame, by RFC 6455."""
_MOST_BYTES_AHEAD = 1_000_000
"""Requests that a client may have sent before their turn; as long as there are more, its leaving is not seen."""


def install(app: FastAPI, streamer: EndpointStreamer) -> None:
    """Add the WebSocket route, at the path where jina's client looks for it."""

    @app.websocket("/")
    async def serve(socket: WebSocket) -> None:
        await socket.accept(subprotocol="bytes" if "bytes" in socket.scope.get("subprotocols", ()) else None)
        incoming = _Incoming(socket)
        reading = asyncio.create_task(incoming.read())
        call = CURRENT.get()
        if call is not None:
            call.left = incoming.left.wait
        try:
            async with aclosing(streamer.answers(incoming.requests())) as answers:
                async for answer in answers:
                    await socket.send_bytes(answer.to_bytes())
            await socket.close()
        except ClientLeft:
            return
        except DeepSearchError as error:
            await socket.close(_FAILURE, str(error).encode()[:_MOST_REASON_BYTES].decode("utf-8", "ignore"))
        except WebSocketDisconnect:
            return
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


class _Incoming:
    """What a client sends. It is read ahead, so that a client that leaves is seen while its request is being answered."""

    def __init__(self, socket: WebSocket) -> None:
        self.left = asyncio.Event()
        self._socket = socket
        self._messages: deque[bytes | None] = deque()
        self._bytes = 0
        self._changed = asyncio.Condition()

    async def read(self) -> None:
        """Receive until the client has gone."""
        while (message := await self._socket.receive())["type"] != "websocket.disconnect":
            async with self._changed:
                self._messages.append(message.get("bytes"))
                self._bytes += len(message.get("bytes") or b"")
                self._changed.notify_all()
                await self._changed.wait_for(lambda: self._bytes <= _MOST_BYTES_AHEAD)
        self.left.set()
        async with self._changed:
            self._messages.append(_END)
            self._changed.notify_all()

    async def requests(self) -> AsyncIterator[DataRequest]:
        """The requests, until the client has no more."""
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._messages)
                body = self._messages.popleft()
                self._bytes -= len(body or b"")
                self._changed.notify_all()
            if body == _END:
                return
            if not body:
                raise InvalidRequest("a request must be a binary message, as jina's client sends it")
            yield DataRequest(body)
