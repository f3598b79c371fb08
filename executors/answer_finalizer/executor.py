"""The Executor that finishes answers."""

import asyncio
from typing import Any, AsyncGenerator, Optional

from jina import Executor, requests

from executors.answer_finalizer.finalizing import compose, finalize
from executors.answer_finalizer.structuring import structure
from providers.llm import create_model
from schemas.answering import ComposeRequest, Draft, FinalizeChunk, FinalizeRequest, StructuredAnswer, StructureRequest
from schemas.settings import Settings, get_settings


class AnswerFinalizer(Executor):
    """Composes answers from what was read and resolves their citations to numbered references."""

    def __init__(self, settings: Optional[Settings] = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._settings = settings or get_settings()
        self._model = create_model(self._settings)

    @requests(on="/compose")
    async def compose(self, doc: ComposeRequest, **kwargs: Any) -> Draft:
        """A draft that cites evidence as `[e1]`; empty when nothing that was read answers."""
        return await compose(doc, self._model, self._settings)

    @requests(on="/finalize")
    async def finalize(self, doc: FinalizeRequest, **kwargs: Any) -> AsyncGenerator[FinalizeChunk, None]:
        """The finished answer: deltas as they are written, then one chunk with `done`."""
        async for chunk in finalize(doc, self._model, self._settings):
            yield chunk

    @requests(on="/structure")
    async def structure(self, doc: StructureRequest, **kwargs: Any) -> StructuredAnswer:
        """A finished answer as JSON that fits a schema."""
        return await structure(doc, self._model)

    def close(self) -> "asyncio.Task[None]":
        """Start releasing connections; jina does not wait for it, others await what is returned."""
        return asyncio.get_running_loop().create_task(self._release())

    async def _release(self) -> None:
        if self._model is not None:
            await self._model.close()
