"""How an answer is judged, and its failure told, without a language model."""

from __future__ import annotations

import math

from executors.evaluator.sources import cited, days_between
from providers.lexical import asked, content_terms, language_of, terms
from schemas.evaluation import Analysis, AnalyzeRequest, EvaluateRequest, Evaluation
from schemas.knowledge import DiaryEntry
from schemas.planning import Criterion

# Cited quotes must hold this share of the question's content terms, rare terms counting more.
_COVERED = 0.5
_MAX_AGE_DAYS = 365
_PART_CHARACTERS = 500
THINK_CHARACTERS = 500
PLAN_CHARACTERS = 1_000


def judge(criterion: Criterion, request: EvaluateRequest) -> Evaluation:
    """The verdict on one criterion, with its reason in plain English.

    definitive: at least one known piece of evidence is cited, and the cited quotes cover the question. freshness: the newest
    date among the cited pages is at most a year old; without a date nothing vouches for it, so it fails. The other criteria
    need understanding, which rules have not: they pass when definitive does.
    """
    passed, think = _fresh(request) if criterion == "freshness" else _definitive(request)
    return Evaluation(passed=passed, failed_criterion=None if passed else criterion, think=f"By rule: {think}.")


def _definitive(request: EvaluateRequest) -> tuple[bool, str]:
    quotes = [evidence.quote for evidence in cited(request.answer, request.knowledge)]
    if not quotes:
        return False, "the answer cites no evidence that was read"
    share = _weighted_coverage(request, quotes)
    covers = f"{share:.0%} of what the question asks about, at least {_COVERED:.0%} is needed"
    return share >= _COVERED, f"the cited passages cover {covers}"


def _weighted_coverage(request: EvaluateRequest, quotes: list[str]) -> float:
    """Share of the question's content terms in `quotes`, each weighed by its inverse document frequency over all evidence, as BM25 does."""
    code = language_of(request.question)
    wanted = content_terms(asked(request.question, code).about, code)
    everything = [set(terms(evidence.quote, code)) for item in request.knowledge for evidence in item.evidence]
    weights = {}
    for term in wanted:
        containing = sum(term in found for found in everything)
        weights[term] = math.log(1 + (len(everything) - containing + 0.5) / (containing + 0.5))
    present = {term for quote in quotes for term in terms(quote, code)}
    total = sum(weights.values())
    return sum(weight for term, weight in weights.items() if term in present) / total if total else 1.0


def _fresh(request: EvaluateRequest) -> tuple[bool, str]:
    ages = [days_between(evidence.published, request.date) for evidence in cited(request.answer, request.knowledge)]
    known = [age for age in ages if age is not None]
    if not known:
        return False, "none of the cited pages has a known date"
    return min(known) <= _MAX_AGE_DAYS, f"the newest cited page is {min(known)} days old, at most {_MAX_AGE_DAYS} are accepted"


def analyze(request: AnalyzeRequest) -> Analysis:
    """What happened, told from the diary alone: each part at most 500 characters."""
    recap = " ".join(map(_told, request.diary)) or "No step was recorded."
    rejections = [entry for entry in request.diary if entry.outcome == "rejected"]
    failures = [entry for entry in request.diary if entry.outcome in ("failed", "nothing_new")]
    if rejections:
        blame = rejections[-1].note or "The answer was rejected without a reason."
    elif failures:
        blame = f"{len(failures)} of {len(request.diary)} steps brought nothing."
    else:
        blame = "The diary names no failed step."
    read = any(entry.action == "visit" and entry.outcome == "done" for entry in request.diary)
    improvement = "Search with different words and read other pages." if read else "Read pages before answering."
    return Analysis(recap=cut(recap, _PART_CHARACTERS), blame=cut(blame, _PART_CHARACTERS), improvement=improvement)


def _told(entry: DiaryEntry) -> str:
    what = f" ({'; '.join(entry.items)})" if entry.items else ""
    return f"Step {entry.step}: {entry.action}{what}, {entry.outcome.replace('_', ' ')}."


def cut(text: str, limit: int) -> str:
    """`text` with white space collapsed, at most `limit` characters, an ellipsis where something was cut."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
