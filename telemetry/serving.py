"""What makes a process of the Flow tell of itself: its logs when it is started, its spans and metrics when its gRPC server is.

A stage's `config.yml` names this module, as it names `schemas.jina_runtime`, so that it is there wherever the stage runs. With
every setting of telemetry unset it changes nothing: no interceptor is added and nothing is imported.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import grpc
from jina.serve.runtimes.servers.grpc import GRPCServer
from jina.serve.runtimes.worker.request_handling import WorkerRequestHandler

from schemas.errors import ERRORS, DeepSearchError
from schemas.jina_runtime import require
from schemas.settings import get_settings
from telemetry import logs, metrics, tracing
from telemetry.carrying import RUN, run_of, trace_of
from telemetry.stage_calls import REPLICA_KEY

_METHODS = frozenset({"/jina.JinaSingleDataRequestRPC/process_single_data", "/jina.JinaSingleDocumentRequestRPC/stream_doc"})
"""How documents arrive; the rest is jina's own business."""


class StageInterceptor(grpc.aio.ServerInterceptor):
    """Before every call to a stage: takes up the trace and the run that it belongs to, and counts it."""

    def __init__(self, stage: str, endpoints: frozenset[str], replica: str) -> None:
        self._stage = stage
        self._endpoints = endpoints
        self._replica = replica

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
        """The method's handler, with telemetry around it."""
        handler = await continuation(details)
        if handler is None or details.method not in _METHODS:
            return handler
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._streaming(handler.unary_stream), handler.request_deserializer, handler.response_serializer
            )
        return grpc.unary_unary_rpc_method_handler(
            self._unary(handler.unary_unary), handler.request_deserializer, handler.response_serializer
        )

    def _unary(self, behaviour: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def watched(request: Any, context: Any) -> Any:
            with self._begun(request, context) as call:
                await self._introduce(context)
                with call.span.current():
                    response = await behaviour(request, context)
                call.answered(response)
                return response

        return watched

    def _streaming(self, behaviour: Callable[..., AsyncGenerator[Any, None]]) -> Callable[..., AsyncIterator[Any]]:
        async def watched(request: Any, context: Any) -> AsyncIterator[Any]:
            with self._begun(request, context) as call:
                await self._introduce(context)
                call.span.stay()  # gRPC gives each call a task of its own
                async with aclosing(behaviour(request, context)) as responses:
                    async for response in responses:
                        call.answered(response)
                        yield response

        return watched

    def _begun(self, request: Any, context: Any) -> _Call:
        endpoint = request.header.exec_endpoint
        return _Call(self._stage, endpoint if endpoint in self._endpoints else "other", context)

    async def _introduce(self, context: Any) -> None:
        if metrics.CALLS.is_kept:
            await context.send_initial_metadata(((REPLICA_KEY, self._replica),))


class _Call:
    """One call to a stage."""

    def __init__(self, stage: str, endpoint: str, context: Any) -> None:
        arrived = [(name, value) for name, value in context.invocation_metadata() if isinstance(value, str)]
        self._labels = (stage, endpoint)
        run = run_of(arrived)
        RUN.set(run)
        self.span = tracing.NOTHING
        if tracing.is_on() and endpoint not in tracing.WATCHING:
            attributes = {"deepsearch.endpoint": endpoint, **({"deepsearch.run_id": run} if run else {})}
            self.span = tracing.span(endpoint, "server", attributes, parent=trace_of(arrived))

    def __enter__(self) -> _Call:
        metrics.CALLS.count(*self._labels)
        metrics.CALLS_IN_FLIGHT.count(*self._labels)
        return self

    def answered(self, response: Any) -> None:
        """jina sends an error in the header of a response."""
        status = response.header.status
        if status.code == status.ERROR:
            self.span.fail(ERRORS.get(status.exception.name, DeepSearchError).code)

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        metrics.CALLS_IN_FLIGHT.count(*self._labels, by=-1)
        if error is not None:
            self.span.fail(error)
        self.span.end()


require(GRPCServer, "setup_server", "shutdown")
_setup_server, _shutdown = GRPCServer.setup_server, GRPCServer.shutdown


async def _set_up(self: Any) -> None:
    """Begin to tell, then listen."""
    settings = get_settings()
    handler = self._request_handler
    if isinstance(handler, WorkerRequestHandler):
        executor = handler._executor
        stage = executor.metas.name
        if settings.deepsearch_stage_metrics:
            loop = asyncio.get_running_loop()
            metrics.TASKS.read(lambda: {(): len(asyncio.all_tasks(loop))})
            self.stage_metrics = metrics.Served(stage, self.host, self.port + metrics.PORT_OFFSET)
        if settings.deepsearch_stage_metrics or settings.otel_exporter_otlp_endpoint or settings.deepsearch_log_format == "json":
            replica = f"{socket.gethostname()}:{self.port}"
            interceptor = StageInterceptor(stage, frozenset(executor.requests), replica)
            self.grpc_tracing_server_interceptors = [*(self.grpc_tracing_server_interceptors or ()), interceptor]
    else:
        stage = "gateway"
    logs.name(stage)
    tracing.start(stage, settings.otel_exporter_otlp_endpoint)
    await _setup_server(self)


async def _shut_down(self: Any) -> None:
    """Finish the calls, then tell what is left to tell."""
    try:
        await _shutdown(self)
    finally:
        await tracing.stop()
        if served := getattr(self, "stage_metrics", None):
            served.close()


GRPCServer.setup_server, GRPCServer.shutdown = _set_up, _shut_down
logs.start(get_settings().deepsearch_log_format)
