"""A controller whose reports wait for approval of their outline, and are then written at once."""

from typing import Any, AsyncGenerator  # noqa: UP035  (the only forms jina knows)

from jina import Executor, requests

from schemas.errors import NotWaiting, RunNotFound
from schemas.events import ResearchEvent
from schemas.reporting import OutlineApproval
from schemas.research import ResearchAnswer, ResearchRequest, RunQuery, RunReport, RunSummary
from schemas.usage import Usage

OUTLINE = {"title": "Snow", "sections": [{"heading": "Ice", "brief": "What it is.", "evidence": ["e1"]}, {"heading": "Rain", "words": 300}]}
SUPPORT = {"supported": 1, "statements": [{"start": 0, "end": 5, "text": "Snow.", "verdict": "supported", "score": 1.0}]}


class WaitingController(Executor):
    """Every run is a report with `plan_first`, but for those that ask `now`."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._runs: dict[str, RunReport] = {}
        self._events: dict[str, list[ResearchEvent]] = {}

    @requests(on="/submit")
    async def submit(self, doc: ResearchRequest, **kwargs) -> RunSummary:
        run = RunSummary(run_id=doc.run_id, question=doc.question, state="waiting", background=True)
        self._runs[doc.run_id], self._events[doc.run_id] = RunReport(run=run), []
        self._tell(doc.run_id, "run_started", {"request": doc.model_dump(exclude_defaults=True), "limits": {"seconds": 60}})
        if doc.question == "now":
            self._end(doc.run_id, "Snow.")
        else:
            self._tell(doc.run_id, "outlined", {"outline": OUTLINE})
        return self._runs[doc.run_id].run

    @requests(on="/approve")
    async def approve(self, doc: OutlineApproval, **kwargs) -> RunSummary:
        report = await self.run(RunQuery(run_id=doc.run_id))
        if report.run.state != "waiting":
            raise NotWaiting(f"run {doc.run_id!r} does not wait", field="run_id")
        outline = doc.outline.model_dump() if doc.outline.sections else OUTLINE
        self._tell(doc.run_id, "outline_approved", {"outline": outline})
        self._end(doc.run_id, " ".join([outline["title"], *(section["heading"] for section in outline["sections"])]) + ".")
        return self._runs[doc.run_id].run

    @requests(on="/run")
    async def run(self, doc: RunQuery, **kwargs) -> RunReport:
        if doc.run_id not in self._runs:
            raise RunNotFound(f"no run {doc.run_id!r}", field="run_id")
        return self._runs[doc.run_id]

    @requests(on="/events")
    async def events(self, doc: RunQuery, **kwargs) -> AsyncGenerator[ResearchEvent, None]:
        for event in self._events[doc.run_id]:
            if event.sequence > doc.after:
                yield event
        report = self._runs[doc.run_id]
        ended: dict[str, Any] = {"outcome": report.run.state}
        if report.answer is not None:
            ended["answer"] = {"text": report.answer.text, "stop_reason": "answered", "mode": "model"}
        yield ResearchEvent(run_id=doc.run_id, sequence=len(self._events[doc.run_id]), type="run_ended", data=ended)

    def _tell(self, run_id: str, kind: str, data: dict[str, Any]) -> None:
        events = self._events[run_id]
        events.append(ResearchEvent(run_id=run_id, sequence=len(events) + 1, time=2e9, type=kind, data=data))

    def _end(self, run_id: str, text: str) -> None:
        report = self._runs[run_id]
        run = report.run.model_copy(update={"state": "finished"})
        images = [{"url": "https://a.org/1.png"}]
        answer = ResearchAnswer(
            run_id=run_id, text=text, stop_reason="answered", mode="model", support=SUPPORT, images=images, usage=Usage(prompt_tokens=9)
        )
        self._runs[run_id] = RunReport(run=run, answer=answer)
