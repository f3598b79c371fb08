"""A journal whose operations are timed, for the metrics of its process."""

from __future__ import annotations

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any, cast

from providers.journal.base import Journal
from schemas.errors import JournalError
from telemetry.metrics import JOURNAL_SECONDS, Timer


def measured(journal: Journal) -> Journal:
    """The same journal; each operation counts with its time, and whether the journal failed."""
    return cast("Journal", _Measured(journal))


class _Measured:
    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._journal, name)
        if iscoroutinefunction(found):
            found = _timed(name, found)
        setattr(self, name, found)  # the next time it is found without this method
        return found


def _timed(operation: str, function: Callable[..., Any]) -> Callable[..., Any]:
    async def timed(*arguments: Any, **named: Any) -> Any:
        timer, outcome = Timer(), "ok"
        try:
            return await function(*arguments, **named)
        except JournalError:
            outcome = "failed"
            raise
        finally:
            JOURNAL_SECONDS.observe(timer.seconds, operation, outcome)

    return timed
