"""A real OpenTelemetry collector's receiving end: OTLP over gRPC, in this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceServicer, add_TraceServiceServicer_to_server
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanProto
from opentelemetry.proto.trace.v1.trace_pb2 import Status


@dataclass(frozen=True)
class Received:
    """A span as it arrived."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    """Empty for a root."""
    kind: str
    failed: bool
    attributes: dict[str, Any]


class Collector(TraceServiceServicer):  # type: ignore[misc]
    """Receives spans on a free port while the `with` block runs."""

    def __init__(self) -> None:
        self.spans: list[Received] = []
        self.bytes: list[bytes] = []
        """The requests as they came, to search them for what must not be there."""
        self._changed = threading.Condition()
        self._server = grpc.server(ThreadPoolExecutor(4))
        add_TraceServiceServicer_to_server(self, self._server)
        self.endpoint = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def Export(self, request: ExportTraceServiceRequest, context: Any) -> ExportTraceServiceResponse:  # noqa: N802
        """The one method of the service."""
        with self._changed:
            self.bytes.append(request.SerializeToString())
            for resource in request.resource_spans:
                service = _attributes(resource.resource.attributes)["service.name"]
                for scope in resource.scope_spans:
                    self.spans += [_received(service, span) for span in scope.spans]
            self._changed.notify_all()
        return ExportTraceServiceResponse()

    def wait_for(self, there: Callable[[list[Received]], bool], timeout: float = 30.0) -> list[Received]:
        """The spans as soon as `there` says that all have come; `TimeoutError` names those that have, after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while not there(self.spans):
                if not self._changed.wait(deadline - time.monotonic()):
                    raise TimeoutError(sorted(f"{span.service} {span.name}" for span in self.spans))
            return list(self.spans)

    def __enter__(self) -> Collector:
        self._server.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.stop(None).wait()


def _received(service: str, span: SpanProto) -> Received:
    return Received(
        service=service,
        name=span.name,
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        kind=SpanProto.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        failed=span.status.code == Status.STATUS_CODE_ERROR,
        attributes=_attributes(span.attributes),
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    return getattr(value, value.WhichOneof("value"))
