"""What every upstream is given: one policy for each kind, shown as a table in `docs/resilience.md`.

Timeouts belong to the call, because a run has less time the longer it lasts; they are settings (`*_TIMEOUT_SECONDS`).
"""

from __future__ import annotations

from providers.upstream import Policy, Rate
from schemas.settings import Settings

_FAILURES = 5
_FAILING_SECONDS = 30.0
_REJECTED_SECONDS = 60.0
"""A key that is rejected stays rejected until someone changes it; a minute is what they wait for that to show."""


def model_server(settings: Settings) -> Policy:
    """A server of language models.

    Half a call's longest time must have passed before a missing answer is its fault. A rejected key ends a run anyway.
    """
    return Policy(
        at_once=settings.llm_concurrency,
        attempts=1 + settings.llm_max_retries,
        backoff_seconds=0.5,
        failures=_FAILURES,
        failing_seconds=_FAILING_SECONDS,
        patience_seconds=settings.llm_timeout_seconds / 2,
    )


def search_provider(settings: Settings, rate: Rate | None, at_once: int | None = None) -> Policy:
    """A search provider: SEARCH_CONCURRENCY queries at a time, or `at_once` if that is fewer, at `rate`."""
    return Policy(
        at_once=min(settings.search_concurrency, at_once or settings.search_concurrency),
        rate=rate,
        failures=_FAILURES,
        failing_seconds=_FAILING_SECONDS,
        rejected_seconds=_REJECTED_SECONDS,
        # A query at the end of a run's time may get less; that it comes to nothing is not the provider's fault.
        patience_seconds=settings.search_timeout_seconds / 2,
    )


def text_service(timeout_seconds: float) -> Policy:
    """A service that embeds or reranks. Calls fail at once while it is left alone, and words are compared in its place."""
    return Policy(
        at_once=16,
        failures=_FAILURES,
        failing_seconds=_FAILING_SECONDS,
        rejected_seconds=_REJECTED_SECONDS,
        patience_seconds=timeout_seconds / 2,
    )


def page_service(settings: Settings) -> Policy:
    """A service that reads pages. Its failures may be those of the pages, so it takes twice as many in a row, whatever the pages."""
    return Policy(
        at_once=settings.reader_concurrency,
        failures=2 * _FAILURES,
        failing_seconds=_FAILING_SECONDS,
        patience_seconds=settings.reader_timeout_seconds / 2,
    )
