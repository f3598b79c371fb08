"""The whole Flow in this process: the same Executors, called directly instead of over gRPC."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from types import TracebackType

from typing_extensions import Self

from deepsearch.client import final_answer
from executors.controller.research import Research
from providers.journal import create_journal
from providers.journal.base import Journal
from schemas.events import ResearchEvent
from schemas.reporting import OutlineApproval
from schemas.research import ResearchAnswer, ResearchRequest
from schemas.settings import Settings, get_settings
from telemetry import tracing


class LocalDeepSearch:
    """Answers questions in this process.

        async with LocalDeepSearch() as local:
            answer = await local.ask(ResearchRequest(question="...", corpus="papers"))

    Failures are raised as errors of `schemas.errors`.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        """Without `settings`, those of the environment."""
        # Imported here: a client of a running Flow needs none of the stages.
        from executors.answer_finalizer.executor import AnswerFinalizer  # noqa: PLC0415
        from executors.controller.local_stages import LocalStages  # noqa: PLC0415
        from executors.evaluator.executor import Evaluator  # noqa: PLC0415
        from executors.jina_searcher.executor import JinaSearcher  # noqa: PLC0415
        from executors.page_reader.executor import PageReader  # noqa: PLC0415
        from executors.query_planner.executor import QueryPlanner  # noqa: PLC0415
        from executors.url_ranker.executor import URLRanker  # noqa: PLC0415

        settings = settings or get_settings()
        tracing.start("local", settings.otel_exporter_otlp_endpoint)
        self.journal: Journal = create_journal(settings)
        self.stages = LocalStages(
            {
                "query_planner": QueryPlanner(settings=settings),
                "jina_searcher": JinaSearcher(settings=settings),
                "url_ranker": URLRanker(settings=settings),
                "page_reader": PageReader(settings=settings),
                "evaluator": Evaluator(settings=settings),
                "answer_finalizer": AnswerFinalizer(settings=settings),
            }
        )
        self.research = Research(self.stages, self.journal, settings)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """Release what the stages and the journal hold."""
        await self.stages.close()
        await self.journal.close()
        await tracing.stop()

    async def ask(self, request: ResearchRequest) -> ResearchAnswer:
        """The finished answer."""
        return await final_answer(self.stream(request))

    def stream(self, request: ResearchRequest) -> AsyncGenerator[ResearchEvent, None]:
        """The run's events as they happen, the last one being `run_ended`. Closing it early interrupts the run, which is kept."""
        return self.research.run(request)

    def resume(self, run_id: str) -> AsyncGenerator[ResearchEvent, None]:
        """The rest of an interrupted run; of one that has ended, its end. Raises `RunNotFound`."""
        return self.research.resume(run_id)

    def approve(self, approval: OutlineApproval) -> AsyncGenerator[ResearchEvent, None]:
        """The rest of a report whose outline is approved. Raises `RunNotFound`, or `NotWaiting` when it does not wait."""
        return self.research.approve(approval)
