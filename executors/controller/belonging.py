"""Whose a run is: the key's that asked for it. Only who has that key lists, stops, deletes, approves or goes on with it.

A run that was asked for without a key is nobody's: whoever may ask at all may do all of that. To read a run one has to know its id.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from providers.journal.base import Journal, not_found
from schemas.events import ResearchEvent

NOBODY = ""


def names_of(owner: str) -> frozenset[str]:
    """Whose runs a caller may list and change: its own and nobody's."""
    return frozenset({NOBODY, owner})


async def check(journal: Journal, run_id: str, owner: str) -> None:
    """Raise `RunNotFound`, as for a run that does not exist, when a run belongs to another than `owner`."""
    if await journal.asked_by(run_id) not in names_of(owner):
        raise not_found(run_id)


async def events_of(
    journal: Journal, run_id: str, owner: str, events: AsyncGenerator[ResearchEvent, None]
) -> AsyncGenerator[ResearchEvent, None]:
    """The events, of which none is made before it is known that the run is the caller's. Raises what `check` does."""
    async with aclosing(events):
        await check(journal, run_id, owner)
        async for event in events:
            yield event
