"""The interpreter of the research loop: it makes the calls the state machine asks for and feeds it what happened."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any

from docarray import BaseDoc

from executors.controller.asking import request_for
from executors.controller.attachments import attached
from executors.controller.budget import limits_of
from executors.controller.checking import checked, checked_outline, without_contents
from executors.controller.effects import RESPONSES, event_for
from executors.controller.evidence import computed
from executors.controller.following import Followers
from executors.controller.run import apply, begin, next_effects, replay
from executors.controller.stages import Stages
from executors.controller.state import RunState, digest, without_document_ids
from providers.journal.base import Journal, StoredEvent
from providers.reader.pages import normalise_url, page_id
from schemas import events as ev
from schemas.answering import FinalizeChunk, FinalizeRequest
from schemas.errors import DeepSearchError, InvalidRequest, NotWaiting, RunNotFound, RunUnderWay, StageUnavailable
from schemas.events import Effect, JournalEvent, ResearchEvent
from schemas.planning import CodeResult, DescribeRequest
from schemas.reading import Page, ReadRequest, ReadResponse
from schemas.reporting import OutlineApproval
from schemas.research import ResearchRequest, RunReport, RunSummary
from schemas.search import SearchResponse
from schemas.settings import Settings

logger = logging.getLogger(__name__)

_Happening = JournalEvent | ev.AnswerDelta

_ELSEWHERE_SECONDS = 0.5
"""Pause between looks at the journal of a run that another process drives."""


class Research:
    """Runs of one process. Every event is in the journal before it is streamed."""

    def __init__(self, stages: Stages, journal: Journal, settings: Settings) -> None:
        self._stages = stages
        self._journal = journal
        self._settings = settings
        self._active: dict[str, asyncio.Queue[_Happening]] = {}
        self._followers = Followers()

    async def run(self, request: ResearchRequest, *, background: bool = False, parent: str = "") -> AsyncGenerator[ResearchEvent, None]:
        """Answer a question and stream what happens; the last event is `run_ended`. `parent` is the run that it works for.

        Raises `InvalidRequest` before the first event. Closing the iterator early interrupts the run, which can be resumed.
        """
        request = checked(request, self._settings)
        files = attached(request)
        request = without_contents(request)
        limits, now = limits_of(request, self._settings), time.time()
        started = ev.RunStarted(request=request, limits=limits, background=background, parent=parent)
        state = begin(started, now)
        first = StoredEvent(1, now, started)
        await self._journal.create(_summary(state), first, files)
        async with aclosing(self._drive(state, first)) as events:
            async for event in events:
                yield event

    async def resume(self, run_id: str) -> AsyncGenerator[ResearchEvent, None]:
        """Go on with an interrupted run; of one that has ended, only the end is streamed.

        Raises `RunNotFound`, or `RunUnderWay`.
        """
        state = await self._replayed(run_id)
        if state.outcome != "running" or state.waiting:
            await self._settle(state)
            yield _on_the_wire(run_id, state.sequence, time.time(), _ended(state))
            return
        async with aclosing(self._go_on(state, ev.RunResumed())) as events:
            async for happened in events:
                yield happened

    async def approve(self, approval: OutlineApproval) -> AsyncGenerator[ResearchEvent, None]:
        """Go on with a run whose outline waits for approval.

        Raises `RunNotFound`, `NotWaiting` when it does not wait, or `InvalidRequest` naming what is wrong with the outline.
        """
        outline = checked_outline(approval.outline)
        state = await self._replayed(approval.run_id)
        if state.outcome != "running" or not state.waiting:
            raise NotWaiting(f"run {approval.run_id} has no outline that waits for approval", field="run_id")
        async with aclosing(self._go_on(state, ev.OutlineApproved(outline=outline))) as events:
            async for happened in events:
                yield happened

    async def _go_on(self, state: RunState, cause: ev.RunResumed | ev.OutlineApproved) -> AsyncGenerator[ResearchEvent, None]:
        run_id = state.request.run_id
        if run_id in self._active:
            raise RunUnderWay(f"run {run_id} is under way", field="run_id")
        await self._journal.claim(run_id)
        resumed = self._next(state, cause)
        try:
            await self._journal.append(run_id, resumed)
        except Exception:
            await self._journal.update(_summary(state, interrupted=True))  # or it would seem to be under way for ever
            raise
        async with aclosing(self._drive(apply(state, resumed), resumed)) as events:
            async for event in events:
                yield event

    async def _replayed(self, run_id: str) -> RunState:
        return replay(await self._journal.events(run_id))

    async def _settle(self, state: RunState) -> None:
        """Say of a run that it has ended, or waits, where its process died before it could."""
        run_id = state.request.run_id
        if (await self._journal.summary(run_id)).state == "interrupted":
            await self._journal.claim(run_id)
            await self._journal.update(_summary(state), "" if state.waiting else digest(state))

    async def follow(self, run_id: str, after: int = 0, after_offset: int = 0) -> AsyncGenerator[ResearchEvent, None]:
        """The events of a run after the one with sequence `after`, past ones and those to come, each once; the last is `run_ended`.

        Watching changes nothing: who leaves stops nothing. `after_offset` is how much of the answer is known already, when it
        was being written after that event. Raises `RunNotFound`.
        """
        known = after
        while True:
            with self._followers.following(run_id) as follower:
                here = run_id in self._active
                for stored in await self._journal.events(run_id, after):
                    yield _on_the_wire(run_id, stored.sequence, stored.time, stored.event)
                    after = stored.sequence
                if here:
                    async for event in follower.events():
                        if event.type == "run_ended":
                            yield event
                            return
                        if event.type == "answer_delta" and event.sequence >= after:
                            news = _unknown(event, after_offset if event.sequence == known else 0)
                            if news is not None:
                                yield news
                        elif event.sequence > after:
                            yield event
                            after = event.sequence
                    continue  # it has stopped here, or was quicker than who reads: the journal tells the rest
            summary = await self._journal.summary(run_id)
            # A job that was interrupted goes on as soon as a controller has taken it up.
            if summary.state != "running" and not (summary.state == "interrupted" and summary.background):
                rest = await self._journal.events(run_id, after)
                if not rest:
                    yield _on_the_wire(run_id, after, time.time(), await self._end_of(run_id, summary))
                    return
            else:
                await asyncio.sleep(_ELSEWHERE_SECONDS)

    async def report(self, run_id: str) -> RunReport:
        """A run as far as it has come. Raises `RunNotFound`."""
        summary = await self._journal.summary(run_id)
        if summary.state in ("running", "interrupted", "waiting"):
            return RunReport(run=summary)
        ended = await self._end_of(run_id, summary)
        return RunReport(run=summary, answer=ended.answer, code=ended.code, message=ended.message)

    async def _end_of(self, run_id: str, summary: RunSummary) -> ev.RunEnded:
        if summary.state == "interrupted":
            return ev.RunEnded(outcome="interrupted", message=f"run {run_id} was interrupted; it can be resumed")
        return _ended(replay(await self._journal.events(run_id)))

    async def cancel(self, run_id: str) -> None:
        """Stop a run for good, and those that work for it; one that has ended stays as it is.

        Raises `RunNotFound`, or `InvalidRequest` when it runs elsewhere.
        """
        await self._cancel(run_id)
        for number in range(1, len((await self._replayed(run_id)).team) + 1):
            child = f"{run_id}-{number}"
            with suppress(RunNotFound):
                if (await self._journal.summary(child)).parent == run_id:
                    await self._cancel(child)

    async def _cancel(self, run_id: str) -> None:
        if run_id in self._active:
            with self._followers.following(run_id) as follower:
                self._active[run_id].put_nowait(ev.RunCancelled())
                async for _ in follower.events():
                    pass  # until the run has ended, so that whoever asks next sees it
            return
        state = await self._replayed(run_id)
        if state.outcome != "running":
            await self._settle(state)
            return
        await self._journal.claim(run_id)
        cancelled = self._next(state, ev.RunCancelled())
        state = await self._record(state, cancelled)
        await self._journal.update(_summary(state), digest(state))

    async def _drive(self, state: RunState, first: StoredEvent) -> AsyncGenerator[ResearchEvent, None]:
        """The events of a run, which those who follow it get too."""
        run_id = state.request.run_id
        try:
            async with aclosing(self._loop(state, first)) as events:
                async for event in events:
                    self._followers.publish(event)
                    yield event
        finally:
            self._followers.leave(run_id)

    async def _loop(self, state: RunState, first: StoredEvent) -> AsyncGenerator[ResearchEvent, None]:
        """The loop: make every call that may be made, wait for the next thing to happen, apply it."""
        run_id = state.request.run_id
        happened: asyncio.Queue[_Happening] = asyncio.Queue()
        calls: dict[str, asyncio.Task[None]] = {}
        self._active[run_id] = happened
        try:
            yield _on_the_wire(run_id, first.sequence, first.time, first.event)
            while state.outcome == "running" and not state.waiting:
                for effect in next_effects(state):
                    called = self._next(state, ev.StageCalled(effect=effect))
                    request = request_for(effect, state)
                    state = await self._record(state, called)
                    yield _on_the_wire(run_id, called.sequence, called.time, called.event)
                    calls[effect.id] = asyncio.create_task(self._perform(run_id, effect, request, happened))
                event = await happened.get()
                if isinstance(event, ev.AnswerDelta):
                    yield _on_the_wire(run_id, state.sequence, time.time(), event)
                    continue
                stored = self._next(state, event)
                state = await self._record(state, stored)
                yield _on_the_wire(run_id, stored.sequence, stored.time, event)
        finally:
            del self._active[run_id]
            for task in calls.values():
                task.cancel()
            try:
                await asyncio.gather(*calls.values(), return_exceptions=True)
            finally:  # also when whoever listens leaves with the last event of a run that has ended
                await self._journal.update(_summary(state, interrupted=True), digest(state) if state.outcome != "running" else "")
        # Who hears of the end may go on with the run, or cancel it, at once.
        yield _on_the_wire(run_id, state.sequence, time.time(), _ended(state))

    def _next(self, state: RunState, event: JournalEvent) -> StoredEvent:
        return StoredEvent(state.sequence + 1, time.time(), event)

    async def _record(self, state: RunState, stored: StoredEvent) -> RunState:
        after = apply(state, stored)
        await self._journal.append(state.request.run_id, stored, _summary(after) if after.total_step != state.total_step else None)
        return after

    async def _perform(self, run_id: str, effect: Effect, request: BaseDoc, happened: asyncio.Queue[_Happening]) -> None:
        """Make one call and report the event it becomes; it always becomes one."""
        try:
            if effect.kind == "finalize":
                await self._finalize(effect, request, happened)
                return
            if effect.kind == "delegate":
                happened.put_nowait(await self._delegate(run_id, effect, request))
                return
            await self._put_in_what_is_stored(run_id, effect, request)
            response = await self._stages.call(f"/{effect.kind}", request, RESPONSES[effect.kind], timeout=effect.seconds)
            if isinstance(response, ReadResponse):
                await self._journal.save_page(run_id, response.page)
            if isinstance(response, CodeResult):
                await self._journal.save_page(run_id, computed(effect, response)[0])
            if isinstance(response, SearchResponse):
                await self._save_delivered(run_id, response)
            happened.put_nowait(event_for(effect, response))
        except DeepSearchError as error:
            happened.put_nowait(
                ev.CallFailed(effect_id=effect.id, code=error.code, message=error.message, field=error.field or "", usage=error.usage)
            )
        except Exception as error:
            # A fault of ours must end the call, not hang the run; its text may hold a page's content, so only its kind is told.
            logger.exception("%s failed in run %s", effect.kind, run_id)
            message = f"internal error in {effect.kind}: {type(error).__name__}"
            happened.put_nowait(ev.CallFailed(effect_id=effect.id, code=DeepSearchError.code, message=message))

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
            events = self.resume(child)
        ended = ev.RunEnded(outcome="interrupted")
        async with aclosing(events):
            async for event in events:
                if event.type == "run_ended":
                    ended = ev.RunEnded(**event.data)
        usage = ended.answer.usage if ended.answer else replay(await self._journal.events(child)).budget.spent
        if ended.answer is None or ended.outcome != "finished":
            return ev.CallFailed(effect_id=effect.id, code=ended.code or "error", message=ended.message or ended.outcome, usage=usage)
        for page in {reference.page_id for reference in ended.answer.references}:
            await self._journal.save_page(run_id, await self._journal.page(child, page))
        return ev.Delegated(effect_id=effect.id, answer=ended.answer, usage=usage)

    async def _put_in_what_is_stored(self, run_id: str, effect: Effect, request: BaseDoc) -> None:
        """Complete a request with the texts and files that are kept beside the journal."""
        if isinstance(request, ReadRequest) and request.page.page_id:
            request.page = await self._journal.page(run_id, request.page.page_id)
        if isinstance(request, ReadRequest) and request.attachment.name:
            request.attachment = await self._journal.attachment(run_id, effect.items[0])
        if isinstance(request, DescribeRequest):
            request.image = await self._journal.attachment(run_id, effect.items[0])

    async def _save_delivered(self, run_id: str, response: SearchResponse) -> None:
        """Keep the texts that a search delivered as pages of the run, so that visiting them fetches nothing."""
        for result in response.results:
            if not result.content.strip():
                continue
            try:
                url = normalise_url(result.url)
            except ValueError:
                continue
            page = Page(
                page_id=page_id(url, result.content),
                url=url,
                title=result.title,
                text=result.content,
                published=result.published,
                date_source="service" if result.published else None,
                source=result.source,
            )
            await self._journal.save_page(run_id, page)
            result.page_id = page.page_id

    async def _finalize(self, effect: Effect, request: BaseDoc, happened: asyncio.Queue[_Happening]) -> None:
        written = request.done_characters if isinstance(request, FinalizeRequest) else 0
        async for chunk in self._stages.stream("/finalize", request, FinalizeChunk, timeout=effect.seconds):
            if chunk.delta:
                happened.put_nowait(ev.AnswerDelta(text=chunk.delta, offset=written))
                written += len(chunk.delta)
            if chunk.done:
                final = ev.Finalized(
                    effect_id=effect.id,
                    text=chunk.text,
                    references=list(chunk.references),
                    composed_by=chunk.composed_by,
                    error=chunk.error,
                    abstained=chunk.abstained,
                    support=chunk.support,
                    usage=chunk.usage,
                )
                happened.put_nowait(final)
                return
        raise StageUnavailable("answer_finalizer ended its stream without an answer")


def _summary(state: RunState, *, interrupted: bool = False) -> RunSummary:
    running: Any = "waiting" if state.waiting else "interrupted" if interrupted else "running"
    return RunSummary(
        run_id=state.request.run_id,
        question=state.question,
        state=running if state.outcome == "running" else state.outcome,
        stop_reason=state.stop_reason or "",
        started_at=state.budget.started_at,
        seconds=round(state.budget.elapsed, 3),
        steps=state.total_step,
        total_tokens=state.budget.spent.total_tokens,
        background=state.background,
        parent=state.parent,
    )


def _delegated(request: BaseDoc) -> ResearchRequest:
    if not isinstance(request, ResearchRequest):
        raise TypeError(f"a sub-problem is asked by a ResearchRequest, not by {type(request).__name__}")
    return request


def _ended(state: RunState) -> ev.RunEnded:
    if state.outcome == "running":
        run_id = state.request.run_id
        return ev.RunEnded(outcome="waiting", message=f"run {run_id} waits for the approval of its outline")
    ended = ev.RunEnded(outcome=state.outcome, answer=state.answer)
    if state.outcome != "failed":
        return ended
    return ended.model_copy(update={"code": state.error_code, "message": state.error_message})


def _on_the_wire(run_id: str, sequence: int, now: float, event: _Happening | ev.RunEnded) -> ResearchEvent:
    """The event for clients, without the fields that have their default and without document ids."""
    data = json.loads(without_document_ids(event.model_dump_json(exclude={"type"}, exclude_defaults=True)))
    return ResearchEvent(run_id=run_id, sequence=sequence, time=now, type=event.type, data=data)


def _unknown(event: ResearchEvent, known: int) -> ResearchEvent | None:
    """The part of an `answer_delta` after the first `known` characters of the answer, None when there is none."""
    offset, text = event.data.get("offset", 0), event.data["text"]
    if offset + len(text) <= known:
        return None
    if offset >= known:
        return event
    return event.model_copy(update={"data": {"text": text[known - offset :], "offset": known}})
