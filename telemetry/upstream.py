"""Requests that a stage sends upstream: a span and a measurement for each attempt."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Protocol
from urllib.parse import urlsplit
from weakref import WeakSet

from typing_extensions import Self

from telemetry import carrying, metrics, tracing


class Watched(Protocol):
    """An upstream as its caller sees it."""

    name: str
    under_way: int

    @property
    def waiting(self) -> int:
        """Calls that wait for their turn."""
        ...

    @property
    def state(self) -> str:
        """`open` while it is left alone."""
        ...


UPSTREAMS: WeakSet[Any] = WeakSet()
"""Those of this process (`Watched`)."""


def label(service: str) -> str:
    """The name of a service as a label: `Jina search` is `jina_search`, and every model server is `llm`."""
    if service.startswith("model server"):
        return "llm"
    return service.lower().removeprefix("the ").replace(" ", "_")


class Request:
    """One request to `service`; `url` is told with host and port only. Use as a context manager around sending and reading."""

    def __init__(self, service: str, method: str, url: str, attributes: Mapping[str, str] | None = None) -> None:
        self._provider = label(service)
        self._timer = metrics.Timer()
        self._status = 0
        self._judged = False
        self._span = tracing.NOTHING
        if tracing.is_on():
            self._span = tracing.span(f"{method} {self._provider}", "client", {
                "deepsearch.provider": self._provider, "http.request.method": method, **_server(url), **(attributes or {}),
            })  # fmt: skip

    def answered(self, status: int, *, judged: bool = False) -> None:
        """It was answered with that HTTP status; `judged`: which alone says how it went, as nothing is raised."""
        self._status, self._judged = status, judged
        self._span.set({"http.response.status_code": status})

    def __enter__(self) -> Self:
        self._span.__enter__()
        self._token = _CURRENT.set(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        _CURRENT.reset(self._token)
        outcome = self._outcome(error)
        metrics.UPSTREAM_SECONDS.observe(self._timer.seconds, self._provider, outcome)
        if outcome != "ok":
            self._span.fail(outcome)
        self._span.__exit__(None, None, None)

    def _outcome(self, error: BaseException | None) -> str:
        if isinstance(error, asyncio.CancelledError | TimeoutError):
            return "left"
        if error is None and not self._judged:
            return "ok"
        status = self._status or getattr(error, "status_code", 0)
        if status == 429:
            return "limited"
        if status in (401, 402, 403):
            return "rejected"
        if status >= 500 or (error is not None and 200 <= status < 300):
            return "failing"
        if status >= 400:
            return "refused"
        return "ok" if error is None else "unreachable"


class NoRequest(Request):
    """What stands for every request while nothing is measured and no span is made."""

    def __init__(self) -> None:
        pass

    def answered(self, status: int, *, judged: bool = False) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass


_NONE = NoRequest()
_CURRENT: ContextVar[Request] = ContextVar("upstream_request", default=_NONE)


def request(service: str, method: str, url: str, attributes: Mapping[str, str] | None = None) -> Request:
    """A request that is about to be sent; `attributes` are added to its span."""
    if not tracing.is_on() and not metrics.UPSTREAM_SECONDS.is_kept:
        return _NONE
    return Request(service, method, url, attributes)


async def _send_trace(sent: Any) -> None:
    sent.headers.update(carrying.headers())


async def _note_status(response: Any) -> None:
    _CURRENT.get().answered(response.status_code)


HOOKS: dict[str, list[Callable[..., Any]]] = {"request": [_send_trace], "response": [_note_status]}
"""For an `httpx` client of configured services: its requests carry the trace, and their status is noted."""


def _server(url: str) -> dict[str, str | int]:
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    except ValueError:
        return {}
    return {"server.address": parts.hostname or "", "server.port": port}


def _sums(value: Callable[[Watched], float]) -> Callable[[], dict[tuple[str, ...], float]]:
    def read() -> dict[tuple[str, ...], float]:
        sums: dict[tuple[str, ...], float] = {}
        for one in tuple(UPSTREAMS):
            if one.name:
                of = (label(one.name),)
                sums[of] = sums.get(of, 0.0) + value(one)
        return sums

    return read


metrics.UPSTREAM_UNDER_WAY.read(_sums(lambda one: one.under_way))
metrics.UPSTREAM_WAITING.read(_sums(lambda one: one.waiting))
metrics.CIRCUIT_OPEN.read(lambda: {of: min(1.0, open_ones) for of, open_ones in _sums(lambda one: one.state == "open")().items()})
