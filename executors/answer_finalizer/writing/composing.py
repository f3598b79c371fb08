"""The answer from everything that is known, by the model or by rules."""

from __future__ import annotations

import logging
from pathlib import Path

from executors.answer_finalizer.citations.sources import evidence_by_id
from executors.answer_finalizer.writing.extracting import extract
from executors.answer_finalizer.writing.model import Written, write
from executors.answer_finalizer.writing.passages import findings, fitted, other_turns
from providers.citations import cited_ids
from providers.llm.base import ChatModel
from providers.llm.prompts import load_prompts
from schemas.answering import ComposeRequest, Draft
from schemas.errors import BudgetExceeded, ModelOutputInvalid
from schemas.settings import Settings

_PROMPT = load_prompts(Path(__file__).parents[1] / "prompts")["compose"]

_logger = logging.getLogger(__name__)


async def compose(request: ComposeRequest, model: ChatModel | None, settings: Settings) -> Draft:
    """A draft that cites evidence as `[e1]`; empty when nothing that was read answers.

    By rules where there is no model, it does not fit, it wrote nothing, or it cited nothing although the rules can. A text
    that broke off is kept up to its last sentence. With `allow_guess` a text that cites nothing stays and is `guessed`.
    Raises `ModelUnavailable`, `ModelRejected` and `DeadlineExceeded` when not one sentence was written.
    """
    evidence = evidence_by_id(request.knowledge)
    written = Written()
    if model is not None and (evidence or findings(request.knowledge) or request.allow_guess):
        try:
            prompt = fitted(
                _PROMPT,
                request.knowledge,
                evidence,
                model=model,
                allowance=request.allowance,
                settings=settings,
                may_be_empty=request.allow_guess,
                question=request.question,
                messages=other_turns(request.question, request.messages),
                language_style=request.language_style,
                allow_guess=request.allow_guess,
            )
            written = await write(model, prompt, request.allowance)
        except BudgetExceeded as failure:
            written.failed = failure
        if written.failed and not written.text and not isinstance(written.failed, BudgetExceeded | ModelOutputInvalid):
            raise written.failed
    error = str(written.failed) if written.failed else ""
    uncited = not cited_ids(written.text, evidence)
    if written.text and (request.allow_guess or not uncited or not evidence):
        guessed = request.allow_guess and uncited
        return Draft(text=written.text, composed_by="model", guessed=guessed, error=error, usage=written.usage)
    text = extract(request.question, list(evidence.values()))
    if written.text and not text:
        return Draft(text=written.text, composed_by="model", error=error, usage=written.usage)
    if written.text:
        error = error or "the model cited nothing that was read"
    if error:
        _logger.info("composed by rules: %s", error)
    return Draft(text=text, composed_by="rules", error=error, usage=written.usage)
