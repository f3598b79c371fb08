"""Evidence of other pages that says otherwise than what a statement rests on."""

from __future__ import annotations

from collections.abc import Iterator

from providers.support.judging import opposes
from providers.support.language import sentence_language
from providers.support.outline import content_of
from providers.support.retrieval import Ledger
from schemas.support import Contradiction

_NEAREST = 5
# The share of a statement's terms, and how many, that a sentence must hold before it is looked at.
_LEAST_SHARED = 0.6
_LEAST_TERMS = 3


def contradictions(index: int, words: str, supporting: str, ledger: Ledger) -> Iterator[Contradiction]:
    """What evidence of other pages than that of `supporting` says against the statement `words`, which is number `index`.

    Only a sentence that says nearly the same counts, with another number, date or name, an opposite or a denial.
    """
    here = ledger.evidence[supporting]
    terms = content_of(words, sentence_language(words))
    for key in ledger.nearest(words, _NEAREST):
        there = ledger.evidence[key]
        if key == supporting or (there.page_id, there.url) == (here.page_id, here.url):
            continue
        for line in ledger.lines(key):
            shared = len(terms & line.terms)
            alike = shared >= max(_LEAST_TERMS, _LEAST_SHARED * len(terms)) and not line.text.lstrip().startswith("|")
            reason = opposes(words, line.text) if alike else ""
            if reason:
                yield Contradiction(statement=index, supporting=supporting, opposing=key, quote=line.text, reason=reason)
                break
