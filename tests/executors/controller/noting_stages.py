"""Small stages for the contract of `Stages`."""

import asyncio
import os
from pathlib import Path
from typing import AsyncGenerator  # noqa: UP035  (the only form jina knows)

from jina import Executor, requests

from schemas.answering import ComposeRequest, Draft, FinalizeChunk, FinalizeRequest
from schemas.errors import ReadError
from schemas.ranking import DedupeRequest, DedupeResponse
from schemas.reading import ReadRequest, ReadResponse
from schemas.usage import Usage


class _Noting(Executor):
    """Writes what happens to it into a file, which the test reads."""

    def __init__(self, log: str = "", **kwargs):
        super().__init__(**kwargs)
        self._log = Path(log)

    def note(self, line: str) -> None:
        with self._log.open("a") as log:
            log.write(f"{line} {os.getpid()}\n")

    async def leave(self) -> None:
        self.note("leave")

    def close(self) -> None:
        if self._log.name:
            self.note("close")


class NotingReader(_Noting):
    """Echoes, fails in two ways, and is slow when asked to be."""

    @requests(on="/read")
    async def read(self, doc: ReadRequest, **kwargs) -> ReadResponse:
        self.note(f"begin {doc.url}")
        if doc.url == "fail":
            raise ReadError("No page at fail.", field="url", usage=Usage(pages=1, provider_tokens=7))
        if doc.url == "defect":
            raise KeyError("defect")
        try:
            await asyncio.sleep(30 if doc.url == "slow" else 0)
            while doc.url == "until" and not Path(doc.question).exists():
                await asyncio.sleep(0.02)
        except asyncio.CancelledError:
            self.note("cancelled slow")
            raise
        response = ReadResponse(errors=[doc.url], usage=Usage(pages=1))
        response.page.text = doc.question * 100
        return response


class NotingRanker(_Noting):
    """Binds only one of the ranker's two endpoints."""

    @requests(on="/dedupe")
    async def dedupe(self, doc: DedupeRequest, **kwargs) -> DedupeResponse:
        return DedupeResponse(texts=[text for text in doc.texts if text not in doc.existing])


class NotingFinalizer(_Noting):
    """Streams, and composes slowly."""

    @requests(on="/compose")
    async def compose(self, doc: ComposeRequest, **kwargs) -> Draft:
        self.note("begin compose")
        await asyncio.sleep(30)
        return Draft()

    @requests(on="/finalize")
    async def finalize(self, doc: FinalizeRequest, **kwargs) -> AsyncGenerator[FinalizeChunk, None]:
        try:
            for word in doc.draft.split():
                yield FinalizeChunk(delta=word)
                await asyncio.sleep(30 if word == "slow" else 0)
            yield FinalizeChunk(done=True, text=doc.draft)
        except (asyncio.CancelledError, GeneratorExit):
            self.note("cancelled finalize")
            raise


STAGES = {"page_reader": NotingReader, "url_ranker": NotingRanker, "answer_finalizer": NotingFinalizer}
