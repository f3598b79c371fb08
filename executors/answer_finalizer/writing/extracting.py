"""Answers without a model: the pieces of the evidence that answer best, word for word, each with its citation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import regex

from executors.answer_finalizer.markdown.pieces import Piece, is_balanced, is_question, leads_in, pieces
from providers.lexical import Asked, asked, content_terms, coverage, language_of, relevance, similarity, terms
from providers.support.quantities import normalised, quantities
from schemas.knowledge import Evidence

MAX_PIECES = 6
MAX_CHARACTERS = 1_500
_MAX_BLOCK_CHARACTERS = 800
# Weights and thresholds set by hand and tried on a dozen questions to this project's own documentation; not tuned on a data set.
_NEAR_DUPLICATE = 0.8
# Share of the best score that a further piece must have: anywhere, and beside a chosen one.
_WORTH_ADDING = 0.7
_WORTH_GOING_ON = 0.6
_HEADING_WEIGHT = 0.25
_EVIDENCE_WEIGHT = 0.1
_NEIGHBOUR_WEIGHT = 0.15
# A long block holds many words by chance alone: beyond this length its score falls with the square root.
_FULL_SCORE_CHARACTERS = 400
_PROCEDURE_WEIGHT = 0.15
_QUANTITY_WEIGHT = 0.15
_FITTING = 2
# Share of the question's content terms that an answer must speak of; long questions are never covered whole.
_COVERAGE = 0.6
_COVERAGE_LONG = 0.4
_LONG_QUESTION_TERMS = 5

# Questions for a procedure, answered best by code, settings or steps, and questions for a number or a date.
_ASKS_HOW = regex.compile(
    r"\bhow (?:do|to|can|should|does|would)\b|\bwie (?:kann|muss|soll|lässt)?\b|\bcomment\b|\bcómo\b|如何|怎么|怎样|どうやって|方法",
    regex.I,
)
_ASKS_QUANTITY = regex.compile(
    r"\bhow (?:many|much|long|old|far|often|big|large|tall|high|fast)\b|\bwhen\b|\bwhat (?:year|date|time)\b|\bwhich year\b"
    r"|\bwie ?(?:viele?|lange|oft)\b"
    r"|\bwann\b|\bcombien\b|\bquand\b|\bcuánt[oa]s?\b|\bcuándo\b|多少|几|何年|何时|什么时候|いつ|いくつ",
    regex.I,
)
# A dimension that is a currency is named by its code (ISO 4217).
_CURRENCY = regex.compile(r"[a-z]{3}")
_SHOWS_HOW = regex.compile(r"`|\b[A-Z][A-Z0-9]+_[A-Z0-9_]+\b|(?m:^\s*\d+[.)] )")
# A sentence that begins like this leans on the one before it.
_LEANS_BACK = regex.compile(
    r"(?:it|its|this|that|these|those|they|he|she|such|then|so|both|otherwise|however|er|sie|es|dies\w*|il|elle|cela|它|这|其|これ|それ)\b",
    regex.I,
)
# Words that point at something named before, wherever they stand in a sentence.
_POINTS_BACK = regex.compile(
    r"\b(?:these|the (?:former|latter)|diese[rnm]?|ersterer?|letzterer?|ces|estos|estas|questi|queste|estes|deze)\b|这些|这两|這些|這兩",
    regex.I,
)

_NAME = regex.compile(r"(?<![\p{L}\p{N}_])(?:\p{Lu}[\p{L}\p{N}_.+#-]*[\p{L}\p{N}+#]|[\p{Ll}_]+_[\p{L}\p{N}_]+)")
_IDENTIFIER = regex.compile(r"_|\p{Lu}.*\p{Lu}|\d")
_CAPITAL_NOUNS = {"de"}


@dataclass(eq=False)
class _Candidate:
    """A piece, or neighbouring pieces that only make sense together, with what speaks for it."""

    evidence: Evidence
    order: int
    """Which evidence, counted from 0."""
    start: int
    end: int
    block: int
    heading: str
    kind: str
    score: float = 0.0
    fit: int = 0
    """How well it fits the kind of quantity asked for; see `_quantity`."""

    @property
    def text(self) -> str:
        return self.evidence.quote[self.start : self.end]


def extract(question: str, evidence: Sequence[Evidence]) -> str:
    """Markdown made of verbatim spans of the quotes, each followed by its citation; empty when none of them answers.

    At most `MAX_PIECES` pieces and about `MAX_CHARACTERS` characters, the best first, neighbours in their order.
    """
    code = language_of(question)
    candidates = [found for order, item in enumerate(evidence) for found in _candidates(item, order)]
    wanted = asked(question, code)
    _score(question, wanted, candidates, code)
    chosen = _choose(wanted.about, candidates, code)
    if not _answers(question, wanted.about, chosen, code):
        return ""
    return "\n\n".join(_cited(run) for run in _runs(chosen))


def _candidates(evidence: Evidence, order: int) -> list[_Candidate]:
    quote = evidence.quote
    found: list[_Candidate] = []

    def add(kind: str, start: int, end: int, piece: Piece) -> None:
        found.append(_Candidate(evidence, order, start, end, piece.block, piece.heading, kind))

    blocks: dict[int, list[Piece]] = {}
    for piece in pieces(quote):
        blocks.setdefault(piece.block, []).append(piece)
    previous: Piece | None = None
    for block in blocks.values():
        kind, start, end = block[0].kind, block[0].start, block[-1].end
        if kind == "sentence":
            for piece in block:
                if not _is_cut_off(quote, piece):
                    add("sentence", piece.start, piece.end, piece)
            previous = block[-1]
            continue
        lead = start
        if previous is not None and not quote[previous.end : start].strip() and (leads_in(previous.of(quote)) or kind == "code"):
            lead = previous.start
            if found and found[-1].start == lead and found[-1].order == order:
                found.pop()
        previous = None
        if end - lead <= _MAX_BLOCK_CHARACTERS:
            add("list" if kind == "item" else kind, lead, end, block[0])
        elif kind == "item":
            for piece in block:
                if piece.end - piece.start <= _MAX_BLOCK_CHARACTERS and not leads_in(piece.of(quote)):
                    add("list", piece.start, piece.end, piece)
        elif kind == "table":
            # As many rows as fit, so that the header still stands above them.
            last = quote.rfind("\n", start, start + _MAX_BLOCK_CHARACTERS)
            if quote.count("\n", start, last) >= 2:
                add("table", start, last, block[0])
    return [candidate for candidate in found if not (candidate.kind == "sentence" and leads_in(candidate.text))]


def _is_cut_off(quote: str, piece: Piece) -> bool:
    """Whether the quote's own edges cut the sentence, or markup in it stays open."""
    text = piece.of(quote)
    begins_inside = piece.start == 0 and text[:1].islower()
    return begins_inside or not is_balanced(text) or is_question(text)


def _score(question: str, wanted: Asked, candidates: list[_Candidate], code: str) -> None:
    about = wanted.about
    scores = relevance(about, [candidate.text for candidate in candidates], code)
    best = max(scores, default=0.0) or 1.0
    asks_how = _ASKS_HOW.search(question) is not None
    asks_quantity = _ASKS_QUANTITY.search(question) is not None
    degrees = set(content_terms(question, code)).difference(terms(about, code)) if wanted.kinds else set()
    for candidate, score in zip(candidates, scores, strict=True):
        text = candidate.text
        own = coverage(about, text, code)
        candidate.score = 0.5 * score / best + 0.5 * own
        if own or candidate.heading:
            candidate.score += _HEADING_WEIGHT * coverage(about, f"{candidate.heading} {candidate.evidence.title}", code)
            candidate.score += _EVIDENCE_WEIGHT * candidate.evidence.score
        if own and asks_how and _SHOWS_HOW.search(text):
            candidate.score += _PROCEDURE_WEIGHT
        if own and (asks_quantity or wanted.kinds):
            candidate.fit = _quantity(text, wanted.kinds, code)
            candidate.score += _QUANTITY_WEIGHT * (candidate.fit + bool(degrees.intersection(terms(text, code))))
        candidate.score *= min(1.0, math.sqrt(_FULL_SCORE_CHARACTERS / max(1, len(text))))
    # What stands beside a good sentence often goes on with it.
    plain = [candidate.score for candidate in candidates]
    for index, candidate in enumerate(candidates):
        candidate.score += _NEIGHBOUR_WEIGHT * max((plain[other] for other in _beside(candidates, index)), default=0.0)


def _quantity(text: str, kinds: frozenset[str], code: str) -> int:
    """2 when `text` has a quantity of one of `kinds`, 1 when it has some number, otherwise 0."""
    dimensions = {found.dimension for found in quantities(normalised(text), code, [])} if kinds else set()
    if kinds & dimensions or ("money" in kinds and any(_CURRENCY.fullmatch(dimension) for dimension in dimensions)):
        return _FITTING
    return int(bool(dimensions) or regex.search(r"\d", text) is not None)


def _beside(candidates: list[_Candidate], index: int) -> list[int]:
    """The candidates before and after one in the same block."""
    here = candidates[index]
    around = [other for other in (index - 1, index + 1) if 0 <= other < len(candidates)]
    return [other for other in around if (candidates[other].order, candidates[other].block) == (here.order, here.block)]


def _choose(about: str, candidates: list[_Candidate], code: str) -> list[_Candidate]:
    """The best candidates, best first, none of which repeats another, within the limits."""
    chosen: list[_Candidate] = []
    ranked = sorted(range(len(candidates)), key=lambda index: (-candidates[index].score, index))
    wanted = set(content_terms(about, code))
    needed = _needed(about, code)

    def add(candidate: _Candidate) -> None:
        length = sum(len(other.text) for other in chosen)
        fits = not chosen or (len(chosen) < MAX_PIECES and length + len(candidate.text) <= MAX_CHARACTERS)
        if fits and not any(_repeats(candidate, other, code) for other in chosen):
            chosen.append(candidate)

    for index in ranked:
        candidate = candidates[index]
        if candidate.score <= 0 or (chosen and candidate.score < _WORTH_GOING_ON * chosen[0].score):
            break
        if chosen and candidate.fit < chosen[0].fit == _FITTING:
            more = wanted.intersection(terms(candidate.text, code)).difference(terms(chosen[0].text, code))
            if not more:
                continue  # a length was asked for and found; what has none, and says no more of the question, is about something else
        if chosen and not any(candidates[other] in chosen for other in _beside(candidates, index)):
            # It goes on with nothing that was chosen, so it must speak of the question by itself.
            alone = coverage(about, f"{candidate.heading} {candidate.text}", code)
            if alone < needed or candidate.score < _WORTH_ADDING * chosen[0].score:
                continue
        add(candidate)
        if candidate not in chosen:
            continue
        for other in _beside(candidates, index):
            missing = wanted.difference(*(terms(piece.text, code) for piece in chosen))
            leans = other < index and candidate.kind == "sentence" and _leans_back(candidate.text)
            if leans or missing.intersection(terms(candidates[other].text, code)):
                add(candidates[other])
    return chosen


def _leans_back(text: str) -> bool:
    return _LEANS_BACK.match(text) is not None or _POINTS_BACK.search(text) is not None


def _repeats(candidate: _Candidate, other: _Candidate, code: str) -> bool:
    if candidate.order == other.order and candidate.start < other.end and other.start < candidate.end:
        return True
    first, second = " ".join(candidate.text.split()), " ".join(other.text.split())
    return first in second or second in first or similarity(first, second, code) > _NEAR_DUPLICATE


def _answers(question: str, about: str, chosen: list[_Candidate], code: str) -> bool:
    """Whether the chosen pieces, under their headings, speak of what was asked, which is `about`."""
    if not chosen:
        return False
    best = chosen[0]
    alone = coverage(about, best.text, code)
    text = " ".join(f"{candidate.heading} {candidate.text}" for candidate in [best, *[c for c in chosen if c.order == best.order]])
    together = coverage(about, f"{text} {best.evidence.title}", code)
    if not (alone > 0 and together >= _needed(about, code) and terms(best.text, code)):
        return False
    # What is asked of one thing is not answered by what is said of another.
    everything = " ".join(f"{candidate.heading} {candidate.text} {candidate.evidence.title}" for candidate in chosen).casefold()
    return all(name.casefold() in everything for name in _names(question, code))


def _names(question: str, code: str) -> list[str]:
    """Identifiers, acronyms and proper names in a question; not its first word, and in German, where nouns look alike, no plain words."""
    plain = code not in _CAPITAL_NOUNS
    return [
        match.group().strip("`'\"")
        for match in _NAME.finditer(question)
        if _IDENTIFIER.search(match.group()) or (plain and match.start() > 0 and question[: match.start()].strip(" \"'`(“„«¿¡"))
    ]


def _needed(about: str, code: str) -> float:
    """The share of the content terms of what is asked about that an answer must cover."""
    return _COVERAGE if len(content_terms(about, code)) <= _LONG_QUESTION_TERMS else _COVERAGE_LONG


def _runs(chosen: list[_Candidate]) -> list[_Candidate]:
    """Neighbours joined to one span, the run with the best piece first; one that points at something before it never leads others."""
    joined: list[_Candidate] = []
    dangling: list[_Candidate] = []
    for candidate in sorted(chosen, key=lambda candidate: (candidate.order, candidate.start)):
        last = joined[-1] if joined else None
        if last and (last.order, last.block) == (candidate.order, candidate.block) and _touch(last, candidate):
            last.end = candidate.end
            last.score = max(last.score, candidate.score)
        else:
            joined.append(candidate)
            if candidate.kind == "sentence" and _leans_back(candidate.text):
                dangling.append(candidate)
    return sorted(joined, key=lambda candidate: (candidate in dangling, -candidate.score, candidate.order, candidate.start))


def _touch(first: _Candidate, second: _Candidate) -> bool:
    return not first.evidence.quote[first.end : second.start].strip()


def _cited(run: _Candidate) -> str:
    """The span with its citation: behind the last word, or below a block that no word may be added to."""
    separator = "\n\n" if run.kind in ("code", "table") else " "
    return f"{run.text}{separator}[{run.evidence.evidence_id}]"
