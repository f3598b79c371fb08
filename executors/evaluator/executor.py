"""The Evaluator Executor: judging an answer, and analysing why one was rejected."""

from pathlib import Path
from typing import Any, Optional

from jina import Executor, requests

from executors.evaluator.analyzing import analyze
from executors.evaluator.evaluating import evaluate
from providers.llm import create_model
from providers.llm.prompts import load_prompts
from schemas.evaluation import Analysis, AnalyzeRequest, EvaluateRequest, Evaluation
from schemas.settings import Settings, get_settings


class Evaluator(Executor):
    """Holds an answer against its criteria and analyses why one was rejected."""

    def __init__(self, settings: Optional[Settings] = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._settings = settings or get_settings()
        self._prompts = load_prompts(Path(__file__).parent / "prompts")
        self._model = create_model(self._settings)

    @requests(on="/evaluate")
    async def evaluate(self, doc: EvaluateRequest, **kwargs: Any) -> Evaluation:
        """The verdict on an answer."""
        return await evaluate(doc, self._model, self._prompts, self._settings)

    @requests(on="/analyze")
    async def analyze(self, doc: AnalyzeRequest, **kwargs: Any) -> Analysis:
        """Why an answer was rejected."""
        return await analyze(doc, self._model, self._prompts)

    async def close(self) -> None:
        """Release connections."""
        if self._model is not None:
            await self._model.close()
