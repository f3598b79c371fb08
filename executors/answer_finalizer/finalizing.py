"""The last stage of a run: from a draft, or from the knowledge alone, to the finished answer, as a stream."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from executors.answer_finalizer.citing import CitationStream
from executors.answer_finalizer.composing import findings, prompt
from executors.answer_finalizer.extracting import extract
from executors.answer_finalizer.quoting import references
from executors.answer_finalizer.sources import KnownUrls, evidence_by_id
from providers.llm.base import ChatModel, TextChunk
from schemas.answering import ComposeRequest, Draft, FinalizeChunk, FinalizeRequest
from schemas.errors import BudgetExceeded, DeepSearchError, ModelOutputInvalid
from schemas.knowledge import Evidence
from schemas.settings import Settings
from schemas.usage import Usage

NO_ANSWER = "No answer to this question was found in what was read."

_logger = logging.getLogger(__name__)


async def compose(request: ComposeRequest, model: ChatModel | None, settings: Settings) -> Draft:
    """A draft that cites evidence as `[e1]`, by the model, or by rules where there is none, it does not fit, or it wrote nothing.

    Empty when nothing that was read answers. Raises `ModelUnavailable`, `ModelRejected` and `DeadlineExceeded`.
    """
    evidence = evidence_by_id(request.knowledge)
    usage = Usage()
    if model is not None and (evidence or findings(request.knowledge)):
        try:
            written = []
            async with _writing(request, evidence, model, settings) as chunks:
                async for chunk in chunks:
                    written.append(chunk.text)
                    usage = usage + chunk.usage
            text = "".join(written).strip()
            if text:
                return Draft(text=text, composed_by="model", usage=usage)
        except (BudgetExceeded, ModelOutputInvalid) as error:
            _logger.info("composing by rules: %s", error)
            usage = usage + error.usage
    return Draft(text=extract(request.question, list(evidence.values())), composed_by="rules", usage=usage)


async def finalize(request: FinalizeRequest, model: ChatModel | None, settings: Settings) -> AsyncGenerator[FinalizeChunk, None]:
    """The answer as it is written, then one chunk with `done`. All deltas joined are the text. Raises nothing.

    A draft is taken as it is. Otherwise the model writes, or the rules do: when there is no model, when it must not be
    used, when it failed before one sentence was out, or when it cited nothing of the evidence although the rules can. A
    text that broke off later is kept up to its last sentence.
    """
    evidence = evidence_by_id(request.knowledge, request.evidence)
    stream = _citations(request, evidence)
    end = FinalizeChunk(done=True)
    try:
        if request.draft.strip():
            for delta in _resolved(stream, request.draft):
                yield FinalizeChunk(delta=delta)
        else:
            quoted = ""
            if model is not None and request.use_model and (evidence or findings(request.knowledge)):
                end.composed_by = "model"
                # Nothing is given out before the first citation, so that a text without any can still be replaced.
                held = ""
                async for delta in _written(_writing(request, evidence, model, settings), stream, end):
                    held += delta
                    if stream.marks or not evidence or not request.max_references:
                        yield FinalizeChunk(delta=held)
                        held = ""
                if held and (quoted := extract(request.question, list(evidence.values()))):
                    end.composed_by, end.error = "rules", end.error or "the model cited nothing that was read"
                    stream = _citations(request, evidence)
                elif held:
                    yield FinalizeChunk(delta=held)
            if not stream.has_sentence and (end.composed_by != "model" or end.error):
                end.composed_by = "rules"
                text = quoted or extract(request.question, list(evidence.values()))
                for delta in _resolved(stream, f"\n\n{text}" if stream.text else text):
                    yield FinalizeChunk(delta=delta)
        if not stream.text:
            end.composed_by = "rules"
            for delta in _resolved(stream, NO_ANSWER):
                yield FinalizeChunk(delta=delta)
        end.references = references(stream.text, stream.marks, stream.cited)
    except Exception as failure:  # a generator that raises is run again by jina and then ends as if all were well
        _logger.exception("the answer could not be finished")
        end.error = end.error or f"the answer could not be finished: unexpected {type(failure).__name__}"
        end.references = references("", (), stream.cited)
    end.text = stream.text
    yield end


def _citations(request: FinalizeRequest, evidence: Mapping[str, Evidence]) -> CitationStream:
    return CitationStream(evidence, KnownUrls.of(request, evidence.values()), max(0, request.max_references))


def _resolved(stream: CitationStream, text: str) -> Iterator[str]:
    """The deltas of a text that is there as a whole, paragraph by paragraph."""
    *paragraphs, last = text.split("\n\n")
    for paragraph in paragraphs:
        if delta := stream.feed(f"{paragraph}\n\n"):
            yield delta
    if delta := stream.feed(last) + stream.finish():
        yield delta


async def _written(
    writing: AbstractAsyncContextManager[AsyncIterator[TextChunk]], stream: CitationStream, end: FinalizeChunk
) -> AsyncGenerator[str, None]:
    """The deltas of the text that the model writes; what went wrong and what it cost are noted in `end`."""
    try:
        async with writing as chunks:
            async for chunk in chunks:
                end.usage = end.usage + chunk.usage
                if delta := stream.feed(chunk.text):
                    yield delta
        if not (delta := stream.finish()) and not stream.text:
            end.error = "the model wrote nothing"
    except DeepSearchError as failure:
        end.error, end.usage = str(failure), end.usage + failure.usage
        delta = stream.finish(cut=True)
    if delta:
        yield delta


@asynccontextmanager
async def _writing(
    request: ComposeRequest | FinalizeRequest, evidence: Mapping[str, Evidence], model: ChatModel, settings: Settings
) -> AsyncGenerator[AsyncIterator[TextChunk], None]:
    """The model's text while it is written; leaving early ends the call."""
    chunks = model.stream(
        "finalizer",
        prompt(
            request.question,
            request.messages,
            request.language_style,
            request.knowledge,
            evidence,
            tokens=min(settings.llm_context_tokens, request.allowance.tokens),
            writing_tokens=settings.llm_max_output_tokens,
            count_tokens=model.count_tokens,
        ),
        request.allowance,
    )
    try:
        yield chunks
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()
