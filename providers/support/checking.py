"""Every statement of a text held against the evidence there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from providers.support.contradicting import contradictions
from providers.support.judging import Judgement, Similarity, is_verbatim, judge
from providers.support.retrieval import Ledger
from providers.support.segmenting import StatementSpan, statements
from schemas.knowledge import Evidence
from schemas.support import Statement, SupportReport

_NEARBY = 3
_RETRIEVED = 3
_RANK = {"supported": 3, "contradicted": 2, "partly": 1, "unsupported": 0}


@dataclass(frozen=True)
class _Checked:
    span: StatementSpan
    judgement: Judgement
    evidence: tuple[str, ...]


def check(text: str, evidence: Mapping[str, Evidence], similarity: Similarity | None = None) -> SupportReport:
    """Judge every statement of `text`, Markdown that cites `evidence` by its ids.

    A statement is held against what it cites. When that does not say it, it is held against the evidence that is cited
    nearby and the three items of the ledger that are most like it; `Statement.evidence` then names what says it. `similarity`
    (0 to 1, of a statement and a quote) is a further ground where words do not agree.
    """
    spans = statements(text, evidence)
    ledger = Ledger(evidence)
    checked = [_checked(i, spans, text, ledger, similarity) if span.claim else None for i, span in enumerate(spans)]
    report = SupportReport()
    for span, found in zip(spans, checked, strict=True):
        cited = [key for key in span.cited if key in evidence]
        if found is None:
            report.statements.append(Statement(start=span.start, end=span.end, text=span.words, cited=cited))
            continue
        judgement = found.judgement
        report.statements.append(
            Statement(
                start=span.start,
                end=span.end,
                text=span.words,
                verdict=judgement.verdict,
                score=judgement.score,
                cited=cited,
                evidence=list(found.evidence),
                missing=list(judgement.missing),
                reason=judgement.reason,
            )
        )
    for i, statement in enumerate(report.statements):
        if statement.verdict == "supported":
            report.contradictions.extend(contradictions(i, statement.text, statement.evidence[0], ledger))
    report.supported = sum(statement.verdict == "supported" for statement in report.statements)
    report.partly = sum(statement.verdict == "partly" for statement in report.statements)
    report.unsupported = sum(statement.verdict in ("unsupported", "contradicted") for statement in report.statements)
    return report


def _checked(index: int, spans: Sequence[StatementSpan], text: str, ledger: Ledger, similarity: Similarity | None) -> _Checked:
    span = spans[index]
    cited = [key for key in span.cited if key in ledger.evidence]
    raw = text[span.start : span.end]
    if said := _verbatim(span.words, raw, cited, ledger):
        return _Checked(span, Judgement("supported", 1.0, quote=0), (said,))
    own = _judged(span.words, cited, ledger, similarity) if cited else None
    if own and own.judgement.verdict == "supported":
        return _Checked(span, own.judgement, own.evidence)
    if said := _verbatim(span.words, raw, ledger.holding(span.words), ledger):
        return _Checked(span, Judgement("supported", 1.0, quote=0), (said,))
    others = [key for key in [*_nearby(index, spans, ledger), *ledger.nearest(span.words, _RETRIEVED)] if key not in cited]
    found = _judged(span.words, list(dict.fromkeys([*cited, *others])), ledger, similarity) if others or not cited else None
    if own and (found is None or _RANK[found.judgement.verdict] <= _RANK[own.judgement.verdict]):
        found = own
    assert found is not None
    return _Checked(span, found.judgement, found.evidence)


def _verbatim(words: str, raw: str, keys: list[str], ledger: Ledger) -> str:
    """The first of `keys` whose quote holds the statement as it is, "" if none does."""
    return next((key for key in keys if is_verbatim(words, ledger.evidence[key].quote) or is_verbatim(raw, ledger.evidence[key].quote)), "")


def _judged(words: str, keys: list[str], ledger: Ledger, similarity: Similarity | None) -> _Checked:
    judgement = judge(words, [ledger.evidence[key].quote for key in keys], similarity)
    return _Checked(StatementSpan(0, 0, words), judgement, tuple(keys[i] for i in judgement.used))


def _nearby(index: int, spans: Sequence[StatementSpan], ledger: Ledger) -> list[str]:
    """Evidence cited by the statements around, the nearest first."""
    around = sorted(
        (i for i in range(max(0, index - _NEARBY), min(len(spans), index + _NEARBY + 1)) if i != index), key=lambda i: abs(i - index)
    )
    return list(dict.fromkeys(key for i in around for key in spans[i].cited if key in ledger.evidence))[:_NEARBY]
