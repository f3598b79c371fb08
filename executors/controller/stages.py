"""How the controller reaches the stages: one protocol, over gRPC in a Flow and by direct calls in one process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol, TypeVar

from docarray import BaseDoc

Result = TypeVar("Result", bound=BaseDoc)

STAGE_OF_ENDPOINT: dict[str, str] = {
    "/understand": "query_planner",
    "/decide": "query_planner",
    "/rewrite": "query_planner",
    "/cluster": "query_planner",
    "/code": "query_planner",
    "/describe": "query_planner",
    "/search": "jina_searcher",
    "/rank": "url_ranker",
    "/dedupe": "url_ranker",
    "/read": "page_reader",
    "/evaluate": "evaluator",
    "/analyze": "evaluator",
    "/compose": "answer_finalizer",
    "/finalize": "answer_finalizer",
    "/structure": "answer_finalizer",
    "/check": "evaluator",
    "/digest": "evaluator",
    "/synthesize": "evaluator",
    "/decompose": "query_planner",
    "/outline": "query_planner",
    "/revise": "answer_finalizer",
    "/reduce": "answer_finalizer",
    "/section": "answer_finalizer",
    "/illustrate": "page_reader",
}
"""Every endpoint the controller calls, and the Executor (its name in `flow.yml`) that binds it."""


class Stages(Protocol):
    """Calls stages by endpoint.

    A failure of the stage arrives as the same `DeepSearchError` subclass that the stage raised, with the usage spent.
    Cancelling the awaiting task cancels the stage's work. A call that spends money is never repeated once it may have begun;
    `/search`, `/rank`, `/dedupe` and `/read` go to another replica when the one that was asked dies.
    """

    async def call(self, endpoint: str, request: BaseDoc, returns: type[Result], *, timeout: float) -> Result:
        """Send `request` and return the answer.

        `timeout` is in seconds. Raises `DeadlineExceeded` when it passes, `StageUnavailable` when no replica can be
        reached, and whatever error of the tree the stage raised.
        """
        ...

    def stream(self, endpoint: str, request: BaseDoc, returns: type[Result], *, timeout: float) -> AsyncIterator[Result]:
        """Send `request` and yield the answer's pieces as they come. Raises as `call` does."""
        ...

    async def ready(self) -> bool:
        """Whether every stage can be reached."""
        ...

    async def close(self) -> None:
        """Release connections and processes."""
        ...
