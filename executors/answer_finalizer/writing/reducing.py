"""Answers to sub-problems as one answer to the question."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from executors.answer_finalizer.citations.repeating import numbers, without_repetitions
from executors.answer_finalizer.citations.sources import evidence_by_id
from executors.answer_finalizer.markdown.headings import lowered
from executors.answer_finalizer.markdown.rendering import escaped
from executors.answer_finalizer.markdown.repair import repair
from executors.answer_finalizer.writing.model import Written, write
from executors.answer_finalizer.writing.passages import fitted, other_turns
from providers.citations import cited_ids
from providers.llm.base import ChatModel
from providers.llm.prompts import load_prompts
from providers.support import check, statements
from schemas.answering import Draft, ReducePart, ReduceRequest
from schemas.errors import BudgetExceeded
from schemas.knowledge import Evidence
from schemas.settings import Settings

_PROMPT = load_prompts(Path(__file__).parents[1] / "prompts")["reduce"]


async def reduce(request: ReduceRequest, model: ChatModel | None, settings: Settings) -> Draft:
    """One text that holds what the parts say: by the model, or, without one or when it lost something, part after part."""
    evidence = evidence_by_id(request.knowledge)
    parts = [part for part in request.parts if part.text.strip()]
    if model is None or len(parts) < 2:
        return Draft(text=joined(parts, evidence), composed_by="rules")
    try:
        prompt = fitted(
            _PROMPT,
            [],
            {key: evidence[key] for key in cited_ids("\n".join(part.text for part in parts), evidence)},
            model=model,
            allowance=request.allowance,
            settings=settings,
            may_be_empty=True,
            question=request.question,
            messages=other_turns(request.question, request.messages),
            language_style=request.language_style,
            parts=parts,
        )
        written = await write(model, prompt, request.allowance)
    except BudgetExceeded as failure:
        written = Written(failed=failure)
    if problem := str(written.failed or "") or _problem(parts, written.text, evidence):
        error = f"the parts were joined by rules: {problem}"
        return Draft(text=joined(parts, evidence), composed_by="rules", error=error, usage=written.usage)
    return Draft(text=written.text, composed_by="model", usage=written.usage)


def joined(parts: list[ReducePart], evidence: Mapping[str, Evidence]) -> str:
    """The parts in order under their questions; what was said before is not said again, and keeps the citations of both."""
    if len(parts) == 1:
        return repair(parts[0].text).strip()
    texts = [f"## {escaped(part.question)}\n\n{lowered(repair(part.text).strip(), 3)}".strip() for part in parts]
    return without_repetitions("\n\n".join(texts), evidence)


def _problem(parts: list[ReducePart], text: str, evidence: Mapping[str, Evidence]) -> str:
    """What a merged text lost, or nothing."""
    if not text:
        return "the model wrote nothing"
    cited = set(cited_ids(text, evidence))
    said = numbers(statements(text, evidence))
    for part in parts:
        if lost := [key for key in cited_ids(part.text, evidence) if key not in cited]:
            return f"the model lost the citation {lost[0]}"
        report = check(part.text, evidence)
        spans = statements(part.text, evidence)
        supported = [span for span, one in zip(spans, report.statements, strict=True) if one.verdict == "supported"]
        if missing := sorted(numbers(supported) - said):
            return f"the model lost the number {missing[0]}"
    return ""
