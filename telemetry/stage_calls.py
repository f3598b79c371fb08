"""Calls of stages, as their caller sees them: a span, a measurement, and which replica answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType

from typing_extensions import Self

from schemas.errors import DeadlineExceeded, StageUnavailable
from telemetry import carrying, metrics, tracing

REPLICA_KEY = "deepsearch-replica"
"""Metadata by which a stage tells which of its replicas answers."""
_IN_USE_SECONDS = 60.0

_seen: dict[tuple[str, str], float] = {}


class StageCall:
    """One call of a stage. As a context manager its span is current inside, and it ends afterwards; `ending` is for generators."""

    def __init__(self, stage: str, endpoint: str) -> None:
        self._labels = (stage, endpoint)
        self._timer = metrics.Timer()
        self._span = tracing.NOTHING
        if tracing.is_on():
            attributes = {"deepsearch.stage": stage, "deepsearch.endpoint": endpoint, "deepsearch.run_id": carrying.RUN.get()}
            self._span = tracing.span(f"call {endpoint}", "client", attributes)

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What goes with the call."""
        return carrying.metadata(self._span)

    @contextmanager
    def ending(self) -> Iterator[Self]:
        """It ends afterwards; its span is not current inside."""
        try:
            yield self
        except GeneratorExit:  # who listens has heard enough
            self._end(None)
            raise
        except BaseException as error:
            self._end(error)
            raise
        self._end(None)

    def __enter__(self) -> Self:
        self._current = self._span.current()
        self._current.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._current.__exit__(None, None, None)
        self._end(error)

    def _end(self, error: BaseException | None) -> None:
        metrics.STAGE_CALL_SECONDS.observe(self._timer.seconds, *self._labels, _outcome(error))
        if error is not None:
            self._span.fail(error)
        self._span.end()


def answered_by(stage: str, metadata: Iterable[tuple[str, object]] | None) -> None:
    """A replica of `stage` answered with that metadata."""
    for name, value in metadata or ():
        if name == REPLICA_KEY:
            _seen[stage, str(value)] = time.monotonic()


def _replicas() -> dict[tuple[str, ...], float]:
    now = time.monotonic()
    in_use: dict[tuple[str, ...], float] = {}
    for (stage, replica), at in tuple(_seen.items()):
        in_use[stage,] = in_use.get((stage,), 0.0) + (now - at <= _IN_USE_SECONDS)
        if now - at > _IN_USE_SECONDS * 60:
            _seen.pop((stage, replica), None)
    return in_use


metrics.STAGE_REPLICAS.read(_replicas)


def _outcome(error: BaseException | None) -> str:
    match error:
        case None:
            return "ok"
        case DeadlineExceeded():
            return "late"
        case StageUnavailable():
            return "unreachable"
        case asyncio.CancelledError():
            return "left"
        case _:
            return "failed"
