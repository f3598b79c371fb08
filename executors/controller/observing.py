"""What telemetry learns of a run: from its events, so that what is counted is what was written, and nothing twice."""

from __future__ import annotations

from contextvars import Context, copy_context

from executors.controller.stages import STAGE_OF_ENDPOINT
from executors.controller.state import RunState
from providers.journal.base import StoredEvent
from schemas import events as ev
from telemetry import metrics, tracing
from telemetry.carrying import RUN

_CONTROLLER = "controller"


def traceparent() -> str:
    """Where a run that begins now belongs: to the current span, or, where nobody asked over a door, to one that is made for it."""
    carrier = tracing.current().carrier()
    if not carrier:
        asked = tracing.span("ask")
        carrier = asked.carrier()
        asked.end()
    return carrier.get("traceparent", "")


def count(before: RunState, stored: StoredEvent, after: RunState) -> None:
    """Count one event that was written."""
    event = stored.event
    if after.total_step > before.total_step > 0:
        _count_step(before)
    if after.budget.spent is not before.budget.spent:
        _count_usage(before, getattr(event, "effect_id", ""), after)
    if isinstance(event, ev.CallFailed):
        metrics.ERRORS.count(_stage_of(before, event.effect_id), event.code)
    if before.outcome == "running" and after.outcome != "running":
        if after.total_step:
            _count_step(after)
        if after.outcome == "failed":
            metrics.ERRORS.count(_CONTROLLER, after.error_code)
        if not after.parent:
            metrics.RUNS.count(after.outcome, after.stop_reason or "none")
            metrics.RUN_SECONDS.observe(after.budget.elapsed, after.outcome)


class Watched:
    """A run while this process drives it: its span, and the context that its calls are made in."""

    def __init__(self, state: RunState, first: StoredEvent) -> None:
        resumed = isinstance(first.event, ev.RunResumed)
        self._counted = not state.parent
        self._run_id = state.request.run_id
        if self._counted:
            metrics.RUNS_DRIVEN.count()
            if resumed:
                metrics.RUNS_RESUMED.count()
            elif isinstance(first.event, ev.RunStarted):
                metrics.RUNS_BEGUN.count()
        self._span = tracing.NOTHING
        if tracing.is_on():
            parent = {"traceparent": state.traceparent} if state.traceparent else None
            self._span = tracing.span("run", parent=parent)
            self._span.set({"deepsearch.run_id": self._run_id, "deepsearch.resumed": resumed})
            if state.parent:
                self._span.set({"deepsearch.parent_run_id": state.parent})
        self._context = copy_context()
        self._context.run(self._enter)

    def context(self) -> Context:
        """A context for one call."""
        return self._context.copy()

    def end(self, state: RunState) -> None:
        """This process drives it no longer."""
        left = state.outcome == "running" and not state.waiting
        if self._counted:
            metrics.RUNS_DRIVEN.count(by=-1)
            if left:
                metrics.RUNS_INTERRUPTED.count()
        spent = state.budget.spent
        self._span.set({
            "deepsearch.outcome": "interrupted" if left else "waiting" if state.waiting else state.outcome,
            "deepsearch.stop_reason": state.stop_reason or "",
            "deepsearch.steps": state.total_step,
            "deepsearch.provider_tokens": spent.provider_tokens,
            "deepsearch.cost_usd": spent.cost_usd,
            "gen_ai.usage.input_tokens": spent.prompt_tokens,
            "gen_ai.usage.output_tokens": spent.completion_tokens,
        })  # fmt: skip
        if state.outcome == "failed":
            self._span.fail(state.error_code)
        self._span.end()

    def _enter(self) -> None:
        RUN.set(self._run_id)
        self._span.stay()


def _count_step(state: RunState) -> None:
    metrics.STEPS.count(state.decision.action if state.decision else "none")


def _count_usage(before: RunState, effect_id: str, after: RunState) -> None:
    effect = before.budget.reserved.get(effect_id)
    if effect is not None and effect.kind == "delegate":
        return  # counted by the run that spent it
    stage = _stage_of(before, effect_id)
    spent, known = after.budget.spent, before.budget.spent
    for kind, used in (
        ("prompt", spent.prompt_tokens - known.prompt_tokens),
        ("completion", spent.completion_tokens - known.completion_tokens),
        ("provider", spent.provider_tokens - known.provider_tokens),
        ("cached", spent.cached_tokens - known.cached_tokens),
    ):
        metrics.RUN_TOKENS.count(stage, kind, by=used)
    metrics.RUN_COST.count(stage, by=spent.cost_usd - known.cost_usd)
    metrics.RUN_MODEL_CALLS.count(stage, by=spent.llm_calls - known.llm_calls)
    metrics.RUN_SEARCHES.count(by=spent.searches - known.searches)
    metrics.RUN_PAGES.count(by=spent.pages - known.pages)


def _stage_of(state: RunState, effect_id: str) -> str:
    effect = state.budget.reserved.get(effect_id)
    return STAGE_OF_ENDPOINT.get(f"/{effect.kind}", _CONTROLLER) if effect is not None else _CONTROLLER
