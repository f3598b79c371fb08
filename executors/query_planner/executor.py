"""The QueryPlanner Executor: understanding, deciding, decomposing, rewriting, clustering, coding, outlining."""

from pathlib import Path
from typing import Any, Optional

from jina import Executor, requests

from executors.query_planner.clustering import cluster
from executors.query_planner.coding import code
from executors.query_planner.deciding import decide
from executors.query_planner.decomposing import decompose
from executors.query_planner.describing import describe
from executors.query_planner.outlining import outline
from executors.query_planner.rewriting import rewrite
from executors.query_planner.understanding import understand
from providers.llm import create_model
from providers.llm.prompts import load_prompts
from providers.sandbox import create_sandbox
from schemas.planning import (
    Clustering,
    ClusterRequest,
    CodeRequest,
    CodeResult,
    DecideRequest,
    Decision,
    DecomposeRequest,
    Decomposition,
    DescribeRequest,
    Description,
    RewriteRequest,
    Rewriting,
    Understanding,
    UnderstandRequest,
)
from schemas.reporting import Outline, OutlineRequest
from schemas.settings import Settings, get_settings


class QueryPlanner(Executor):
    """Understands a question, splits it, decides each step, writes queries, condenses search results, computes and outlines reports."""

    def __init__(self, settings: Optional[Settings] = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._settings = settings or get_settings()
        self._prompts = load_prompts(Path(__file__).parent / "prompts")
        self._model = create_model(self._settings)
        self._sandbox = create_sandbox(self._settings)

    @requests(on="/understand")
    async def understand(self, doc: UnderstandRequest, **kwargs: Any) -> Understanding:
        """Language, style and criteria of a question."""
        return await understand(doc, self._model, self._prompts)

    @requests(on="/decide")
    async def decide(self, doc: DecideRequest, **kwargs: Any) -> Decision:
        """The step's action."""
        return await decide(doc, self._model, self._prompts, self._settings)

    @requests(on="/decompose")
    async def decompose(self, doc: DecomposeRequest, **kwargs: Any) -> Decomposition:
        """Sub-problems for several researchers."""
        return await decompose(doc, self._model, self._prompts, self._settings)

    @requests(on="/rewrite")
    async def rewrite(self, doc: RewriteRequest, **kwargs: Any) -> Rewriting:
        """Search requests as queries."""
        return await rewrite(doc, self._model, self._prompts)

    @requests(on="/cluster")
    async def cluster(self, doc: ClusterRequest, **kwargs: Any) -> Clustering:
        """What search results say together."""
        return await cluster(doc, self._model, self._prompts)

    @requests(on="/code")
    async def code(self, doc: CodeRequest, **kwargs: Any) -> CodeResult:
        """The result of a computation."""
        return await code(doc, self._model, self._prompts, self._sandbox, self._settings)

    @requests(on="/describe")
    async def describe(self, doc: DescribeRequest, **kwargs: Any) -> Description:
        """What an attached image shows, in words."""
        return await describe(doc, self._model, self._prompts)

    @requests(on="/outline")
    async def outline(self, doc: OutlineRequest, **kwargs: Any) -> Outline:
        """The plan of a report."""
        return await outline(doc, self._model, self._prompts, self._settings)

    async def close(self) -> None:
        """Release connections and processes."""
        await self._sandbox.close()
        if self._model is not None:
            await self._model.close()
