"""Where this project departs from jina 3.34, each with its reason. Everything is checked when the module is imported.

The gateway's share is a subclass, `EndpointStreamer`; what the process that starts a Flow needs is replaced in place.
What stages need as well is in `schemas/jina_runtime.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import jina.jaml.helper
import jina.orchestrate.orchestrator
from docarray import DocList
from grpc.aio import AioRpcError
from jina.excepts import InternalNetworkError
from jina.proto import jina_pb2
from jina.serve.networking import GrpcConnectionPool
from jina.serve.networking.connection_stub import _ConnectionStubs
from jina.serve.runtimes.gateway.streamer import GatewayStreamer
from jina.types.request.data import DataRequest, SingleDocumentRequest

from gateway import carriable
from gateway.errors import from_network, from_status
from gateway.guard import owners
from gateway.passing import passing
from schemas.errors import DeepSearchError, InvalidRequest
from schemas.jina_runtime import require
from telemetry import carrying

require(
    GatewayStreamer,
    "_get_endpoints_input_output_models",
    "_validate_flow_docarray_compatibility",
    "rpc_stream_doc",
    "stream_doc",
    "stream_docs",
    "close",
)
require(GrpcConnectionPool, "_handle_aiorpcerror")
require(_ConnectionStubs, "_init_stubs")

_MOST_AT_ONCE = 100
"""Requests of one call that are under way at once."""


class EndpointStreamer(GatewayStreamer):
    """A streamer for a Flow in which each endpoint belongs to one Executor, and whose failures are errors of our tree."""

    _endpoints_models_map: dict[str, dict[str, Any]]

    @classmethod
    def adopt(cls, streamer: GatewayStreamer) -> None:
        """Make jina's own streamer one of these. jina builds it inside its request handler, where no class can be chosen."""
        streamer.__class__ = cls

    def stage_of(self, endpoint: str) -> Any:
        """The node of the graph whose Executor binds `endpoint`, None when none does."""
        for node in self.topology_graph.all_nodes:
            if endpoint in (node._pydantic_models_by_endpoint or {}):
                return node
        return None

    def check(self, endpoint: str, *, streams: bool) -> None:
        """Raise `InvalidRequest` unless an Executor binds `endpoint` and it answers in the way it is called.

        jina answers an unknown endpoint with the request itself, as if it were the result.
        """
        models = self._endpoints_models_map.get(endpoint)
        if models is None:
            known = ", ".join(name for name in self._endpoints_models_map if name.startswith("/"))
            raise InvalidRequest(f"No stage has the endpoint {endpoint or '(none)'}; there are {known}.", field="endpoint")
        if models["is_generator"] and not streams:
            raise InvalidRequest(f"{endpoint} answers with a stream: call it with stream_doc, not with post.", field="endpoint")
        if streams and not models["is_generator"]:
            raise InvalidRequest(f"{endpoint} answers once: call it with post, not with stream_doc.", field="endpoint")

    async def permit(self, endpoint: str) -> None:
        """Raise what keeps the current caller from asking `endpoint` now; here nothing does."""

    async def _get_endpoints_input_output_models(self, is_cancel: Any) -> None:
        """Each endpoint has the documents of the Executor that binds it.

        jina follows an endpoint through the whole chain and takes what the *last* node makes of it, which is nothing when
        that node does not bind the endpoint: the gateway then dies at start.
        """
        endpoints = await self.topology_graph._get_all_endpoints(self._connection_pool, retry_forever=True, is_cancel=is_cancel)
        self._endpoints_models_map = {
            endpoint: dict(self.stage_of(endpoint)._pydantic_models_by_endpoint[endpoint]) for endpoint in sorted(endpoints or ())
        }

    def _validate_flow_docarray_compatibility(self) -> None:
        """Nothing to check: jina demands that neighbours bind the same endpoints, but no document of ours passes between them."""

    async def answers(self, requests: AsyncIterator[DataRequest]) -> AsyncGenerator[DataRequest, None]:
        """Send unary requests on and yield the responses as they come. Who closes or cancels this ends the work of the stages too.

        Raises the first failure of a stage at once, and that of `requests` after the responses to what came before it.
        """
        source = aiter(requests)
        coming: asyncio.Future[DataRequest] | None = asyncio.ensure_future(anext(source))
        sent: set[asyncio.Future[DataRequest]] = set()
        failure: DeepSearchError | None = None
        try:
            while coming or sent:
                waited_for = {*sent, coming} if coming and len(sent) < _MOST_AT_ONCE else sent
                done, _ = await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
                if coming in done:
                    try:
                        sent.add(asyncio.ensure_future(self.cancellable(coming.result())))
                        coming = asyncio.ensure_future(anext(source))
                    except StopAsyncIteration:
                        coming = None
                    except DeepSearchError as error:
                        coming, failure = None, error
                for response in done & sent:
                    sent.discard(response)
                    yield response.result()
        finally:
            left = [*sent, coming] if coming else [*sent]
            for future in left:
                future.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        if failure is not None:
            raise failure

    async def cancellable(self, request: DataRequest, documents: Any = None) -> DataRequest:
        """Send one unary request on and return the response; who is cancelled meanwhile ends the stage's work too.

        jina lets a call to a stage go on whatever becomes of the client. `documents` is the list that the response is to hold
        in this process, None where it only travels on. Raises the stage's failure.
        """
        endpoint = request.header.exec_endpoint
        self.check(endpoint, streams=False)
        _refuse_target(request.header.target_executor)
        _refuse_bytes(request)
        node, asked = self.stage_of(endpoint), request.proto_with_data.data.docs.docs
        owners.sign(asked, self._endpoints_models_map[endpoint]["input"])
        span = passing(endpoint, next(iter(asked), None))
        metadata = (("endpoint", endpoint), *carrying.metadata(span))
        async with self._connection_to(node) as connection:
            with span.ending():
                sent = connection.single_data_stub.process_single_data(
                    request, metadata=metadata, compression=self._connection_pool.compression, timeout=node._timeout_send
                )
                try:
                    response: DataRequest = await sent
                finally:
                    sent.cancel()  # does nothing to a call that is done
                if response.header.status.code == jina_pb2.StatusProto.ERROR:
                    raise from_status(response.header.status)
        response.document_array_cls = documents or DocList.__class_getitem__(self._endpoints_models_map[endpoint]["output"])
        return response

    @asynccontextmanager
    async def _connection_to(self, node: Any, *, streams: bool = False) -> AsyncIterator[Any]:
        """A connection to the next replica of a stage, for one call. What fails on the way there is raised as an error of our tree.

        But a stream that breaks off without a word of why just ends, as with jina: who reads it knows its last message.
        """
        pool = self._connection_pool
        replicas = pool._connections.get_replicas(node.name, True)
        connection = await replicas.get_next_connection(num_retries=1)
        try:
            if not connection._initialized:
                await connection._init_stubs()
            yield connection
        except AioRpcError as error:
            address = connection.address
            failure = await pool._handle_aiorpcerror(
                error, tried_addresses={address}, current_address=address, current_deployment=node.name, connection_list=replicas
            )
            if streams and failure is None:
                return
            if not isinstance(failure, InternalNetworkError):
                failure = InternalNetworkError(error, dest_addr={address}, details=error.details())
            raise from_network(failure, self._executor_addresses) from error

    async def rpc_stream_doc(self, request: Any, return_type: Any = DocList, **_: Any) -> AsyncGenerator[Any, None]:
        """Send a streaming request to the Executor that binds its endpoint; jina sends it to the first of the chain.

        Who closes this ends the work of the stage at once. jina only drops its call, which is part of a reference cycle: the stage
        would go on until the garbage collector comes by.
        """
        endpoint = request.header.exec_endpoint
        self.check(endpoint, streams=True)
        _refuse_target(request.header.target_executor)
        node, models = self.stage_of(endpoint), self._endpoints_models_map[endpoint]
        request.document_cls = models["input"]
        owners.sign([request.proto_with_data.document], models["input"])
        with passing(endpoint, request.proto_with_data.document).ending() as span:
            metadata = (("endpoint", endpoint), *carrying.metadata(span))
            async with self._connection_to(node, streams=True) as connection:
                sent = connection.stream_doc_stub.stream_doc(
                    request, metadata=metadata, compression=self._connection_pool.compression, timeout=node._timeout_send
                )
                try:
                    async for response in sent:
                        response.document_cls = models["output"]
                        yield response
                finally:
                    sent.cancel()  # does nothing to a call that is done

    async def stream_docs(
        self, docs: DocList[Any], *, exec_endpoint: str | None = None, return_type: Any = None, return_results: bool = False, **header: Any
    ) -> AsyncIterator[Any]:
        """As jina's, for callers in this process, but in one request, which ends with its caller, and a failure is raised.

        jina makes a request of each hundred documents, of which its HTTP route answers the first, and hands a failure on inside
        a response. Raises `InvalidRequest` for a document that cannot travel.
        """
        if exec_endpoint is None:  # jina's own probe, which reaches no stage
            yield docs
            return
        response = await self.cancellable(_request(docs, exec_endpoint, **header), return_type)
        yield response if return_results else response.docs

    async def stream_doc(self, doc: Any, return_results: bool = False, *, exec_endpoint: str = "", **_: Any) -> AsyncGenerator[Any, None]:
        """As jina's, for callers in this process; yields `(document, None)` and raises a failure, also for what cannot travel."""
        carriable.check(doc)
        request = SingleDocumentRequest()
        request.document_cls = type(doc)
        request.data.doc = doc
        request.header.exec_endpoint = exec_endpoint
        async with aclosing(self.rpc_stream_doc(request)) as responses:
            async for response in responses:
                if response.header.status.code == jina_pb2.StatusProto.ERROR:
                    raise from_status(response.header.status)
                yield (response if return_results else response.data.doc), None

    async def close(self) -> None:
        """Close the connections to the stages. jina first spins until no floating Executor works; a client that leaves in the middle
        of a call can make that for ever, and this Flow has none."""
        await self._connection_pool.close()


def _request(
    docs: DocList[Any], endpoint: str, *, target_executor: str | None = None, request_id: str | None = None, **_: Any
) -> DataRequest:
    """The documents as one request, without jina's `parameters`: no stage takes any, and not all JSON could travel.

    Raises `InvalidRequest` for what cannot travel.
    """
    _refuse_target(target_executor)
    for doc in docs:
        carriable.check(doc)
    carriable.check(request_id or "", "header.request_id")  # after the documents: it may be the first one's id
    request = DataRequest()
    request.document_array_cls = type(docs)
    request.data.docs = docs
    request.header.exec_endpoint = endpoint
    if request_id:
        request.header.request_id = request_id
    return request


def _refuse_target(target: str | None) -> None:
    """Raise `InvalidRequest` when a request names a `target_executor`.

    jina takes it for a regular expression: one that fits no stage makes the request its own answer, one that is none fails,
    and one that is made for it takes for ever, and the whole gateway with it.
    """
    if target:
        raise InvalidRequest("target_executor: leave it out, each endpoint belongs to one stage", field="header.target_executor")


def _refuse_bytes(request: DataRequest) -> None:
    """Raise `InvalidRequest` for documents that travel as bytes in a field of their own, which no client of jina sends.

    The stages would read them, and nothing of what the gateway looks at or writes there would count.
    """
    if request.proto_with_data.data.WhichOneof("documents") == "docs_bytes":
        raise InvalidRequest("data.docs_bytes: send the documents as data.docs", field="data")


# jina asks three web sites for this machine's public address at every start of a Flow, only to print it.
require(jina.orchestrate.orchestrator, "get_public_ip")
jina.orchestrate.orchestrator.get_public_ip = lambda *_, **__: None


# The folder of a bare `flow.yml` is an empty string, which jina's parser turns into None and then cannot join to a path.
require(jina.jaml.helper, "_search_file_in_paths")
_search_file_in_paths = jina.jaml.helper._search_file_in_paths


def _search(path: str, extra_search_paths: list[str | None] | None = None) -> str | None:
    found: str | None = _search_file_in_paths(path, [folder or "." for folder in extra_search_paths or []])
    return found


jina.jaml.helper._search_file_in_paths = _search
