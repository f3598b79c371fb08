"""The door of the Flow: gRPC and HTTP, every stage's endpoints on both, and the project's own HTTP routes."""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI
from jina.proto import jina_pb2
from jina.serve.runtimes.gateway.composite import CompositeGateway
from jina.serve.runtimes.gateway.request_handling import GatewayRequestHandler
from jina.serve.runtimes.servers.grpc import GRPCServer
from jina.serve.runtimes.servers.http import HTTPServer
from jina.types.request.data import DataRequest, SingleDocumentRequest

import gateway.docs_page
import gateway.downloads
import gateway.errors
import gateway.health
import gateway.jobs
import gateway.mcp
import gateway.metrics
import gateway.openai
import gateway.openapi
import gateway.page
import gateway.streams
import gateway.websocket
import telemetry.serving  # noqa: F401  (the gateway's spans and logs)
from gateway.calls import StageCalls
from gateway.continuing import Continuing
from gateway.guard import connections, http, rpc
from gateway.guard.access import Access
from gateway.guard.limits import CallerLimits
from gateway.guard.runs import GuardedStreamer, Runs
from gateway.guard.tls import certificate
from schemas.errors import DeepSearchError, StageUnavailable
from schemas.settings import get_settings

_LAST_WORDS_SECONDS = 1.0


class RequestHandler(GatewayRequestHandler):
    """Answers gRPC calls. A failure ends the call with its gRPC status and one line."""

    streamer: GuardedStreamer

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.leaving = False
        """Whether it was told to stop; it still takes calls for LEAVING_SECONDS."""
        self.stopping = asyncio.Event()
        """Set when it takes no more calls."""
        settings = get_settings()
        self.access, self.limits = Access(settings), CallerLimits(settings)
        continuing = Continuing(settings.deepsearch_lease_seconds, self.stopping)
        GuardedStreamer.guard(self.streamer, Runs(settings, self.limits), continuing)

    async def stream(
        self, request_iterator: AsyncIterator[DataRequest], context: Any = None, *_: Any, **__: Any
    ) -> AsyncIterator[DataRequest]:
        """Unary endpoints, any number of requests on one call: what `jina.Client.post` does.

        In order, when the client asks for it, means one after the other, because jina's way of ordering sometimes waits for ever.
        The client's `prefetch` is not heeded: jina would spin while that many requests are under way.
        """
        try:
            if dict(context.invocation_metadata()).get("__results_in_order__") == "true":
                async for request in request_iterator:
                    yield await self._answer(request)
            else:
                async with aclosing(self.streamer.answers(request_iterator)) as answers:
                    async for answer in answers:
                        yield answer
        except DeepSearchError as error:
            await gateway.errors.abort(context, error)

    Call = stream

    async def process_single_data(self, request: DataRequest, context: Any = None) -> DataRequest:
        """Unary endpoints, one request: what `jina.Client.post(..., stream=False)` and plain gRPC clients do."""
        try:
            return await self._answer(request)
        except DeepSearchError as error:
            await gateway.errors.abort(context, error)

    async def _answer(self, request: DataRequest) -> DataRequest:
        async def one() -> AsyncIterator[DataRequest]:
            yield request

        (answer,) = [answer async for answer in self.streamer.answers(one())]
        return answer

    async def stream_doc(self, request: SingleDocumentRequest, context: Any) -> AsyncIterator[SingleDocumentRequest]:
        """Streaming endpoints: what `jina.Client.stream_doc` does."""
        try:
            async with aclosing(self.streamer.rpc_stream_doc(request=request)) as answers:
                async for answer in answers:
                    if answer.header.status.code == jina_pb2.StatusProto.ERROR:
                        raise gateway.errors.from_status(answer.header.status)
                    yield answer
        except DeepSearchError as error:
            await gateway.errors.abort(context, error)

    async def dry_run(self, empty: Any, context: Any) -> jina_pb2.StatusProto:
        """Whether every stage answers: what `jina.Client.is_flow_ready` asks."""
        try:
            if self.leaving:
                raise StageUnavailable("The gateway is stopping; ask another one.")
            await gateway.health.check(addresses(self.runtime_args))
        except DeepSearchError as error:
            return jina_pb2.StatusProto(code=jina_pb2.StatusProto.ERROR, description=str(error))
        return jina_pb2.StatusProto(code=jina_pb2.StatusProto.SUCCESS)


def addresses(runtime_args: Any) -> dict[str, list[str]]:
    """host:port of each stage's replicas, from what jina tells its gateway."""
    deployments = json.loads(runtime_args.deployments_addresses)
    return {stage: [urlsplit(address).netloc or address for address in replicas] for stage, replicas in deployments.items()}


class Http(HTTPServer):
    """The HTTP side. jina's routes stay: a POST for each unary endpoint, /docs, /openapi.json, /status."""

    @property
    def app(self) -> FastAPI:
        """The application. A protocol is a module with `install(app, ...)`, named here."""
        with warnings.catch_warnings():  # jina writes its pydantic models in the words of pydantic 1
            warnings.filterwarnings("ignore", message="Valid config keys have changed in V2")
            app: FastAPI = super().app
        app.router.on_shutdown.clear()  # jina's hook closes the connections to the stages, which gRPC calls may still use
        app.state.stopping = self._request_handler.stopping
        gateway.errors.install(app)
        gateway.streams.install(app, self.streamer)
        gateway.websocket.install(app, self.streamer)
        gateway.jobs.install(app, StageCalls(self.streamer))
        gateway.downloads.install(app, StageCalls(self.streamer))
        gateway.openai.install(app, StageCalls(self.streamer))
        gateway.mcp.install(app, StageCalls(self.streamer))
        gateway.page.install(app)
        gateway.health.install(app, addresses(self.runtime_args), lambda: self._request_handler.leaving)
        gateway.metrics.install(app)
        gateway.docs_page.install(app)
        gateway.openapi.install(app)
        handler = self._request_handler
        http.install(app, get_settings(), handler.access, handler.limits)
        return app

    async def shutdown(self) -> None:
        """Take calls for LEAVING_SECONDS more, then let those in flight finish; those that are cut off may tell their clients so."""
        await asyncio.sleep(get_settings().leaving_seconds)
        self._request_handler.stopping.set()
        await super().shutdown()
        if cut := set(self.server.server_state.tasks):
            await asyncio.wait(cut, timeout=_LAST_WORDS_SECONDS)


class Grpc(GRPCServer):
    """The gRPC side: jina's services, reflection and health."""

    def __init__(self, grpc_server_options: dict[str, Any] | None = None, **kwargs: Any) -> None:
        options = {**rpc.server_options(get_settings()), **(grpc_server_options or {})}
        super().__init__(grpc_server_options=options, **kwargs)
        handler = self._request_handler
        guard = rpc.RpcGuard(handler.access, handler.limits)
        self.grpc_tracing_server_interceptors: list[Any] = [guard, *(self.grpc_tracing_server_interceptors or ())]


class ResearchGateway(CompositeGateway):
    """One process that serves gRPC and HTTP; ports and protocols come from the Flow."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "req_handler_cls": RequestHandler})
        settings = get_settings()
        connections.allow_connections()
        files = certificate(settings)
        web = connections.server_options(settings, files)
        tls = {"ssl_certfile": files.chain, "ssl_keyfile": files.key} if files else {}
        self.servers = [
            Http(**server, uvicorn_kwargs=web) if str(server["runtime_args"]["protocol"]).lower() == "http" else Grpc(**{**server, **tls})
            for server in self._server_kwargs
        ]

    async def setup_server(self) -> None:
        """Start both servers. A stop signal must reach them too: while they wait for the stages, jina tells only the gateway."""
        for server in self.servers:
            server.is_cancel = self.is_cancel
        await super().setup_server()

    async def shutdown(self) -> None:
        """Drain both servers, then close the connections to the stages, which both use. jina calls this twice."""
        if self._request_handler.leaving:
            return
        self._request_handler.leaving = True
        await super().shutdown()
        await self._request_handler.close()
