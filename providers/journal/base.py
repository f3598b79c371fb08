"""The contract of a journal: the append-only events of every run, the pages that were read, and one line about each run."""

from __future__ import annotations

from typing import NamedTuple, Protocol

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


class Journal(Protocol):
    """Keeps runs. What `append` and `save_page` have returned from survives the death of the process."""

    async def create(self, summary: RunSummary) -> None:
        """Register a new run. Raises `InvalidRequest` (field `run_id`) when the id is taken."""
        ...

    async def append(self, run_id: str, stored: StoredEvent) -> None:
        """Append the next event. Raises `JournalError` when that sequence number is taken, which means another owner writes."""
        ...

    async def save_page(self, run_id: str, page: Page) -> None:
        """Keep a page's text with the run. Saving the same page twice changes nothing."""
        ...

    async def save_attachment(self, run_id: str, url: str, attachment: Attachment) -> None:
        """Keep a file that came with the question."""
        ...

    async def attachment(self, run_id: str, url: str) -> Attachment:
        """A file that came with the question. Raises `RunNotFound`."""
        ...

    async def update(self, summary: RunSummary, state_digest: str = "") -> None:
        """Replace the line about a run of ours; `state_digest` is that of its final state, empty while it runs."""
        ...

    async def claim(self, run_id: str) -> None:
        """Become the owner of an interrupted run. Raises `RunNotFound`, or `InvalidRequest` when it has an owner that lives."""
        ...

    async def events(self, run_id: str, after: int = 0) -> list[StoredEvent]:
        """The events after that sequence number, in order. Raises `RunNotFound`."""
        ...

    async def summary(self, run_id: str) -> RunSummary:
        """The line about a run; a running one whose process is gone is `interrupted`. Raises `RunNotFound`."""
        ...

    async def state_digest(self, run_id: str) -> str:
        """Digest of the final state, empty when the run has not ended. Raises `RunNotFound`."""
        ...

    async def runs(self, limit: int) -> list[RunSummary]:
        """The newest runs, newest first; those that work for another run are left out."""
        ...

    async def page(self, run_id: str, page_id: str) -> Page:
        """A page that was read in a run. Raises `RunNotFound`."""
        ...

    async def close(self) -> None:
        """Release the storage."""
        ...
