"""The last stage of a run: from a checked draft to the finished answer, with numbered references, as a stream."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from functools import partial

from executors.answer_finalizer.abstaining import NO_ANSWER, abstention, closest_words
from executors.answer_finalizer.citations.applying import Applied, apply
from executors.answer_finalizer.citations.citing import Resolved
from executors.answer_finalizer.citations.foreign import judge_addresses, without_foreign_markup
from executors.answer_finalizer.citations.notices import notices
from executors.answer_finalizer.citations.quoting import references
from executors.answer_finalizer.citations.sources import KnownUrls, evidence_by_id
from executors.answer_finalizer.citations.verdicts import carried, moved, summed
from executors.answer_finalizer.deltas import deltas
from executors.answer_finalizer.markdown.repair import repair
from executors.answer_finalizer.writing.extracting import extract
from providers.support import check, statements
from schemas.answering import FinalizeChunk, FinalizeRequest
from schemas.knowledge import Evidence
from schemas.support import Statement

_logger = logging.getLogger(__name__)


async def finalize(request: FinalizeRequest) -> AsyncGenerator[FinalizeChunk, None]:
    """The answer in small pieces, then one chunk with `done`. All deltas joined are the text from `done_characters` on.

    The draft is repaired, the verdicts on it are applied, its citations become numbers. Where nothing of it stays, the
    answer is made of verbatim passages, and where these hold none either, it says so. Raises nothing.
    """
    try:
        # Other answers go on being streamed while a long one is worked on.
        end = await asyncio.to_thread(finished, request)
    except Exception as failure:  # a generator that raises is run again by jina and then ends as if all were well
        _logger.exception("the answer could not be finished")
        end = FinalizeChunk(done=True, text=NO_ANSWER, composed_by="rules", abstained=True)
        end.error = f"the answer could not be finished: unexpected {type(failure).__name__}"
    for delta in deltas(end.text[max(0, request.done_characters) :]):
        yield FinalizeChunk(delta=delta)
    yield end


def finished(request: FinalizeRequest) -> FinalizeChunk:
    """The chunk with `done`."""
    evidence = evidence_by_id(request.knowledge, request.evidence)
    urls = KnownUrls.of(request, evidence.values())
    end = FinalizeChunk(done=True)
    removed: list[Statement] = []
    resolved: Resolved | None = None
    applied = Applied("", [], [])
    if request.draft.strip():
        applied = _applied(request, evidence, urls)
        resolved = None if applied.says_nothing else Resolved(applied.text, evidence, urls, max(0, request.max_references))
        if resolved is None or not any(map(str.isalnum, resolved.text)):
            removed = [statement for statement in applied.statements if statement.removed]
            end.error = "nothing of the draft is said by what was read" if removed else "the draft says nothing"
            resolved = None
    if resolved is None and not request.partial:
        end.composed_by = "rules"
        applied, end.abstained = _by_rules(request, evidence)
        resolved = Resolved(applied.text, evidence, urls, max(0, request.max_references))
    if resolved is None:
        resolved = Resolved("", evidence, urls, 0)
    end.text = resolved.text
    closest = partial(closest_words, request.question, among=evidence.values()) if end.abstained else None
    end.references = references(resolved.text, resolved.marks, resolved.cited, closest)
    for statement in applied.statements:
        start, last = resolved.span((statement.start, statement.end))
        statement.start, statement.end = start, start if statement.removed else last
    for statement in removed:
        statement.start = statement.end = 0
    # What resolving took out of the text, such as definitions of the writer's own, is no statement of it.
    shown = [one.removed or one.end > one.start for one in applied.statements]
    place = {number: len(removed) + sum(shown[:number]) for number in range(len(shown)) if shown[number]}
    contradictions = [moved(one, place[one.statement]) for one in applied.contradictions if one.statement in place]
    standing = [one for one, here in zip(applied.statements, shown, strict=True) if here]
    end.support = summed([*removed, *standing], contradictions)
    return end


def _applied(request: FinalizeRequest, evidence: Mapping[str, Evidence], urls: KnownUrls) -> Applied:
    text = repair(request.draft)
    if evidence:
        text = without_foreign_markup(text)
    found, contradictions = carried(text, request.support, evidence)
    # What was neither checked nor could be, for there is no evidence, is an answer from memory: the caller asked for it.
    citations = request.citations if evidence or request.support.statements else "off"
    if citations != "off":
        judge_addresses(text, found, evidence, urls)
    return apply(text, found, contradictions, evidence, citations=citations, notices=notices(request.language_code))


def _by_rules(request: FinalizeRequest, evidence: Mapping[str, Evidence]) -> tuple[Applied, bool]:
    """Verbatim passages that answer, or the plain statement that nothing does; and whether it is the latter."""
    if text := extract(request.question, list(evidence.values())):
        found = list(check(text, evidence).statements)
        if any(one.verdict in ("unsupported", "contradicted") for one in found):
            return Applied(text, found, []), False  # the words are a source's all the same
        return apply(text, found, [], evidence, citations="strict", notices=notices(request.language_code)), False
    text = abstention(request, evidence)
    spans = statements(text, evidence)
    return Applied(text, [Statement(start=s.start, end=s.end, text=s.words, cited=list(s.cited)) for s in spans], []), True
