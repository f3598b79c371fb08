"""Answers as JSON, by the form that a user asks for."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from executors.answer_finalizer.executor import AnswerFinalizer
from providers.json_schemas import JsonSchema
from schemas.answering import StructureRequest
from schemas.errors import ConfigurationError, InvalidRequest, ModelOutputInvalid
from schemas.settings import Settings
from tests.scripted import Json, ScriptedServer

SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"height": {"type": "number", "minimum": 0}, "unit": {"enum": ["m", "ft"]}, "names": {"type": "array"}},
        "required": ["height", "unit"],
    }
)
REQUEST = StructureRequest(question="How tall is it?", text="It is 330 metres tall [^1].", json_schema=SCHEMA)


@pytest.fixture
async def finalizer(make_settings: Callable[..., Settings], scripted: ScriptedServer) -> AsyncIterator[AnswerFinalizer]:
    executor = AnswerFinalizer(settings=make_settings(llm_model="m", openai_base_url=scripted.llm_url, llm_max_retries=0))
    yield executor
    await executor.close()


async def test_the_object_fits_the_schema(finalizer: AnswerFinalizer, scripted: ScriptedServer) -> None:
    scripted.llm.on("Answer", Json({"height": 330, "unit": "m", "names": []}))
    answer = await finalizer.structure(REQUEST)
    assert json.loads(answer.json_text) == {"height": 330, "unit": "m", "names": []} and answer.usage.llm_calls == 1
    (request,) = scripted.sent()
    assert request.body["response_format"]["json_schema"]["schema"]["properties"]["unit"] == {"enum": ["m", "ft"]}


async def test_b11_an_object_that_does_not_fit_is_asked_for_again_and_never_returned(
    finalizer: AnswerFinalizer, scripted: ScriptedServer
) -> None:
    scripted.llm.on("Answer", [Json({"height": -1, "unit": "m", "names": []}), Json({"height": 330, "unit": "m", "names": []})])
    assert json.loads((await finalizer.structure(REQUEST)).json_text)["height"] == 330
    assert "-1 is less than the minimum" in json.dumps(scripted.sent()[1].body)


async def test_b11_after_two_attempts_there_is_an_error(finalizer: AnswerFinalizer, scripted: ScriptedServer) -> None:
    scripted.llm.on("Answer", Json({"height": "tall", "unit": "m", "names": []}))
    with pytest.raises(ModelOutputInvalid, match="height: 'tall' is not of type 'number'"):
        await finalizer.structure(REQUEST)


async def test_without_a_model_there_is_no_json(make_settings: Callable[..., Settings]) -> None:
    with pytest.raises(ConfigurationError, match="LLM_MODEL"):
        await AnswerFinalizer(settings=make_settings()).structure(REQUEST)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not valid JSON"),
        ("[1]", "must describe an object"),
        ('{"type": "array"}', "must describe an object"),
        ('{"type": "object", "properties": 7}', "is not a JSON Schema"),
        ('{"type": "object", "patternProperties": {"(a+)+$": {}}}', "patternProperties"),
        ('{"a": "' + "x" * 64_000 + '"}', "64,0"),
        ("[" * 60_000, "is not valid JSON"),
    ],
)
def test_what_is_no_schema_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message) as raised:
        JsonSchema(text)
    assert raised.value.field == "json_schema"


@pytest.mark.parametrize(
    ("schema", "value", "problem"),
    [
        ({"properties": {"a": {"$ref": "http://127.0.0.1:1/x.json"}}}, {"a": 1}, "the schema cannot be applied"),
        ({"properties": {"a": {"pattern": "^(a+)+$"}}}, {"a": "a" * 60 + "!"}, "does not match"),
        ({"properties": {"a": {"pattern": "^a$"}}}, {"a": "a"}, None),
        ({"properties": {"a": {"$ref": "#/$defs/b"}}, "$defs": {"b": {"type": "string"}}}, {"a": 1}, "a: 1 is not of type 'string'"),
        ({"$ref": "#"}, {}, "the schema cannot be applied"),
    ],
)
def test_a_schema_is_applied_without_trusting_it(schema: dict[str, Any], value: Any, problem: str | None) -> None:
    found = JsonSchema(json.dumps({"type": "object", **schema})).problem(value)
    assert (found is None) if problem is None else (found is not None and problem in found)
