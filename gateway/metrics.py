"""What the gateway measures, for Prometheus, at `/metrics`.

jina's own metrics are elsewhere: `monitoring: true` gives each process a port of its own for them, so nothing here collides.
No label has a value that a client chooses: routes are templates, and neither keys nor addresses appear.
"""

from __future__ import annotations

import asyncio
import time

from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

_SECONDS = (0.005, 0.02, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)

REQUESTS = Counter("deepsearch_requests", "Requests by route and status.", ["protocol", "route", "method", "status"], registry=REGISTRY)
REQUEST_SECONDS = Histogram(
    "deepsearch_request_seconds",
    "Time until a response was complete, of a stream until its end.",
    ["protocol", "route"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
STREAMS = Gauge("deepsearch_streams", "Streams that are open.", registry=REGISTRY)
RUNS = Gauge("deepsearch_runs_under_way", "Runs that have a place, jobs included.", registry=REGISTRY)
WAITING = Gauge("deepsearch_runs_waiting", "Runs that wait for a place.", registry=REGISTRY)
RUN_SECONDS = Histogram("deepsearch_run_seconds", "Time that a run had its place.", buckets=_SECONDS, registry=REGISTRY)
REFUSED = Counter("deepsearch_refused", "Requests and runs that were refused, by the error's code.", ["reason"], registry=REGISTRY)
TASKS = Gauge("deepsearch_tasks", "Tasks of the event loop.", registry=REGISTRY)
TOKENS = Counter("deepsearch_tokens", "Tokens that runs and stages have used, as far as the gateway saw it.", registry=REGISTRY)

_METHODS = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS"})


class Measured:
    """Counts HTTP requests, times them, and counts open streams."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status, streams = time.monotonic(), "left", False

        async def watched(message: Message) -> None:
            nonlocal status, streams
            if message["type"] == "http.response.start":
                status = str(message["status"])
                if any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in message["headers"]):
                    streams = True
                    STREAMS.inc()
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            REQUESTS.labels("http", route, method, status).inc()
            REQUEST_SECONDS.labels("http", route).observe(time.monotonic() - begun)
            if streams:
                STREAMS.dec()


def install(app: FastAPI) -> None:
    """Add `/metrics` to `app`."""

    @app.get("/metrics", tags=["Health"], summary="Metrics for Prometheus", response_class=Response)
    async def metrics() -> Response:
        TASKS.set(len(asyncio.all_tasks()))
        return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)
