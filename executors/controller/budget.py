"""What a run may still spend: one value, changed only by reserving and settling."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from schemas.errors import InvalidRequest
from schemas.events import Effect, Limits, Record
from schemas.research import ResearchRequest
from schemas.settings import Settings
from schemas.usage import Usage

FINAL_SHARE = 0.15
"""Share of tokens, time and money that only the final answer may use."""

EFFORT: dict[str, tuple[int, int]] = {"low": (100_000, 1), "medium": (500_000, 2), "high": (1_000_000, 4)}
"""Tokens and attempts by `reasoning_effort`."""

FINAL_SECONDS = 2.0
"""Least time the final answer gets, even after the limit: an answer by rules takes milliseconds, none would lose the run."""

_MOST = 2**31 - 1
"""Whole numbers between processes have 32 bits."""

LEAST_TOKENS = 1_000
LEAST_SECONDS = 1
_LEAST = {
    "budget_tokens": LEAST_TOKENS,
    "budget_seconds": LEAST_SECONDS,
    "max_attempts": 1,
    "max_llm_calls": 1,
    "max_searches": 0,
    "max_pages": 0,
}

Exhausted = Literal["token_budget", "time_budget", "money_budget", "call_budget"]


def limits_of(request: ResearchRequest, settings: Settings) -> Limits:
    """The limits a request asks for, defaults applied. Raises `InvalidRequest` naming the field that is out of range."""
    tokens, attempts = EFFORT[request.reasoning_effort]
    for field, least in _LEAST.items():
        value = getattr(request, field)
        if value is not None and not (math.isfinite(value) and value >= least):
            raise InvalidRequest(f"{field} is {value:g}; it must be at least {least:,g}", field=field)
        if value is not None and value > _MOST:
            raise InvalidRequest(f"{field} is {value:g}; it must be at most {_MOST:,}", field=field)
    if request.budget_usd is not None and not 0 < request.budget_usd < math.inf:
        raise InvalidRequest("budget_usd must be more than 0", field="budget_usd")

    def given(value: int | None, default: int) -> int:
        return default if value is None else value

    return Limits(
        tokens=given(request.budget_tokens, tokens),
        seconds=settings.deepsearch_budget_seconds if request.budget_seconds is None else request.budget_seconds,
        usd=request.budget_usd,
        searches=given(request.max_searches, settings.deepsearch_max_searches),
        pages=given(request.max_pages, settings.deepsearch_max_pages),
        llm_calls=given(request.max_llm_calls, settings.deepsearch_max_llm_calls),
        steps=settings.deepsearch_max_steps,
        attempts=given(request.max_attempts, attempts),
    )


class Budget(Record):
    """Limits, what is spent, and what is reserved for calls in flight.

    Invariant: spent plus reserved never exceeds a limit, as long as no call spends more than was reserved for it.
    """

    limits: Limits
    spent: Usage = Usage()
    reserved: dict[str, Effect] = Field(default={}, description="Effects in flight by id.")
    started_at: float = 0.0
    now: float = 0.0

    def reserve(self, effect: Effect) -> Budget:
        """Set the effect's allowance aside."""
        return self.model_copy(update={"reserved": {**self.reserved, effect.id: effect}})

    def settle(self, effect_id: str, usage: Usage) -> Budget:
        """Replace a reservation by what was really spent."""
        reserved = {key: effect for key, effect in self.reserved.items() if key != effect_id}
        return self.model_copy(update={"reserved": reserved, "spent": self.spent + usage})

    def release_all(self) -> Budget:
        """Drop every reservation: the calls they were made for are lost."""
        return self.model_copy(update={"reserved": {}})

    def resumed(self, now: float) -> Budget:
        """The budget of a run that was interrupted and goes on `now`: the time between does not count, calls in flight are lost."""
        return self.release_all().model_copy(update={"started_at": self.started_at + max(0.0, now - self.now), "now": max(self.now, now)})

    def at(self, now: float) -> Budget:
        """The same budget at a later time; time never runs backwards."""
        return self.model_copy(update={"now": max(self.now, now)})

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self.now - self.started_at

    def tokens_left(self, *, final: bool) -> int:
        """Tokens neither spent nor reserved; without `final`, the final answer's share is not counted."""
        total = self.limits.tokens if final else int(self.limits.tokens * (1 - FINAL_SHARE))
        return max(0, total - self.spent.total_tokens - sum(effect.tokens for effect in self.reserved.values()))

    def seconds_left(self, *, final: bool) -> float:
        """Seconds until the limit, or until the final answer's share of the time begins."""
        total = self.limits.seconds if final else self.limits.seconds * (1 - FINAL_SHARE)
        return max(0.0, total - self.elapsed)

    def usd_left(self, *, final: bool) -> float | None:
        """Money left, by the same rule; None when there is no limit."""
        if self.limits.usd is None:
            return None
        total = self.limits.usd if final else self.limits.usd * (1 - FINAL_SHARE)
        return max(0.0, total - self.spent.cost_usd - sum(effect.usd or 0.0 for effect in self.reserved.values()))

    def calls_left(self, *, final: bool) -> int:
        """Model calls left; one is kept for the final answer."""
        kept = 0 if final else 1
        return max(0, self.limits.llm_calls - kept - self.spent.llm_calls - sum(e.llm_calls for e in self.reserved.values()))

    @property
    def searches_left(self) -> int:
        """Queries left."""
        return max(0, self.limits.searches - self.spent.searches - sum(effect.searches for effect in self.reserved.values()))

    @property
    def pages_left(self) -> int:
        """Pages left."""
        return max(0, self.limits.pages - self.spent.pages - sum(effect.pages for effect in self.reserved.values()))

    def exhausted(self, *, model: bool, final: bool = False) -> Exhausted | None:
        """Which limit is used up, if any, by the same rule; calls and money count only where a model is in use."""
        if self.tokens_left(final=final) <= 0:
            return "token_budget"
        if self.seconds_left(final=final) <= 0:
            return "time_budget"
        if model and self.usd_left(final=final) == 0:
            return "money_budget"
        if model and self.calls_left(final=final) <= 0:
            return "call_budget"
        return None

    def share_left(self) -> float:
        """Share of the regular budget that is left, 0 to 1, by the scarcer of tokens and money.

        Time is left out: models are told this share, and what they are told must not depend on how fast a machine is, or no
        recorded run could be replayed. The time limit itself is kept all the same.
        """
        shares = [self.tokens_left(final=False) / max(1, int(self.limits.tokens * (1 - FINAL_SHARE)))]
        usd = self.usd_left(final=False)
        if usd is not None and self.limits.usd:
            shares.append(usd / (self.limits.usd * (1 - FINAL_SHARE)))
        return min(shares)

    def allow(self, effect: Effect, *, model: bool, seconds: float, final: bool = False, shared_by: int = 1) -> Effect:
        """The effect with the allowance it gets: everything left, divided among `shared_by` effects that run at once.

        `model` says whether it may call the language model; `seconds` is the longest it may take in any case.
        """
        calls = self.calls_left(final=final) // shared_by
        usd = self.usd_left(final=final)
        return effect.model_copy(
            update={
                "tokens": self.tokens_left(final=final) // shared_by,
                "llm_calls": min(CALLS_PER_EFFECT, calls) if model else 0,
                "usd": None if usd is None else usd / shared_by,
                "seconds": max(min(seconds, self.seconds_left(final=final)), FINAL_SECONDS if final else 0.0),
            }
        )

    def allot(self, effect: Effect, *, part: float, model: bool) -> Effect:
        """The effect with its part of everything that is left, for a run of its own; several may be allotted at once.

        `part` is from 0 to 1; `model` says whether the run may call the language model.
        """
        usd = self.usd_left(final=False)
        return effect.model_copy(
            update={
                "tokens": int(self.tokens_left(final=False) * part),
                "llm_calls": int(self.calls_left(final=False) * part) if model else 0,
                "searches": int(self.searches_left * part),
                "pages": int(self.pages_left * part),
                "usd": None if usd is None else usd * part,
                "seconds": self.seconds_left(final=False) * _ALLOTTED_TIME,
            }
        )


_ALLOTTED_TIME = 0.8
"""Runs at once share the time, not a part of it each; what is left over is for what comes after them."""

CALLS_PER_EFFECT = 16
"""Model requests that one stage call may make: the rungs of structured output, one retry, and a second task of the same stage."""
