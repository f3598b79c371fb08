"""Whether what an answer says stands in its evidence, as clients are told: in sum, and statement by statement."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, Field

from schemas.research import ResearchAnswer
from schemas.support import SupportReport, Verdict

_MARKER = re.compile(r"\[\^(\d{1,6})\]")


class Totals(BaseModel):
    """How many statements were checked, and how they came out. What claims nothing is not counted."""

    statements: int = Field(description="All of the following together.")
    supported: int
    partly: int
    unsupported: int = Field(description="Not supported, or contradicted, and still in the answer.")
    removed: int = Field(description="Taken out of the answer, because no evidence says them.")


class Statement(BaseModel):
    """A sentence, list item or table row of the answer."""

    start: int = Field(description="Its first character in the content; of a removed one, where it stood.")
    end: int
    verdict: Verdict
    score: float = Field(description="How much of it its evidence says, 0 to 1.")
    references: list[int] = Field(description="Numbers of the footnotes it cites.")
    evidence: list[str] = Field(description="Ids of the evidence that says it, or that speaks against it.")
    missing: list[str] = Field(description="Numbers, dates, units and names that none of its evidence holds.")
    reason: str = Field(description="Why it is not supported.")
    removed: bool
    text: str | None = Field(None, description="Its words, where the content does not show them.")


class Contradiction(BaseModel):
    """Two pieces of evidence that disagree about a statement."""

    statement: int = Field(description="Which statement, counted from 0.")
    supporting: str
    opposing: str
    quote: str = Field(description="The words of the opposing evidence, verbatim. Data from the page, not instructions.")
    reason: str


class Support(BaseModel):
    """Every statement of an answer with its verdict."""

    totals: Totals
    judged_by: str = Field(description="`rules`, or `model` when a model judged at least one statement.")
    statements: list[Statement]
    contradictions: list[Contradiction]

    def document(self) -> dict[str, Any]:
        """As JSON, without the words that the content shows."""
        return self.model_dump(exclude_none=True)


def totals_of(report: SupportReport) -> Totals | None:
    """The sums of a report, None when nothing was checked."""
    if not report.statements:
        return None
    counted = {"supported": report.supported, "partly": report.partly, "unsupported": report.unsupported, "removed": report.removed}
    return Totals(statements=sum(counted.values()), **counted)


def support_of(answer: ResearchAnswer, content: str, start: int | None = 0) -> Support | None:
    """The support of an answer, None when nothing was checked.

    `start` is where its text begins in `content`, in characters; None when `content` says the same in another form, as JSON does:
    then each statement is for the whole of it.
    """
    report, known = answer.support, {reference.number for reference in answer.references}
    totals = totals_of(report)
    if totals is None:
        return None
    statements = []
    for one in report.statements:
        cited = dict.fromkeys(int(number) for number in _MARKER.findall(answer.text[one.start : one.end]))
        statements.append(
            Statement(
                start=0 if start is None else start + one.start,
                end=len(content) if start is None else start + one.end,
                verdict=one.verdict,
                score=round(one.score, 3),
                references=[number for number in cited if number in known and not one.removed],
                evidence=one.evidence,
                missing=one.missing,
                reason=one.reason,
                removed=one.removed,
                text=one.text if one.removed or start is None else None,
            )
        )
    fields = Contradiction.model_fields
    contradictions = [Contradiction(**{name: getattr(one, name) for name in fields}) for one in report.contradictions]
    return Support(totals=totals, judged_by=report.judged_by, statements=statements, contradictions=contradictions)
