"""The JSON Schema that an answer is wanted in."""

from __future__ import annotations

import json
from typing import Any

from schemas.errors import InvalidRequest

MOST_SCHEMA_CHARACTERS = 64_000
_KEYWORDS = {"type", "properties", "items", "enum", "const", "anyOf", "oneOf", "allOf", "$ref"}
"""A schema that stands in place of its wrapper is known by one of these."""


def schema_text(form: dict[str, Any] | None, field: str) -> str:
    """The schema of a `response_format` or `text.format`, as text; empty when plain text is wanted.

    OpenAI's clients wrap the schema as `{"name", "schema", "strict"}`; a schema without the wrapper is taken as well. `field`
    is where the request has the format, for errors. Raises `InvalidRequest` for what is no JSON Schema, too large, or refers
    to another document.
    """
    kind = (form or {}).get("type", "text")
    if form is None or kind == "text":
        return ""
    if kind == "json_object":
        raise InvalidRequest(f"{field}.type: json_object says nothing of the form; send json_schema with a schema", field=f"{field}.type")
    if kind != "json_schema":
        raise InvalidRequest(f"{field}.type: {str(kind)[:50]!r} is not one of: text, json_schema", field=f"{field}.type")
    where = f"{field}.json_schema"
    given = form.get("json_schema")
    if given is None and "schema" in form:  # the Responses API has no inner wrapper
        where, given = field, form
    if isinstance(given, dict) and "schema" in given:
        where, given = f"{where}.schema", given["schema"]
    elif isinstance(given, dict) and not _KEYWORDS & given.keys():
        raise InvalidRequest(f"{where}.schema is missing", field=f"{where}.schema")
    if not isinstance(given, dict):
        raise InvalidRequest(f"{where}: a JSON Schema is an object", field=where)
    return _checked(given, where)


def _checked(schema: dict[str, Any], where: str) -> str:
    from jsonschema import Draft202012Validator, SchemaError  # noqa: PLC0415  (few requests need it)

    try:
        text = json.dumps(schema, ensure_ascii=False, allow_nan=False)
        text.encode()
        if len(text) > MOST_SCHEMA_CHARACTERS:
            raise InvalidRequest(f"{where} has {len(text):,} characters; the most is {MOST_SCHEMA_CHARACTERS:,}", field=where)
        _refuse_remote(schema, where)
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise InvalidRequest(f"{where} is no JSON Schema: at {error.json_path[:100]}: {error.message[:200]}", field=where) from error
    except RecursionError as error:
        raise InvalidRequest(f"{where} is nested too deeply", field=where) from error
    except ValueError as error:  # JSON in Python also knows NaN, and halves of characters
        raise InvalidRequest(f"{where} is no JSON: {str(error)[:100]}", field=where) from error
    return text


def _refuse_remote(value: Any, where: str) -> None:
    """Nothing is fetched to understand a schema."""
    if isinstance(value, dict):
        for name in ("$ref", "$dynamicRef"):
            if isinstance(value.get(name), str) and not value[name].startswith("#"):
                raise InvalidRequest(f"{where}: {name} must point into the schema itself, as #/$defs/... does", field=where)
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _refuse_remote(inner, where)
