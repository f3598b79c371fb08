"""Runs, and those who follow them, outlive the controller that served them: another one is asked for the rest.

Every call about a run passes here on its way to a controller, below the counting of what runs spend, so no door knows of it. When a
stream breaks, `/continue` of whichever controller answers gives the events after the last one that arrived, and goes on with the run
if nobody does; `/events` is asked again in the same way. The client gets each event once and the answer without a gap or a repeat.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

from docarray import BaseDoc, DocList
from docarray.proto import DocProto
from jina.proto import jina_pb2
from jina.types.request.data import DataRequest, SingleDocumentRequest

from gateway.errors import Unreached, from_status
from schemas.errors import (
    Cancelled,
    DeepSearchError,
    InvalidRequest,
    JournalError,
    NotWaiting,
    Overloaded,
    RunNotFound,
    RunUnderWay,
    StageUnavailable,
    from_code,
)
from schemas.events import ResearchEvent
from schemas.research import ResearchAnswer, ResearchRequest, RunList, RunQuery, RunSummary

logger = logging.getLogger(__name__)

_REST = {"/research/stream": "/continue", "/resume": "/continue", "/continue": "/continue", "/events": "/events"}
"""What is asked for the rest of a stream."""
_HARMLESS = frozenset({"/run", "/runs", "/page", "/events", "/cancel"})
"""Unary endpoints that may be asked twice."""
_BEGINNING = frozenset({"/submit", "/approve"})
"""Unary endpoints that have been heard when they are refused the second time."""
_PASSING = (StageUnavailable, JournalError, RunUnderWay)
"""Refusals to go on with a run that may not be repeated by the next controller, or a moment later."""

_BEGIN_SECONDS = 3.0
"""Longest time for which a controller is looked for before anything has begun."""
_TAKE_OVER_SECONDS = 10.0
"""The same in the middle of a run, beside the time of a lease: for a controller to be started again, and to be found."""
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 1.0
_LEAST_ATTEMPTS = 3
"""However long they take: a controller that hangs keeps a connection waiting for twenty seconds, and the next one may be well."""
_MOST_BREAKS = 10
"""A run that is cut off as often as that may be what its controllers die of."""

Send = Callable[[Any], AsyncGenerator[Any, None]]


class Continuing:
    """Sends requests about runs on to a controller, and to the next one when it dies."""

    def __init__(self, lease_seconds: float, stopping: asyncio.Event) -> None:
        """`lease_seconds` after the death of a controller its runs can be taken up; nothing is waited for once `stopping` is set."""
        self._patience = lease_seconds + _TAKE_OVER_SECONDS
        self._stopping = stopping

    async def stream(self, request: Any, send: Send) -> AsyncGenerator[Any, None]:
        """What `send` gives for a streaming request, and when that breaks off, the rest.

        Raises the first failure when nothing has arrived, `StageUnavailable` when the rest cannot be had.
        """
        if request.header.exec_endpoint not in _REST:
            async with aclosing(send(request)) as responses:
                async for response in responses:
                    yield response
            return
        async with aclosing(self._continued(_Stream(request), request, send)) as responses:
            async for response in responses:
                yield response

    async def _continued(self, stream: _Stream, asked: Any, send: Send) -> AsyncGenerator[Any, None]:
        pauses: _Pauses | None = None
        breaks, end = 0, None
        while True:
            failure: DeepSearchError = StageUnavailable("The controller ended the run's events before the run had ended; is it running?")
            try:
                async with aclosing(send(asked)) as responses:
                    async for response in responses:
                        refusal = _refusal(response)
                        if stream.is_to_be_asked_again(refusal):
                            failure = refusal or failure
                            break
                        stream.check_asked_for(response)
                        if stream.take(response):
                            yield response
                            return
                        if stream.interrupted:
                            end = response
                            break
                        yield response
                        pauses = end = None
            except StageUnavailable as error:
                if isinstance(error, Overloaded) and not breaks:
                    raise
                failure = error
            breaks += pauses is None
            asked = stream.rest(failure)
            pauses = pauses or _Pauses(self._patience if stream.may_be_under_way else _BEGIN_SECONDS, self._stopping)
            if breaks > _MOST_BREAKS or not await pauses.pause():
                break
            logger.warning("run %s goes on elsewhere: %s", stream.run_id, failure)
        if end is not None:
            yield end
            return
        if stream.sequence:
            failure = StageUnavailable(f"{failure.message} Run {stream.run_id} is kept and can be resumed.")
        raise failure

    async def call(self, request: DataRequest, send: Callable[[DataRequest], Awaitable[DataRequest]], stream: Send) -> DataRequest:
        """The response to a unary request; `stream` sends streaming ones."""
        endpoint = request.header.exec_endpoint
        if endpoint in {"/research", *_BEGINNING}:
            for document in _documents(request):
                identify(document)
        pauses, broken = _Pauses(_BEGIN_SECONDS, self._stopping), False
        while True:
            try:
                return await send(request)
            except StageUnavailable as error:
                if isinstance(error, Overloaded) or endpoint not in {"/research", *_HARMLESS, *_BEGINNING}:
                    raise
                if endpoint == "/research":
                    return await self._answers(request, stream, error)
                broken = broken or not isinstance(error, Unreached)
                if not await pauses.pause():
                    raise
            except InvalidRequest as refusal:
                if not broken or endpoint not in _BEGINNING or not _says_it_was_heard(endpoint, refusal):
                    raise
                return await self._begun(request, refusal, send)  # by the request whose answer never came

    async def _answers(self, request: DataRequest, stream: Send, failure: StageUnavailable) -> DataRequest:
        """The answers of runs whose controller died while they were waited for."""
        answers = [await self._answer(document, stream, failure) for document in _documents(request)]
        return _response(request, *answers)

    async def _answer(self, document: DocProto, stream: Send, failure: StageUnavailable) -> ResearchAnswer:
        asked = SingleDocumentRequest()
        asked.header.exec_endpoint = "/research/stream"
        asked.proto_with_data.document.CopyFrom(document)
        run = _Stream(asked)
        last = None
        async with aclosing(self._continued(run, run.rest(failure), stream)) as responses:
            async for response in responses:
                last = response.proto_with_data.document
        ended = ResearchEvent.from_protobuf(last).data if last is not None else {}
        if ended.get("outcome") == "finished":
            return ResearchAnswer(**ended["answer"])
        if ended.get("outcome") == "cancelled":
            raise Cancelled("the run was cancelled before there was an answer")
        if ended.get("outcome") == "failed":
            raise from_code(ended.get("code", ""), ended.get("message", ""), ended.get("field"))
        raise failure

    async def _begun(
        self, request: DataRequest, refusal: InvalidRequest, send: Callable[[DataRequest], Awaitable[DataRequest]]
    ) -> DataRequest:
        """The run that the request began before; `refusal` is raised when the run with its id is another's."""
        asked = _documents(request)[0]
        run_id = asked.data["run_id"].text
        query = DataRequest()
        query.document_array_cls = DocList[RunQuery]
        query.data.docs = DocList[RunQuery]([RunQuery(run_id=run_id)])
        query.header.exec_endpoint = "/runs"
        try:
            found = RunList.from_protobuf(_documents(await send(query))[0])
        except RunNotFound:
            raise refusal from None
        run = found.runs[0]
        if request.header.exec_endpoint == "/submit" and not (run.background and run.question == _question(asked)):
            raise refusal
        return _response(request, RunSummary(**run.model_dump()))


class _Stream:
    """A stream of a run's events, as far as it has arrived."""

    def __init__(self, request: Any) -> None:
        self._request = request
        self._endpoint = request.header.exec_endpoint
        self._asked_for_rest = False
        self._may_have_begun = self._endpoint == "/continue"
        self._watching = self._endpoint == "/events"
        document = request.proto_with_data.document
        if self._endpoint == "/research/stream":
            identify(document)
        self.run_id: str = document.data["run_id"].text
        knows = self._endpoint in ("/continue", "/events")
        self.sequence: int = document.data["after"].integer if knows and "after" in document.data else 0
        self._written: int = document.data["after_offset"].integer if knows and "after_offset" in document.data else 0
        self._seen = False
        self.interrupted = False
        """The last response says that nobody goes on with the run."""

    def take(self, response: Any) -> bool:
        """Note an event that is passed on; true when it is the last."""
        document = response.proto_with_data.document
        if response.header.status.code == jina_pb2.StatusProto.ERROR or "type" not in document.data:
            return True
        kind = document.data["type"].text
        self._seen = True
        self.interrupted = False
        if kind == "run_ended":
            self.interrupted = not self._watching and ResearchEvent.from_protobuf(document).data.get("outcome") == "interrupted"
            return not self.interrupted
        self.sequence = max(self.sequence, document.data["sequence"].integer)
        if kind == "answer_delta":
            piece = ResearchEvent.from_protobuf(document).data
            self._written = piece.get("offset", 0) + len(piece["text"])
        return False

    def check_asked_for(self, response: Any) -> None:
        """Raise `InvalidRequest` when what comes in place of a run that may have begun is another's, which had the id before."""
        document = response.proto_with_data.document
        if self._seen or self._endpoint != "/research/stream" or not self._asked_for_rest:
            return
        if "type" in document.data and document.data["type"].text == "run_started":
            question = ResearchEvent.from_protobuf(document).data.get("request", {}).get("question")
            if question != _question(self._request.proto_with_data.document):
                raise InvalidRequest(f"run_id {self.run_id!r} is taken: choose another or none", field="run_id")

    def is_to_be_asked_again(self, refusal: DeepSearchError | None) -> bool:
        """Whether a refusal is none of the run, but of the controller that was asked for the rest of it."""
        if refusal is None or not (self._asked_for_rest or self._seen):
            return False
        if isinstance(refusal, _PASSING):
            return True
        # The run has not begun, or has by now because the first request for it was only slow.
        is_about_beginning = isinstance(refusal, RunNotFound) or refusal.field == "run_id"
        return is_about_beginning and not self._seen and self._endpoint == "/research/stream"

    @property
    def may_be_under_way(self) -> bool:
        """False when there is nothing that could be lost."""
        return bool(self.sequence or self._may_have_begun)

    def rest(self, failure: DeepSearchError) -> Any:
        """The request for what has not arrived; it is the first one again when no run can have begun."""
        if isinstance(failure, RunNotFound):
            self._may_have_begun = False
        elif not isinstance(failure, Unreached):
            self._may_have_begun = True
        if not self._seen and (self._endpoint == "/resume" or not self._may_have_begun):
            return self._request
        self._asked_for_rest = True
        request = SingleDocumentRequest()
        request.header.exec_endpoint = _REST[self._endpoint]
        query = RunQuery(run_id=self.run_id, after=self.sequence, after_offset=self._written)
        request.proto_with_data.document.CopyFrom(query.to_protobuf())
        return request


class _Pauses:
    """Pauses between attempts, for a time: they grow, and no two callers make the same."""

    def __init__(self, seconds: float, stopping: asyncio.Event) -> None:
        self._until = time.monotonic() + seconds
        self._left = _LEAST_ATTEMPTS
        self._seconds = _FIRST_PAUSE_SECONDS
        self._stopping = stopping

    async def pause(self) -> bool:
        """Wait a moment; false when the time is over."""
        self._left -= 1
        if (time.monotonic() >= self._until and self._left < 0) or self._stopping.is_set():
            return False
        await asyncio.sleep(self._seconds * random.uniform(0.5, 1.5))  # noqa: S311  (jitter)
        self._seconds = min(2 * self._seconds, _LONGEST_PAUSE_SECONDS)
        return True


def _refusal(response: Any) -> DeepSearchError | None:
    """Why a controller does not give the events of a run, when that is what it says."""
    if response.header.status.code == jina_pb2.StatusProto.ERROR:
        return from_status(response.header.status)
    document = response.proto_with_data.document
    if "type" not in document.data or document.data["type"].text != "run_ended" or document.data["sequence"].integer:
        return None
    ended = ResearchEvent.from_protobuf(document).data
    error = from_code(ended.get("code", ""), ended.get("message", ""), ended.get("field"))
    return error if ended.get("outcome") == "failed" else None


def _says_it_was_heard(endpoint: str, refusal: InvalidRequest) -> bool:
    """Whether a request is refused for what the same request may have done before."""
    if endpoint == "/approve":
        return isinstance(refusal, NotWaiting)
    return type(refusal) is InvalidRequest and refusal.field == "run_id"


def _question(document: DocProto) -> str | None:
    """What a request asks, as its run tells it; None when it is no request."""
    try:
        request = ResearchRequest.from_protobuf(document)
    except ValueError:
        return None
    return (request.question or next((said.content for said in reversed(request.messages) if said.role == "user"), "")).strip()


def identify(document: DocProto) -> str:
    """The id of the run that a document asks for; where it names none the run gets one here, so that it can be asked for."""
    run_id = document.data["run_id"]
    if not run_id.text and run_id.WhichOneof("content") in (None, "text"):
        run_id.text = uuid.uuid4().hex[:16]
    return str(run_id.text)


def _documents(message: Any) -> list[DocProto]:
    return list(message.proto_with_data.data.docs.docs)


def _response(request: DataRequest, *documents: BaseDoc) -> DataRequest:
    kind: Any = type(documents[0])
    response = DataRequest()
    response.document_array_cls = DocList[kind]
    response.data.docs = DocList[kind](documents)
    response.header.exec_endpoint = request.header.exec_endpoint
    response.header.request_id = request.header.request_id
    return response
