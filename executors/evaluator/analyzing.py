"""Why the steps so far led to an answer that was rejected."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, Field

from executors.evaluator import rules
from executors.evaluator.rules import cut
from providers.llm.base import ChatModel
from providers.llm.prompts import PromptFile
from schemas.errors import ModelOutputInvalid
from schemas.evaluation import Analysis, AnalyzeRequest

_PART_CHARACTERS = 500


class AnalysisOutput(BaseModel):
    """The model's account."""

    recap: str = Field(description="What was done, in order, at most 500 characters")
    blame: str = Field(description="The step or habit that led to the failure, at most 500 characters")
    improvement: str = Field(description="What to do differently next, at most 500 characters")


async def analyze(request: AnalyzeRequest, model: ChatModel | None, prompts: Mapping[str, PromptFile]) -> Analysis:
    """Recap, blame and improvement from the diary. Invalid model output is replaced by the rules' account, usage kept.

    Without a diary there is nothing to ask a model about. Raises whatever else the model raises.
    """
    if model is None or not request.diary:
        return rules.analyze(request)
    prompt = prompts["analyze"].render(request=request)
    try:
        generated = await model.generate("evaluator", prompt, AnalysisOutput, request.allowance, check=_problem)
    except ModelOutputInvalid as error:
        analysis = rules.analyze(request)
        analysis.usage = error.usage
        return analysis
    output = generated.value
    return Analysis(
        recap=cut(output.recap, _PART_CHARACTERS),
        blame=cut(output.blame, _PART_CHARACTERS),
        improvement=cut(output.improvement, _PART_CHARACTERS),
        usage=generated.usage,
    )


def _problem(output: AnalysisOutput) -> str | None:
    complete = all(part.strip() for part in (output.recap, output.blame, output.improvement))
    return None if complete else "recap, blame and improvement must not be empty"
