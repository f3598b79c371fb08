"""Every metric of the stages, once. They are kept only where they are served; elsewhere counting does nothing.

The gateway's are in `gateway/metrics.py`. Labels have bounded sets of values: names of stages, endpoints, providers and codes,
never what a client, a page or a model chooses. `docs/telemetry.md` has the same list.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from schemas.errors import ConfigurationError

PORT_OFFSET = 1_000
"""A stage serves its metrics at its port plus this."""

METRICS: list[Metric] = []

_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_SECONDS = (0.005, 0.02, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_RUN_SECONDS = (1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1_200, 3_600)


@dataclass(eq=False)
class Metric:
    """A metric and what it means. `process` says which stages have it. Labels are given by position."""

    kind: Literal["counter", "gauge", "histogram"]
    name: str
    text: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    process: Literal["controller", "stage"] = "stage"
    _kept: Any = field(default=None, init=False)
    _read: Callable[[], Mapping[tuple[str, ...], float]] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        METRICS.append(self)

    def count(self, *labels: str, by: float = 1) -> None:
        """Add to a counter, or to a gauge."""
        if self._kept is not None and (by or self.kind == "gauge"):
            self._at(labels).inc(by)

    def put(self, value: float, *labels: str) -> None:
        """Set a gauge."""
        if self._kept is not None:
            self._at(labels).set(value)

    def observe(self, value: float, *labels: str) -> None:
        """Add a value to a histogram."""
        if self._kept is not None:
            self._at(labels).observe(value)

    def read(self, values: Callable[[], Mapping[tuple[str, ...], float]]) -> None:
        """Of a gauge: its values, by their labels, are asked for when somebody looks."""
        self._read = values

    def keep(self, registry: Any) -> None:
        """Begin to keep it, in `registry`."""
        from prometheus_client import Counter, Gauge, Histogram  # noqa: PLC0415

        if self._read is not None:
            self._kept = self
            registry.register(_Reading(self, self._read))
        elif self.kind == "histogram":
            self._kept = Histogram(self.name, self.text, self.labels, buckets=self.buckets, registry=registry)
        else:
            self._kept = (Counter if self.kind == "counter" else Gauge)(self.name, self.text, self.labels, registry=registry)

    def drop(self) -> None:
        """Keep it no longer."""
        self._kept = None

    @property
    def is_kept(self) -> bool:
        """Whether anybody will see it."""
        return self._kept is not None

    def _at(self, labels: tuple[str, ...]) -> Any:
        return self._kept.labels(*labels) if labels else self._kept


class _Reading:
    """A gauge that is read when somebody looks."""

    def __init__(self, metric: Metric, values: Callable[[], Mapping[tuple[str, ...], float]]) -> None:
        self._metric, self._values = metric, values

    def collect(self) -> Iterator[Any]:
        """Its values."""
        from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415

        family = GaugeMetricFamily(self._metric.name, self._metric.text, labels=self._metric.labels)
        for labels, value in self._values().items():
            family.add_metric(labels, value)
        yield family


RUNS_BEGUN = Metric("counter", "deepsearch_runs_begun", "Runs that began.", process="controller")
RUNS = Metric(
    "counter", "deepsearch_runs", "Runs that ended, by outcome and stop reason.", ("outcome", "stop_reason"), process="controller"
)
RUNS_RESUMED = Metric(
    "counter", "deepsearch_runs_resumed", "Runs taken up again, after an interruption or from another controller.", process="controller"
)
RUNS_INTERRUPTED = Metric(
    "counter", "deepsearch_runs_interrupted", "Runs this controller stopped working on before their end.", process="controller"
)
RUNS_DRIVEN = Metric("gauge", "deepsearch_runs_driven", "Runs this controller works on.", process="controller")
RUN_SECONDS = Metric(
    "histogram", "deepsearch_run_duration_seconds", "Time from start to end of a run, without interruptions.",
    ("outcome",), _RUN_SECONDS, "controller",
)  # fmt: skip
STEPS = Metric("counter", "deepsearch_steps", "Steps, by the action that was decided on.", ("action",), process="controller")
RUN_TOKENS = Metric("counter", "deepsearch_run_tokens", "Tokens that runs used.", ("stage", "kind"), process="controller")
RUN_COST = Metric("counter", "deepsearch_run_cost_usd", "Money that runs used, in USD.", ("stage",), process="controller")
RUN_SEARCHES = Metric("counter", "deepsearch_run_searches", "Queries that runs sent.", process="controller")
RUN_PAGES = Metric("counter", "deepsearch_run_pages", "Pages that runs fetched.", process="controller")
RUN_MODEL_CALLS = Metric("counter", "deepsearch_run_model_calls", "Model requests that were answered.", ("stage",), process="controller")
ERRORS = Metric("counter", "deepsearch_errors", "Failed calls, by stage and code of the error.", ("stage", "code"), process="controller")
STAGE_CALL_SECONDS = Metric(
    "histogram", "deepsearch_stage_call_seconds", "Calls of stages.", ("stage", "endpoint", "outcome"), _SECONDS, "controller"
)
STAGE_REPLICAS = Metric(
    "gauge", "deepsearch_stage_replicas", "Replicas that answered within the last 60 seconds.", ("stage",), process="controller"
)
JOURNAL_SECONDS = Metric(
    "histogram", "deepsearch_journal_seconds", "Operations of the journal.", ("operation", "outcome"), _QUICK, "controller"
)

TASKS = Metric("gauge", "deepsearch_tasks", "Tasks of the event loop.")
CALLS_IN_FLIGHT = Metric("gauge", "deepsearch_calls_in_flight", "Calls that this process works on.", ("stage", "endpoint"))
CALLS = Metric("counter", "deepsearch_calls", "Calls that this process took.", ("stage", "endpoint"))
UPSTREAM_SECONDS = Metric(
    "histogram", "deepsearch_upstream_request_seconds", "Requests sent upstream, each attempt one.", ("provider", "outcome"), _SECONDS
)
CACHE_LOOKUPS = Metric("counter", "deepsearch_cache_lookups", "Lookups in the cache.", ("kind", "result"))
CIRCUIT_OPEN = Metric("gauge", "deepsearch_circuit_open", "1 while an upstream is left alone, else 0.", ("provider",))
UPSTREAM_UNDER_WAY = Metric("gauge", "deepsearch_upstream_under_way", "Calls of an upstream that have a slot.", ("provider",))
UPSTREAM_WAITING = Metric("gauge", "deepsearch_upstream_waiting", "Calls that wait for a slot or their turn.", ("provider",))


class Timer:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    @property
    def seconds(self) -> float:
        """Until now."""
        return time.monotonic() - self._begun


class Served:
    """The metrics of one stage at `http://HOST:PORT/metrics`, in a thread of its own, until `close`."""

    def __init__(self, stage: str, host: str, port: int) -> None:
        """Raises `ConfigurationError` when the port is taken."""
        from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server  # noqa: PLC0415

        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._metrics = [metric for metric in METRICS if metric.process == "stage" or stage == "controller"]
        for metric in self._metrics:
            metric.keep(registry)
        try:
            self._server, _ = start_http_server(port, host, registry)
        except OSError as error:
            raise ConfigurationError(
                f"DEEPSEARCH_STAGE_METRICS: cannot listen on {host}:{port} (the port of {stage} plus {PORT_OFFSET}), {error.strerror}; "
                "free it, or give the stage another port.",
                field="DEEPSEARCH_STAGE_METRICS",
            ) from error

    def close(self) -> None:
        """Stop serving, and counting."""
        self._server.shutdown()
        self._server.server_close()
        for metric in self._metrics:
            metric.drop()
