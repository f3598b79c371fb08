"""`jina.Client(protocol="websocket")` on the HTTP port: unary endpoints, any number of requests on one connection.

The wire is jina's: binary messages, each one `DataRequest`, and a single zero byte when the client has no more. A failure
closes the connection with code 1011 and its line as the reason, which the client raises.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import FastAPI
from jina.types.request.data import DataRequest
from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway.jina_patches import EndpointStreamer
from schemas.errors import DeepSearchError, InvalidRequest

_END = b"\x00"
_FAILURE = 1011
_MOST_REASON_BYTES = 123
"""Of a close frame, by RFC 6455."""


def install(app: FastAPI, streamer: EndpointStreamer) -> None:
    """Add the WebSocket route, at the path where jina's client looks for it."""

    @app.websocket("/")
    async def serve(socket: WebSocket) -> None:
        await socket.accept(subprotocol="bytes" if "bytes" in socket.scope.get("subprotocols", ()) else None)
        try:
            async for answer in streamer.answers(_requests(socket)):
                await socket.send_bytes(answer.to_bytes())
            await socket.close()
        except DeepSearchError as error:
            await socket.close(_FAILURE, str(error).encode()[:_MOST_REASON_BYTES].decode("utf-8", "ignore"))
        except WebSocketDisconnect:
            return


async def _requests(socket: WebSocket) -> AsyncIterator[DataRequest]:
    """What the client sends, until it has no more."""
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        body = message.get("bytes")
        if body == _END:
            return
        if not body:
            raise InvalidRequest("a request must be a binary message, as jina's client sends it")
        yield DataRequest(body)
