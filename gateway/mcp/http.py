"""MCP over HTTP (the transport that the protocol calls Streamable HTTP), without any state between requests.

Each POST is served by itself and answered by server-sent events, which carry progress and then the result. The session id
that a client gets is only a name, under which it can cancel a call: there is nothing to keep, to time out or to lose.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any
from urllib.parse import urlsplit

import anyio
from anyio.abc import TaskStatus
from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.streamable_http import StreamableHTTPServerTransport
from pydantic import ValidationError
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from gateway.mcp.in_flight import InFlight
from gateway.mcp.server import SESSION_HEADER
from schemas.settings import Settings

MOST_BODY_BYTES = 1_000_000
"""Largest message: a question has at most 20,000 characters."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Origins:
    """Which web pages may call: those of DEEPSEARCH_CORS_ORIGINS, and those of this machine while only it is served.

    A browser names the origin of every POST, so a page of another site cannot call, not even under a host name of its own that
    it has let resolve to this machine. Other clients name none.
    """

    def __init__(self, settings: Settings) -> None:
        self._allowed = {origin.strip().rstrip("/") for origin in settings.deepsearch_cors_origins.split(",")} - {""}
        self._local = settings.deepsearch_host in _LOOPBACK

    def __contains__(self, origin: str) -> bool:
        if origin in self._allowed or "*" in self._allowed:
            return True
        try:
            return self._local and urlsplit(origin).hostname in _LOOPBACK
        except ValueError:
            return False


class Endpoint:
    """The ASGI application at `/mcp`."""

    def __init__(self, server: Server[Any, Any], in_flight: InFlight, origins: Origins) -> None:
        self._server = server
        self._options = server.create_initialization_options()
        self._in_flight = in_flight
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            response = await self._respond(Request(scope, receive), receive, send)
        except ClientDisconnect:
            return
        if response is not None:
            await response(scope, receive, send)

    async def _respond(self, request: Request, receive: Receive, send: Send) -> Response | None:
        """The response, or None when the transport has sent it."""
        origin = request.headers.get("origin")
        if origin is not None and origin not in self._origins:
            return _refusal(403, f"Pages of {origin[:200]} may not call this server; DEEPSEARCH_CORS_ORIGINS lists those that may.")
        if request.method != "POST":
            # A GET would only hold a connection open on which this server has nothing to say; a DELETE has nothing to end.
            return _refusal(405, f"/mcp takes POST only, not {request.method}.", headers={"Allow": "POST"})
        body = await _body(request)
        if body is None:
            return _refusal(413, f"The message has more than {MOST_BODY_BYTES:,} bytes.")
        try:
            document = json.loads(body)
            json.dumps(document, ensure_ascii=False).encode()  # JSON can hold halves of characters, which no answer could repeat
            message = types.JSONRPCMessage.model_validate(document)
        except (ValueError, RecursionError) as error:
            kind = "is no JSON-RPC 2.0 message" if isinstance(error, ValidationError) else "is not JSON"
            return _refusal(400, f"The body {kind}.", types.INVALID_REQUEST if isinstance(error, ValidationError) else types.PARSE_ERROR)
        if self._in_flight.cancel(request.headers.get(SESSION_HEADER, ""), message):
            return Response(status_code=202)
        await self._serve(request.scope, _replayed(body, receive), _Sending(send, message))
        return None

    async def _serve(self, scope: Scope, receive: Receive, sending: _Sending) -> None:
        transport = StreamableHTTPServerTransport(mcp_session_id=None)

        async def run(*, task_status: TaskStatus[None]) -> None:
            async with transport.connect() as (incoming, outgoing):
                task_status.started()
                await self._server.run(incoming, outgoing, self._options, stateless=True)

        try:
            async with anyio.create_task_group() as tasks:
                await tasks.start(run)
                try:
                    await transport.handle_request(scope, receive, sending)
                finally:
                    tasks.cancel_scope.cancel()  # the client has its answer, or has gone
        except asyncio.CancelledError:
            # Only a server that has stopped, and waited as long as it may, ends a request so. A client would wait for ever for an
            # answer on a stream that just breaks off.
            await sending.end()


class _Sending:
    """ASGI's `send` for one message: it gives a client that begins the name of its session, and can end what is under way."""

    def __init__(self, send: Send, message: types.JSONRPCMessage) -> None:
        self._send = send
        self._request = message.root if isinstance(message.root, types.JSONRPCRequest) else None
        self._streaming = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            self._streaming = headers.get("content-type", "").startswith("text/event-stream")
            if self._request is not None and self._request.method == "initialize":
                headers[SESSION_HEADER] = uuid.uuid4().hex
        elif not message.get("more_body", False):
            self._streaming = False
        await self._send(message)

    async def end(self) -> None:
        """Answer that the server stops, if the answer is still to come."""
        if self._streaming and self._request is not None:
            error = {"code": types.INTERNAL_ERROR, "message": "The server stops; a run that had begun is listed by list_research."}
            answer = json.dumps({"jsonrpc": "2.0", "id": self._request.id, "error": error})
            await self(_last_part(f"event: message\r\ndata: {answer}\r\n\r\n".encode()))


def _last_part(body: bytes) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": False}


async def _body(request: Request) -> bytes | None:
    """The body, None when it is too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY_BYTES:
            return None
    return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives `body` and then what comes after it."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again


def _refusal(status: int, message: str, code: int = types.INVALID_REQUEST, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}, status, headers=headers)
