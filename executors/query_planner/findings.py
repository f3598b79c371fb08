"""What the pages say, one statement at a time, and which statements belong together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import regex

from executors.query_planner.keywords import one_line, words_of
from providers.lexical import content_terms
from schemas.reporting import OutlineRequest

_MARKER = regex.compile(r"\s*\[(e\d+)\]")
_FINDING_CHARACTERS = 400
_TITLE_CHARACTERS = 80
# The name of the site that many page titles end with.
_SITE = regex.compile(r"\s+[|–—·-]\s+[^|–—·]{1,30}$")
_MARKUP = regex.compile(r"[\[\]#*_`|<>]+")
_MOST = 400
# A statement joins a group that holds this share of its terms on average.
_ALIKE = 0.2
_HEADING_WORDS = 3
_WORD_CHARACTERS = 25


@dataclass(frozen=True)
class Finding:
    """A statement without its markers, the evidence it cites, and its page."""

    text: str
    evidence: tuple[str, ...]
    title: str
    url: str


def findings_of(request: OutlineRequest) -> list[Finding]:
    """The findings of all digests, in their order; where there are none, the passages themselves. Only real evidence is cited."""
    real = {evidence.evidence_id for evidence in request.evidence}
    found = [
        Finding(one_line(_MARKER.sub("", text), _FINDING_CHARACTERS), cited(text, real), plain_title(digest.title), digest.url)
        for digest in request.digests
        for text in digest.findings
    ]
    passages = [
        Finding(one_line(evidence.quote, _FINDING_CHARACTERS), (evidence.evidence_id,), plain_title(evidence.title), evidence.url)
        for evidence in request.evidence
    ]
    return [finding for finding in found if finding.text] or [finding for finding in passages if finding.text]


def cited(text: str, real: set[str]) -> tuple[str, ...]:
    """Ids of the evidence that `text` cites as `[e1]`, each once and only those in `real`."""
    return tuple(dict.fromkeys(found for found in _MARKER.findall(text) if found in real))


def plain_title(title: str) -> str:
    """The title of a page as a heading: one line without markup and without the name of the site."""
    return one_line(_MARKUP.sub(" ", _SITE.sub("", title.strip())), _TITLE_CHARACTERS)


def grouped(found: Sequence[Finding], question: str, code: str, most: int) -> list[list[Finding]]:
    """`found` in at most `most` groups of statements that share words beside those of `question`, the largest group first."""
    asked = set(content_terms(question, code))
    groups: list[tuple[list[Finding], Counter[str]]] = []
    for finding in found[:_MOST]:
        terms = (set(content_terms(finding.text, code)) - asked) or {finding.text}
        best = max(groups, key=lambda group: _likeness(terms, group), default=None)
        if best is None or _likeness(terms, best) < _ALIKE:
            best = ([], Counter())
            groups.append(best)
        best[0].append(finding)
        best[1].update(terms)
    groups.sort(key=lambda group: -len(group[0]))
    while len(groups) > most:
        findings, counts = groups.pop()
        into = max(groups, key=lambda group: _likeness(set(counts), group))
        into[0].extend(findings)
        into[1].update(counts)
    return [findings for findings, _ in groups]


def _likeness(terms: set[str], group: tuple[list[Finding], Counter[str]]) -> float:
    """Share of `terms` that a member of the group holds, on average."""
    return sum(group[1][term] for term in terms) / (len(terms) * len(group[0]))


def heading_of(group: Sequence[Finding], question: str, code: str) -> str:
    """What a group is about: the title of its page when it is one, otherwise the words its statements share, or its first words."""
    titles = list(dict.fromkeys(finding.title for finding in group if finding.title))
    if len(titles) == 1:
        return titles[0]
    asked = set(content_terms(question, code))
    counts = Counter(term for finding in group for term in set(content_terms(finding.text, code)) - asked if not term.isdigit())
    shared = {term for term, count in counts.most_common(_HEADING_WORDS) if count > 1}
    words: dict[str, str] = {}
    for finding in group:
        for word in words_of(finding.text, shared, code):
            if len(word) <= _WORD_CHARACTERS:  # a longer one is a clause of a script without spaces
                words.setdefault(" ".join(content_terms(word, code)), word)
    heading = ", ".join(list(words.values())[:_HEADING_WORDS])
    return one_line(_MARKUP.sub(" ", heading) or next(iter(titles), "") or _MARKUP.sub(" ", group[0].text), _TITLE_CHARACTERS)
