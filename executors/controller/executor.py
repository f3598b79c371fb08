"""The controller as an Executor."""

import logging
from contextlib import aclosing
from typing import Any, AsyncGenerator, Dict, Optional

from jina import Executor, requests

from executors.controller import belonging
from executors.controller.checking import checked_limit
from executors.controller.jobs import Jobs
from executors.controller.remote_stages import RemoteStages
from executors.controller.research import Research
from executors.controller.retention import Retention, forget
from providers.journal import create_journal
from providers.journal.measured import measured
from schemas import events as ev
from schemas.errors import Cancelled, DeepSearchError, InvalidRequest, StageUnavailable, from_code
from schemas.events import ResearchEvent
from schemas.reading import Page
from schemas.reporting import OutlineApproval
from schemas.research import PageQuery, ResearchAnswer, ResearchRequest, RunList, RunQuery, RunReport, RunSummary
from schemas.settings import Settings, get_settings

logger = logging.getLogger(__name__)


async def _never_raising(events: AsyncGenerator[ResearchEvent, None]) -> AsyncGenerator[ResearchEvent, None]:
    """The same events; an error becomes the last one, because jina ends a stream that raises as if all were well."""
    run_id = ""
    async with aclosing(events):
        try:
            async for event in events:
                run_id = event.run_id
                yield event
            return
        except DeepSearchError as error:
            ended = ev.RunEnded(outcome="failed", code=error.code, message=error.message, field=error.field or "")
        except Exception as error:
            logger.exception("run %s ended by an error of ours", run_id)
            ended = ev.RunEnded(outcome="failed", code=DeepSearchError.code, message=f"internal error: {type(error).__name__}")
    yield ResearchEvent(run_id=run_id, type=ended.type, data=ended.model_dump(exclude={"type", "answer"}))


class Controller(Executor):
    """Drives research runs over the stages of the Flow."""

    def __init__(self, settings: Optional[Settings] = None, **kwargs):  # type: ignore[no-untyped-def]
        super().__init__(**kwargs)
        self._settings = settings or get_settings()
        self._journal = create_journal(self._settings)
        if self._settings.deepsearch_stage_metrics:
            self._journal = measured(self._journal)
        self._stages = RemoteStages(self._settings)
        self._research = Research(self._stages, self._journal, self._settings)
        self._jobs = Jobs(self._research, self._journal, self._stages, self._settings.deepsearch_lease_seconds)
        self._jobs.recover()
        self._retention = Retention(self._journal, self._settings.deepsearch_keep_days)
        self._retention.begin()

    @requests(on="/research/stream")
    async def research_stream(self, doc: ResearchRequest, **kwargs) -> AsyncGenerator[ResearchEvent, None]:  # type: ignore[no-untyped-def]
        """Stream a run's events; the last is `run_ended`, also when the request is refused."""
        async with aclosing(_never_raising(self._research.run(doc))) as events:
            async for event in events:
                yield event

    @requests(on="/resume")
    async def resume(self, doc: RunQuery, **kwargs) -> AsyncGenerator[ResearchEvent, None]:  # type: ignore[no-untyped-def]
        """Stream the rest of an interrupted run of the caller's."""
        rest = belonging.events_of(self._journal, doc.run_id, doc.owner, self._research.resume(doc.run_id))
        async with aclosing(_never_raising(rest)) as events:
            async for event in events:
                yield event

    @requests(on="/continue")
    async def go_on(self, doc: RunQuery, **kwargs) -> AsyncGenerator[ResearchEvent, None]:  # type: ignore[no-untyped-def]
        """Stream the events of a run of the caller's after the one that is named, to its end; when nobody drives it, it is driven here."""
        rest = self._research.go_on(doc.run_id, doc.after, doc.after_offset)
        async with aclosing(_never_raising(belonging.events_of(self._journal, doc.run_id, doc.owner, rest))) as events:
            async for event in events:
                yield event

    @requests(on="/research")
    async def research(self, doc: ResearchRequest, **kwargs) -> ResearchAnswer:  # type: ignore[no-untyped-def]
        """Answer a question; a run that fails raises its error."""
        if doc.plan_first:
            raise InvalidRequest("plan_first needs somebody who follows the run: use /research/stream or /submit", field="plan_first")
        ended: Dict[str, Any] = {}
        async for event in self._research.run(doc):
            ended = event.data
        if ended.get("outcome") == "failed":
            raise from_code(ended.get("code", ""), ended.get("message", ""), ended.get("field"))
        if ended.get("outcome") == "cancelled":
            raise Cancelled("the run was cancelled before there was an answer")
        if ended.get("outcome") == "interrupted":
            raise StageUnavailable(ended.get("message", ""))
        return ResearchAnswer(**ended["answer"])

    @requests(on="/submit")
    async def submit(self, doc: ResearchRequest, **kwargs) -> RunSummary:  # type: ignore[no-untyped-def]
        """Begin a run that nobody waits for; `/events` follows it."""
        return await self._jobs.submit(doc)

    @requests(on="/approve")
    async def approve(self, doc: OutlineApproval, **kwargs) -> RunSummary:  # type: ignore[no-untyped-def]
        """Go on with a report of the caller's whose outline waits for approval, without a client; `/events` follows it."""
        await belonging.check(self._journal, doc.run_id, doc.owner)
        return await self._jobs.approve(doc)

    @requests(on="/events")
    async def events(self, doc: RunQuery, **kwargs) -> AsyncGenerator[ResearchEvent, None]:  # type: ignore[no-untyped-def]
        """Stream a run's events after the one that is named, past ones and those to come; the last is `run_ended`."""
        async with aclosing(_never_raising(self._research.follow(doc.run_id, doc.after, doc.after_offset))) as events:
            async for event in events:
                yield event

    @requests(on="/run")
    async def run(self, doc: RunQuery, **kwargs) -> RunReport:  # type: ignore[no-untyped-def]
        """A run as far as it has come, with its answer when it has ended."""
        return await self._research.report(doc.run_id)

    @requests(on="/page")
    async def page(self, doc: PageQuery, **kwargs) -> Page:  # type: ignore[no-untyped-def]
        """A page as it was read in a run."""
        return await self._journal.page(doc.run_id, doc.page_id)

    @requests(on="/runs")
    async def runs(self, doc: RunQuery, **kwargs) -> RunList:  # type: ignore[no-untyped-def]
        """The newest of the caller's runs and nobody's, or the one of them that is asked for."""
        if not doc.run_id:
            return RunList(runs=await self._journal.runs(checked_limit(doc.limit), belonging.names_of(doc.owner)))
        await belonging.check(self._journal, doc.run_id, doc.owner)
        return RunList(runs=[await self._journal.summary(doc.run_id)])

    @requests(on="/cancel")
    async def cancel(self, doc: RunQuery, **kwargs) -> RunSummary:  # type: ignore[no-untyped-def]
        """Stop a run of the caller's for good."""
        await belonging.check(self._journal, doc.run_id, doc.owner)
        await self._research.cancel(doc.run_id)
        return await self._journal.summary(doc.run_id)

    @requests(on="/forget")
    async def forget(self, doc: RunQuery, **kwargs) -> RunSummary:  # type: ignore[no-untyped-def]
        """Delete a run of the caller's that is not under way, with everything that belongs to it."""
        await belonging.check(self._journal, doc.run_id, doc.owner)
        return await forget(self._journal, doc.run_id)

    async def leave(self) -> None:
        """Hand over what does not need this process: jobs and those who follow runs. Who waits for a run here still gets its end."""
        self._research.hand_over()
        await self._jobs.hand_over()

    async def close(self) -> None:
        """Interrupt what is still under way, and release connections and the journal."""
        await self._retention.close()
        await self._jobs.close()
        await self._research.close()
        await self._stages.close()
        await self._journal.close()
