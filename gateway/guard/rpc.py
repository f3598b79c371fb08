"""The guard before every gRPC call."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

import anyio
import grpc

import gateway.errors
from gateway import metrics
from gateway.guard.access import Access, grpc_peer
from gateway.guard.call import CURRENT, Call
from gateway.guard.http import identified
from gateway.guard.limits import CallerLimits
from schemas.errors import DeepSearchError
from schemas.settings import Settings
from telemetry.carrying import trace_of

_OPEN = "/grpc.health.v1.Health/"
_MOST_METADATA_BYTES = 16_384
_KEEPALIVE_MILLISECONDS = 60_000
_FIRST_MESSAGE_SECONDS = 5.0


def server_options(settings: Settings) -> dict[str, int]:
    """Options of the gRPC server: the largest request, and a sign of life from silent clients, without which they are cut off."""
    return {
        "grpc.max_receive_message_length": settings.deepsearch_max_body_bytes,
        "grpc.max_metadata_size": _MOST_METADATA_BYTES,
        "grpc.keepalive_time_ms": _KEEPALIVE_MILLISECONDS,
    }


class RpcGuard(grpc.aio.ServerInterceptor):
    """Lets a call pass when its caller may ask, tells the rest of the gateway whose it is, and measures it.

    The key is metadata: `authorization` with `Bearer KEY`, or `x-api-key`. Only the health service needs none.
    """

    def __init__(self, access: Access, limits: CallerLimits) -> None:
        self._access = access
        self._limits = limits

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
        """The method's handler, with the guard before it."""
        handler = await continuation(details)
        if handler is None or details.method.startswith(_OPEN):
            return handler
        behaviour: Callable[..., Any]
        if not handler.response_streaming:
            make = grpc.stream_unary_rpc_method_handler if handler.request_streaming else grpc.unary_unary_rpc_method_handler
            behaviour = self._unary(details.method, handler.stream_unary if handler.request_streaming else handler.unary_unary)
        else:
            make = grpc.stream_stream_rpc_method_handler if handler.request_streaming else grpc.unary_stream_rpc_method_handler
            behaviour = self._streaming(details.method, handler.stream_stream if handler.request_streaming else handler.unary_stream)
        return make(behaviour, handler.request_deserializer, handler.response_serializer)

    def _unary(self, method: str, behaviour: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def guarded(request: Any, context: Any) -> Any:
            with _Measured(method, context):
                await self._admit(request, context)
                return await behaviour(request, context)

        return guarded

    def _streaming(self, method: str, behaviour: Callable[..., Any]) -> Callable[..., Awaitable[None]]:
        assert inspect.isasyncgenfunction(behaviour), method

        # It writes instead of yielding: a client that leaves while an answer is sent cancels a coroutine, but only drops a generator.
        async def guarded(request: Any, context: Any) -> None:
            with _Measured(method, context), metrics.STREAMS.track_inprogress():
                await self._admit(request, context)
                async with aclosing(behaviour(request, context)) as answers:
                    async for answer in answers:
                        await context.write(answer)

        return guarded

    async def _admit(self, request: Any, context: Any) -> None:
        metadata = [(name, value) for name, value in context.invocation_metadata() if isinstance(value, str)]
        try:
            caller = await identified(self._access, self._limits, metadata, grpc_peer(context.peer()), web=False)
            CURRENT.set(Call(caller, trace=trace_of(metadata)))
        except DeepSearchError as error:
            metrics.REFUSED.labels(error.code).inc()
            if hasattr(request, "__aiter__"):
                # A client that is still sending when its call ends tells its user of an internal error, and not of this one.
                with anyio.move_on_after(_FIRST_MESSAGE_SECONDS):
                    await anext(aiter(request), None)
            await gateway.errors.abort(context, error)


class _Measured:
    """Counts a call and its time, under the name of its method, which is one of the server's own."""

    def __init__(self, method: str, context: Any) -> None:
        self._method, self._context = method, context

    def __enter__(self) -> None:
        self._begun = time.monotonic()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, asyncio.CancelledError):
            status = "CANCELLED"
        else:
            code = self._context.code()
            status = code.name if isinstance(code, grpc.StatusCode) else "OK" if error is None else "UNKNOWN"
        metrics.REQUESTS.labels("grpc", self._method, "POST", status).inc()
        metrics.REQUEST_SECONDS.labels("grpc", self._method).observe(time.monotonic() - self._begun)
