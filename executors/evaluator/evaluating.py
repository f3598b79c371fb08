"""An answer held against all its criteria at once; of those that it fails, the first in the order asked for is the verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from executors.evaluator import rules
from executors.evaluator.allowances import room_beside, shared
from executors.evaluator.attribution import attribution
from executors.evaluator.checking import ClaimCheck, check_length
from executors.evaluator.criteria import OUTPUTS, StrictOutput
from executors.evaluator.rules import PLAN_CHARACTERS, THINK_CHARACTERS, cut
from executors.evaluator.sources import Source, evidence_by_id, first_that_fit, sources
from providers.llm.base import ChatModel, Prompt
from providers.llm.prompts import PromptFile
from schemas.errors import BudgetExceeded, DeepSearchError, InvalidRequest, ModelOutputInvalid
from schemas.evaluation import EvaluateRequest, Evaluation
from schemas.planning import Criterion
from schemas.settings import Settings
from schemas.usage import Allowance, Usage

_SEES_EVIDENCE: tuple[Criterion, ...] = ("strict", "attribution")
_INSTRUCTION_TOKENS = 800  # of a criterion's prompt without material, generously


async def evaluate(request: EvaluateRequest, model: ChatModel | None, prompts: Mapping[str, PromptFile], settings: Settings) -> Evaluation:
    """Judge `request.answer` by each of `request.criteria`, all at the same time, each under its share of the allowance.

    An empty answer fails without any call. A criterion for which the model gives no valid output is judged by rules.
    `think`, `improvement_plan` and `judged_by` belong to the verdict that decided: the first failed criterion, or the last one.
    `support` is there whenever attribution was judged, `usage` is that of all criteria.
    Raises `InvalidRequest` without a question or for an answer that is too long, and whatever else the model raises, unless an
    earlier criterion failed already; with the usage of all criteria.
    """
    if not request.question.strip():
        raise InvalidRequest("question is empty: say what the answer is to answer", field="question")
    check_length(request.answer, "answer")
    criteria = list(dict.fromkeys(request.criteria))
    if not request.answer.strip():
        return Evaluation(passed=False, failed_criterion=next(iter(criteria), None), think="The answer is empty.")
    found = sources(request.answer, request.knowledge, request.date)
    outcomes = await _Judge(request, model, prompts, settings, found).judge_all(criteria)
    spent = sum((outcome.usage for outcome in outcomes), start=Usage())
    verdict = Evaluation(passed=True, think="No criterion was asked for.")
    for outcome in outcomes:
        if isinstance(outcome, DeepSearchError):
            raise type(outcome)(outcome.message, field=outcome.field, usage=spent, retry_after=outcome.retry_after) from outcome
        verdict = outcome
        if not verdict.passed:
            break
    support = next((outcome.support for outcome in outcomes if isinstance(outcome, Evaluation) and outcome.support), None)
    return verdict.model_copy(update={"support": support, "usage": spent})


@dataclass(frozen=True)
class _Judge:
    """Judges one answer by one criterion at a time."""

    request: EvaluateRequest
    model: ChatModel | None
    prompts: Mapping[str, PromptFile]
    settings: Settings
    found: list[Source]
    """What the answer may rest on."""

    async def judge_all(self, criteria: list[Criterion]) -> list[Evaluation | DeepSearchError]:
        """The verdict on each criterion, or why there is none."""
        # Attribution alone can do without a model call, so it takes the last share of them.
        order = sorted(criteria, key=lambda criterion: criterion == "attribution")
        allowances = dict(zip(order, shared(self.request.allowance, [self._need(criterion) for criterion in order]), strict=True))
        return await asyncio.gather(*(self._outcome(criterion, allowances[criterion]) for criterion in criteria))

    def _need(self, criterion: Criterion) -> int:
        """Tokens that judging this criterion may take, so far as can be told beforehand."""
        if self.model is None:
            return 1
        known = sum(self.model.count_tokens(source.text) for source in self.found) if criterion in _SEES_EVIDENCE else 0
        read = min(_INSTRUCTION_TOKENS + self.model.count_tokens(self.request.answer) + known, self.settings.llm_context_tokens)
        return read + self.settings.llm_max_output_tokens

    async def _outcome(self, criterion: Criterion, allowance: Allowance) -> Evaluation | DeepSearchError:
        try:
            if criterion == "attribution":
                check = ClaimCheck(self.model, self.prompts, self.settings)
                known = evidence_by_id(self.request.knowledge)
                return attribution(await check.report(self.request.question, self.request.answer, known, allowance))
            if self.model is None:
                return rules.judge(criterion, self.request)
            return await self._by_model(self.model, criterion, allowance)
        except DeepSearchError as error:
            # Its share may have no room to ask again after an invalid answer; the budget of the run may have.
            answered = isinstance(error, ModelOutputInvalid) or (isinstance(error, BudgetExceeded) and error.usage.llm_calls)
            return rules.judge(criterion, self.request).model_copy(update={"usage": error.usage}) if answered else error

    async def _by_model(self, model: ChatModel, criterion: Criterion, allowance: Allowance) -> Evaluation:
        """The verdict on one criterion, drawn by code from the model's report."""
        prompt = self._prompt(model, criterion, allowance)
        generated = await model.generate("evaluator", prompt, OUTPUTS[criterion], allowance, check=lambda report: report.problem())
        report = generated.value
        passed = report.verdict()
        plan = report.improvement_plan if isinstance(report, StrictOutput) and not passed else ""
        return Evaluation(
            passed=passed,
            failed_criterion=None if passed else criterion,
            think=cut(report.think, THINK_CHARACTERS),
            improvement_plan=cut(plan, PLAN_CHARACTERS),
            judged_by="model",
            usage=generated.usage,
        )

    def _prompt(self, model: ChatModel, criterion: Criterion, allowance: Allowance) -> Prompt:
        """The criterion's prompt. Only freshness and strict look at what the answer rests on, as much of it as fits."""
        if criterion not in ("freshness", "strict"):
            return self.prompts[criterion].render(request=self.request)
        room = room_beside(self.prompts[criterion].render(request=self.request, sources=[]), allowance, model, self.settings)
        return self.prompts[criterion].render(request=self.request, sources=first_that_fit(self.found, room, model.count_tokens))
