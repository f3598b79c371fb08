"""The step's action: a model's decision, held against what is allowed, or the rules' one."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from pydantic import BaseModel, Field

from executors.query_planner import rules
from executors.query_planner.fitting import fitted_prompt, prompt_tokens
from executors.query_planner.keywords import one_line, unsent
from providers.llm.base import ChatModel, Prompt
from providers.llm.prompts import PromptFile
from schemas.errors import InvalidRequest, ModelOutputInvalid
from schemas.knowledge import DiaryEntry
from schemas.planning import Action, DecideRequest, Decision
from schemas.ranking import RankedUrl
from schemas.settings import Settings

MAX_QUERIES = 5
MAX_URLS = 5
MAX_QUESTIONS = 2
_THINK_CHARACTERS = 500
_ISSUE_CHARACTERS = 500
_QUESTION_CHARACTERS = 300
_ABOUT_CHARACTERS = 50
_URL_CHARACTERS = 200
_NOTES = 20
_NOTE_CHARACTERS = 300


class DecisionOutput(BaseModel):
    """What the model wants to do next. Only the payload of `action` is looked at."""

    think: str = Field(description="Why this action, first person, in the language of the question, at most 500 characters")
    action: Action
    queries: list[str] | None = Field(None, description="search: 1 to 5 queries of 1 to 30 characters each")
    urls: list[int] | None = Field(None, description="visit: 1 to 5 numbers from the list of URLs")
    questions: list[str] | None = Field(None, description="reflect: 1 or 2 questions")
    answer: str | None = Field(None, description="answer: Markdown with evidence ids such as [e1]")
    code_issue: str | None = Field(None, description="coding: what to compute with all inputs, at most 500 characters")


async def decide(request: DecideRequest, model: ChatModel | None, prompts: Mapping[str, PromptFile], settings: Settings) -> Decision:
    """Choose the next action. When the model's output stays invalid after its retry, the rules decide, usage kept.

    Raises `InvalidRequest` without a question or an allowed action, and whatever else the model raises.
    """
    if not request.question.strip():
        raise InvalidRequest("question is empty: say what is to be found out", field="question")
    if not request.allowed_actions:
        raise InvalidRequest("allowed_actions is empty: allow at least one action", field="allowed_actions")
    if model is None:
        return rules.decide(request)
    prompt = decision_prompt(request, model, prompts, settings)
    try:
        generated = await model.generate(
            "planner", prompt, DecisionOutput, request.allowance, check=lambda output: _problem(output, request)
        )
    except ModelOutputInvalid as error:
        decision = rules.decide(request)
        decision.usage = error.usage
        return decision
    decision = _decision(generated.value, request)
    decision.usage = generated.usage
    return decision


def decision_prompt(request: DecideRequest, model: ChatModel, prompts: Mapping[str, PromptFile], settings: Settings) -> Prompt:
    """The prompt of a step, as long as the allowance and the context window permit.

    System text, conversation, question and knowledge come first, so that each step's prompt continues the one before;
    whatever changes from step to step comes last.
    """
    urls = [_url_line(number, ranked) for number, ranked in enumerate(request.urls, start=1)]
    notes = [_note(entry, request.question) for entry in request.diary[-_NOTES:]]
    tokens = prompt_tokens(request.allowance, settings.llm_context_tokens, settings.llm_max_output_tokens)
    return fitted_prompt(
        lambda items, turns: prompts["decide"].render(request=request, items=items, turns=turns, urls=urls, notes=notes),
        request.knowledge,
        request.messages,
        tokens,
        model.count_tokens,
    )


def _url_line(number: int, ranked: RankedUrl) -> str:
    about = " ".join(f"{ranked.title} {ranked.description}".split())[:_ABOUT_CHARACTERS]
    return f'[{number}] [{ranked.score:.2f}] "{ranked.url[:_URL_CHARACTERS]}": "{about}"'


def _note(entry: DiaryEntry, question: str) -> tuple[int, str, str]:
    """Step, what was done with which outcome, and the words of others in it."""
    texts = [entry.question if entry.question != question else "", *entry.items, entry.answer, entry.note]
    details = "\n".join(one_line(text, _NOTE_CHARACTERS) for text in texts if text.strip())
    return entry.step, f"{entry.action}, {entry.outcome.replace('_', ' ')}", details


def _problem(output: DecisionOutput, request: DecideRequest) -> str | None:
    if output.action not in request.allowed_actions:
        return f"action {output.action} is not allowed now; choose one of: {', '.join(request.allowed_actions)}"
    if output.action == "search":
        if not any(query.strip() for query in output.queries or []):
            return "search needs queries"
        return None if any(unsent(output.queries or [], request.queries)) else "these queries were sent already; write different ones"
    if output.action == "visit":
        if not output.urls:
            return "visit needs urls: numbers from the list"
        outside = [number for number in output.urls if not 1 <= number <= len(request.urls)]
        return f"urls must be numbers from 1 to {len(request.urls)}, not {outside[0]}" if outside else None
    if output.action == "reflect":
        return None if any(question.strip() for question in output.questions or []) else "reflect needs questions"
    if output.action == "answer":
        return None if (output.answer or "").strip() else "answer is empty"
    return None if (output.code_issue or "").strip() else "coding needs code_issue"


def _decision(output: DecisionOutput, request: DecideRequest) -> Decision:
    """`output`, which passed the check, cut to the limits: of too many, the first count."""
    decision = Decision(action=output.action, think=one_line(output.think, _THINK_CHARACTERS), decided_by="model")
    if output.action == "search":
        decision.queries = list(islice(unsent(output.queries or [], request.queries), MAX_QUERIES))
    elif output.action == "visit":
        decision.urls = list(dict.fromkeys(request.urls[number - 1].url for number in output.urls or []))[:MAX_URLS]
    elif output.action == "reflect":
        questions = (one_line(question, _QUESTION_CHARACTERS) for question in output.questions or [])
        decision.questions = list(dict.fromkeys(question for question in questions if question))[:MAX_QUESTIONS]
    elif output.action == "answer":
        decision.answer = (output.answer or "").strip()
    else:
        decision.code_issue = one_line(output.code_issue or "", _ISSUE_CHARACTERS)
    return decision
