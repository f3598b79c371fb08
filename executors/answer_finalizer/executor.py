"""The Executor that finishes answers."""

import asyncio
from typing import Any, AsyncGenerator, Optional

from jina import Executor, requests

from executors.answer_finalizer.exporting import export
from executors.answer_finalizer.finalizing import finalize
from executors.answer_finalizer.writing.composing import compose
from executors.answer_finalizer.writing.reducing import reduce
from executors.answer_finalizer.writing.revising import revise
from executors.answer_finalizer.writing.sectioning import section
from executors.answer_finalizer.writing.structuring import structure
from providers.llm import create_model
from schemas.answering import (
    ComposeRequest,
    Draft,
    Export,
    ExportRequest,
    FinalizeChunk,
    FinalizeRequest,
    ReduceRequest,
    ReviseRequest,
    StructuredAnswer,
    StructureRequest,
)
from schemas.reporting import SectionRequest
from schemas.settings import Settings, get_settings


class AnswerFinalizer(Executor):
    """Writes answers from what was read, puts them right by their verdicts, and resolves citations to numbered references."""

    def __init__(self, settings: Optional[Settings] = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._settings = settings or get_settings()
        self._model = create_model(self._settings)

    @requests(on="/compose")
    async def compose(self, doc: ComposeRequest, **kwargs: Any) -> Draft:
        """A draft that cites evidence as `[e1]`; empty when nothing that was read answers."""
        return await compose(doc, self._model, self._settings)

    @requests(on="/revise")
    async def revise(self, doc: ReviseRequest, **kwargs: Any) -> Draft:
        """A checked draft put right; as it was, with an error, when that failed."""
        return await revise(doc, self._model, self._settings)

    @requests(on="/reduce")
    async def reduce(self, doc: ReduceRequest, **kwargs: Any) -> Draft:
        """The answers to sub-problems as one."""
        return await reduce(doc, self._model, self._settings)

    @requests(on="/section")
    async def section(self, doc: SectionRequest, **kwargs: Any) -> Draft:
        """One section of a report."""
        return await section(doc, self._model, self._settings)

    @requests(on="/finalize")
    async def finalize(self, doc: FinalizeRequest, **kwargs: Any) -> AsyncGenerator[FinalizeChunk, None]:
        """The finished answer: deltas in order, then one chunk with `done`."""
        async for chunk in finalize(doc):
            yield chunk

    @requests(on="/structure")
    async def structure(self, doc: StructureRequest, **kwargs: Any) -> StructuredAnswer:
        """A finished answer as JSON that fits a schema."""
        return await structure(doc, self._model)

    @requests(on="/export")
    async def export(self, doc: ExportRequest, **kwargs: Any) -> Export:
        """A finished answer as a file."""
        return await asyncio.to_thread(export, doc.answer, doc.format)

    def close(self) -> "asyncio.Task[None]":
        """Start releasing connections; jina does not wait for it, others await what is returned."""
        return asyncio.get_running_loop().create_task(self._release())

    async def _release(self) -> None:
        if self._model is not None:
            await self._model.close()
