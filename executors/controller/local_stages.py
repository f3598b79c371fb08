"""The stages as objects of this process, called directly: the same Executors, without sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from inspect import isawaitable
from time import monotonic
from typing import Any

from docarray import BaseDoc

from executors.controller.stages import STAGE_OF_ENDPOINT, Result
from schemas.errors import DeadlineExceeded, DeepSearchError, StageUnavailable
from telemetry.stage_calls import StageCall


class LocalStages:
    """Calls the methods of Executor instances. Implements `Stages`, and owns the instances: `close` closes them."""

    def __init__(self, executors: Mapping[str, Any]) -> None:
        """`executors` has an Executor instance for each stage, by its name in `flow.yml`."""
        self._executors = dict(executors)

    async def call(self, endpoint: str, request: BaseDoc, returns: type[Result], *, timeout: float) -> Result:
        """See `Stages.call`."""
        executor, function = self._bound(endpoint)

        async def run() -> Any:
            try:
                return await function(executor, doc=request)
            except Exception as error:
                raise _of_our_tree(error) from error

        try:
            with StageCall(STAGE_OF_ENDPOINT[endpoint], endpoint):
                return _checked(await asyncio.wait_for(run(), timeout), returns, endpoint)
        except asyncio.TimeoutError as error:
            raise _late(endpoint, timeout) from error

    async def stream(self, endpoint: str, request: BaseDoc, returns: type[Result], *, timeout: float) -> AsyncIterator[Result]:
        """See `Stages.stream`."""
        executor, function = self._bound(endpoint)
        pieces = function(executor, doc=request)
        deadline = monotonic() + timeout

        async def following() -> Any:
            try:
                return await anext(pieces, None)
            except Exception as error:
                raise _of_our_tree(error) from error

        try:
            with StageCall(STAGE_OF_ENDPOINT[endpoint], endpoint).ending():
                while (piece := await asyncio.wait_for(following(), deadline - monotonic())) is not None:
                    yield _checked(piece, returns, endpoint)
        except asyncio.TimeoutError as error:
            raise _late(endpoint, timeout) from error
        finally:
            await pieces.aclose()

    async def ready(self) -> bool:
        """See `Stages.ready`."""
        return True

    async def close(self) -> None:
        """Close every Executor and wait for those that close in their own time."""
        for executor in self._executors.values():
            closing = executor.close()
            if isawaitable(closing):
                await closing

    def _bound(self, endpoint: str) -> tuple[Any, Any]:
        stage = STAGE_OF_ENDPOINT[endpoint]
        executor = self._executors.get(stage)
        if executor is None:
            raise StageUnavailable(f"The stage {stage} is not part of this process.")
        if endpoint not in executor.requests:
            raise DeepSearchError(f"The stage {stage} has no endpoint {endpoint}.")
        return executor, executor.requests[endpoint].fn


def _of_our_tree(error: Exception) -> DeepSearchError:
    """What would have crossed a process boundary: our errors as they are, of any other its name and arguments."""
    return error if isinstance(error, DeepSearchError) else DeepSearchError(repr(error))


def _checked(answer: Any, returns: type[Result], endpoint: str) -> Result:
    if not isinstance(answer, returns):
        raise DeepSearchError(f"{endpoint} answered with {type(answer).__name__} instead of {returns.__name__}.")
    return answer


def _late(endpoint: str, timeout: float) -> DeadlineExceeded:
    return DeadlineExceeded(f"{endpoint} took longer than {timeout:g} s.")
