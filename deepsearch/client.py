"""A client of a running Flow: the same two calls as `deepsearch.local`, over gRPC or HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import httpx
from typing_extensions import Self

from schemas.errors import ERRORS, DeepSearchError, InvalidRequest, StageUnavailable, from_code, from_wire
from schemas.events import ResearchEvent, RunEnded
from schemas.research import ResearchAnswer, ResearchRequest

STREAM = "/research/stream"
_CONNECT_SECONDS = 10.0
_SILENCE_SECONDS = 330.0
"""A server is gone when it sends nothing for this long: no call that a run makes takes more than 300 s."""


class DeepSearchClient:
    """Asks a running Flow.

        async with DeepSearchClient("grpc://127.0.0.1:8081") as client:
            answer = await client.ask(ResearchRequest(question="..."))

    Every failure is raised as an error of `schemas.errors`; a Flow that cannot be reached is `StageUnavailable`.
    """

    def __init__(self, address: str) -> None:
        """`address` is `grpc://host:port` or `http(s)://host:port`. Raises `InvalidRequest` when it is neither."""
        try:
            parts = urlsplit(address)
            if parts.scheme not in ("grpc", "http", "https") or not parts.hostname or (parts.scheme == "grpc" and not parts.port):
                raise ValueError
        except ValueError:
            raise InvalidRequest(f"{address!r} is no address of a Flow; give grpc://host:port or http://host:port", field="host") from None
        self._address = address.rstrip("/")
        self._scheme = parts.scheme
        self._http: httpx.AsyncClient | None = None
        self._channel: Any = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """Release the connections."""
        if self._http is not None:
            await self._http.aclose()
        if self._channel is not None:
            await self._channel.close()

    async def ask(self, request: ResearchRequest) -> ResearchAnswer:
        """The finished answer. Leaving early ends the run, because it is a stream that is read here."""
        return await final_answer(self.stream(request))

    async def stream(self, request: ResearchRequest) -> AsyncGenerator[ResearchEvent, None]:
        """The run's events as they happen, the last one being `run_ended`. Closing it early interrupts the run, which is kept."""
        events = self._stream_grpc(request) if self._scheme == "grpc" else self._stream_http(request)
        async with aclosing(events):
            async for event in events:
                yield event

    async def _stream_grpc(self, request: ResearchRequest) -> AsyncGenerator[ResearchEvent, None]:
        # jina takes half a second to import, and HTTP needs none of it. Its stub is used and not its Client, which leaves the
        # call running when its reader goes, replaces statuses by exceptions of its own and prints them.
        from grpc.aio import AioRpcError  # noqa: PLC0415
        from jina.proto.jina_pb2 import StatusProto  # noqa: PLC0415
        from jina.proto.jina_pb2_grpc import JinaSingleDocumentRequestRPCStub  # noqa: PLC0415
        from jina.serve.networking.utils import get_grpc_channel  # noqa: PLC0415
        from jina.types.request.data import SingleDocumentRequest  # noqa: PLC0415

        if self._channel is None:
            self._channel = get_grpc_channel(urlsplit(self._address).netloc, asyncio=True)
        message = SingleDocumentRequest()
        message.header.exec_endpoint = STREAM
        message.document_cls = ResearchRequest
        message.data.doc = request
        call = JinaSingleDocumentRequestRPCStub(self._channel).stream_doc(message)
        try:
            async for response in call:
                status = response.header.status
                if status.code == StatusProto.ERROR:
                    raise from_wire(status.exception.name, list(status.exception.args), status.description)
                yield ResearchEvent.from_protobuf(response.document)
        except AioRpcError as error:
            raise self._status_error(error.code().name, " ".join((error.details() or "").split())) from error
        finally:
            call.cancel()

    async def _stream_http(self, request: ResearchRequest) -> AsyncGenerator[ResearchEvent, None]:
        if self._http is None:
            self._http = httpx.AsyncClient(timeout=httpx.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS))
        body = request.model_dump(mode="json", exclude_defaults=True) | {"question": request.question}
        try:
            async with self._http.stream("GET", self._address + STREAM, json=body) as response:
                if response.status_code != httpx.codes.OK:
                    raise _http_error(response.status_code, (await response.aread()).decode(errors="replace"), self._address)
                async for kind, data in _server_sent_events(response.aiter_lines()):
                    if kind == "error":
                        raise _http_error(response.status_code, data, self._address)
                    if kind == "update":
                        yield ResearchEvent.model_validate_json(data)
        except httpx.TransportError as error:
            raise StageUnavailable(self._unreachable(str(error) or type(error).__name__)) from error

    def _unreachable(self, cause: str) -> str:
        return f"no Flow answers at {self._address} ({cause}); start one with `deepsearch serve`, or correct the address"

    def _status_error(self, status: str, details: str) -> DeepSearchError:
        if status == "UNIMPLEMENTED":
            return StageUnavailable(self._unreachable("something else listens there"))
        if status == "UNAVAILABLE":
            return StageUnavailable(self._unreachable("connection refused") if "failed to connect" in details else details)
        kind = next((kind for kind in ERRORS.values() if kind.grpc_status == status), DeepSearchError)
        return kind(details or f"{self._address} answered {status}")


async def final_answer(events: AsyncIterator[ResearchEvent]) -> ResearchAnswer:
    """The answer with which a stream of events ends. Raises the error with which a run failed, or that it was cancelled."""
    ended: RunEnded | None = None
    async for event in events:
        if event.type == "run_ended":
            ended = RunEnded.model_validate(event.data)
    if ended is None:
        raise StageUnavailable("the stream ended before the run did; the server may have been stopped")
    if ended.outcome == "failed":
        raise from_code(ended.code, ended.message)
    if ended.answer is None:
        raise DeepSearchError("the run was cancelled before there was an answer")
    return ended.answer


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


def _http_error(status: int, body: str, address: str) -> DeepSearchError:
    """The error that an HTTP answer other than 200 stands for: by its code when the body names one, otherwise by its status."""
    try:
        document = json.loads(body)
    except ValueError:
        document = {}
    error = document.get("error") if isinstance(document, dict) else None
    if isinstance(error, dict) and error.get("code"):
        return from_code(str(error["code"]), str(error.get("message", "")))
    kind = next((kind for kind in ERRORS.values() if kind.http_status == status), DeepSearchError)
    return kind(f"{address} answered {status} to {STREAM}; is it a DeepSearch Flow?")
