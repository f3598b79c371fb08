"""One section of a report, by the model or of verbatim passages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from executors.answer_finalizer.citations.repeating import without_repetitions
from executors.answer_finalizer.citations.sources import evidence_by_id
from executors.answer_finalizer.markdown.blocks import Blocks
from executors.answer_finalizer.markdown.headings import lowered, without_first_heading
from executors.answer_finalizer.markdown.removing import removals
from executors.answer_finalizer.markdown.rendering import escaped
from executors.answer_finalizer.markdown.rewriting import rewrite
from executors.answer_finalizer.writing.extracting import extract
from executors.answer_finalizer.writing.model import Written, write
from executors.answer_finalizer.writing.passages import fitted, other_turns
from providers.citations import cited_ids
from providers.llm.base import ChatModel
from providers.llm.prompts import load_prompts
from providers.support import statements
from schemas.answering import Draft
from schemas.errors import BudgetExceeded, InvalidRequest
from schemas.knowledge import Evidence
from schemas.reporting import SectionRequest
from schemas.settings import Settings

_PROMPT = load_prompts(Path(__file__).parents[1] / "prompts")["section"]


async def section(request: SectionRequest, model: ChatModel | None, settings: Settings) -> Draft:
    """The section `request.number` as `## heading` and paragraphs that each cite evidence; the first begins with the title.

    By rules without a model, or when it wrote nothing that is cited: verbatim passages. Empty when there are none.
    Statements of the sections before are not repeated. Raises `InvalidRequest` for a number that is not in the outline.
    """
    sections = request.outline.sections
    if not 0 <= request.number < len(sections):
        raise InvalidRequest(f"number is {request.number}, but the outline has {len(sections)} sections", field="number")
    wanted = sections[request.number]
    everything = evidence_by_id(request.knowledge)
    evidence = {key.lower(): everything[key.lower()] for key in wanted.evidence if key.lower() in everything} or everything
    written = Written()
    if model is not None and evidence:
        try:
            prompt = fitted(
                _PROMPT,
                [],
                evidence,
                model=model,
                allowance=request.allowance,
                settings=settings,
                question=request.question,
                messages=other_turns(request.question, request.messages),
                language_style=request.language_style,
                outline=request.outline,
                section=wanted,
                number=request.number,
                conflicts=request.synthesis.conflicts,
                written=request.written,
            )
            written = await write(model, prompt, request.allowance)
        except BudgetExceeded as failure:
            written.failed = failure
    error = str(written.failed) if written.failed else ""
    body = _body(without_first_heading(written.text, request.outline.title, wanted.heading), everything, request.written)
    if body:
        return Draft(text=_headed(request, body), composed_by="model", error=error, usage=written.usage)
    if written.text:
        error = error or "the model cited nothing, or nothing new"
    text = _extract(request, evidence)
    return Draft(text=_headed(request, text) if text else "", composed_by="rules", error=error, usage=written.usage)


def _headed(request: SectionRequest, body: str) -> str:
    heading = f"## {escaped(request.outline.sections[request.number].heading)}\n\n{lowered(body, 3)}"
    title = escaped(request.outline.title)
    return f"# {title}\n\n{heading}" if title and not request.number else heading


def _body(text: str, evidence: Mapping[str, Evidence], said: str) -> str:
    """The paragraphs that cite something, without what was said before; empty when none does."""
    if not text:
        return ""
    blocks = Blocks(text)
    spans = statements(text, evidence)
    uncited = []
    for span in spans:
        line = blocks.line_at(span.start)
        block = next((block for block in blocks.root.children if block.first <= line < block.last), None)
        cited = block is None or cited_ids(text[blocks.starts[block.first] : blocks.end(block)], evidence)
        uncited.append(span.claim and not cited)
    if any(uncited):
        text = rewrite(text, removals(text, [(span.start, span.end) for span in spans], uncited)[0]).strip()
    text = without_repetitions(text, evidence, said)
    return text if cited_ids(text, evidence) else ""


def _extract(request: SectionRequest, evidence: Mapping[str, Evidence]) -> str:
    """Verbatim passages for the section, or the best that its evidence has."""
    wanted = request.outline.sections[request.number]
    pieces = list(evidence.values())
    for question in (f"{wanted.heading} {wanted.brief}", wanted.heading, wanted.brief, request.question):
        if text := without_repetitions(extract(question, pieces), evidence, request.written):
            return text
    # Of evidence that was chosen for this section, what it says first.
    for piece in sorted(pieces, key=lambda piece: -piece.score) if wanted.evidence else []:
        if text := without_repetitions(extract(piece.quote[:300], [piece]), evidence, request.written):
            return text
    return ""
