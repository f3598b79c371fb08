"""What is said when nothing that was read answers: so, what was searched for, and what came closest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from executors.answer_finalizer.citations.notices import notices
from executors.answer_finalizer.markdown.rendering import escaped
from providers.lexical import coverage, language_of, relevance
from schemas.answering import FinalizeRequest
from schemas.knowledge import Evidence

MAX_QUERIES = 8
MAX_TITLES = 3
_MAX_CHARACTERS = 200
# The share of the question's content terms that a page must speak of to be named at all.
_RELATED = 0.3

NO_ANSWER = notices("en").no_answer
"""The sentence in English."""


def abstention(request: FinalizeRequest, evidence: Mapping[str, Evidence]) -> str:
    """Markdown in the language `request.language_code`, which cites the closest evidence as `[e1]`; it claims nothing."""
    say = notices(request.language_code)
    parts = [say.no_answer]
    if queries := list(_distinct(request.queries))[:MAX_QUERIES]:
        parts += [say.searched, _listed(say.quoted(escaped(query)) for query in queries)]
    if closest := _closest(request.question, list(evidence.items())):
        parts += [say.found, _listed(f"{say.quoted(escaped(title))} [{key}]" for title, key in closest)]
    return "\n\n".join(parts)


def _closest(question: str, evidence: list[tuple[str, Evidence]]) -> list[tuple[str, str]]:
    """Titles and ids of the evidence that speaks most of what was asked, one of each page."""
    code = language_of(question)
    texts = [f"{piece.title} {piece.quote}" for _, piece in evidence]
    scores = relevance(question, texts, code)
    found: dict[str, tuple[str, str]] = {}
    for number in sorted(range(len(evidence)), key=lambda number: (-scores[number], number)):
        key, piece = evidence[number]
        title = " ".join((piece.title or piece.url).split())[:_MAX_CHARACTERS]
        if scores[number] > 0 and title and coverage(question, texts[number], code) >= _RELATED:
            found.setdefault(piece.url or key, (title, key))
    return list(found.values())[:MAX_TITLES]


def _distinct(queries: Iterable[str]) -> dict[str, None]:
    return dict.fromkeys(shown for query in queries if (shown := " ".join(query.split())[:_MAX_CHARACTERS]))


def _listed(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
