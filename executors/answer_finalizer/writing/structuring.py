"""The finished answer as JSON, in the form that was asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from providers.json_schemas import JsonSchema
from providers.llm.base import ChatModel
from providers.llm.prompts import load_prompts
from schemas.answering import StructuredAnswer, StructureRequest
from schemas.errors import ConfigurationError, InvalidRequest

_PROMPT = load_prompts(Path(__file__).parents[1] / "prompts")["structure"]


async def structure(request: StructureRequest, model: ChatModel | None) -> StructuredAnswer:
    """The answer in `request.text` as JSON that fits `request.json_schema`.

    Raises `InvalidRequest` for a schema that is none or an empty answer, `ConfigurationError` without a model, and what the
    model raises; an object that does not fit is never returned.
    """
    schema = JsonSchema(request.json_schema)
    if not request.text.strip():
        raise InvalidRequest("text is empty: there is no answer to put into JSON", field="text")
    if model is None:
        raise ConfigurationError("an answer as JSON needs a language model: set LLM_MODEL", field="LLM_MODEL")
    generated = await model.generate(
        "finalizer",
        _PROMPT.render(question=request.question, text=request.text),
        _output_type(schema),
        request.allowance,
        check=lambda value: schema.problem(value.model_dump()),
    )
    return StructuredAnswer(json_text=json.dumps(generated.value.model_dump(), ensure_ascii=False), usage=generated.usage)


def _output_type(schema: JsonSchema) -> type[BaseModel]:
    """A type that takes any object and shows the user's schema to the model."""

    class Answer(BaseModel):
        model_config = ConfigDict(extra="allow")
        wanted: ClassVar[dict[str, Any]] = schema.schema

        @classmethod
        def model_json_schema(cls, *_: Any, **__: Any) -> dict[str, Any]:
            return cls.wanted

    return Answer
