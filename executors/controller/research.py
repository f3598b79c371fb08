"""The interpreter of the research loop: it makes the calls the state machine asks for and feeds it what happened."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from typing import NamedTuple

from docarray import BaseDoc

from executors.controller.asking import request_for
from executors.controller.attachments import attached
from executors.controller.budget import limits_of
from executors.controller.calling import Calling
from executors.controller.checking import check_position, checked, checked_outline, without_contents
from executors.controller.driven import Driven
from executors.controller.following import Followers
from executors.controller.leases import Leases
from executors.controller.observing import Watched, count, traceparent
from executors.controller.run import apply, begin, next_effects, replay
from executors.controller.stages import Stages
from executors.controller.state import RunState, digest
from executors.controller.telling import AnswerReader, end_of, on_the_wire, summary_of
from providers.journal.base import Journal, StoredEvent
from schemas import events as ev
from schemas.errors import InvalidRequest, JournalError, NotWaiting, RunLost, RunNotFound, RunUnderWay
from schemas.events import Effect, JournalEvent, ResearchEvent
from schemas.reporting import OutlineApproval
from schemas.research import ResearchRequest, RunReport
from schemas.settings import Settings

logger = logging.getLogger(__name__)

_OPEN = ("running", "interrupted", "waiting")
"""States of a run that has not ended."""
_LOOK_SECONDS = 0.2
"""Pause between looks at a run that another process drives, when it is to stop there."""
_STOPPING_SECONDS = 5.0
"""Longest wait for the runs of a process that stops to be interrupted."""


class Research:
    """Runs of one process. Every event is in the journal before it is streamed."""

    def __init__(self, stages: Stages, journal: Journal, settings: Settings) -> None:
        self._journal = journal
        self._settings = settings
        self._calling = Calling(stages, journal, self._delegate)
        self._leases = Leases(journal, settings.deepsearch_lease_seconds)
        self._followers = Followers(journal)
        self._active: dict[str, Driven] = {}
        self._stopping = False

    async def run(self, request: ResearchRequest, *, background: bool = False, parent: str = "") -> AsyncGenerator[ResearchEvent, None]:
        """Answer a question and stream what happens; the last event is `run_ended`. `parent` is the run that it works for.

        It belongs to the key that the request names, or its parent's. Only the journal knows: who reads its events learns no name.
        Raises `InvalidRequest` before the first event. Closing the iterator early interrupts the run, which can be resumed.
        """
        asked_by = await self._journal.asked_by(parent) if parent else request.owner
        request = checked(request.model_copy(update={"owner": ""}), self._settings)
        files = attached(request)
        request = without_contents(request)
        limits, now = limits_of(request, self._settings), time.time()
        started = ev.RunStarted(request=request, limits=limits, background=background, parent=parent, traceparent=traceparent())
        state = begin(started, now)
        first = StoredEvent(1, now, started)
        await self._journal.create(summary_of(state), first, files, asked_by)
        async with aclosing(self._drive(state, [first])) as events:
            async for event in events:
                yield event

    async def resume(self, run_id: str) -> AsyncGenerator[ResearchEvent, None]:
        """Go on with an interrupted run; of one that has ended, only the end is streamed.

        Raises `RunNotFound`, or `RunUnderWay`.
        """
        async with aclosing(self._take_up(run_id)) as events:
            async for event in events:
                yield event

    async def go_on(self, run_id: str, after: int = 0, after_offset: int = 0) -> AsyncGenerator[ResearchEvent, None]:
        """The events of a run after the one with sequence `after`, each once, to its end. When nobody drives it, it is driven here.

        `after_offset` is how much of the answer is known already. Closing the iterator early interrupts the run when it is
        driven here. Raises `RunNotFound`, or `InvalidRequest` for a position that no run has.
        """
        check_position(after, after_offset)
        reader = AnswerReader(after_offset)
        while True:
            reader.again()
            if run_id in self._active or (await self._journal.summary(run_id)).state == "running":
                events = self._followers.follow(run_id, after, patience=0.0)
            else:
                events = self._take_up(run_id, after)
            async with aclosing(events):
                try:
                    async for event in events:
                        if event.type == "run_ended" and event.data["outcome"] == "interrupted" and not self._stopping:
                            break  # whoever drove it has died, or left
                        after = max(after, event.sequence)
                        news = reader.news(event)
                        if news is not None:
                            yield news
                    else:
                        return
                except RunUnderWay:
                    pass  # another was quicker to take it up
            await asyncio.sleep(random.uniform(0, _LOOK_SECONDS))  # noqa: S311  (jitter)

    async def approve(self, approval: OutlineApproval) -> AsyncGenerator[ResearchEvent, None]:
        """Go on with a run whose outline waits for approval.

        Raises `RunNotFound`, `NotWaiting` when it does not wait, or `InvalidRequest` naming what is wrong with the outline.
        """
        outline = checked_outline(approval.outline)
        run_id = approval.run_id
        state = await self._replayed(run_id)
        if _waits(state):
            state = (await self._owned(run_id)).state
            if not _waits(state):
                await self._give_up(state)
        if not _waits(state):
            raise NotWaiting(f"run {run_id} has no outline that waits for approval", field="run_id")
        async with aclosing(self._go_on(state, ev.OutlineApproved(outline=outline))) as events:
            async for event in events:
                yield event

    async def follow(self, run_id: str, after: int = 0, after_offset: int = 0) -> AsyncGenerator[ResearchEvent, None]:
        """Watch a run; see `Followers.follow`."""
        check_position(after, after_offset)
        async with aclosing(self._followers.follow(run_id, after, after_offset)) as events:
            async for event in events:
                yield event

    async def report(self, run_id: str) -> RunReport:
        """A run as far as it has come. Raises `RunNotFound`."""
        summary = await self._journal.summary(run_id)
        if summary.state == "interrupted" and (await self._replayed(run_id)).outcome != "running":
            # It has ended, and its process died, or lost the journal, before it could say so.
            with suppress(RunUnderWay):
                await self._give_up((await self._owned(run_id)).state)
            summary = await self._journal.summary(run_id)
        if summary.state in _OPEN:
            return RunReport(run=summary)
        ended = await self._followers.ended(summary)
        return RunReport(run=summary, answer=ended.answer, code=ended.code, message=ended.message)

    async def cancel(self, run_id: str) -> None:
        """Stop a run for good, and those that work for it, whoever drives them; one that has ended stays as it is.

        Returns when they have ended. Raises `RunNotFound`.
        """
        await self._cancel(run_id)
        for number in range(1, len((await self._replayed(run_id)).team) + 1):
            child = f"{run_id}-{number}"
            with suppress(RunNotFound):
                if (await self._journal.summary(child)).parent == run_id:
                    await self._cancel(child)

    def hand_over(self) -> None:
        """This process is about to stop: who follows a run that is not driven here goes elsewhere."""
        self._followers.hand_over()

    async def close(self) -> None:
        """Interrupt every run of this process; they are kept. Takes at most five seconds."""
        self._stopping = True
        for run_id, driven in self._active.items():
            driven.stop(JournalError(f"run {run_id} was interrupted because its controller stopped; it can be resumed"))
        deadline = time.monotonic() + _STOPPING_SECONDS
        while self._active and time.monotonic() < deadline:  # noqa: ASYNC110  (whoever listens drives the loop to its end)
            await asyncio.sleep(0.01)

    # -- whose run it is ----------------------------------------------------------------------------------------------

    async def _take_up(self, run_id: str, after: int | None = None) -> AsyncGenerator[ResearchEvent, None]:
        """Go on with a run that nobody drives: the events after `after`, without it only those to come. Raises `RunUnderWay`."""
        to_be_driven = (await self._journal.summary(run_id)).state in ("running", "interrupted")
        if to_be_driven:
            state, known, is_owner_gone = await self._owned(run_id)
        else:
            known = await self._journal.events(run_id)
            state = replay(known)
        missed = [] if after is None else known[after:]
        if to_be_driven and state.outcome == "running" and not state.waiting:
            async with aclosing(self._go_on(state, ev.RunResumed(after_death=is_owner_gone), missed)) as events:
                async for event in events:
                    yield event
            return
        if to_be_driven:  # its process died before it could say how it ended
            await self._give_up(state)
        for stored in missed:
            yield on_the_wire(run_id, stored.sequence, stored.time, stored.event)
        yield on_the_wire(run_id, state.sequence, time.time(), end_of(state))

    async def _owned(self, run_id: str) -> _Owned:
        """Become the owner of a run, and know all of it. Who does not drive it then gives it up. Raises `RunUnderWay`."""
        # Read before it is claimed: what this release cannot read is left to one that can.
        known = await self._journal.events(run_id)
        state = replay(known)
        if run_id in self._active:  # also when its lease is over, until it is given up
            raise RunUnderWay(f"run {run_id} is under way", field="run_id")
        is_owner_gone = await self._journal.claim(run_id)
        try:
            for stored in await self._journal.events(run_id, state.sequence):  # written since
                known.append(stored)
                state = apply(state, stored)
        except BaseException:
            with suppress(JournalError):
                await self._give_up(state)
            raise
        return _Owned(state, known, is_owner_gone)

    async def _go_on(
        self, state: RunState, cause: ev.RunResumed | ev.OutlineApproved, missed: Sequence[StoredEvent] = ()
    ) -> AsyncGenerator[ResearchEvent, None]:
        resumed = self._next(state, cause)
        try:
            await self._journal.append(state.request.run_id, resumed)
        except BaseException:
            with suppress(JournalError):
                await self._give_up(state)  # or nobody could go on until the lease is over
            raise
        async with aclosing(self._drive(apply(state, resumed), [*missed, resumed])) as events:
            async for event in events:
                yield event

    async def _replayed(self, run_id: str) -> RunState:
        return replay(await self._journal.events(run_id))

    async def _cancel(self, run_id: str) -> None:
        while (summary := await self._journal.summary(run_id)).state in _OPEN:
            if run_id in self._active:
                with self._followers.following(run_id) as follower:
                    self._active[run_id].cancel()
                    async for _ in follower.events():
                        pass  # until the run has ended, so that whoever asks next sees it
            elif summary.state == "running":
                await self._journal.ask_to_cancel(run_id)  # again each time: whoever takes the run up does not know of it
                await asyncio.sleep(_LOOK_SECONDS)
            else:
                with suppress(RunUnderWay):
                    state = (await self._owned(run_id)).state
                    try:
                        if state.outcome == "running":
                            state = await self._record(state, self._next(state, ev.RunCancelled()))
                    finally:
                        await self._give_up(state)

    # -- the loop -----------------------------------------------------------------------------------------------------

    async def _drive(self, state: RunState, first: Sequence[StoredEvent]) -> AsyncGenerator[ResearchEvent, None]:
        """The events of a run, which those who follow it get too. Where the journal fails, or the run is lost, it is interrupted."""
        run_id, sequence = state.request.run_id, state.sequence
        self._followers.begin(run_id)
        try:
            async with aclosing(self._loop(state, first)) as events:
                async for event in events:
                    sequence = event.sequence
                    self._followers.publish(event)
                    yield event
            return
        except JournalError as error:
            logger.warning("run %s is interrupted: %s", run_id, error)
            ended = ev.RunEnded(outcome="interrupted", code=error.code, message=error.message)
        finally:
            self._followers.leave(run_id)  # who follows goes on at the journal: another may have taken the run up
        yield on_the_wire(run_id, sequence, time.time(), ended)

    async def _loop(self, state: RunState, first: Sequence[StoredEvent]) -> AsyncGenerator[ResearchEvent, None]:
        """The loop: make every call that may be made, wait for the next thing to happen, apply it.

        `first` are the events that are streamed before. Raises `JournalError` when the run cannot go on here.
        """
        run_id = state.request.run_id
        driven = self._active[run_id] = Driven()
        watched = Watched(state, first[-1])
        with self._leases.holding(run_id, driven):
            try:
                for stored in first:
                    yield on_the_wire(run_id, stored.sequence, stored.time, stored.event)
                while state.outcome == "running" and not state.waiting:
                    for effect in next_effects(state):
                        called = self._next(state, ev.StageCalled(effect=effect))
                        request = request_for(effect, state)
                        state = await self._record(state, called)
                        yield on_the_wire(run_id, called.sequence, called.time, called.event)
                        calling = self._calling.perform(run_id, effect, request, driven)
                        driven.calls[effect.id] = asyncio.create_task(calling, context=watched.context())
                    event = await driven.next()
                    if isinstance(event, ev.AnswerDelta):
                        yield on_the_wire(run_id, state.sequence, time.time(), event)
                        continue
                    stored = self._next(state, event)
                    state = await self._record(state, stored)
                    yield on_the_wire(run_id, stored.sequence, stored.time, event)
            finally:
                try:
                    await driven.calls_ended()
                finally:  # also when whoever listens leaves with the last event of a run that has ended
                    watched.end(state)
                    try:
                        with suppress(JournalError):  # the lease runs out; a run that was lost is another's already
                            await self._give_up(state)
                    finally:
                        del self._active[run_id]  # not before: giving it up late would take it from whom took it up here
        # Who hears of the end may go on with the run, or cancel it, at once.
        yield on_the_wire(run_id, state.sequence, time.time(), end_of(state))

    async def _give_up(self, state: RunState) -> None:
        """Say how a run of ours stands, and own it no longer."""
        await self._journal.update(summary_of(state, interrupted=True), digest(state) if state.outcome != "running" else "")

    def _next(self, state: RunState, event: JournalEvent) -> StoredEvent:
        return StoredEvent(state.sequence + 1, time.time(), event)

    async def _record(self, state: RunState, stored: StoredEvent) -> RunState:
        after = apply(state, stored)
        await self._journal.append(state.request.run_id, stored, summary_of(after) if after.total_step != state.total_step else None)
        count(state, stored, after)
        return after

    async def _delegate(self, run_id: str, effect: Effect, request: BaseDoc) -> JournalEvent:
        """Have a run of its own work on a sub-problem; one that was begun before an interruption goes on.

        The pages that its answer cites are kept with this run too.
        """
        child = effect.items[0]
        try:
            known = await self._journal.summary(child)
        except RunNotFound:
            events = self.run(_delegated(request), parent=run_id)
        else:
            if known.parent != run_id:
                raise InvalidRequest(f"run_id {child!r} is taken by another run", field="run_id")
            events = self.go_on(child)
        ended = ev.RunEnded(outcome="interrupted")
        async with aclosing(events):
            async for event in events:
                if event.type == "run_ended":
                    ended = ev.RunEnded(**event.data)
        if ended.outcome == "interrupted":
            raise RunLost(f"run {child}, which works for run {run_id}, was interrupted", field="run_id")
        usage = ended.answer.usage if ended.answer else replay(await self._journal.events(child)).budget.spent
        if ended.answer is None or ended.outcome != "finished":
            return ev.CallFailed(effect_id=effect.id, code=ended.code or "error", message=ended.message or ended.outcome, usage=usage)
        for page in {reference.page_id for reference in ended.answer.references}:
            await self._journal.save_page(run_id, await self._journal.page(child, page))
        return ev.Delegated(effect_id=effect.id, answer=ended.answer, usage=usage)


class _Owned(NamedTuple):
    """A run of which this process has just become the owner."""

    state: RunState
    events: list[StoredEvent]
    is_owner_gone: bool
    """The owner before never gave it up."""


def _waits(state: RunState) -> bool:
    """Whether a run goes on when its outline is approved."""
    return state.outcome == "running" and state.waiting


def _delegated(request: BaseDoc) -> ResearchRequest:
    if not isinstance(request, ResearchRequest):
        raise TypeError(f"a sub-problem is asked by a ResearchRequest, not by {type(request).__name__}")
    return request
