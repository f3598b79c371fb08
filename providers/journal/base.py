"""The contract of a journal: the append-only events of every run, the pages that were read, and one line about each run.

A run that is under way belongs to one process at a time. Ownership is a lease: its owner renews it while it works, and when the
owner dies or loses the journal the lease runs out and any other process may claim the run. Whoever has lost a run cannot write
to it any more, so no event is written twice and none by two owners.

That has nothing to do with who asked for the run: the name of the key that it belongs to is written once, when it begins, and is
in no event and no line about it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from typing import NamedTuple, Protocol

from schemas.errors import RunNotFound
from schemas.events import JournalEvent
from schemas.reading import Attachment, Page
from schemas.research import RunSummary


class StoredEvent(NamedTuple):
    """An event with its place in the run."""

    sequence: int
    """Counted from 1 without gaps."""
    time: float
    """Seconds since the epoch."""
    event: JournalEvent


class Renewal(NamedTuple):
    """What an owner learns when it renews its leases."""

    lost: frozenset[str] = frozenset()
    """Runs that belong to another process now, or that are gone."""
    cancelled: frozenset[str] = frozenset()
    """Runs whose cancellation somebody asked for."""


def not_found(run_id: str) -> RunNotFound:
    """What is raised for a run that is not there, and for one that whoever asks is not to know of."""
    return RunNotFound(f"no run {run_id!r}", field="run_id")


class Journal(Protocol):
    """Keeps runs. What a write has returned from survives the death of every process but the storage's own.

    Every method raises `JournalError` when the storage cannot be used. A write that was cut short by a lost connection is made
    again by the journal itself, without effect when it had been made already, for as long as `DEEPSEARCH_LEASE_SECONDS`.
    """

    async def create(self, summary: RunSummary, first: StoredEvent, attachments: Mapping[str, Attachment], asked_by: str = "") -> None:
        """Register a new run of ours, with its first event and the files that came with the question (by URL): all or nothing.

        `asked_by` names the key that it belongs to, for good; empty: nobody.
        Raises `InvalidRequest` (field `run_id`) when the id is taken.
        """
        ...

    async def append(self, run_id: str, stored: StoredEvent, summary: RunSummary | None = None) -> None:
        """Append the next event of a run of ours and, when there is one, replace the line about it.

        Raises `RunLost` when the run belongs to another process by now.
        """
        ...

    async def save_page(self, run_id: str, page: Page) -> None:
        """Keep a page's text with the run. Saving the same page twice changes nothing."""
        ...

    async def update(self, summary: RunSummary, state_digest: str = "") -> None:
        """Replace the line about a run of ours; of another's it changes nothing. A state other than `running` gives the run up.

        `state_digest` is that of its final state, empty while it has not ended.
        """
        ...

    async def claim(self, run_id: str) -> bool:
        """Become the owner of a run that is not running, or whose owner is gone; of many who try at once, one does.

        Returns whether its owner is gone, which has never given the run up. Raises `RunNotFound`, or `RunUnderWay` when it has an
        owner, who may be this process.
        """
        ...

    async def renew(self, runs: Collection[str]) -> Renewal:
        """Keep these runs of ours for another `DEEPSEARCH_LEASE_SECONDS`."""
        ...

    async def ask_to_cancel(self, run_id: str) -> None:
        """Have the owner of a run learn, when it renews its lease, that the run is to be cancelled. Raises `RunNotFound`."""
        ...

    async def events(self, run_id: str, after: int = 0) -> list[StoredEvent]:
        """The events after that sequence number, in order. Raises `RunNotFound`."""
        ...

    async def summary(self, run_id: str) -> RunSummary:
        """The line about a run; a running one whose owner is gone is `interrupted`. Raises `RunNotFound`."""
        ...

    async def state_digest(self, run_id: str) -> str:
        """Digest of the final state, empty when the run has not ended. Raises `RunNotFound`."""
        ...

    async def asked_by(self, run_id: str) -> str:
        """Name of the key that a run belongs to, empty when it is nobody's. Raises `RunNotFound`."""
        ...

    async def runs(self, limit: int, asked_by: Collection[str] | None = None) -> list[RunSummary]:
        """The newest runs, newest first; those that work for another run are left out.

        With `asked_by` only those that belong to one of these keys; the empty name stands for nobody.
        """
        ...

    async def unfinished(self, limit: int) -> list[RunSummary]:
        """Jobs (`background`, without a parent) that are interrupted, oldest first: whoever claims one goes on with it."""
        ...

    async def children(self, run_id: str) -> list[RunSummary]:
        """The runs that work for this one, in the order of their ids' numbers."""
        ...

    async def page(self, run_id: str, page_id: str) -> Page:
        """A page that was read in a run. Raises `RunNotFound`."""
        ...

    def pages(self, run_id: str) -> AsyncIterator[Page]:
        """Every page that was read in a run, by page id."""
        ...

    async def attachment(self, run_id: str, url: str) -> Attachment:
        """A file that came with the question. Raises `RunNotFound`."""
        ...

    async def attachments(self, run_id: str) -> dict[str, Attachment]:
        """The files that came with the question, by URL."""
        ...

    async def restore(
        self,
        summary: RunSummary,
        state_digest: str,
        events: Collection[StoredEvent],
        pages: Collection[Page],
        attachments: Mapping[str, Attachment],
    ) -> None:
        """Keep a run that came from another journal, all or nothing; a running one is kept as `interrupted`. It is nobody's.

        Raises `InvalidRequest` (field `run_id`) when the id is taken.
        """
        ...

    async def forget(self, run_id: str) -> None:
        """Delete a run with everything that belongs to it, the runs that worked for it too.

        Raises `RunNotFound`, or `RunUnderWay` when it or one of them has an owner.
        """
        ...

    async def forget_before(self, time: float) -> int:
        """Forget every run that has ended, or was interrupted, and was last written before `time` (seconds since the epoch).

        Returns how many; runs that work for another one go with it and are not counted.
        """
        ...

    async def check(self) -> None:
        """Raise `JournalError` when the storage cannot be used now."""
        ...

    async def close(self) -> None:
        """Release the storage."""
        ...
