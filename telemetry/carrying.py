"""What goes with a call from process to process: the trace (W3C Trace Context) and the id of the run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextvars import ContextVar

from telemetry import tracing
from telemetry.tracing import Span

RUN: ContextVar[str] = ContextVar("run", default="")
"""The run that is being worked on; empty where there is none, or it is not known."""

RUN_KEY = "deepsearch-run"
_CARRIABLE = re.compile(r"[!-~]{1,128}")
"""Anybody may ask for a run by any id; a call with metadata that gRPC does not take would fail before it is refused for what it is."""
_TRACE_KEYS = ("traceparent", "tracestate")


def metadata(span: Span | None = None) -> tuple[tuple[str, str], ...]:
    """gRPC metadata for a call to another process, on behalf of `span`, or of the current one."""
    run = carriable(RUN.get())
    carrier = (span or tracing.current()).carrier()
    return (*carrier.items(), (RUN_KEY, run)) if run else tuple(carrier.items())


def carriable(run: str) -> str:
    """The id of a run, when it can be one that a controller has given a run; else nothing. What a client calls a run may be megabytes."""
    return run if _CARRIABLE.fullmatch(run) else ""


def headers() -> dict[str, str]:
    """HTTP headers for a request to a configured service, on behalf of the current span."""
    return tracing.current().carrier()


def trace_of(arrived: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """What of the headers, or metadata, that came with a call names its trace."""
    return {name: value for name, value in arrived if name in _TRACE_KEYS}


def run_of(arrived: Iterable[tuple[str, str]]) -> str:
    """The run that a call belongs to, by its metadata; empty when that is not said."""
    return next((value for name, value in arrived if name == RUN_KEY), "")
