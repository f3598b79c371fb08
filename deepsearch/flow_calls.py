"""The endpoints of a running Flow, called from outside over gRPC or HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
from docarray import BaseDoc, DocList

from schemas.errors import ERRORS, DeadlineExceeded, DeepSearchError, InvalidRequest, LimitReached, StageUnavailable, from_code, from_wire

Result = TypeVar("Result", bound=BaseDoc)

_CONNECT_SECONDS = 10.0
_SILENCE_SECONDS = 330.0
"""A server is gone when it sends nothing for this long: no call that a run makes takes more than 300 s."""


_OF_STATUS: dict[str, type[DeepSearchError]] = {"RESOURCE_EXHAUSTED": LimitReached, "DEADLINE_EXCEEDED": DeadlineExceeded}
"""What a gRPC status means that several errors have."""


class FlowCalls:
    """Calls a Flow's endpoints, typed.

    Every failure is raised as an error of `schemas.errors`; a Flow that cannot be reached is `StageUnavailable`.
    """

    def __init__(self, address: str, api_key: str | None = None) -> None:
        """`address` is `grpc(s)://host:port` or `http(s)://host:port`; `api_key` is for a Flow that asks for one.

        Raises `InvalidRequest` when the address is neither.
        """
        try:
            parts = urlsplit(address)
            if parts.scheme not in ("grpc", "grpcs", "http", "https") or not parts.hostname or ("grpc" in parts.scheme and not parts.port):
                raise ValueError
        except ValueError:
            raise InvalidRequest(f"{address!r} is no address of a Flow; give grpc://host:port or http://host:port", field="host") from None
        self._address = address.rstrip("/")
        self._scheme = parts.scheme
        self._key = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._http: httpx.AsyncClient | None = None
        self._channel: Any = None

    async def close(self) -> None:
        """Release the connections."""
        if self._http is not None:
            await self._http.aclose()
        if self._channel is not None:
            await self._channel.close()

    async def call(self, endpoint: str, request: BaseDoc, returns: type[Result]) -> Result:
        """Send `request` to a unary endpoint and return its answer."""
        if "grpc" in self._scheme:
            return await self._call_grpc(endpoint, request, returns)
        try:
            response = await self._web().post(self._address + endpoint, json={"data": [_body(request)]})
        except httpx.TransportError as error:
            raise StageUnavailable(self._unreachable(str(error) or type(error).__name__)) from error
        if response.status_code != httpx.codes.OK:
            raise self._http_error(response.status_code, response.text, endpoint)
        return returns.model_validate(response.json()["data"][0])

    async def stream(self, endpoint: str, request: BaseDoc, returns: type[Result]) -> AsyncGenerator[Result, None]:
        """Send `request` to a streaming endpoint and yield what comes. Closing it early cancels the call."""
        pieces: Any = self._stream_grpc if "grpc" in self._scheme else self._stream_http
        async with aclosing(pieces(endpoint, request, returns)) as found:
            async for piece in found:
                yield piece

    def _web(self) -> httpx.AsyncClient:
        if self._http is None:
            self._http = httpx.AsyncClient(headers=self._key, timeout=httpx.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS))
        return self._http

    async def _stream_http(self, endpoint: str, request: BaseDoc, returns: type[Result]) -> AsyncGenerator[Result, None]:
        try:
            async with self._web().stream("GET", self._address + endpoint, json=_body(request)) as response:
                if response.status_code != httpx.codes.OK:
                    raise self._http_error(response.status_code, (await response.aread()).decode(errors="replace"), endpoint)
                async for kind, data in _server_sent_events(response.aiter_lines()):
                    if kind == "error":
                        raise self._http_error(response.status_code, data, endpoint)
                    if kind == "update":
                        yield returns.model_validate_json(data)
        except httpx.TransportError as error:
            raise StageUnavailable(self._unreachable(str(error) or type(error).__name__)) from error

    # jina takes half a second to import, and HTTP needs none of it. Its stubs are used and not its Client, which leaves a
    # call running when its reader goes, replaces statuses by exceptions of its own and prints them.

    def _stubs(self, stub: str) -> Any:
        from jina.proto import jina_pb2_grpc  # noqa: PLC0415
        from jina.serve.networking.utils import get_grpc_channel  # noqa: PLC0415

        if self._channel is None:
            self._channel = get_grpc_channel(urlsplit(self._address).netloc, asyncio=True, tls=self._scheme == "grpcs")
        return getattr(jina_pb2_grpc, stub)(self._channel)

    async def _call_grpc(self, endpoint: str, request: BaseDoc, returns: type[Result]) -> Result:
        from grpc.aio import AioRpcError  # noqa: PLC0415
        from jina.types.request.data import DataRequest  # noqa: PLC0415

        kind: Any = type(request)
        message = DataRequest()
        message.header.exec_endpoint = endpoint
        message.document_array_cls = DocList[kind]
        message.data.docs = DocList[kind]([request])
        stub = self._stubs("JinaSingleDataRequestRPCStub")
        try:
            response = await stub.process_single_data(message, metadata=tuple(self._key.items()))
        except AioRpcError as error:
            raise self._status_error(error.code().name, " ".join((error.details() or "").split())) from error
        response.document_array_cls = DocList[returns]  # type: ignore[valid-type]
        answer: Result = response.docs[0]
        return answer

    async def _stream_grpc(self, endpoint: str, request: BaseDoc, returns: type[Result]) -> AsyncGenerator[Result, None]:
        from grpc.aio import AioRpcError  # noqa: PLC0415
        from jina.proto.jina_pb2 import StatusProto  # noqa: PLC0415
        from jina.types.request.data import SingleDocumentRequest  # noqa: PLC0415

        message = SingleDocumentRequest()
        message.header.exec_endpoint = endpoint
        message.document_cls = type(request)
        message.data.doc = request
        call = self._stubs("JinaSingleDocumentRequestRPCStub").stream_doc(message, metadata=tuple(self._key.items()))
        try:
            async for response in call:
                status = response.header.status
                if status.code == StatusProto.ERROR:
                    raise from_wire(status.exception.name, list(status.exception.args), status.description)
                yield returns.from_protobuf(response.document)
        except AioRpcError as error:
            raise self._status_error(error.code().name, " ".join((error.details() or "").split())) from error
        finally:
            call.cancel()

    def _unreachable(self, cause: str) -> str:
        return f"no Flow answers at {self._address} ({cause}); start one with `deepsearch serve`, or correct the address"

    def _status_error(self, status: str, details: str) -> DeepSearchError:
        if status == "UNIMPLEMENTED":
            return StageUnavailable(self._unreachable("something else listens there"))
        if status == "UNAVAILABLE":
            return StageUnavailable(self._unreachable("connection refused") if "failed to connect" in details else details)
        kind = _OF_STATUS.get(status) or next((kind for kind in ERRORS.values() if kind.grpc_status == status), DeepSearchError)
        return kind(details or f"{self._address} answered {status}")

    def _http_error(self, status: int, body: str, endpoint: str) -> DeepSearchError:
        """The error that an HTTP answer other than 200 stands for: by its code when the body names one, otherwise by its status."""
        try:
            document = json.loads(body)
        except ValueError:
            document = {}
        error = document.get("error") if isinstance(document, dict) else None
        if isinstance(error, dict) and error.get("code"):
            return from_code(str(error["code"]), str(error.get("message", "")), str(error.get("field") or ""))
        kind = next((kind for kind in ERRORS.values() if kind.http_status == status), DeepSearchError)
        return kind(f"{self._address} answered {status} to {endpoint}; is it a DeepSearch Flow?")


def _body(request: BaseDoc) -> Any:
    """The request as JSON, without document ids and without what has its default."""
    return json.loads(request.model_dump_json(exclude_defaults=True, exclude={"id"}))


async def _server_sent_events(lines: AsyncIterator[str]) -> AsyncIterator[tuple[str, str]]:
    """Name and data of each server-sent event, by the rules of the HTML standard: an empty line ends an event."""
    name, data = "message", list[str]()
    async for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
        elif not line:
            if data:
                yield name, "\n".join(data)
            name, data = "message", []
