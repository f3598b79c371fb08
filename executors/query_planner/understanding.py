"""From a question to how it must be answered: language, style, and the criteria an answer has to meet."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import BaseModel, Field

from executors.query_planner.languages import chosen_language, formal_style, known_spelling, language_of_question
from providers.llm.base import ChatModel
from providers.llm.prompts import PromptFile
from schemas.errors import InvalidRequest, ModelOutputInvalid
from schemas.planning import Criterion, Understanding, UnderstandRequest

_CODE = re.compile(r"[a-z]{2,3}(-[A-Za-z]{2,4})?")
_STYLE_CHARACTERS = 100
# Of the question: neither its language nor what it needs depends on more.
_SHOWN_CHARACTERS = 4_000


class UnderstandingOutput(BaseModel):
    """What the model says about a question."""

    think: str = Field(description="Why, in at most 500 characters")
    language_code: str = Field(description="ISO 639-1 code of the question's language, such as en or zh-CN")
    language_style: str = Field(description="Register and language in at most 100 characters, such as 'casual Spanish'")
    needs_definitive: bool
    needs_freshness: bool
    needs_plurality: bool
    needs_completeness: bool


async def understand(request: UnderstandRequest, model: ChatModel | None, prompts: Mapping[str, PromptFile]) -> Understanding:
    """Say how `request.question` must be answered. One model call, or none in extractive mode.

    The language is the chosen one, otherwise the one the question is surely written in, otherwise what the model says.
    Raises `InvalidRequest` for an empty question or an unknown language code, and whatever the model raises, except that
    invalid output is replaced by the rules' answer: a run may begin without knowing every criterion, but not without its model.
    """
    if not request.question.strip():
        raise InvalidRequest("question is empty: say what is to be found out", field="question")
    chosen = chosen_language(request.language_code) if request.language_code is not None else None
    found, sure = (chosen, True) if chosen else language_of_question(request.question)
    if model is None:
        return Understanding(language_code=found, language_style=formal_style(found), criteria=["definitive", "attribution"])
    understanding = Understanding(language_code=found, language_style=formal_style(found), mode="model", model=model.name("planner"))
    try:
        generated = await model.generate(
            "planner",
            prompts["understand"].render(question=request.question[:_SHOWN_CHARACTERS]),
            UnderstandingOutput,
            request.allowance,
            check=_problem,
        )
    except ModelOutputInvalid as error:
        understanding.criteria, understanding.usage = ["definitive", "attribution", "strict"], error.usage
        return understanding
    output = generated.value
    understanding.criteria, understanding.usage = _criteria(output), generated.usage
    if not sure:
        understanding.language_code = known_spelling(output.language_code) or output.language_code
    # The model's words for the style count only when it saw the same language.
    if not chosen and _same(output.language_code, understanding.language_code):
        understanding.language_style = " ".join(output.language_style.split())[:_STYLE_CHARACTERS]
    return understanding


def _same(code: str, other: str) -> bool:
    """Whether two codes may mean the same language: "zh" and "zh-TW", but not "zh-CN" and "zh-TW"."""
    (language, _, region), (other_language, _, other_region) = (c.lower().partition("-") for c in (code, other))
    return language == other_language and (region == other_region or not region or not other_region)


def _problem(output: UnderstandingOutput) -> str | None:
    if not _CODE.fullmatch(output.language_code):
        return "language_code must be an ISO 639-1 code such as en or zh-CN"
    return None if output.language_style.strip() else "language_style is empty"


def _criteria(output: UnderstandingOutput) -> list[Criterion]:
    """In the order of evaluation.

    Covering what was named outweighs counting; what the sources say and a last adversarial look are never left out.
    """
    wanted: list[tuple[Criterion, bool]] = [
        ("definitive", output.needs_definitive),
        ("freshness", output.needs_freshness),
        ("plurality", output.needs_plurality and not output.needs_completeness),
        ("completeness", output.needs_completeness),
        ("attribution", True),
        ("strict", True),
    ]
    return [criterion for criterion, needed in wanted if needed]
