"""A computation: the model writes a program, the sandbox runs it, and an error is shown to the next attempt."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial

from pydantic import BaseModel, Field

from executors.query_planner.fitting import Item, fitted_prompt, prompt_tokens
from executors.query_planner.keywords import one_line
from providers.llm.base import ChatModel, Prompt
from providers.llm.prompts import PromptFile
from providers.sandbox.base import Sandbox, SandboxLimits
from schemas.errors import DeepSearchError, InvalidRequest, SandboxError
from schemas.planning import CodeRequest, CodeResult
from schemas.research import Message
from schemas.settings import Settings
from schemas.usage import Usage

MAX_ATTEMPTS = 3
_THINK_CHARACTERS = 200
_CODE_CHARACTERS = 20_000
_ERROR_CHARACTERS = 500


class CodeOutput(BaseModel):
    """The program the model wrote."""

    think: str = Field(description="How the program solves it, at most 200 characters")
    code: str = Field(description="Body of a JavaScript function that returns the result")


async def code(
    request: CodeRequest, model: ChatModel | None, prompts: Mapping[str, PromptFile], sandbox: Sandbox, settings: Settings
) -> CodeResult:
    """Solve `request.issue` by a program, in at most 3 attempts.

    Raises `InvalidRequest` for an empty issue or without a model, `SandboxError` with the last attempt's error when none
    worked, and whatever the model raises; each carries the usage of all attempts.
    """
    if not request.issue.strip():
        raise InvalidRequest("issue is empty: say what is to be computed", field="issue")
    if model is None:
        raise InvalidRequest("coding needs a language model: set LLM_MODEL", field="issue")
    started = time.monotonic()
    spent = Usage()
    source_code = error = ""
    limits = SandboxLimits(seconds=settings.sandbox_seconds, memory_mb=settings.sandbox_memory_mb)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        allowance = request.allowance.less(spent, time.monotonic() - started)
        tokens = prompt_tokens(allowance, settings.llm_context_tokens, settings.llm_max_output_tokens)
        render = partial(_prompt, prompts, request.issue, source_code, error)
        prompt = fitted_prompt(render, request.knowledge, [], tokens, model.count_tokens)
        try:
            generated = await model.generate("coder", prompt, CodeOutput, allowance, check=_problem)
        except DeepSearchError as failure:
            raise type(failure)(failure.message, field=failure.field, usage=spent + failure.usage) from failure
        spent = spent + generated.usage
        source_code = generated.value.code
        try:
            output = await sandbox.run(source_code, limits)
        except SandboxError as failure:
            error = one_line(failure.message, _ERROR_CHARACTERS)
            continue
        think = one_line(generated.value.think, _THINK_CHARACTERS)
        return CodeResult(output=output, source_code=source_code, attempts=attempt, think=think, usage=spent)
    raise SandboxError(f"no program worked in {MAX_ATTEMPTS} attempts; the last one failed: {error}", usage=spent)


def _prompt(prompts: Mapping[str, PromptFile], issue: str, source_code: str, error: str, items: list[Item], _: list[Message]) -> Prompt:
    return prompts["code"].render(issue=issue, items=items, source_code=source_code, error=error)


def _problem(output: CodeOutput) -> str | None:
    if not output.code.strip():
        return "code is empty"
    return None if len(output.code) <= _CODE_CHARACTERS else f"code is longer than {_CODE_CHARACTERS} characters"
