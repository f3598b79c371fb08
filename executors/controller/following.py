"""Those who watch runs, as they happen in this process or through the journal."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from math import inf

from executors.controller.run import replay
from executors.controller.telling import AnswerReader, end_of, on_the_wire
from providers.journal.base import Journal
from schemas import events as ev
from schemas.events import ResearchEvent
from schemas.research import RunSummary

MOST_WAITING = 1_000
"""Events that may wait for one follower; one that is slower than that reads on in the journal."""
_ELSEWHERE_SECONDS = 0.5
"""Pause between looks at the journal of a run that another process drives."""
PATIENCE_SECONDS = 3.0
"""Longest wait for a client's gateway to have another controller go on with a run whose controller died."""


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
    """Who watches which run, and the answer as far as each run of this process has written it."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._followers: defaultdict[str, set[Follower]] = defaultdict(set)
        self._written: dict[str, ResearchEvent] = {}
        self._here: set[str] = set()
        self._handing_over = False

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

    def begin(self, run_id: str) -> None:
        """The events of a run come from this process from now on."""
        self._here.add(run_id)

    def publish(self, event: ResearchEvent) -> None:
        """Give an event to all who watch its run."""
        if event.type == ev.AnswerDelta.model_fields["type"].default:
            offset, before = event.data.get("offset", 0), self._written.get(event.run_id)
            start = before.data["offset"] if before and offset else offset
            text = before.data["text"] if before and offset else ""
            self._written[event.run_id] = event.model_copy(update={"data": {"text": text + event.data["text"], "offset": start}})
        for follower in self._followers.get(event.run_id, ()):
            follower.put(event)

    def leave(self, run_id: str) -> None:
        """No event of the run will come from this process."""
        self._here.discard(run_id)
        self._written.pop(run_id, None)
        for follower in self._followers.get(run_id, ()):
            follower.put(None)

    def hand_over(self) -> None:
        """Let nobody wait here for what other processes drive: who follows is to go on elsewhere, after its last event."""
        self._handing_over = True

    async def follow(
        self, run_id: str, after: int = 0, after_offset: int = 0, *, patience: float = PATIENCE_SECONDS
    ) -> AsyncGenerator[ResearchEvent, None]:
        """The events of a run after the one with sequence `after`, past ones and those to come, each once; the last is `run_ended`.

        Without it, the stream ends only because this process does. Watching changes nothing: who leaves stops nothing.
        `after_offset` is how much of the answer is known already; `patience`, in seconds, how long a run may be interrupted before
        that is its end, when it is seen in the middle. For a job that has no limit, unless it is 0. Raises `RunNotFound`.
        """
        reader, in_the_middle, interrupted_at = AnswerReader(after_offset), after > 0, 0.0
        while True:
            with self.following(run_id) as follower:
                here = run_id in self._here
                for stored in await self._journal.events(run_id, after):
                    yield on_the_wire(run_id, stored.sequence, stored.time, stored.event)
                    after = stored.sequence
                if here:
                    async for event in follower.events():
                        if event.type == "run_ended":
                            yield event
                            return
                        if event.type == "answer_delta" and event.sequence >= after:
                            news = reader.news(event)
                            if news is not None:
                                yield news
                        elif event.sequence > after:
                            yield event
                            after = event.sequence
                    in_the_middle = True
                    continue  # it has stopped here, or was quicker than who reads: the journal tells the rest
            if self._handing_over:
                return
            summary = await self._journal.summary(run_id)
            if summary.state == "running":
                in_the_middle, interrupted_at = True, 0.0
                await asyncio.sleep(_ELSEWHERE_SECONDS)
                continue
            interrupted_at = interrupted_at or time.monotonic()
            left = inf if summary.background and patience else (interrupted_at + patience - time.monotonic()) * in_the_middle
            if summary.state == "interrupted" and left > 0:
                await asyncio.sleep(min(left, _ELSEWHERE_SECONDS))
                continue
            if not await self._journal.events(run_id, after):
                yield on_the_wire(run_id, after, time.time(), await self.ended(summary))
                return

    async def ended(self, summary: RunSummary) -> ev.RunEnded:
        """The end of a run that nobody drives."""
        if summary.state == "interrupted":
            return ev.RunEnded(outcome="interrupted", message=f"run {summary.run_id} was interrupted; it can be resumed")
        return end_of(replay(await self._journal.events(summary.run_id)))
