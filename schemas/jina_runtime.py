"""What jina needs in every process of the Flow: stages, gateway and the process that starts them.

It lives on the lowest floor because a stage and the gateway both need it and may not import each other. A stage's
`config.yml` names it in `py_modules`, so a container has it too; on one machine the stages are forked from a process
that has it already. Importing it again changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from contextvars import ContextVar
from inspect import isawaitable
from typing import Any

import jina
import jina.serve.helper
from jina.logging.logger import JinaLogger
from jina.proto.serializer import DataRequestProto, SingleDocumentRequestProto
from jina.serve.runtimes.servers import BaseServer
from jina.serve.runtimes.servers.grpc import GRPCServer
from jina.serve.runtimes.worker.request_handling import WorkerRequestHandler
from jina.types.request.data import DataRequest, SingleDocumentRequest

import schemas.wire  # noqa: F401  (faster documents in every process)
from schemas.bulkhead import Bulkhead
from schemas.errors import ConfigurationError, DeepSearchError, InvalidRequest, LimitReached, Overloaded, Unauthorized
from schemas.settings import get_settings

# jina posts usage to telemetry.jina.ai from every process unless this is set, to whatever value.
os.environ.setdefault("JINA_OPTOUT_TELEMETRY", "1")


def require(owner: Any, *names: str) -> None:
    """Check that what is about to be replaced is still there.

    Raises `ConfigurationError` when this release of jina no longer has it: replacing nothing would fail silently.
    """
    for name in names:
        if not hasattr(owner, name):
            raise ConfigurationError(
                f"jina {jina.__version__} has no {owner.__name__}.{name}, which this project replaces; install jina==3.34.0.", field="jina"
            )


async def _shutdown(self: Any) -> None:
    """Say that it is not ready, stop taking calls, let those in flight finish, then close the Executor and wait until it is closed.

    The port stays open for LEAVING_SECONDS after that was said, because whoever sends calls hears of it a little later. Then an
    Executor that has a method `leave` is told, while its calls go on: it may hand over what will not be done in time.

    jina closes the Executor first and cuts the calls, so that a rolling update or a Ctrl-C loses work already paid for; and
    it awaits no `close()`, but connections can only be closed by awaiting. And it does everything twice.
    """
    if self.__dict__.setdefault("stopped", False):
        return
    self.stopped = True
    await BaseServer.shutdown(self)
    await self.health_servicer.enter_graceful_shutdown()
    await asyncio.sleep(get_settings().leaving_seconds)
    handler = self._request_handler
    leave = getattr(handler._executor, "leave", None) if isinstance(handler, WorkerRequestHandler) else None
    stopping = asyncio.ensure_future(self.server.stop(grace=get_settings().drain_seconds))
    if leave is not None:
        await leave()
    await stopping
    if isinstance(handler, WorkerRequestHandler):  # the gateway's handler serves HTTP too, and is closed after both
        closing = handler._executor.close()
        if isawaitable(closing):
            await closing
        handler._is_closed = True


require(GRPCServer, "shutdown")
require(BaseServer, "shutdown")
require(WorkerRequestHandler, "close")
GRPCServer.shutdown = _shutdown


# -- no process takes on more than it can do -----------------------------------------------------------------------------

_SECONDS_LEFT: ContextVar[float | None] = ContextVar("seconds_left", default=None)


def _bulkhead(handler: Any, kind: str) -> Bulkhead:
    """The bulkhead of a stage's process for its calls, its streams, or for watching: a stream that lasts keeps no call from being
    answered."""
    found: dict[str, Bulkhead] = handler.__dict__.setdefault("bulkheads", {})
    if kind not in found:
        settings = get_settings()
        own: tuple[int, str] | None = getattr(handler._executor, "at_once", None) if kind == "calls" else None
        at_once, setting = own or (settings.deepsearch_stage_concurrency, "DEEPSEARCH_STAGE_CONCURRENCY")
        name = getattr(handler._executor.metas, "name", "") or type(handler._executor).__name__
        found[kind] = Bulkhead(at_once, settings.deepsearch_stage_waiting, name=name, settings=(setting, "DEEPSEARCH_STAGE_WAITING"))
    return found[kind]


_process_data, _handle, _stream_doc = WorkerRequestHandler.process_data, WorkerRequestHandler.handle, WorkerRequestHandler.stream_doc


async def _with_deadline(self: Any, requests: Any, context: Any, *args: Any, **kwargs: Any) -> Any:
    """As jina's; remembers how long the caller waits for the answer."""
    _SECONDS_LEFT.set(context.time_remaining() if context is not None else None)
    return await _process_data(self, requests, context, *args, **kwargs)


async def _bounded(self: Any, *args: Any, **kwargs: Any) -> Any:
    """As jina's, with a place for the call; `Overloaded` travels as any error of a stage."""
    async with _bulkhead(self, "calls").place(_SECONDS_LEFT.get()):
        return await _handle(self, *args, **kwargs)


_WATCHING = frozenset({"/events"})
"""Streams that only tell of what goes on anyway: whoever follows runs takes no place from those who begin one."""


async def _bounded_stream(self: Any, request: Any, context: Any) -> AsyncIterator[Any]:
    """As jina's, with a place for the stream; the only answer of one that gets none is its refusal."""
    places = _bulkhead(self, "watching" if request.header.exec_endpoint in _WATCHING else "streams")
    async with AsyncExitStack() as held:
        try:
            await held.enter_async_context(places.place(context.time_remaining() if context is not None else None))
        except Overloaded as refusal:
            logging.getLogger(__name__).warning("%s: %s", request.header.exec_endpoint, refusal)
            request.add_exception(refusal, self._executor)
            yield request
            return
        async with aclosing(_stream_doc(self, request, context)) as answers:
            async for answer in answers:
                yield answer


require(WorkerRequestHandler, "process_data", "handle", "stream_doc")
if _handle.__name__ != _bounded.__name__:
    WorkerRequestHandler.process_data = _with_deadline
    WorkerRequestHandler.handle = _bounded
    WorkerRequestHandler.stream_doc = _bounded_stream


# jina's clients, our gateway among them, send a sign of life every ten seconds, but its servers take one in five minutes: after
# half a minute of rest they end the connection with "Too many pings", and the next call on it fails as if the stage were down.
require(jina.serve.helper, "get_default_grpc_options", "get_server_side_grpc_options")
_default_grpc_options = jina.serve.helper.get_default_grpc_options
_LEAST_PING_INTERVAL_MILLISECONDS = 5_000


def _grpc_options() -> list[tuple[str, Any]]:
    return [*_default_grpc_options(), ("grpc.http2.min_ping_interval_without_data_ms", _LEAST_PING_INTERVAL_MILLISECONDS)]


jina.serve.helper.get_default_grpc_options = _grpc_options


# jina counts the bytes of all messages in two variables of the environment, which nothing reads. The C library never frees a value
# that a variable had, so every process grows with every message, by 0.08 kB each: a controller by 5 kB a run.
def _bytes_of(message: Any) -> bytes:
    found: bytes = message.proto.SerializePartialToString() if message.is_decompressed else message.buffer
    return found


def _single_document(data: bytes) -> SingleDocumentRequest:
    return SingleDocumentRequest(data or None)


for _serializer, _parse in ((DataRequestProto, DataRequest), (SingleDocumentRequestProto, _single_document)):
    require(_serializer, "SerializeToString", "FromString")
    _serializer.SerializeToString = staticmethod(_bytes_of)
    _serializer.FromString = staticmethod(_parse)


_make_record = logging.getLogRecordFactory()
_OURS = frozenset({"deepsearch", "executors", "gateway", "providers", "schemas", "telemetry"})
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_MOST_LOGGED_CHARACTERS = 2_000


def _one_line(value: Any) -> Any:
    """A value as it stands in our logs: a text, or an error, without what begins a new line or moves a terminal's cursor."""
    if not isinstance(value, str | BaseException):
        return value
    text = str(value)
    if len(text) > _MOST_LOGGED_CHARACTERS:
        text = f"{text[:_MOST_LOGGED_CHARACTERS]}…"
    return _CONTROL.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def _record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    """An error of our tree is an outcome, not a defect: log its one line, and what jina logs of a client's mistake as information.

    Any other exception keeps its stack trace.

    What our lines name, a run's id among it, is often a client's choice: none of it can look like a line of its own.
    """
    record = _make_record(*args, **kwargs)
    if isinstance(record.args, tuple) and record.name.partition(".")[0] in _OURS:
        record.args = tuple(map(_one_line, record.args))
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, DeepSearchError):
        record.msg, record.args, record.exc_info = f"{type(error).__name__}: {error}", (), None
        if isinstance(error, InvalidRequest | Unauthorized | LimitReached) and record.name.partition(".")[0] not in _OURS:
            record.levelno, record.levelname = logging.INFO, logging.getLevelName(logging.INFO)
    return record


def _is_wanted(record: logging.LogRecord) -> bool:
    """Whether the logger takes records of that level: it was asked before the level was known to be another."""
    return logging.getLogger(record.name).isEnabledFor(record.levelno)


_add_handlers = JinaLogger.add_handlers


def _add_handlers_and_filter(self: JinaLogger, *args: Any, **kwargs: Any) -> None:
    _add_handlers(self, *args, **kwargs)
    self.logger.addFilter(_is_wanted)


require(JinaLogger, "add_handlers")
if not getattr(logging.getLogRecordFactory(), "one_line_errors", False):
    _record.one_line_errors = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(_record)
    JinaLogger.add_handlers = _add_handlers_and_filter
