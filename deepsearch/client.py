"""A client of a running Flow: the same two calls as `deepsearch.local`, over gRPC or HTTP."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from types import TracebackType

from typing_extensions import Self

from deepsearch.flow_calls import FlowCalls
from schemas.errors import DeepSearchError, InvalidRequest, StageUnavailable, from_code
from schemas.events import ResearchEvent, RunEnded
from schemas.research import ResearchAnswer, ResearchRequest


class DeepSearchClient:
    """Asks a running Flow.

        async with DeepSearchClient("grpc://127.0.0.1:8081") as client:
            answer = await client.ask(ResearchRequest(question="..."))

    Every failure is raised as an error of `schemas.errors`; a Flow that cannot be reached is `StageUnavailable`.
    """

    def __init__(self, address: str, api_key: str | None = None) -> None:
        """`address` is `grpc(s)://host:port` or `http(s)://host:port`; `api_key` is for a Flow that asks for one.

        Raises `InvalidRequest` when the address is neither.
        """
        self._calls = FlowCalls(address, api_key)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """Release the connections."""
        await self._calls.close()

    async def ask(self, request: ResearchRequest) -> ResearchAnswer:
        """The finished answer. Leaving early ends the run, because it is a stream that is read here."""
        return await final_answer(self.stream(request))

    async def stream(self, request: ResearchRequest) -> AsyncGenerator[ResearchEvent, None]:
        """The run's events as they happen, the last one being `run_ended`. Closing it early interrupts the run, which is kept."""
        async with aclosing(self._calls.stream("/research/stream", request, ResearchEvent)) as events:
            async for event in events:
                yield event


async def final_answer(events: AsyncIterator[ResearchEvent]) -> ResearchAnswer:
    """The answer with which a stream of events ends. Raises the error with which a run failed, or that it was cancelled."""
    ended: RunEnded | None = None
    async for event in events:
        if event.type == "run_ended":
            ended = RunEnded.model_validate(event.data)
    if ended is None:
        raise StageUnavailable("the stream ended before the run did; the server may have been stopped")
    if ended.outcome == "failed":
        raise from_code(ended.code, ended.message, ended.field)
    if ended.outcome == "waiting":
        raise InvalidRequest("the run waits for its outline to be approved; follow its stream instead", field="plan_first")
    if ended.answer is None:
        raise DeepSearchError("the run was cancelled before there was an answer")
    return ended.answer
