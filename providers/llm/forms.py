"""How a structured answer is asked for: four forms, from the one a server enforces to the one any model understands."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from pydantic import BaseModel

from providers.llm.tokens import count_tokens

RUNGS = ("json_schema", "json_object", "tool", "text")
"""The forms, best first. A server that rejects or ignores one is asked in the next."""

LAST_RUNG = len(RUNGS) - 1

_UNSUPPORTED = ("default", "title", "minLength", "maxLength", "uniqueItems", "examples", "discriminator")
"""Keywords that say little to a model and that strict servers reject; pydantic checks what they mean afterwards."""


@dataclass(frozen=True)
class Form:
    """What an output type looks like to a server."""

    name: str
    schema: dict[str, Any]
    text: str
    """The schema as compact JSON."""
    keys: frozenset[str]
    strict: bool
    """Whether every object in it is closed, as strict servers demand."""

    def parameters(self, rung: int) -> dict[str, Any]:
        """Parameters of the request that ask for this form on a rung."""
        declared = {"name": self.name, "strict": self.strict}
        if RUNGS[rung] == "json_schema":
            return {"response_format": {"type": "json_schema", "json_schema": declared | {"schema": self.schema}}}
        if RUNGS[rung] == "json_object":
            return {"response_format": {"type": "json_object"}}
        if RUNGS[rung] == "tool":
            tool = {"type": "function", "function": declared | {"parameters": self.schema}}
            return {"tools": [tool], "tool_choice": {"type": "function", "function": {"name": self.name}}}
        return {}

    def in_prompt(self, rung: int) -> bool:
        """Whether the prompt must show the schema, because the parameters do not carry it."""
        return RUNGS[rung] in {"json_object", "text"}

    @cached_property
    def tokens(self) -> tuple[int, ...]:
        """Tokens that the parameters add to the prompt, by rung."""
        declared = ({key: value for key, value in self.parameters(rung).items() if key != "tool_choice"} for rung in range(len(RUNGS)))
        return tuple(sum(count_tokens(json.dumps(value)) for value in parameters.values()) for parameters in declared)


@lru_cache(maxsize=256)
def form_of(output: type[BaseModel]) -> Form:
    """The form of an output type; made once for each type."""
    source = output.model_json_schema()
    schema = {"title": output.__name__, **_closed(source, source.get("$defs", {}))}
    return Form(
        name=output.__name__,
        schema=schema,
        text=json.dumps(schema, ensure_ascii=False, separators=(",", ":")),
        keys=frozenset(source.get("properties", {})),
        strict=_is_closed(schema),
    )


def _closed(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """`schema` with every object closed and every property required, as strict servers demand."""
    schema = {key: value for key, value in schema.items() if key not in _UNSUPPORTED}
    if "$ref" in schema and len(schema) > 1:  # a reference must stand alone
        target = definitions[schema.pop("$ref").rpartition("/")[2]]
        return _closed({**target, **schema}, definitions)
    for key in ("properties", "$defs"):
        if key in schema:
            schema[key] = {name: _closed(value, definitions) for name, value in schema[key].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            schema[key] = _closed(schema[key], definitions)
    for key in ("anyOf", "allOf", "oneOf", "prefixItems"):
        if key in schema:
            schema[key] = [_closed(value, definitions) for value in schema[key]]
    if "properties" in schema:
        schema["required"] = list(schema["properties"])
        schema.setdefault("additionalProperties", False)
    return schema


def _is_closed(node: Any) -> bool:
    if isinstance(node, list):
        return all(map(_is_closed, node))
    if not isinstance(node, dict):
        return True
    return (node.get("type") != "object" or node.get("additionalProperties") is False) and all(map(_is_closed, node.values()))
