"""Those who watch runs of this process as they happen."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from schemas.events import AnswerDelta, ResearchEvent

MOST_WAITING = 1_000
"""Events that may wait for one follower; one that is slower than that reads on in the journal."""


class Follower:
    """The events of one run from now on, for one who watches. Ends when the run ends, stops, or has run ahead too far."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[ResearchEvent | None] = asyncio.Queue()
        self._ended = False

    def put(self, event: ResearchEvent | None) -> None:
        """Give an event; None ends."""
        if self._ended:
            return
        self._ended = event is None or self._waiting.qsize() >= MOST_WAITING
        self._waiting.put_nowait(None if self._ended else event)

    async def events(self) -> AsyncIterator[ResearchEvent]:
        """The events as they come."""
        while (event := await self._waiting.get()) is not None:
            yield event


class Followers:
    """Who watches which run, and the answer as far as each run has written it."""

    def __init__(self) -> None:
        self._followers: defaultdict[str, set[Follower]] = defaultdict(set)
        self._written: dict[str, ResearchEvent] = {}

    @contextmanager
    def following(self, run_id: str) -> Iterator[Follower]:
        """Watch a run. The first event may be one `answer_delta` with all that is written of the answer so far."""
        follower = Follower()
        if run_id in self._written:
            follower.put(self._written[run_id])
        self._followers[run_id].add(follower)
        try:
            yield follower
        finally:
            self._followers[run_id].discard(follower)
            if not self._followers[run_id]:
                del self._followers[run_id]

    def publish(self, event: ResearchEvent) -> None:
        """Give an event to all who watch its run."""
        if event.type == AnswerDelta.model_fields["type"].default:
            before = self._written.get(event.run_id)
            text = (before.data["text"] if before and event.data.get("offset") else "") + event.data["text"]
            self._written[event.run_id] = event.model_copy(update={"data": {"text": text}})
        for follower in self._followers.get(event.run_id, ()):
            follower.put(event)

    def leave(self, run_id: str) -> None:
        """No event of the run will come from this process."""
        self._written.pop(run_id, None)
        for follower in self._followers.get(run_id, ()):
            follower.put(None)
