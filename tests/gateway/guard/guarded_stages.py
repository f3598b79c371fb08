"""A controller whose runs go on until the test lets them end."""

import asyncio
import os
from pathlib import Path
from typing import AsyncGenerator  # noqa: UP035  (the only form jina knows)

from docarray import DocList
from jina import Executor, requests

from schemas.errors import InvalidRequest
from schemas.events import ResearchEvent
from schemas.reading import Page, ReadRequest, ReadResponse
from schemas.research import ResearchAnswer, ResearchRequest, RunList, RunQuery, RunReport, RunSummary
from schemas.usage import Usage

USAGE = Usage(prompt_tokens=60, completion_tokens=30, provider_tokens=10)
"""Of every run."""


class GuardedController(Executor):
    """Runs, and jobs. A run whose question is `hold NAME` ends when the file NAME is there, `flood` sends 100 MB, `fail` fails."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._jobs: dict[str, str] = {}

    @requests(on="/research")
    async def research(self, doc: ResearchRequest, **kwargs) -> ResearchAnswer:
        await _end(doc.question)
        return _answer(doc)

    @requests(on="/read")
    async def read(self, doc: ReadRequest, **kwargs) -> ReadResponse:
        if doc.url == "fail":
            raise InvalidRequest("The URL fails.", field="url", usage=USAGE)
        await _end(doc.question)
        return ReadResponse(page=Page(url=doc.url), usage=USAGE)

    @requests(on="/research/stream")
    async def research_stream(self, doc: ResearchRequest, **kwargs) -> AsyncGenerator[ResearchEvent, None]:
        yield ResearchEvent(run_id=doc.run_id, sequence=1, type="run_started")
        if doc.question == "flood":
            for number in range(1_000):
                yield ResearchEvent(run_id=doc.run_id, sequence=number, type="answer_delta", data={"text": "x" * 100_000, "offset": 0})
                _note(f"flood {doc.run_id} {number}")
        await _end(doc.question)
        answer = _answer(doc).model_dump(exclude_defaults=True) | {"usage": USAGE.model_dump(exclude_defaults=True, exclude={"id"})}
        answer.pop("id", None)
        yield ResearchEvent(run_id=doc.run_id, sequence=2, type="run_ended", data={"outcome": "finished", "answer": answer})

    @requests(on="/resume")
    async def resume(self, doc: RunQuery, **kwargs) -> AsyncGenerator[ResearchEvent, None]:
        answer = {"run_id": doc.run_id, "usage": USAGE.model_dump(exclude_defaults=True, exclude={"id"})}
        yield ResearchEvent(run_id=doc.run_id, sequence=2, type="run_ended", data={"outcome": "finished", "answer": answer})

    @requests(on="/runs")
    async def runs(self, doc: RunQuery, **kwargs) -> RunList:
        """A run has used 70 tokens before anybody goes on with it, or is under way."""
        state = "running" if doc.run_id == "under-way" else "interrupted"
        return RunList(runs=DocList[RunSummary]([RunSummary(run_id=doc.run_id, state=state, total_tokens=70)]))

    @requests(on="/forget")
    async def forget(self, doc: RunQuery, **kwargs) -> RunSummary:
        return RunSummary(run_id=doc.run_id)

    @requests(on="/submit")
    async def submit(self, doc: ResearchRequest, **kwargs) -> RunSummary:
        if doc.question.startswith("hold submission"):
            await _end(doc.question)
            _note(f"submitted {doc.question.split()[1]}")
        self._jobs[doc.run_id] = doc.question
        return RunSummary(run_id=doc.run_id, question=doc.question, background=True)

    @requests(on="/events")
    async def events(self, doc: RunQuery, **kwargs) -> AsyncGenerator[ResearchEvent, None]:
        await _end(self._jobs[doc.run_id])
        yield ResearchEvent(run_id=doc.run_id, sequence=2, type="run_ended", data={"outcome": "finished"})

    @requests(on="/run")
    async def run(self, doc: RunQuery, **kwargs) -> RunReport:
        _note(f"reported {doc.run_id}")
        return RunReport(run=RunSummary(run_id=doc.run_id, total_tokens=USAGE.total_tokens))


def _answer(doc: ResearchRequest) -> ResearchAnswer:
    return ResearchAnswer(run_id=doc.run_id, question=doc.question, text="Yes.", usage=USAGE, stop_reason="answered", mode="extractive")


async def _end(question: str) -> None:
    if question.startswith("fail"):
        raise InvalidRequest("The question fails.", field="question")
    if question.startswith("hold "):
        _note(f"held {question.split()[1]}")
        try:
            while not (Path(os.environ["HOLD"]) / question.split()[1]).exists():
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            _note(f"cut {question.split()[1]}")
            raise


def _note(line: str) -> None:
    with (Path(os.environ["HOLD"]) / "notes").open("a") as notes:
        notes.write(line + "\n")
