"""How search providers are spared: their limits, and when they are left alone."""

from __future__ import annotations

from providers.upstream import Policy, Rate, Upstream
from schemas.settings import Settings

_FAILURES = 5
_FAILING_SECONDS = 30.0
_REJECTED_SECONDS = 60.0
"""A key that is rejected stays rejected until someone changes it; a minute is what they wait for that to show."""


def search_upstream(settings: Settings, rate: Rate | None, at_once: int | None = None) -> Upstream:
    """The upstream of one search provider: SEARCH_CONCURRENCY queries at a time, or `at_once` if that is fewer, at `rate`."""
    return Upstream(
        Policy(
            at_once=min(settings.search_concurrency, at_once or settings.search_concurrency),
            rate=rate,
            failures=_FAILURES,
            failing_seconds=_FAILING_SECONDS,
            rejected_seconds=_REJECTED_SECONDS,
            # A query at the end of a run's time may get less; that it comes to nothing is not the provider's fault.
            patience_seconds=settings.search_timeout_seconds / 2,
        )
    )


def search_rate(settings: Settings, published: Rate | None = None) -> Rate | None:
    """SEARCH_PER_MINUTE, or the provider's own `published` rate when that is not set."""
    return Rate(settings.search_per_minute, 60.0) if settings.search_per_minute else published


def spaced(settings: Settings, seconds: float) -> Rate | None:
    """One query in `seconds`, which SEARCH_PER_MINUTE may only make longer: for terms of use that bind."""
    seconds = max(seconds, 60.0 / settings.search_per_minute if settings.search_per_minute else 0.0)
    return Rate(1, seconds) if seconds else None
