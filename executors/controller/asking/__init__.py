"""From an effect to the request that its stage is sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from docarray import BaseDoc

from executors.controller.asking import ending, loop, report, team
from executors.controller.asking.shared import allowance_of
from executors.controller.state import RunState
from schemas.events import Effect, EffectKind
from schemas.usage import Allowance

_REQUESTS: dict[EffectKind, Callable[[Effect, RunState, Allowance], Any]] = {
    "understand": loop.understand,
    "rank": loop.rank,
    "decide": loop.decide,
    "dedupe": loop.dedupe,
    "search": loop.search,
    "rewrite": loop.rewrite,
    "cluster": loop.cluster,
    "read": loop.read,
    "describe": loop.describe,
    "code": loop.code,
    "compose": loop.compose,
    "evaluate": loop.evaluate,
    "analyze": loop.analyze,
    "check": ending.check,
    "revise": ending.revise,
    "finalize": ending.finalize,
    "structure": ending.structure,
    "illustrate": ending.illustrate,
    "decompose": team.decompose,
    "delegate": team.delegate,
    "reduce": team.reduce,
    "digest": report.digest,
    "synthesize": report.synthesize,
    "outline": report.outline,
    "section": report.section,
}


def request_for(effect: Effect, state: RunState) -> BaseDoc:
    """The request of a call that becomes ready in `state`."""
    request: BaseDoc = _REQUESTS[effect.kind](effect, state, allowance_of(effect))
    return request
