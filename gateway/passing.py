"""A request as the gateway passes it on to a stage: its span, which is the first of a run's trace."""

from __future__ import annotations

from docarray.proto import DocProto

from gateway.guard.call import CURRENT, Call
from telemetry import tracing
from telemetry.carrying import RUN, carriable
from telemetry.tracing import Span

_GOING_ON = "/continue"
"""What is asked of another controller when the first one is gone: part of the same request."""


def passing(endpoint: str, document: DocProto | None) -> Span:
    """The span of a request with that document, in the trace that the client named; to be ended by whoever passes it on.

    The run that the document names is from here on that of the current task.
    """
    run = carriable(run_of(document))
    RUN.set(run)
    if not tracing.is_on() or endpoint in tracing.WATCHING:
        return tracing.NOTHING
    call = CURRENT.get() or Call("")
    parent = call.passed_on if endpoint == _GOING_ON else call.trace
    attributes = {"deepsearch.endpoint": endpoint, **({"deepsearch.run_id": run} if run else {})}
    span = tracing.span(f"door {endpoint}", "server", attributes, parent=parent)
    call.passed_on = span.carrier()
    return span


def run_of(document: DocProto | None) -> str:
    """The run that a document names, as it travels; empty when it names none."""
    return document.data["run_id"].text if document is not None and "run_id" in document.data else ""
