"""Small Executors with the real documents, one for each part that a stage can play: first, middle with replicas, last."""

import asyncio
import os
from pathlib import Path
from typing import AsyncGenerator  # noqa: UP035  (the only form jina knows)

from jina import Executor, requests

from schemas.answering import FinalizeChunk, FinalizeRequest
from schemas.errors import BudgetExceeded, DeepSearchError, InvalidRequest, ReadError, RunNotFound
from schemas.ranking import DedupeRequest, DedupeResponse
from schemas.reading import Page, ReadRequest, ReadResponse
from schemas.research import ResearchAnswer, ResearchRequest
from schemas.usage import Usage


def note(line: str) -> None:
    """Append a line to the file that the test reads, when it asked for one."""
    if path := os.environ.get("ECHO_LOG"):
        with Path(path).open("a") as log:
            log.write(line + "\n")


class EchoController(Executor):
    """The first stage: one unary and one streaming endpoint."""

    @requests(on="/research")
    async def research(self, doc: ResearchRequest, **kwargs) -> ResearchAnswer:
        if not doc.question:
            raise InvalidRequest("The question is empty; send one.", field="question")
        if doc.question == "gone":
            raise RunNotFound("no run 'r1'", field="run_id")
        if doc.question == "broke":
            raise BudgetExceeded("100 tokens are left, the call needs 200.", usage=Usage(prompt_tokens=7))
        if doc.question == "defect":
            raise KeyError("defect")
        return ResearchAnswer(
            question=doc.question, text=doc.question.upper(), seconds=float(os.getpid()), stop_reason="answered", mode="extractive"
        )

    @requests(on="/research/stream")
    async def research_stream(self, doc: ResearchRequest, **kwargs) -> AsyncGenerator[ResearchAnswer, None]:
        for number in range(3):
            yield ResearchAnswer(question=doc.question, steps=number, stop_reason="answered", mode="extractive")


class EchoReader(Executor):
    """A stage with replicas."""

    @requests(on="/read")
    async def read(self, doc: ReadRequest, **kwargs) -> ReadResponse:
        note(f"begin {doc.url}")
        if doc.url == "fail":
            raise ReadError("fail cannot be read: 404.", field="url", usage=Usage(pages=1, provider_tokens=5))
        try:
            await asyncio.sleep(float(doc.question or 0))
        except asyncio.CancelledError:
            note(f"cancelled {doc.url}")
            raise
        return ReadResponse(page=Page(url=doc.url, text="x" * 2000, title=str(os.getpid())), usage=Usage(pages=1))

    @requests(on="/dedupe")
    async def dedupe(self, doc: DedupeRequest, **kwargs) -> DedupeResponse:
        if doc.texts == ["defect"]:
            raise KeyError("defect")
        return DedupeResponse(texts=[text for text in doc.texts if text not in doc.existing])


class EchoFinalizer(Executor):
    """The last stage: a stream that notices when nobody listens any more."""

    @requests(on="/finalize")
    async def finalize(self, doc: FinalizeRequest, **kwargs) -> AsyncGenerator[FinalizeChunk, None]:
        try:
            for word in doc.draft.split():
                yield FinalizeChunk(delta=word)
                await asyncio.sleep(doc.max_references / 1000)
            yield FinalizeChunk(done=True, text=doc.draft)
        except (asyncio.CancelledError, GeneratorExit):
            note(f"cancelled {doc.question}")
            raise


class BrokenStage(Executor):
    """A stage that cannot start."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        raise DeepSearchError("DEEPSEARCH_CORPUS is missing.")
