"""The guard before every HTTP request and WebSocket."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import metrics
from gateway.guard import refusals
from gateway.guard.access import Access, address_name, origins
from gateway.guard.bodies import Bodies
from gateway.guard.call import CURRENT, Call
from gateway.guard.failures import Failures
from gateway.guard.headers import Headers
from gateway.guard.limits import CallerLimits
from schemas.errors import DeepSearchError
from schemas.settings import Settings
from telemetry.carrying import trace_of

_OPEN = ("/health/live", "/health/ready", "/")
"""What needs no key: the probes, and the web page, which must load before it can ask for one."""
_OPEN_BELOW = "/assets/"
_METRICS = "/metrics"
_POLICY_VIOLATION = 1008


class Door:
    """Lets a request pass when its caller may ask, and tells the rest of the gateway whose it is."""

    def __init__(self, app: ASGIApp, access: Access, limits: CallerLimits) -> None:
        self._app = app
        self._access = access
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] not in ("http", "websocket") or self._is_open(scope):
            await self._app(scope, receive, send)
            return
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        peer = scope["client"][0] if scope.get("client") else None
        version = scope.get("http_version", "")
        try:
            if scope["path"] == _METRICS and self._access.local(headers, peer, version):
                await self._app(scope, receive, send)
                return
            caller = await identified(self._access, self._limits, headers, peer, web=True, version=version)
            call = Call(caller, trace=trace_of(headers))
        except DeepSearchError as error:
            metrics.REFUSED.labels(error.code).inc()
            await self._refuse(error, scope, receive, send)
            return
        CURRENT.set(call)

        async def with_refusal(message: Message) -> None:
            if message["type"] == "http.response.start" and call.refusal is not None and message["status"] >= 400:
                MutableHeaders(scope=message).update(refusals.headers(call.refusal))
            await send(message)

        await self._app(scope, receive, with_refusal)

    @staticmethod
    def _is_open(scope: Scope) -> bool:
        path = scope["path"]
        return scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and (path in _OPEN or path.startswith(_OPEN_BELOW))

    @staticmethod
    async def _refuse(error: DeepSearchError, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": error.code})  # before it is accepted: a 403
        else:
            await refusals.response(scope["path"], error)(scope, receive, send)


async def identified(
    access: Access, limits: CallerLimits, headers: list[tuple[str, str]], peer: str | None, *, web: bool, version: str = ""
) -> str:
    """The caller's name, when it may ask now. Raises what `Access.caller` and `CallerLimits.request` raise."""
    try:
        caller = access.caller(headers, peer, web=web, version=version)
    except DeepSearchError:
        await limits.request(address_name(peer))  # so that nobody tries keys without end
        raise
    await limits.request(caller)
    return caller


def install(app: FastAPI, settings: Settings, access: Access, limits: CallerLimits) -> None:
    """Put the guard around `app`; what comes first here is the innermost."""
    app.add_middleware(Bodies, most_bytes=settings.deepsearch_max_body_bytes)
    app.add_middleware(Door, access=access, limits=limits)
    allowed = origins(settings)
    if allowed:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=allowed,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["*"],  # OpenAI's client sends a dozen of its own, and those of MCP grow with its versions
            expose_headers=["Retry-After", "X-Should-Retry", "Location", "Mcp-Session-Id"],
        )
    app.add_middleware(Failures)
    app.add_middleware(Headers)
    app.add_middleware(metrics.Measured)
