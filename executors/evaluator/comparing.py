"""What several pages say together, by rules: findings that say the same, evidence that disagrees, and words no finding speaks of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from executors.evaluator.findings import plain
from providers import support
from providers.citations import cited_ids
from providers.lexical import content_terms, language_of, similarity, terms
from schemas.knowledge import Evidence
from schemas.reporting import Digest, Synthesis

_ALIKE = 0.4
"""Similarity below which two findings are not compared any further. Set by hand: it only saves time."""

_MOST_FINDINGS = 200
"""Each is compared with every other one: 200 take some 3 s."""

_TOPIC = 0.5
"""Share of the findings that hold a word of the question when it names what the question is about."""


MOST = 8
"""Agreements, and conflicts."""

MOST_GAPS = 4


def compare(question: str, pages: Sequence[Digest], known: Mapping[str, Evidence]) -> Synthesis:
    """Agreements (a finding, and the evidence of every page that says the same), conflicts, and queries for what is still open."""
    findings = [_Finding(line, number, known) for number, page in enumerate(pages) for line in page.findings][:_MOST_FINDINGS]
    return Synthesis(
        agreements=_agreements([finding for finding in findings if finding.ids])[:MOST],
        conflicts=_conflicts([finding.line for finding in findings if finding.ids], known)[:MOST],
        gaps=_gaps(question, [finding.words for finding in findings])[:MOST_GAPS],
    )


class _Finding:
    """A finding of one of the pages."""

    def __init__(self, line: str, page: int, known: Mapping[str, Evidence]) -> None:
        self.line = line
        self.page = page
        self.words = plain(line)
        self.code = language_of(self.words)
        self.ids = cited_ids(line, known)


def _agreements(findings: Sequence[_Finding]) -> list[str]:
    """What most pages say comes first; what was told with it is not told again."""
    backers = [[other for other in findings if other.page != finding.page and _says(other, finding)] for finding in findings]
    told: set[int] = set()
    agreements = []
    for place in sorted(range(len(findings)), key=lambda place: -len(backers[place])):
        if backers[place] and id(findings[place]) not in told:
            together = [findings[place], *backers[place]]
            told.update(map(id, together))
            ids = dict.fromkeys(key for finding in together for key in finding.ids)
            agreements.append(f"{findings[place].words} {''.join(f'[{key}]' for key in ids)}")
    return agreements


def _says(other: _Finding, finding: _Finding) -> bool:
    """Whether another finding says what this one says, and maybe more."""
    if similarity(other.words, finding.words, finding.code) < _ALIKE:
        return False
    found = support.judge(finding.words, [other.words])
    return found.verdict == "supported" and not found.missing


def _conflicts(lines: Sequence[str], known: Mapping[str, Evidence]) -> list[str]:
    """Evidence against evidence, quoted, so that it can be told in any language."""
    report = support.check("\n".join(f"- {line}" for line in lines), known)
    conflicts = {}
    for found in report.contradictions:
        sides = frozenset((found.supporting, found.opposing))
        if len(sides) == 2 and sides <= known.keys() and sides not in conflicts:
            statement = report.statements[found.statement].text
            conflicts[sides] = f"“{statement}” [{found.supporting}] – “{' '.join(found.quote.split())}” [{found.opposing}]"
    return list(conflicts.values())


def _gaps(question: str, findings: Sequence[str]) -> list[str]:
    """A query for each run of words of the question that no finding holds, behind the words for what the question is about."""
    if not findings:
        return [question]
    code = language_of(question)
    said = [set(terms(finding, code)) for finding in findings]
    folded = question.casefold()
    topic, gaps = _Phrases(folded), _Phrases(folded)
    at = 0
    for word in content_terms(folded, ""):  # as they are spelled
        start = folded.find(word, at)
        if start < 0:
            continue
        at = start + 1
        holding = sum(terms(word, code)[0] in found for found in said)
        topic.add(start, start + len(word), wanted=holding >= _TOPIC * len(said))
        gaps.add(start, start + len(word), wanted=not holding)
    return [" ".join([*topic.all(), gap]) for gap in gaps.all()]


class _Phrases:
    """Phrases of a text: from the first to the last of words that follow each other and are all wanted."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._spans: list[tuple[int, int]] = []
        self._open = False

    def add(self, start: int, end: int, *, wanted: bool) -> None:
        """The next word."""
        if wanted and self._open:
            start = self._spans.pop()[0]
        if wanted:
            self._spans.append((start, end))
        self._open = wanted

    def all(self) -> list[str]:
        """The phrases in order."""
        return [self._text[start:end] for start, end in self._spans]
