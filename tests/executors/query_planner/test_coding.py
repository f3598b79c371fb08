"""Programs written by a model and run in the sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from docarray import DocList

from executors.query_planner.coding import code
from providers.sandbox import Sandbox, create_sandbox
from schemas.errors import BudgetExceeded, InvalidRequest, ModelOutputInvalid, ModelUnavailable, SandboxError
from schemas.knowledge import Knowledge
from schemas.planning import CodeRequest
from schemas.usage import Allowance
from tests.scripted import Json, Status, Text


@pytest.fixture
async def sandbox(settings) -> AsyncIterator[Sandbox]:
    created = create_sandbox(settings)
    yield created
    await created.close()


def program(source: str) -> Json:
    return Json({"think": "sum", "code": source})


async def test_a_program_gives_its_result(scripted, model, prompts, sandbox, settings):
    scripted.llm.on("CodeOutput", program("return 1 + 2;"))
    knowledge = DocList[Knowledge]([Knowledge(kind="side-info", question="inputs", answer="one and two")])
    result = await code(CodeRequest(issue="add 1 and 2", knowledge=knowledge), model, prompts, sandbox, settings)
    assert (result.output, result.source_code, result.attempts, result.think) == ("3", "return 1 + 2;", 1, "sum")
    assert result.usage.llm_calls == 1
    user = scripted.sent()[0].body["messages"][1]["content"]
    assert '<untrusted source="">\none and two\n</untrusted>' in user
    assert "The last attempt failed" not in user


async def test_the_next_attempt_sees_the_error(scripted, model, prompts, sandbox, settings):
    scripted.llm.on("CodeOutput", [program("return missing;"), program("const a = 1;"), program("return 'ok';")])
    result = await code(CodeRequest(issue="say ok"), model, prompts, sandbox, settings)
    assert (result.output, result.attempts, result.usage.llm_calls) == ("ok", 3, 3)
    second, third = (request.body["messages"][1]["content"] for request in scripted.sent()[1:])
    assert "return missing;" in second
    assert "missing is not defined" in second
    assert "const a = 1;" in third
    assert "return missing;" not in third


async def test_after_three_attempts_the_last_error_is_told(scripted, model, prompts, sandbox, settings):
    scripted.llm.on("CodeOutput", program("throw new Error('boom')"))
    with pytest.raises(SandboxError, match=r"^no program worked in 3 attempts; the last one failed: .*boom") as raised:
        await code(CodeRequest(issue="x"), model, prompts, sandbox, settings)
    assert raised.value.usage.llm_calls == len(scripted.sent()) == 3


@pytest.mark.parametrize(("second", "error"), [(Status(503), ModelUnavailable), (Text(""), ModelOutputInvalid)])
async def test_a_failure_carries_the_usage_of_the_attempts_before_it(*, scripted, model, prompts, sandbox, settings, second, error):
    scripted.llm.on("CodeOutput", [program("return missing;"), second])
    with pytest.raises(error) as raised:
        await code(CodeRequest(issue="x"), model, prompts, sandbox, settings)
    assert raised.value.usage.prompt_tokens > 0
    assert raised.value.usage.llm_calls == (1 if error is ModelUnavailable else 3)
    assert raised.value.args[2] == raised.value.usage.model_dump_json()


async def test_all_attempts_share_one_allowance(scripted, model, prompts, sandbox, settings):
    scripted.llm.on("CodeOutput", program("return missing;"))
    with pytest.raises(BudgetExceeded) as raised:
        await code(CodeRequest(issue="x", allowance=Allowance(llm_calls=2)), model, prompts, sandbox, settings)
    assert raised.value.usage.llm_calls == len(scripted.sent()) == 2


@pytest.mark.parametrize("bad", [Json({}), program("  "), program("return 1;" * 10_000)])
async def test_b15_no_program_is_made_up(*, scripted, model, prompts, sandbox, settings, bad):
    scripted.llm.on("CodeOutput", bad)
    with pytest.raises(ModelOutputInvalid):
        await code(CodeRequest(issue="x"), model, prompts, sandbox, settings)


async def test_coding_needs_a_model_and_an_issue(model, prompts, sandbox, settings):
    with pytest.raises(InvalidRequest, match="coding needs a language model"):
        await code(CodeRequest(issue="x"), None, prompts, sandbox, settings)
    with pytest.raises(InvalidRequest, match="issue is empty"):
        await code(CodeRequest(issue=" "), model, prompts, sandbox, settings)
