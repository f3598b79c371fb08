"""The limits of search providers: their settings, and what their terms of use allow."""

from __future__ import annotations

from providers.policies import search_provider
from providers.upstream import Rate, Upstream
from schemas.settings import Settings


def search_upstream(settings: Settings, rate: Rate | None, at_once: int | None = None) -> Upstream:
    """The upstream of one search provider: SEARCH_CONCURRENCY queries at a time, or `at_once` if that is fewer, at `rate`."""
    return Upstream(search_provider(settings, rate, at_once))


def search_rate(settings: Settings, published: Rate | None = None) -> Rate | None:
    """SEARCH_PER_MINUTE, or the provider's own `published` rate when that is not set."""
    return Rate(settings.search_per_minute, 60.0) if settings.search_per_minute else published


def spaced(settings: Settings, seconds: float) -> Rate | None:
    """One query in `seconds`, which SEARCH_PER_MINUTE may only make longer: for terms of use that bind."""
    seconds = max(seconds, 60.0 / settings.search_per_minute if settings.search_per_minute else 0.0)
    return Rate(1, seconds) if seconds else None
