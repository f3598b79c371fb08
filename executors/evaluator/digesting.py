"""What one page has to say about a question."""

from __future__ import annotations

import time
from collections.abc import Mapping

from pydantic import BaseModel, Field

from executors.evaluator.allowances import room_beside
from executors.evaluator.checking import ClaimCheck
from executors.evaluator.findings import finding, plain, supported
from executors.evaluator.sources import first_that_fit, source_of
from providers.lexical import content_terms, coverage, language_of, relevance, similarity, terms
from providers.llm.base import ChatModel
from providers.llm.prompts import PromptFile
from providers.support import statements
from schemas.errors import InvalidRequest, ModelOutputInvalid
from schemas.reporting import Digest, DigestRequest
from schemas.settings import Settings

_MOST_FINDINGS = 8
_MOST_BY_RULES = 5
# Set by hand: a sentence counts when it holds this share of the question's content terms, or fits it nearly as well as the best,
# or speaks of something in the question that no better one speaks of.
_COVERED = 0.5
_NEAR_BEST = 0.6
_NEAR_DUPLICATE = 0.8


class DigestOutput(BaseModel):
    """The model's notes on a page."""

    findings: list[str] = Field(description="One sentence each, ending with the ids of its passages such as [e1]")


async def digest(request: DigestRequest, model: ChatModel | None, prompts: Mapping[str, PromptFile], settings: Settings) -> Digest:
    """At most 8 findings of a page; without a model, or when its output is invalid, its best sentences word for word.

    Findings that cite no evidence of this page are dropped, and so are those that the claim check finds unsupported.
    Raises `InvalidRequest` without a question, and whatever else the model raises.
    """
    if not request.question.strip():
        raise InvalidRequest("question is empty: say what the page is read for", field="question")
    if model is None or not request.evidence:
        return _by_rules(request)
    started = time.monotonic()
    room = room_beside(prompts["digest"].render(request=request, sources=[], most=_MOST_FINDINGS), request.allowance, model, settings)
    found = [source_of(evidence, "") for evidence in sorted(request.evidence, key=lambda evidence: -evidence.score)]
    shown = {source.label for source in first_that_fit(found, room, model.count_tokens)}
    passages = [source_of(evidence, "") for evidence in request.evidence if evidence.evidence_id in shown]
    prompt = prompts["digest"].render(request=request, sources=passages, most=_MOST_FINDINGS)
    try:
        generated = await model.generate("evaluator", prompt, DigestOutput, request.allowance)
    except ModelOutputInvalid as error:
        return _by_rules(request).model_copy(update={"usage": error.usage})
    known = {evidence.evidence_id: evidence for evidence in request.evidence}
    findings = [line for text in generated.value.findings if (line := finding(text, known))]
    left = request.allowance.less(generated.usage, time.monotonic() - started)
    kept, usage = await supported(
        list(dict.fromkeys(findings))[:_MOST_FINDINGS], request.question, known, ClaimCheck(model, prompts, settings), left
    )
    return Digest(url=request.url, title=request.title, findings=kept, usage=generated.usage + usage)


def _by_rules(request: DigestRequest) -> Digest:
    """The sentences that fit the question best, in the order of the page, none of which repeats another."""
    code = language_of(request.question)
    sentences = [
        (span.words, evidence.evidence_id)
        for evidence in request.evidence
        for span in statements(evidence.quote)
        if span.claim and not (span.start == 0 and span.words[:1].islower())  # the passage begins within it
    ]
    scores = relevance(request.question, [words for words, _ in sentences], code)
    best = max(scores, default=0.0)
    open_terms = set(content_terms(request.question, code))
    chosen: list[int] = []
    for place in sorted(range(len(sentences)), key=lambda place: -scores[place]):
        words = sentences[place][0]
        fits = scores[place] >= _NEAR_BEST * best or coverage(request.question, words, code) >= _COVERED
        speaks_of = open_terms.intersection(terms(words, code))
        repeats = any(similarity(words, sentences[other][0], code) > _NEAR_DUPLICATE for other in chosen)
        if scores[place] > 0 and (fits or speaks_of) and not repeats and len(chosen) < _MOST_BY_RULES:
            chosen.append(place)
            open_terms -= speaks_of
    findings = [finding(f"{plain(words)} [{key}]", {key}) for words, key in (sentences[place] for place in sorted(chosen))]
    return Digest(url=request.url, title=request.title, findings=[line for line in findings if line])
