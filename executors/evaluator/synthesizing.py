"""What several pages say together about a question: where they agree, where they do not, and what is still open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, Field

from executors.evaluator.allowances import room_beside
from executors.evaluator.checking import ClaimCheck
from executors.evaluator.comparing import MOST, MOST_GAPS, compare
from executors.evaluator.figures import missing_figures
from executors.evaluator.findings import finding, plain, supported
from executors.evaluator.rules import cut
from executors.evaluator.sources import FRAME_TOKENS
from providers.citations import cited_ids
from providers.lexical import similarity
from providers.llm.base import ChatModel
from providers.llm.prompts import PromptFile
from schemas.errors import InvalidRequest, ModelOutputInvalid
from schemas.knowledge import Evidence
from schemas.reporting import Digest, Synthesis, SynthesizeRequest
from schemas.settings import Settings

_GAP_CHARACTERS = 200
_SAME_QUESTION = 0.9


class SynthesisOutput(BaseModel):
    """The model's account of what the pages say together."""

    agreements: list[str] = Field(description="What two or more pages say alike, one sentence each with all its ids: [e1][e7]")
    conflicts: list[str] = Field(description="Where pages cannot both be right: one sentence each, both sides with their ids")
    gaps: list[str] = Field(description="At most 4 questions that are still open, each fit to be searched for; none when all is answered")


async def synthesize(
    request: SynthesizeRequest, model: ChatModel | None, prompts: Mapping[str, PromptFile], settings: Settings
) -> Synthesis:
    """Agreements, conflicts and gaps of what the digests say; by rules without a model, or when its output is invalid.

    Agreements cite evidence of two pages, conflicts both of their sides; what does not is dropped, and so is an agreement that
    the claim check finds unsupported, and a conflict with a figure that none of its evidence holds.
    Raises `InvalidRequest` without a question, and whatever else the model raises.
    """
    if not request.question.strip():
        raise InvalidRequest("question is empty: say what the pages were read for", field="question")
    known = {evidence.evidence_id: evidence for evidence in request.evidence}
    pages = [page for page in request.digests if page.findings]
    if model is None or not pages:
        return await asyncio.to_thread(compare, request.question, pages, known)
    started = time.monotonic()
    prompt = prompts["synthesize"]
    values = {"request": request, "most": MOST, "most_gaps": MOST_GAPS}
    room = room_beside(prompt.render(**values, pages=[]), request.allowance, model, settings)
    shown = prompt.render(**values, pages=_that_fit(pages, room, model))
    try:
        generated = await model.generate("evaluator", shown, SynthesisOutput, request.allowance)
    except ModelOutputInvalid as error:
        found = await asyncio.to_thread(compare, request.question, pages, known)
        return found.model_copy(update={"usage": error.usage})
    output = generated.value
    left = request.allowance.less(generated.usage, time.monotonic() - started)
    agreements, usage = await supported(
        _of_two_pages(output.agreements, known)[:MOST], request.question, known, ClaimCheck(model, prompts, settings), left
    )
    return Synthesis(
        agreements=agreements,
        conflicts=[line for text in output.conflicts if (line := _conflict(text, known))][:MOST],
        gaps=_gaps(output.gaps, request.question),
        usage=generated.usage + usage,
    )


def _that_fit(pages: Sequence[Digest], room: int, model: ChatModel) -> list[Digest]:
    """As many findings of each page as fit, the first findings of all pages before the second ones."""
    kept: list[list[str]] = [[] for _ in pages]
    for rank in range(max(len(page.findings) for page in pages)):
        for place, page in enumerate(pages):
            size = FRAME_TOKENS + model.count_tokens(page.url) + model.count_tokens(page.findings[rank]) if rank < len(page.findings) else 0
            if 0 < size <= room:
                room -= size
                kept[place].append(page.findings[rank])
    return [page.model_copy(update={"findings": findings}) for page, findings in zip(pages, kept, strict=True) if findings]


def _of_two_pages(texts: Sequence[str], known: Mapping[str, Evidence]) -> list[str]:
    lines = dict.fromkeys(line for text in texts if (line := finding(text, known, least=2)))
    return [line for line in lines if len({known[key].url for key in cited_ids(line, known)}) > 1]


def _conflict(text: str, known: Mapping[str, Evidence]) -> str | None:
    """The conflict in one line with its citations where they stand, when it cites two sides and makes up no figure."""
    line = finding(text, known, least=2)
    if line is None or missing_figures(plain(line), [known[key].quote for key in cited_ids(line, known)]):
        return None
    return line


def _gaps(texts: Sequence[str], question: str) -> list[str]:
    """Open questions that are not the question itself, each once."""
    gaps: list[str] = []
    for text in texts:
        gap = cut(text, _GAP_CHARACTERS)
        if any(map(str.isalnum, gap)) and all(similarity(gap, other) < _SAME_QUESTION for other in [question, *gaps]):
            gaps.append(gap)
    return gaps[:MOST_GAPS]
