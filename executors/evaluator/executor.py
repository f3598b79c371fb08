"""The Evaluator Executor: judging answers, checking claims, and saying what pages have to say."""

from pathlib import Path
from typing import Any, Optional

from jina import Executor, requests

from executors.evaluator.analyzing import analyze
from executors.evaluator.checking import check
from executors.evaluator.digesting import digest
from executors.evaluator.evaluating import evaluate
from executors.evaluator.synthesizing import synthesize
from providers.llm import create_model
from providers.llm.prompts import load_prompts
from schemas.evaluation import Analysis, AnalyzeRequest, EvaluateRequest, Evaluation
from schemas.reporting import Digest, DigestRequest, Synthesis, SynthesizeRequest
from schemas.settings import Settings, get_settings
from schemas.support import CheckRequest, SupportReport


class Evaluator(Executor):
    """Holds answers against their criteria and their evidence, and compares what pages say."""

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

    @requests(on="/check")
    async def check(self, doc: CheckRequest, **kwargs: Any) -> SupportReport:
        """The verdict on every statement of a text."""
        return await check(doc, self._model, self._prompts, self._settings)

    @requests(on="/digest")
    async def digest(self, doc: DigestRequest, **kwargs: Any) -> Digest:
        """What one page says about a question."""
        return await digest(doc, self._model, self._prompts, self._settings)

    @requests(on="/synthesize")
    async def synthesize(self, doc: SynthesizeRequest, **kwargs: Any) -> Synthesis:
        """What several pages say together."""
        return await synthesize(doc, self._model, self._prompts, self._settings)

    async def close(self) -> None:
        """Release connections."""
        if self._model is not None:
            await self._model.close()
