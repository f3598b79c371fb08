"""An answer held against its criteria, one after the other: the first that fails ends it, and saves the rest."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from executors.evaluator import rules
from executors.evaluator.criteria import OUTPUTS, StrictOutput
from executors.evaluator.rules import cut
from executors.evaluator.sources import first_that_fit, sources
from providers.llm.base import ChatModel, Prompt
from providers.llm.prompts import PromptFile
from schemas.errors import DeepSearchError, InvalidRequest, ModelOutputInvalid
from schemas.evaluation import EvaluateRequest, Evaluation
from schemas.planning import Criterion
from schemas.settings import Settings
from schemas.usage import Allowance, Usage

_THINK_CHARACTERS = 500
_PLAN_CHARACTERS = 1_000


async def evaluate(request: EvaluateRequest, model: ChatModel | None, prompts: Mapping[str, PromptFile], settings: Settings) -> Evaluation:
    """Judge `request.answer` by each of `request.criteria` in order, one model call each, all under one allowance.

    An empty answer fails without any call. A criterion for which the model's output stays invalid is judged by rules.
    `think` and `judged_by` belong to the verdict that decided: the failed criterion, or the last one.
    Raises `InvalidRequest` without a question, and whatever else the model raises, with the usage of all calls.
    """
    if not request.question.strip():
        raise InvalidRequest("question is empty: say what the answer is to answer", field="question")
    if not request.answer.strip():
        return Evaluation(passed=False, failed_criterion=next(iter(request.criteria), None), think="The answer is empty.")
    started = time.monotonic()
    spent = Usage()
    evaluation = Evaluation(passed=True, think="No criterion was asked for.")
    for criterion in request.criteria:
        if model is None:
            evaluation = rules.judge(criterion, request)
        else:
            allowance = request.allowance.less(spent, time.monotonic() - started)
            try:
                evaluation = await _Judge(model, prompts, settings).judge(criterion, request, allowance)
            except ModelOutputInvalid as error:
                evaluation = rules.judge(criterion, request)
                evaluation.usage = error.usage
            except DeepSearchError as failure:
                raise type(failure)(failure.message, field=failure.field, usage=spent + failure.usage) from failure
        spent = spent + evaluation.usage
        if not evaluation.passed:
            break
    evaluation.usage = spent
    return evaluation


@dataclass(frozen=True)
class _Judge:
    """A model that judges one criterion at a time."""

    model: ChatModel
    prompts: Mapping[str, PromptFile]
    settings: Settings

    async def judge(self, criterion: Criterion, request: EvaluateRequest, allowance: Allowance) -> Evaluation:
        """The verdict on one criterion, drawn by code from the model's report."""
        prompt = self._prompt(criterion, request, allowance)
        generated = await self.model.generate("evaluator", prompt, OUTPUTS[criterion], allowance, check=lambda report: report.problem())
        report = generated.value
        passed = report.verdict()
        plan = report.improvement_plan if isinstance(report, StrictOutput) and not passed else ""
        return Evaluation(
            passed=passed,
            failed_criterion=None if passed else criterion,
            think=cut(report.think, _THINK_CHARACTERS),
            improvement_plan=cut(plan, _PLAN_CHARACTERS),
            judged_by="model",
            usage=generated.usage,
        )

    def _prompt(self, criterion: Criterion, request: EvaluateRequest, allowance: Allowance) -> Prompt:
        """The criterion's prompt. Only freshness and strict look at what the answer rests on, as much of it as fits."""
        if criterion not in ("freshness", "strict"):
            return self.prompts[criterion].render(request=request)
        bare = self.prompts[criterion].render(request=request, sources=[])
        whole = min(allowance.tokens, self.settings.llm_context_tokens)
        room = whole - min(self.settings.llm_max_output_tokens, whole // 4)
        room -= self.model.count_tokens(bare.system) + self.model.count_tokens(bare.user)
        found = sources(request.answer, request.knowledge, request.date)
        return self.prompts[criterion].render(request=request, sources=first_that_fit(found, room, self.model.count_tokens))
