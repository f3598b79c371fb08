"""A question as sub-problems for several researchers, which overlap as little as they can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import regex
from pydantic import BaseModel, Field

from executors.query_planner.fitting import fitted_prompt, prompt_tokens
from executors.query_planner.keywords import one_line
from executors.query_planner.splitting import MAX_CHARACTERS, parts
from providers.lexical import content_terms, language_of, similarity
from providers.llm.base import ChatModel
from providers.llm.prompts import PromptFile
from schemas.errors import InvalidRequest, ModelOutputInvalid
from schemas.planning import DecomposeRequest, Decomposition
from schemas.settings import Settings
from schemas.usage import Usage

MAX_TEAM = 8
"""More researchers than this would spend the budget on the same pages."""
_THINK_CHARACTERS = 500
# Two texts with this share of their words (cosine), or of their content words (Jaccard) when one has nothing of its own, ask the same.
_SAME_WORDS = 0.95
_SAME_CONTENT = 0.75
# A sub-problem may well be most of the question.
_WHOLE_CONTENT = 0.95
# Words that only mean something beside the other sub-problems.
_REFERS = regex.compile(
    r"\b(?:as|see|mentioned|described|listed|named) (?:above|earlier)\b|\bthe above\b|\babove-mentioned\b"
    r"|\b(?:previous|preceding) (?:question|problem)|\b(?:other|first|previous|preceding) sub-?(?:question|problem)|\bsub-?problem \d"
    r"|\b(?:siehe|wie) oben\b|\boben genannt|\bobige[mnrs]?\b|\bci-dessus\b|\b(?:mencionad|citad)\w+ (?:más )?(?:arriba|anteriormente)\b"
    r"|如上|上述|前述|以上问题|上一个问题|上記|前の質問|المذكورة? أعلاه|السؤال السابق",
    regex.IGNORECASE,
)
# Function words that turn a question round.
_TURNS_ROUND = regex.compile(
    r"\b(?:against|without|before|after|above|below|not|gegen|ohne|vor|nach|über|unter|nicht|contre|sans|avant|après|pas|contra|sin|antes|después)\b",
    regex.IGNORECASE,
)


class DecompositionOutput(BaseModel):
    """How the model would share the question."""

    think: str = Field(description="How the question divides, at most 500 characters")
    questions: list[str] = Field(description="The sub-problems, each complete in itself, at most 500 characters")
    no_more_parts: bool = Field(False, description="True: the question has no more independent parts than these")


async def decompose(
    request: DecomposeRequest, model: ChatModel | None, prompts: Mapping[str, PromptFile], settings: Settings
) -> Decomposition:
    """Split `request.question` into at most `request.team_size` sub-problems (1 to 8); the question itself when it cannot be split.

    Invalid model output is replaced by the best of it that can be used, otherwise by the rules' sub-problems, usage kept.
    Raises `InvalidRequest` without a question or for another team size, and whatever else the model raises.
    """
    question = request.question.strip()
    if not question:
        raise InvalidRequest("question is empty: say what is to be found out", field="question")
    if not 1 <= request.team_size <= MAX_TEAM:
        raise InvalidRequest(f"team_size is {request.team_size}; it must be from 1 to {MAX_TEAM}", field="team_size")
    if model is None or request.team_size == 1:
        return _by_rules(request, Usage())
    tokens = prompt_tokens(request.allowance, settings.llm_context_tokens, settings.llm_max_output_tokens)
    prompt = fitted_prompt(
        lambda _, turns: prompts["decompose"].render(request=request, turns=turns), [], request.messages, tokens, model.count_tokens
    )
    best: list[str] = []

    def problem(output: DecompositionOutput) -> str | None:
        nonlocal best
        kept, found = usable(output.questions, question)
        if len(best) < len(kept) <= request.team_size:
            best = kept
        if len(kept) > request.team_size:
            return f"there are {len(kept)} sub-problems; give exactly {request.team_size} that together make up the question"
        if not output.no_more_parts and len(kept) < request.team_size:
            return f"only {len(kept)} of {request.team_size} sub-problems can be used{'; ' if found else ''}{'; '.join(found)}"
        return None

    try:
        generated = await model.generate("planner", prompt, DecompositionOutput, request.allowance, check=problem)
    except ModelOutputInvalid as error:
        if len(best) < 2:
            return _by_rules(request, error.usage)
        return Decomposition(questions=best, decided_by="model", usage=error.usage)
    kept, _ = usable(generated.value.questions, question)
    think = one_line(generated.value.think, _THINK_CHARACTERS)
    return Decomposition(questions=kept if len(kept) > 1 else [question], think=think, decided_by="model", usage=generated.usage)


def usable(questions: Sequence[str], whole: str) -> tuple[list[str], list[str]]:
    """Those of `questions` that a researcher can work on alone, and in one line each why the others cannot be used."""
    code = language_of(whole)
    kept: list[str] = []
    problems = []
    for number, text in enumerate(questions, start=1):
        question = " ".join(text.split())
        if not question:
            continue
        if len(question) > MAX_CHARACTERS:
            problems.append(f"sub-problem {number} is longer than {MAX_CHARACTERS} characters")
        elif _same(question, whole, code, _WHOLE_CONTENT):
            problems.append(f"sub-problem {number} is the whole question")
        elif _REFERS.search(question):
            problems.append(f"sub-problem {number} refers to something outside of it")
        elif any(_same(question, other, code, _SAME_CONTENT) for other in kept):
            problems.append(f"sub-problem {number} repeats another one")
        else:
            kept.append(question)
    return kept, problems


def _same(first: str, second: str, code: str, content: float) -> bool:
    """Whether two questions ask the same in nearly the same words. Where each has a name or a "not" of its own, they do not."""
    if _TURNS_ROUND.findall(first) != _TURNS_ROUND.findall(second):
        return False
    terms, others = set(content_terms(first, code)), set(content_terms(second, code))
    if terms - others and others - terms:
        return False
    return similarity(first, second, code) >= _SAME_WORDS or len(terms & others) >= content * len(terms | others)


def _by_rules(request: DecomposeRequest, usage: Usage) -> Decomposition:
    question = request.question.strip()
    kept, _ = usable(parts(question, request.team_size), question)
    if len(kept) < 2:
        return Decomposition(questions=[question], think="By rule: the question names no parts.", usage=usage)
    return Decomposition(questions=kept, think="By rule: one for each thing that the question names.", usage=usage)
