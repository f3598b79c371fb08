"""The claim check: rules first, then a model for what the rules cannot be sure of."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from docarray import DocList

from executors.evaluator.allowances import room_beside, shared
from executors.evaluator.entailment import EntailmentOutput, judged, problem_with
from executors.evaluator.sources import FRAME_TOKENS, evidence_by_id
from providers import support
from providers.llm.base import ChatModel, Prompt
from providers.llm.prompts import PromptFile
from schemas.errors import DeepSearchError, InvalidRequest
from schemas.knowledge import Evidence
from schemas.settings import Settings
from schemas.support import CheckRequest, Contradiction, Statement, SupportReport
from schemas.usage import Allowance, Usage

MOST_CHARACTERS = 250_000
"""Of a text: a report of 20,000 words has fewer. The rules take some 10 ms a sentence."""

MOST_CLAIMS = 20
"""Statements in one call: with more, models begin to mix them up."""

_MOST_QUOTES = 6
"""Quotes that are shown for one statement, those that it cites first."""

_AT_ONCE = 8
"""Calls of one check under way."""


async def check(request: CheckRequest, model: ChatModel | None, prompts: Mapping[str, PromptFile], settings: Settings) -> SupportReport:
    """The verdict on every statement of `request.text`; see `ClaimCheck.report`. Raises `InvalidRequest` for a text that is too long."""
    check_length(request.text, "text")
    known = evidence_by_id(request.knowledge, request.evidence)
    claim_check = ClaimCheck(model if request.use_model else None, prompts, settings)
    return await claim_check.report(request.question, request.text, known, request.allowance)


def check_length(text: str, field: str) -> None:
    """Raise `InvalidRequest` for a text that would take too long to check."""
    if len(text) > MOST_CHARACTERS:
        raise InvalidRequest(f"{field} has {len(text):,} characters; the most is {MOST_CHARACTERS:,}", field=field)


def not_verbatim(statement: Statement) -> bool:
    """Whether a statement makes a claim that no evidence holds word for word."""
    return statement.verdict != "no_claim" and statement.score < 1


@dataclass(frozen=True)
class ClaimCheck:
    """Checks texts against evidence, with a model where there is one."""

    model: ChatModel | None
    prompts: Mapping[str, PromptFile]
    settings: Settings

    async def report(
        self,
        question: str,
        text: str,
        evidence: Mapping[str, Evidence],
        allowance: Allowance,
        doubtful: Callable[[Statement], bool] = not_verbatim,
        *,
        contradictions: bool = True,
    ) -> SupportReport:
        """The verdict on every statement of `text`, which answers `question` (it may be empty) and cites `evidence` by id.

        The rules judge every statement. The model is asked about those that are `doubtful` and, unless `contradictions` is False,
        about evidence that contradicts other evidence; see `executors.evaluator.entailment` for how far it is believed. Where it
        fails, gives no valid output, or `allowance` does not suffice, the verdict of the rules stands: nothing that a model raises
        is raised here.
        """
        started = time.monotonic()
        # A long report takes seconds, in which other calls must go on.
        report = await asyncio.to_thread(support.check, text, evidence)
        claims = _claims(report, evidence, doubtful, contradictions=contradictions)
        if self.model is None or not claims or not allowance.llm_calls:
            return report
        asked = _Asked(self.model, self.prompts["check"], self.settings, question, report)
        batches = _batches(claims, allowance.llm_calls)
        slots = asyncio.Semaphore(_AT_ONCE)

        async def answer(batch: Sequence[_Claim], share: Allowance) -> _Answer:
            async with slots:
                return await asked.about(batch, evidence, share.less(Usage(), time.monotonic() - started))

        shares = shared(allowance, [len(batch) for batch in batches])
        return _revised(report, await asyncio.gather(*map(answer, batches, shares)), evidence)


@dataclass(frozen=True)
class _Claim:
    """A statement that a model is to look at."""

    place: int
    """In the report, counted from 0."""
    doubtful: bool
    """False: it is there for its contradictions alone."""
    quotes: tuple[str, ...]
    """Ids of the evidence that is shown for it."""
    pairs: tuple[int, ...]
    """Places of its contradictions in the report."""


@dataclass(frozen=True)
class _Answer:
    """What a model said of a batch: of `claims`, which had room in the prompt. No output: it failed."""

    claims: Sequence[_Claim]
    output: EntailmentOutput | None
    usage: Usage


def _claims(
    report: SupportReport, evidence: Mapping[str, Evidence], doubtful: Callable[[Statement], bool], *, contradictions: bool
) -> list[_Claim]:
    """What there is to ask about, what the rules do not hold for supported first. Without a quote nothing can be judged."""
    claims = []
    for place, statement in enumerate(report.statements):
        pairs = tuple(number for number, found in enumerate(report.contradictions) if found.statement == place)
        disputing = [key for number in pairs for key in (report.contradictions[number].supporting, report.contradictions[number].opposing)]
        own = [key for key in dict.fromkeys([*statement.cited, *statement.evidence]) if key in evidence][:_MOST_QUOTES]
        if own and (doubtful(statement) or (pairs and contradictions)):
            claims.append(_Claim(place, doubtful(statement), tuple(dict.fromkeys([*own, *disputing])), pairs))
    return sorted(claims, key=lambda claim: report.statements[claim.place].verdict == "supported")


def _batches(claims: Sequence[_Claim], most: int) -> list[list[_Claim]]:
    """At most `most` batches of nearly the same size, each in the order of the text; what is over stays with the rules."""
    count = min(math.ceil(len(claims) / MOST_CLAIMS), most)
    size = min(math.ceil(len(claims) / count), MOST_CLAIMS)
    kept = sorted(claims[: count * size], key=lambda claim: claim.place)
    return [kept[start : start + size] for start in range(0, len(kept), size)]


@dataclass(frozen=True)
class _Asked:
    """A model, and the text it is asked about."""

    model: ChatModel
    prompt: PromptFile
    settings: Settings
    question: str
    report: SupportReport

    async def about(self, batch: Sequence[_Claim], evidence: Mapping[str, Evidence], allowance: Allowance) -> _Answer:
        """What the model says of a batch, as much of it as `allowance` has room for."""
        claims = self._fitting(batch, evidence, room_beside(self._render([], evidence), allowance, self.model, self.settings))
        if not claims:
            return _Answer([], None, Usage())
        try:
            generated = await self.model.generate(
                "evaluator",
                self._render(claims, evidence),
                EntailmentOutput,
                allowance,
                check=lambda output: problem_with(output, len(claims)),
            )
        except DeepSearchError as error:  # the rules have judged already
            return _Answer(claims, None, error.usage)
        return _Answer(claims, generated.value, generated.usage)

    def _fitting(self, batch: Sequence[_Claim], evidence: Mapping[str, Evidence], room: int) -> list[_Claim]:
        kept, shown = [], set[str]()
        for claim in batch:
            texts = [self.report.statements[claim.place].text]
            texts += [text for key in claim.quotes if key not in shown for text in (evidence[key].quote, evidence[key].url)]
            size = sum(FRAME_TOKENS + self.model.count_tokens(text) for text in texts)
            if size <= room:
                kept.append(claim)
                shown.update(claim.quotes)
                room -= size
        return kept

    def _render(self, claims: Sequence[_Claim], evidence: Mapping[str, Evidence]) -> Prompt:
        quotes = [evidence[key] for key in dict.fromkeys(key for claim in claims for key in claim.quotes)]
        statements = [self.report.statements[claim.place] for claim in claims]
        pairs = [(number, self.report.contradictions[place]) for number, claim in enumerate(claims, 1) for place in claim.pairs]
        return self.prompt.render(question=self.question, quotes=quotes, statements=statements, pairs=pairs)


def _revised(report: SupportReport, answers: Sequence[_Answer], evidence: Mapping[str, Evidence]) -> SupportReport:
    """The report with what the model said of it, as far as that is believed."""
    statements = list(report.statements)
    dropped: set[int] = set()
    usage = report.usage
    for answer in answers:
        usage = usage + answer.usage
        if answer.output is None:
            continue
        shown = {key: evidence[key] for claim in answer.claims for key in claim.quotes}
        pairs = [place for claim in answer.claims for place in claim.pairs]
        dropped |= {place for number, place in enumerate(pairs, 1) if answer.output.drops(number)}
        for number, claim in enumerate(answer.claims, 1):
            found = answer.output.on_statement(number)
            if found is not None and claim.doubtful:
                statements[claim.place] = judged(statements[claim.place], found, shown, disputed=bool(claim.pairs))
    verdicts = [statement.verdict for statement in statements]
    return SupportReport(
        statements=DocList[Statement](statements),
        contradictions=DocList[Contradiction](found for place, found in enumerate(report.contradictions) if place not in dropped),
        supported=verdicts.count("supported"),
        partly=verdicts.count("partly"),
        unsupported=verdicts.count("unsupported") + verdicts.count("contradicted"),
        judged_by="model" if any(statement.judged_by == "model" for statement in statements) else "rules",
        usage=usage,
    )
