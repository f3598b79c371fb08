"""A checked draft put right by the model: what its evidence does not say, and, when asked for, how it reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import regex

from executors.answer_finalizer.citations.editing import citations_in
from executors.answer_finalizer.citations.sources import evidence_by_id
from executors.answer_finalizer.markdown.prose import leaves
from executors.answer_finalizer.writing.model import Written, write
from executors.answer_finalizer.writing.passages import fitted, other_turns
from providers.citations import cited_ids
from providers.lexical import language_of
from providers.llm.base import ChatModel
from providers.llm.prompts import load_prompts
from schemas.answering import Draft, ReviseRequest
from schemas.errors import BudgetExceeded
from schemas.knowledge import Evidence
from schemas.settings import Settings

_PROMPT = load_prompts(Path(__file__).parents[1] / "prompts")["revise"]
_AT_FAULT = ("unsupported", "contradicted", "partly")
# Shares of the words that a polished text may have, unless the asker speaks of length.
_SHORTEST = 0.6
_LONGEST = 1.4
_WORD = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}]|[\p{L}\p{N}]+")
# Of fewer letters the language cannot be told.
_LEAST_LETTERS = 40
_SPEAKS_OF_LENGTH = regex.compile(
    r"\b(?:\d+|one|two|three|few) (?:words?|sentences?|paragraphs?|pages?|lines?)\b|\b(?:short(?:er|ly)?|brief(?:ly)?|concise(?:ly)?"
    r"|long(?:er)?|detailed|in detail|summar\w*|kurz\w*|knapp\w*|ausführlich\w*|bref|brève\w*|détaillé\w*|breve\w*|detallad\w*)\b"
    r"|\d+\s*[字词個个]|简短|簡短|详细|詳細|簡潔|짧게|자세히",
    regex.IGNORECASE,
)


async def revise(request: ReviseRequest, model: ChatModel | None, settings: Settings) -> Draft:
    """The draft put right; the draft as it was, with the reason in `error`, when there is no model or its text cannot be taken."""
    evidence = evidence_by_id(request.knowledge)
    kept = Draft(text=request.draft, composed_by="model" if model else "rules")
    if model is None:
        kept.error = "a draft is revised by a language model, and none is configured"
        return kept
    faults = [statement for statement in request.support.statements if statement.verdict in _AT_FAULT]
    if not request.draft.strip() or not (faults or request.polish):
        return kept
    try:
        prompt = fitted(
            _PROMPT,
            request.knowledge,
            evidence,
            model=model,
            allowance=request.allowance,
            settings=settings,
            wanted={key.lower() for one in request.support.statements for key in [*one.cited, *one.evidence]},
            may_be_empty=True,
            question=request.question,
            messages=other_turns(request.question, request.messages),
            language_style=request.language_style,
            draft=request.draft,
            faults=faults,
            polish=request.polish,
        )
        written = await write(model, prompt, request.allowance)
    except BudgetExceeded as failure:
        written = Written(failed=failure)
    if problem := str(written.failed or "") or _problem(request, written.text, evidence):
        kept.error, kept.usage = f"the draft was not revised: {problem}", written.usage
        return kept
    return Draft(text=written.text, composed_by="model", usage=written.usage)


def _problem(request: ReviseRequest, text: str, evidence: Mapping[str, Evidence]) -> str:
    """Why a revised text cannot be taken, or nothing."""
    if not text:
        return "the model wrote nothing"
    named = {key for leaf in leaves(text) for edit in citations_in(leaf, evidence) for key in edit.ids or ()}
    if invented := sorted(named - evidence.keys()):
        return f"the model cites {invented[0]}, which is no evidence"
    supported = [statement for statement in request.support.statements if statement.verdict == "supported"]
    needed = {key.lower() for statement in supported for key in statement.cited} & evidence.keys()
    if lost := sorted(needed.difference(cited_ids(text, evidence))):
        return f"the model lost the citation {lost[0]} of a statement that is supported"
    language, before = _language(text), _language(request.draft)
    asked = language_of(request.question) if request.polish else before
    if language and before and language not in (before, asked):
        return f"the model wrote in another language ({language})"
    if request.polish and not _speaks_of_length(request):
        had, has = len(_WORD.findall(request.draft)), len(_WORD.findall(text))
        if not _SHORTEST * had <= has <= _LONGEST * had:
            return f"the model wrote {has} words for {had}"
    return ""


def _language(text: str) -> str:
    return language_of(text) if sum(map(str.isalpha, text)) >= _LEAST_LETTERS else ""


def _speaks_of_length(request: ReviseRequest) -> bool:
    asked = [request.question, request.language_style, *(message.content for message in request.messages if message.role != "assistant")]
    return any(_SPEAKS_OF_LENGTH.search(text) for text in asked)
