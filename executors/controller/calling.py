"""Makes the calls of a run and turns what comes of each into an event."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

from docarray import BaseDoc

from executors.controller.driven import Driven
from executors.controller.effects import RESPONSES, event_for
from executors.controller.evidence import computed
from executors.controller.stages import Stages
from providers.journal.base import Journal
from providers.reader.pages import normalise_url, page_id
from schemas import events as ev
from schemas.answering import FinalizeChunk, FinalizeRequest
from schemas.errors import DeepSearchError, JournalError, ModelUnavailable, StageUnavailable
from schemas.events import Effect, JournalEvent
from schemas.planning import CodeResult, DescribeRequest
from schemas.reading import Page, ReadRequest, ReadResponse
from schemas.search import SearchResponse

logger = logging.getLogger(__name__)

_BACK_SECONDS = 15.0
"""Longest wait for a stage that has died to be started again; less when the call has less time."""
_MODEL_BACK_SECONDS = 60.0
"""Longest wait for a model that is left alone: its circuit is open for 30 s, then one call tries it."""
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 1.0

Delegate = Callable[[str, Effect, BaseDoc], Awaitable[JournalEvent]]
"""Has a run of its own work on a sub-problem of a run."""


class Calling:
    """Makes the calls of every run; texts and files come from the journal and go there."""

    def __init__(self, stages: Stages, journal: Journal, delegate: Delegate) -> None:
        self._stages = stages
        self._journal = journal
        self._delegate = delegate

    async def perform(self, run_id: str, effect: Effect, request: BaseDoc, driven: Driven) -> None:
        """Make one call and tell the event that it becomes; it always becomes one, unless the journal fails: then the run stops."""
        try:
            if effect.kind == "finalize":
                await self._finalize(effect, request, driven)
                return
            if effect.kind == "delegate":
                driven.tell(await self._delegate(run_id, effect, request))
                return
            await self._put_in_what_is_stored(run_id, effect, request)
            response = await self._call(effect, request)
            if isinstance(response, ReadResponse):
                await self._journal.save_page(run_id, response.page)
            if isinstance(response, CodeResult):
                await self._journal.save_page(run_id, computed(effect, response)[0])
            if isinstance(response, SearchResponse):
                await self._save_delivered(run_id, response)
            driven.tell(event_for(effect, response))
        except JournalError as error:
            driven.stop(error)
        except DeepSearchError as error:
            driven.tell(
                ev.CallFailed(effect_id=effect.id, code=error.code, message=error.message, field=error.field or "", usage=error.usage)
            )
        except Exception as error:
            # A fault of ours must end the call, not hang the run; its text may hold a page's content, so only its kind is told.
            logger.exception("%s failed in run %s", effect.kind, run_id)
            message = f"internal error in {effect.kind}: {type(error).__name__}"
            driven.tell(ev.CallFailed(effect_id=effect.id, code=DeepSearchError.code, message=message))

    async def _call(self, effect: Effect, request: BaseDoc) -> Any:
        """Call a stage. One that has died is waited for and asked again, also when it died in the middle: its answer is lost.

        So is a model that is left alone for a while because it failed others: nobody has asked it for this call yet.
        """
        waiting = _Waiting(effect)
        while True:
            try:
                return await self._stages.call(f"/{effect.kind}", request, RESPONSES[effect.kind], timeout=waiting.left)
            except StageUnavailable as error:
                await waiting.pause_after(error)
            except ModelUnavailable as error:
                await waiting.pause_for_model(error)

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

    async def _finalize(self, effect: Effect, request: BaseDoc, driven: Driven) -> None:
        begin = written = request.done_characters if isinstance(request, FinalizeRequest) else 0
        waiting = _Waiting(effect)
        while True:
            try:
                async for chunk in self._stages.stream("/finalize", request, FinalizeChunk, timeout=waiting.left):
                    if chunk.delta:
                        driven.tell(ev.AnswerDelta(text=chunk.delta, offset=written))
                        written += len(chunk.delta)
                    if chunk.done:
                        driven.tell(_finalized(effect, chunk))
                        return
                raise StageUnavailable("answer_finalizer ended its stream without an answer")
            except StageUnavailable as error:
                if written > begin:
                    raise
                await waiting.pause_after(error)


class _Waiting:
    """The time of a call, in which a stage that has died may be started again, and a model be well again."""

    def __init__(self, effect: Effect) -> None:
        self._begun, self._seconds = monotonic(), effect.seconds
        self._pause, self._waited = _FIRST_PAUSE_SECONDS, 0.0
        self._waited_for_model = 0.0

    @property
    def left(self) -> float:
        """Seconds that are left for the call."""
        return self._seconds - (monotonic() - self._begun)

    async def pause_after(self, error: StageUnavailable) -> None:
        """Wait before the next attempt. Raises `error` when it is not that a stage is gone, or that lasts too long."""
        gone = (error.field or "").endswith("_ADDRESS")
        # Only the pauses count: a call may have been long under way when its stage died.
        if not gone or self._waited + self._pause > _BACK_SECONDS or self._pause >= self.left:
            raise error
        logger.warning("a stage is called again: %s", error)
        self._waited += self._pause
        await asyncio.sleep(self._pause * random.uniform(0.5, 1.0))  # noqa: S311  (jitter)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS)

    async def pause_for_model(self, error: ModelUnavailable) -> None:
        """Wait until the model may be asked again. Raises `error` when it was asked, or may not be within the time."""
        if error.retry_after is None or error.usage.total_tokens:
            raise error
        pause = error.retry_after + random.random()  # noqa: S311  (jitter)
        if self._waited_for_model + pause > _MODEL_BACK_SECONDS or pause >= self.left:
            raise error
        if not self._waited_for_model:
            logger.warning("the model is asked again in %.0f s: %s", pause, error)
        self._waited_for_model += pause
        await asyncio.sleep(pause)


def _finalized(effect: Effect, chunk: FinalizeChunk) -> ev.Finalized:
    return ev.Finalized(
        effect_id=effect.id,
        text=chunk.text,
        references=list(chunk.references),
        composed_by=chunk.composed_by,
        error=chunk.error,
        abstained=chunk.abstained,
        support=chunk.support,
        usage=chunk.usage,
    )
