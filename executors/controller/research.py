"""The interpreter of the research loop: it makes the calls the state machine asks for and feeds it what happened."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import date, datetime, timezone

from docarray import BaseDoc

from executors.controller.budget import limits_of
from executors.controller.effects import RESPONSES, event_for, request_for
from executors.controller.run import apply, begin, next_effects, replay
from executors.controller.stages import Stages
from executors.controller.state import RunState, digest, without_document_ids
from providers.journal.base import Journal, StoredEvent
from providers.reader.pages import normalise_url, page_id
from schemas import events as ev
from schemas.answering import FinalizeChunk
from schemas.errors import DeepSearchError, InvalidRequest, RunNotFound, StageUnavailable
from schemas.events import Effect, JournalEvent, ResearchEvent
from schemas.reading import Page, ReadRequest, ReadResponse
from schemas.research import ResearchRequest, RunSummary
from schemas.search import SearchResponse
from schemas.settings import Settings

logger = logging.getLogger(__name__)

_Happening = JournalEvent | ev.AnswerDelta

MOST_QUESTION_CHARACTERS = 20_000
MOST_CONVERSATION_CHARACTERS = 400_000
MOST_HOSTNAMES = 100
_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Research:
    """Runs of one process. Every event is in the journal before it is streamed."""

    def __init__(self, stages: Stages, journal: Journal, settings: Settings) -> None:
        self._stages = stages
        self._journal = journal
        self._settings = settings
        self._active: dict[str, asyncio.Queue[_Happening]] = {}

    async def run(self, request: ResearchRequest) -> AsyncGenerator[ResearchEvent, None]:
        """Answer a question and stream what happens; the last event is `run_ended`.

        Raises `InvalidRequest` before the first event. Closing the iterator early interrupts the run, which can be resumed.
        """
        request = _checked(request)
        started, now = ev.RunStarted(request=request, limits=limits_of(request, self._settings)), time.time()
        state = begin(started, now)
        await self._journal.create(_summary(state))
        first = StoredEvent(1, now, started)
        await self._journal.append(request.run_id, first)
        async with aclosing(self._drive(state, first)) as events:
            async for event in events:
                yield event

    async def resume(self, run_id: str) -> AsyncGenerator[ResearchEvent, None]:
        """Go on with an interrupted run; of one that has ended, only the end is streamed.

        Raises `RunNotFound`, or `InvalidRequest` when the run is under way.
        """
        state = replay(await self._journal.events(run_id))
        if state.outcome != "running":
            yield _on_the_wire(state, time.time(), _ended(state))
            return
        if run_id in self._active:
            raise InvalidRequest(f"run {run_id} is under way", field="run_id")
        await self._journal.claim(run_id)
        resumed = self._next(state, ev.RunResumed())
        await self._journal.append(run_id, resumed)
        async with aclosing(self._drive(apply(state, resumed), resumed)) as events:
            async for event in events:
                yield event

    def cancel(self, run_id: str) -> None:
        """Stop a run of this process for good. Raises `RunNotFound` when it is not under way here."""
        if run_id not in self._active:
            raise RunNotFound(f"run {run_id!r} is not under way here", field="run_id")
        self._active[run_id].put_nowait(ev.RunCancelled())

    async def _drive(self, state: RunState, first: StoredEvent) -> AsyncGenerator[ResearchEvent, None]:
        """The loop: make every call that may be made, wait for the next thing to happen, apply it."""
        run_id = state.request.run_id
        happened: asyncio.Queue[_Happening] = asyncio.Queue()
        calls: dict[str, asyncio.Task[None]] = {}
        self._active[run_id] = happened
        try:
            yield _on_the_wire(state, first.time, first.event)
            while state.outcome == "running":
                for effect in next_effects(state):
                    called = self._next(state, ev.StageCalled(effect=effect))
                    request = request_for(effect, state)
                    state = await self._record(state, called)
                    yield _on_the_wire(state, called.time, called.event)
                    calls[effect.id] = asyncio.create_task(self._perform(run_id, effect, request, happened))
                event = await happened.get()
                if isinstance(event, ev.AnswerDelta):
                    yield _on_the_wire(state, time.time(), event)
                    continue
                stored = self._next(state, event)
                state = await self._record(state, stored)
                yield _on_the_wire(state, stored.time, event)
            await self._journal.update(_summary(state), digest(state))
            yield _on_the_wire(state, time.time(), _ended(state))
        finally:
            del self._active[run_id]
            for task in calls.values():
                task.cancel()
            await asyncio.gather(*calls.values(), return_exceptions=True)
            if state.outcome == "running":
                await self._journal.update(_summary(state, interrupted=True))

    def _next(self, state: RunState, event: JournalEvent) -> StoredEvent:
        return StoredEvent(state.sequence + 1, time.time(), event)

    async def _record(self, state: RunState, stored: StoredEvent) -> RunState:
        await self._journal.append(state.request.run_id, stored)
        after = apply(state, stored)
        if after.total_step != state.total_step:
            await self._journal.update(_summary(after))
        return after

    async def _perform(self, run_id: str, effect: Effect, request: BaseDoc, happened: asyncio.Queue[_Happening]) -> None:
        """Make one call and report the event it becomes; it always becomes one."""
        try:
            if effect.kind == "finalize":
                await self._finalize(effect, request, happened)
                return
            if isinstance(request, ReadRequest) and request.page.page_id:
                request.page = await self._journal.page(run_id, request.page.page_id)
            response = await self._stages.call(f"/{effect.kind}", request, RESPONSES[effect.kind], timeout=effect.seconds)
            if isinstance(response, ReadResponse):
                await self._journal.save_page(run_id, response.page)
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
        async for chunk in self._stages.stream("/finalize", request, FinalizeChunk, timeout=effect.seconds):
            if chunk.delta:
                happened.put_nowait(ev.AnswerDelta(text=chunk.delta))
            if chunk.done:
                final = ev.Finalized(
                    effect_id=effect.id,
                    text=chunk.text,
                    references=list(chunk.references),
                    composed_by=chunk.composed_by,
                    error=chunk.error,
                    usage=chunk.usage,
                )
                happened.put_nowait(final)
                return
        raise StageUnavailable("answer_finalizer ended its stream without an answer")


def _checked(request: ResearchRequest) -> ResearchRequest:
    """The request with its id and its question, or `InvalidRequest` naming what is wrong."""
    question = (request.question or next((m.content for m in reversed(request.messages) if m.role == "user"), "")).strip()
    if not question:
        raise InvalidRequest("question is empty: ask something", field="question")
    for field, text in (("question", question), *(("messages", message.content) for message in request.messages)):
        if not _is_unicode(text):
            raise InvalidRequest(f"{field} holds characters that are no text (lone surrogates): send it as UTF-8", field=field)
    if sum(len(message.content) for message in request.messages) > MOST_CONVERSATION_CHARACTERS:
        raise InvalidRequest(f"messages have more than {MOST_CONVERSATION_CHARACTERS:,} characters: shorten them", field="messages")
    for field in ("boost_hostnames", "bad_hostnames", "only_hostnames"):
        if len(getattr(request, field)) > MOST_HOSTNAMES:
            raise InvalidRequest(f"{field} has more than {MOST_HOSTNAMES} entries", field=field)
    if len(question) > MOST_QUESTION_CHARACTERS:
        raise InvalidRequest(f"question has {len(question):,} characters; the most is {MOST_QUESTION_CHARACTERS:,}", field="question")
    if request.messages and request.messages[-1].role != "user":
        raise InvalidRequest("messages must end with a user message", field="messages")
    if request.run_id and not _RUN_ID.fullmatch(request.run_id):
        raise InvalidRequest("run_id may hold letters, digits, - and _, at most 64", field="run_id")
    if request.max_references < 0:
        raise InvalidRequest("max_references must be 0 or more", field="max_references")
    if request.today is not None and not _is_date(request.today):
        raise InvalidRequest(f"today is {request.today[:40]!r}; it must be a date such as 2026-01-31", field="today")
    # The date belongs to the request from here on: prompts keep it past midnight, and when the run is resumed or replayed later.
    today = request.today or datetime.now(timezone.utc).date().isoformat()
    return request.model_copy(update={"run_id": request.run_id or uuid.uuid4().hex[:16], "question": question, "today": today})


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _summary(state: RunState, *, interrupted: bool = False) -> RunSummary:
    running = "interrupted" if interrupted else "running"
    return RunSummary(
        run_id=state.request.run_id,
        question=state.question,
        state=running if state.outcome == "running" else state.outcome,
        stop_reason=state.stop_reason or "",
        started_at=state.budget.started_at,
        seconds=round(state.budget.elapsed, 3),
        steps=state.total_step,
        total_tokens=state.budget.spent.total_tokens,
    )


def _ended(state: RunState) -> ev.RunEnded:
    return ev.RunEnded(outcome=state.outcome, answer=state.answer, code=state.error_code, message=state.error_message)


def _on_the_wire(state: RunState, now: float, event: _Happening | ev.RunEnded) -> ResearchEvent:
    """The event for clients, without the fields that have their default and without document ids."""
    data = json.loads(without_document_ids(event.model_dump_json(exclude={"type"}, exclude_defaults=True)))
    return ResearchEvent(run_id=state.request.run_id, sequence=state.sequence, time=now, type=event.type, data=data)
