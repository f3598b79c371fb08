"""What a model says of statements and quotes, and how far it is believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, Field

from executors.evaluator.figures import is_foreign, missing_figures
from executors.evaluator.rules import cut
from providers.citations import cited_ids
from providers.support import judge
from schemas.knowledge import Evidence
from schemas.support import Statement

_RANK = {"contradicted": 0, "unsupported": 1, "partly": 2, "supported": 3}
_REASON_CHARACTERS = 200


class StatementOutput(BaseModel):
    """The model's report on one statement."""

    number: int = Field(description="Number of the statement")
    reason: str = Field(description="What the quotes say about it, or lack, in one line")
    verdict: Literal["supported", "partly", "unsupported", "contradicted"]
    evidence: list[str] = Field(description="Ids of the quotes that say it, or that speak against it; empty when none does")


class PairOutput(BaseModel):
    """The model's report on two quotes that may disagree."""

    number: int = Field(description="Number of the pair")
    holds: bool = Field(description="Whether both cannot be right at the same time")


class EntailmentOutput(BaseModel):
    """The model's report on one batch."""

    statements: list[StatementOutput] = Field(description="One for each statement")
    pairs: list[PairOutput] = Field(description="One for each pair; empty when none are listed")

    def on_statement(self, number: int) -> StatementOutput | None:
        """The report on a statement, the least favourable of several; None when there is none."""
        return min((found for found in self.statements if found.number == number), key=lambda found: _RANK[found.verdict], default=None)

    def drops(self, number: int) -> bool:
        """Whether a pair is said not to disagree, and never the contrary."""
        return {found.holds for found in self.pairs if found.number == number} == {False}


def problem_with(output: EntailmentOutput, claims: int) -> str | None:
    """What is wrong with a report on so many statements: it is of use when it speaks of one of them."""
    if any(1 <= found.number <= claims for found in output.statements):
        return None
    return f"statements must hold a report on each of the statements 1 to {claims}"


def judged(statement: Statement, found: StatementOutput, shown: Mapping[str, Evidence], *, disputed: bool) -> Statement:
    """The statement with the verdict of rules and model together; `shown` is the evidence that the model saw.

    A lower verdict is believed; `contradicted` only with evidence that says so, else it counts as `unsupported`. A higher one is
    believed only when the model names evidence, the rules know of nothing against the statement (no contradiction, and not
    `disputed` by evidence), and the evidence named holds every number, date and name of it: a model never overrules a figure.
    """
    named = list(dict.fromkeys(key for said in found.evidence for key in cited_ids(f"[{said.strip('[] ')}]", shown)))
    verdict = "unsupported" if found.verdict == "contradicted" and not named else found.verdict
    higher = _RANK[verdict] > _RANK[statement.verdict]
    barred = disputed or statement.verdict == "contradicted" or not named
    if higher and (barred or _lacks(statement, [shown[key].quote for key in named])):
        return statement
    evidence = {
        "supported": [*named, *(key for key in statement.evidence if key not in named)],
        "partly": named or list(statement.evidence),
        "unsupported": [],
        "contradicted": named,
    }[verdict]
    return statement.model_copy(
        update={
            "verdict": verdict,
            "evidence": evidence,
            "judged_by": "model",
            "reason": "" if verdict == "supported" else cut(found.reason, _REASON_CHARACTERS),
        }
    )


def _lacks(statement: Statement, quotes: Sequence[str]) -> bool:
    """Whether the quotes lack a number, a date or a name of the statement. In another language a name may be spelled otherwise."""
    if missing_figures(statement.text, quotes):
        return True
    return not is_foreign(statement.text, quotes) and bool(statement.missing or judge(statement.text, quotes).missing)
