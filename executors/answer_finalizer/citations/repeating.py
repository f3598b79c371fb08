"""Statements that a text makes twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import regex

from executors.answer_finalizer.citations.applying import cite
from executors.answer_finalizer.markdown.removing import removals
from executors.answer_finalizer.markdown.rewriting import Replacement, rewrite
from providers.lexical import language_of, similarity
from providers.support import StatementSpan, statements
from schemas.knowledge import Evidence
from schemas.support import Statement

_SAME = 0.92
_NUMBER = regex.compile(r"\p{Nd}+(?:[.,]\p{Nd}+)*")


def without_repetitions(text: str, evidence: Mapping[str, Evidence], said: str = "") -> str:
    """`text` without the statements that it has made already, or that stand in `said`; the first keeps the citations of all."""
    earlier = [span for span in statements(said, evidence) if span.claim]
    spans = statements(text, evidence)
    code = language_of(text)
    repeated = [False] * len(spans)
    cited: dict[int, list[str]] = {}
    for number, span in enumerate(spans):
        if not span.claim:
            continue
        if any(_same(span, other, code) for other in earlier):
            repeated[number] = True
            continue
        first = next((n for n in range(number) if spans[n].claim and not repeated[n] and _same(span, spans[n], code)), None)
        if first is not None:
            repeated[number] = True
            known = cited.setdefault(first, list(spans[first].cited))
            known += [key for key in span.cited if key in evidence and key not in known]
    if not any(repeated):
        return text
    changes, gone = removals(text, [(span.start, span.end) for span in spans], repeated)
    for number, ids in cited.items():
        added = ids[len(spans[number].cited) :]
        if added and not gone[number]:
            changes.append(_cited(text, spans[number], added))
    return rewrite(text, changes).strip()


def numbers(spans: Sequence[StatementSpan]) -> set[str]:
    """The numbers in statements, as they are written."""
    return {number for span in spans for number in _NUMBER.findall(span.words)}


def _cited(text: str, span: StatementSpan, ids: Sequence[str]) -> Replacement:
    # Behind the citations that it has.
    return cite(text, Statement(start=span.start, end=span.end), ids)


def _same(one: StatementSpan, other: StatementSpan, code: str) -> bool:
    if numbers([one]) != numbers([other]):
        return False
    a, b = ("".join(filter(str.isalnum, span.words)).casefold() for span in (one, other))
    return a == b or (min(len(a), len(b)) > 20 and similarity(one.words, other.words, code) >= _SAME)
