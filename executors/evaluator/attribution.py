"""Whether an answer stands in what was read: a verdict drawn by code from the claim check."""

from __future__ import annotations

from executors.evaluator.rules import PLAN_CHARACTERS, THINK_CHARACTERS, cut
from schemas.evaluation import Evaluation
from schemas.support import Statement, SupportReport

_SUPPORTED_SHARE = 0.8
"""Share of the claims that must be supported or partly supported. Not all of them: a sentence that sums up or links others is
often found in no single passage, and what stays unsupported is removed or marked before an answer goes out."""

_CONTRADICTED = 0
"""Claims that evidence may speak against. One is enough to mislead, however much else is right."""

_NAMED = 3
"""Statements that are quoted in the reasons."""

_STATEMENT_CHARACTERS = 120


def attribution(report: SupportReport) -> Evaluation:
    """The verdict on an answer with that report. An answer without a claim passes: there is nothing to be supported."""
    claims = [statement for statement in report.statements if statement.verdict != "no_claim"]
    wrong = [statement for statement in claims if statement.verdict == "contradicted"]
    unsupported = [*wrong, *(statement for statement in claims if statement.verdict == "unsupported")]
    share = 1 - len(unsupported) / len(claims) if claims else 1.0
    passed = share >= _SUPPORTED_SHARE and len(wrong) <= _CONTRADICTED
    return Evaluation(
        passed=passed,
        failed_criterion=None if passed else "attribution",
        think=cut(_think(claims, unsupported, len(wrong)), THINK_CHARACTERS),
        improvement_plan="" if passed else cut(_plan(unsupported), PLAN_CHARACTERS),
        support=report,
        judged_by=report.judged_by,
        usage=report.usage,
    )


def _think(claims: list[Statement], unsupported: list[Statement], wrong: int) -> str:
    if not claims:
        return "The answer makes no claim that would have to be supported."
    found = f"Supported by what was read: {len(claims) - len(unsupported)} of {len(claims)} claims; contradicted: {wrong}"
    named = " ".join(_named(statement) for statement in unsupported[:_NAMED])
    return f"{found}. At least {_SUPPORTED_SHARE:.0%} must be supported and none contradicted.{named and ' Not supported: '}{named}"


def _named(statement: Statement) -> str:
    reason = statement.reason or (f"not in what was read: {', '.join(statement.missing)}" if statement.missing else statement.verdict)
    return f"“{cut(statement.text, _STATEMENT_CHARACTERS)}” ({reason})."


def _plan(unsupported: list[Statement]) -> str:
    steps = []
    for statement in unsupported:
        quoted = f"“{cut(statement.text, _STATEMENT_CHARACTERS)}”"
        if statement.verdict == "contradicted":
            steps.append(f"Correct or leave out {quoted}: {', '.join(statement.evidence) or 'evidence'} says otherwise.")
        elif statement.missing:
            steps.append(f"Find a page that says {', '.join(statement.missing)} for {quoted}, or leave it out.")
        else:
            steps.append(f"Find a page that says {quoted}, or leave it out.")
    return " ".join(steps)
