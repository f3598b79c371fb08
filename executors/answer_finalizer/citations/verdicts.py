"""The verdicts on a draft, carried over to the statements of the text that became of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

from docarray import DocList

from providers.support import check, statements
from schemas.knowledge import Evidence
from schemas.support import Contradiction, Statement, SupportReport


def carried(text: str, report: SupportReport, evidence: Mapping[str, Evidence]) -> tuple[list[Statement], list[Contradiction]]:
    """The statements of `text` with their verdicts, and what contradicts them.

    A statement has the verdict of the reported one with the same words, in order. One that was not reported is judged by
    rules. Ids that are no evidence are left out, and so are contradictions of statements that are gone.
    """
    known: dict[str, deque[int]] = {}
    for number, statement in enumerate(report.statements):
        known.setdefault(_key(statement.text), deque()).append(number)
    found: list[Statement] = []
    place: dict[int, int] = {}
    new: set[int] = set()
    for number, span in enumerate(statements(text, evidence)):
        same = known.get(_key(span.words))
        cited = [key for key in span.cited if key in evidence]
        if same:
            old = same.popleft()
            place[old] = number
            given = report.statements[old]
            found.append(
                Statement(
                    start=span.start,
                    end=span.end,
                    text=span.words,
                    verdict=given.verdict,
                    score=given.score,
                    cited=cited,
                    evidence=[key.lower() for key in given.evidence if key.lower() in evidence],
                    missing=given.missing,
                    judged_by=given.judged_by,
                    reason=given.reason,
                )
            )
        else:
            found.append(Statement(start=span.start, end=span.end, text=span.words, cited=cited))
            if span.claim:
                new.add(number)
    contradictions = [
        moved(contradiction, place[contradiction.statement]) for contradiction in report.contradictions if contradiction.statement in place
    ]
    if new:
        judged = check(text, evidence)
        for number in new:
            found[number] = judged.statements[number]
        contradictions += [contradiction for contradiction in judged.contradictions if contradiction.statement in new]
    return found, sorted(contradictions, key=lambda contradiction: contradiction.statement)


def moved(contradiction: Contradiction, statement: int) -> Contradiction:
    """The same contradiction of the statement that now has the number `statement`."""
    return Contradiction(
        statement=statement,
        supporting=contradiction.supporting,
        opposing=contradiction.opposing,
        quote=contradiction.quote,
        reason=contradiction.reason,
    )


def summed(statements: Iterable[Statement], contradictions: Iterable[Contradiction] = ()) -> SupportReport:
    """A report with its sums."""
    report = SupportReport(statements=DocList[Statement](list(statements)), contradictions=DocList[Contradiction](list(contradictions)))
    standing = [statement for statement in report.statements if not statement.removed]
    report.supported = sum(statement.verdict == "supported" for statement in standing)
    report.partly = sum(statement.verdict == "partly" for statement in standing)
    report.unsupported = sum(statement.verdict in ("unsupported", "contradicted") for statement in standing)
    report.removed = len(report.statements) - len(standing)
    if any(statement.judged_by == "model" for statement in report.statements):
        report.judged_by = "model"
    return report


def _key(words: str) -> str:
    return "".join(filter(str.isalnum, words)).casefold()
