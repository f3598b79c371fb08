"""Calls from the gateway's own routes to the stages of the Flow."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, Protocol, TypeVar

from docarray import BaseDoc, DocList

from gateway.jina_patches import EndpointStreamer

Result = TypeVar("Result", bound=BaseDoc)


class Calls(Protocol):
    """Calls endpoints of the Flow, or what stands for it in one process."""

    async def call(self, endpoint: str, request: BaseDoc, returns: type[Result]) -> Result:
        """The answer of a unary endpoint. Raises errors of `schemas.errors`."""
        ...

    def stream(self, endpoint: str, request: BaseDoc, returns: type[Result]) -> AsyncIterator[Result]:
        """What a streaming endpoint gives, as it comes. Closing the iterator stops the stage."""
        ...


class StageCalls:
    """Calls a stage by endpoint, typed. A failure is the stage's own error of `schemas.errors`."""

    def __init__(self, streamer: EndpointStreamer) -> None:
        self._streamer = streamer

    async def permit(self, endpoint: str) -> None:
        """Raise what keeps the current caller from asking `endpoint` now, before a response has begun."""
        await self._streamer.permit(endpoint)

    async def call(self, endpoint: str, request: BaseDoc, returns: type[Result]) -> Result:
        """Send `request` to the stage that binds a unary `endpoint` and return its answer."""
        self._streamer.check(endpoint, streams=False)
        documents = DocList[type(request)]([request])  # type: ignore[misc, operator]
        answers: Any = self._streamer.stream_docs(docs=documents, exec_endpoint=endpoint, return_type=DocList[returns])  # type: ignore[valid-type]
        async with aclosing(answers):
            async for answer in answers:
                result: Result = answer[0]
                return result
        raise AssertionError(f"{endpoint} gave no answer")

    async def stream(self, endpoint: str, request: BaseDoc, returns: type[Result]) -> AsyncGenerator[Result, None]:
        """Send `request` to the stage that binds a streaming `endpoint` and yield what comes. Closing the iterator stops the stage."""
        async with aclosing(self._streamer.stream_doc(doc=request, exec_endpoint=endpoint, return_type=returns)) as answers:
            async for answer, _ in answers:
                yield answer
