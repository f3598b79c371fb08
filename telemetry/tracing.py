"""Spans of this process, sent to an OpenTelemetry collector; without one there are none and they cost nothing.

Attributes hold what is counted or named by the project (ids of runs, models, hosts, codes of errors), never what was asked,
written or read. An exception becomes the code of its error, because its message may quote a page or a question.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import Any, Literal

from typing_extensions import Self

from schemas.errors import DeepSearchError

Kind = Literal["server", "client", "internal"]
Attributes = Mapping[str, str | int | float | bool]

WATCHING = frozenset({"/events", "/run", "/runs", "/page"})
"""Endpoints that look at runs, as web pages do twice a second: they make no spans."""

_FLUSH_SECONDS = 3.0
"""Longest a stopping process waits for the collector."""


class Span:
    """One piece of work. This one stands for it while tracing is off, and does nothing.

    As a context manager it is current inside, which makes spans begun there its children, and ends afterwards. In a generator,
    whose body may be left in another context than it was entered, use `current` around what does not yield, and `ending`.
    """

    def set(self, attributes: Attributes) -> None:
        """Set attributes."""

    def fail(self, cause: BaseException | str) -> None:
        """It failed, because of an exception or with the code of an error."""

    def end(self) -> None:
        """It is over."""

    def carrier(self) -> dict[str, str]:
        """The headers by which another process continues here (W3C Trace Context); empty when tracing is off."""
        return {}

    def current(self) -> AbstractContextManager[Any]:
        """Spans begun inside are children of this one."""
        return nullcontext()

    def stay(self) -> None:
        """Spans begun in this task, or this context, are children of this one from now on."""

    @contextmanager
    def ending(self) -> Iterator[Self]:
        """It ends afterwards; it is not current inside."""
        try:
            yield self
        except BaseException as error:
            self.fail(error)
            raise
        finally:
            self.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass


NOTHING = Span()


class _Recorded(Span):
    """A span of the SDK."""

    def __init__(self, sdk: _SDK, span: Any) -> None:
        self._sdk = sdk
        self._span = span
        self._entered: AbstractContextManager[Any] | None = None

    def set(self, attributes: Attributes) -> None:
        self._span.set_attributes(attributes)

    def fail(self, cause: BaseException | str) -> None:
        code = cause if isinstance(cause, str) else _code(cause)
        self._span.set_attribute("error.type", code)
        if code != "cancelled":
            self._span.set_status(self._sdk.error)

    def end(self) -> None:
        self._span.end()

    def carrier(self) -> dict[str, str]:
        carrier: dict[str, str] = {}
        self._sdk.propagator.inject(carrier, self._sdk.trace.set_span_in_context(self._span))
        return carrier

    def current(self) -> AbstractContextManager[Any]:
        entered: AbstractContextManager[Any] = self._sdk.trace.use_span(
            self._span, end_on_exit=False, record_exception=False, set_status_on_exception=False
        )
        return entered

    def stay(self) -> None:
        self._sdk.attach(self._sdk.trace.set_span_in_context(self._span))

    def __enter__(self) -> Self:
        self._entered = self.current()
        self._entered.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._entered is not None:
            self._entered.__exit__(None, None, None)
        if error is not None:
            self.fail(error)
        self.end()


class _SDK:
    """The parts of OpenTelemetry that are used, imported when the first span is asked for."""

    def __init__(self, process: str, endpoint: str) -> None:
        from opentelemetry import context, trace  # noqa: PLC0415
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        self.process_id = os.getpid()
        self.trace, self.attach = trace, context.attach
        self.propagator = TraceContextTextMapPropagator()
        self.error = trace.Status(trace.StatusCode.ERROR)
        self.kinds = {"server": trace.SpanKind.SERVER, "client": trace.SpanKind.CLIENT, "internal": trace.SpanKind.INTERNAL}
        resource = Resource.create(
            {
                "service.name": f"deepsearch.{process}",
                "service.namespace": "deepsearch",
                "service.instance.id": f"{socket.gethostname()}:{self.process_id}",
            }
        )
        # Not the global provider: libraries that trace by themselves would fill it with what they see fit.
        self.provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self.provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
        self.tracer = self.provider.get_tracer("deepsearch")


_sdk: _SDK | None = None


def start(process: str, endpoint: str | None) -> None:
    """Send the spans of this process, named such as `page_reader`, to the collector at `endpoint`; None: make none."""
    global _sdk  # noqa: PLW0603  (one for the process, as its collector is)
    if endpoint and (_sdk is None or _sdk.process_id != os.getpid()):
        _sdk = _SDK(process, endpoint)


async def stop() -> None:
    """Send what is left, waiting at most three seconds for the collector, and make no more spans."""
    global _sdk
    sdk, _sdk = _sdk, None
    if sdk is not None:
        sending = threading.Thread(target=sdk.provider.shutdown, daemon=True)
        sending.start()
        await asyncio.to_thread(sending.join, _FLUSH_SECONDS)


def is_on() -> bool:
    """Whether this process makes spans."""
    return _sdk is not None


def span(name: str, kind: Kind = "internal", attributes: Attributes | None = None, *, parent: Mapping[str, str] | None = None) -> Span:
    """A span that begins now, child of the current one, or of what the headers `parent` name (none in them: a new trace)."""
    sdk = _sdk
    if sdk is None:
        return NOTHING
    context = None if parent is None else sdk.propagator.extract(parent, sdk.trace.set_span_in_context(sdk.trace.INVALID_SPAN))
    return _Recorded(sdk, sdk.tracer.start_span(name, context, sdk.kinds[kind], attributes))


def current() -> Span:
    """The current span."""
    sdk = _sdk
    if sdk is None:
        return NOTHING
    found = sdk.trace.get_current_span()
    return _Recorded(sdk, found) if found.get_span_context().is_valid else NOTHING


def ids() -> tuple[str, str]:
    """Trace id and span id of the current span in hexadecimal; empty when there is none."""
    sdk = _sdk
    if sdk is None:
        return "", ""
    context = sdk.trace.get_current_span().get_span_context()
    return (f"{context.trace_id:032x}", f"{context.span_id:016x}") if context.is_valid else ("", "")


def _code(error: BaseException) -> str:
    if isinstance(error, DeepSearchError):
        return error.code
    return "cancelled" if isinstance(error, asyncio.CancelledError | GeneratorExit) else type(error).__name__
