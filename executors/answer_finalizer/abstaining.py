"""What is said when nothing that was read answers: so, what was searched for, and what came closest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from executors.answer_finalizer.citations.notices import notices
from executors.answer_finalizer.markdown.pieces import pieces
from executors.answer_finalizer.markdown.rendering import escaped
from providers.lexical import aboutness, asked, language_of, weighed
from schemas.answering import FinalizeRequest
from schemas.knowledge import Evidence

MAX_QUERIES = 8
MAX_TITLES = 3
_MAX_CHARACTERS = 200

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
    elif queries:
        parts.append(say.nothing)
    return "\n\n".join(parts)


def _closest(question: str, evidence: list[tuple[str, Evidence]]) -> list[tuple[str, str]]:
    """Titles and ids of the evidence that speaks most of what was asked, one of each page; none of pages about other things."""
    code = language_of(question)
    texts = [f"{piece.title} {piece.quote}" for _, piece in evidence]
    scores = aboutness(asked(question, code).about, texts, code)
    found: dict[str, tuple[str, str]] = {}
    for number in sorted(range(len(evidence)), key=lambda number: (-scores[number], number)):
        key, piece = evidence[number]
        title = " ".join((piece.title or piece.url).split())[:_MAX_CHARACTERS]
        if scores[number] > 0 and title:
            found.setdefault(piece.url or key, (title, key))
    return list(found.values())[:MAX_TITLES]


def closest_words(question: str, evidence: Evidence, among: Iterable[Evidence]) -> tuple[int, int]:
    """Span of the piece of `evidence` with the words asked for that are rarest in all the evidence; the whole when none has any."""
    code = language_of(question)
    about = asked(question, code).about
    here = pieces(evidence.quote)
    texts = [piece.of(evidence.quote) for piece in here]
    others = [other.quote for other in among if other is not evidence]
    scores = weighed(about, [*texts, *others], code)[: len(here)]
    if max(scores, default=0.0) <= 0:
        return 0, len(evidence.quote)
    best = here[scores.index(max(scores))]
    return best.start, best.end


def _distinct(queries: Iterable[str]) -> dict[str, None]:
    return dict.fromkeys(shown for query in queries if (shown := " ".join(query.split())[:_MAX_CHARACTERS]))


def _listed(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
