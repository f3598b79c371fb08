"""JSON Schemas of users: checked, and applied without trusting them."""

from __future__ import annotations

import json
from typing import Any

import regex
from jsonschema import Draft202012Validator, SchemaError, ValidationError
from jsonschema.exceptions import best_match
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from schemas.errors import InvalidRequest

MOST_CHARACTERS = 64_000
_PATTERN_SECONDS = 0.2


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Any:
    """As in the standard, but a pattern that takes too long is no match instead of a process that hangs."""
    if not isinstance(instance, str):
        return
    try:
        found = regex.search(pattern, instance, timeout=_PATTERN_SECONDS)
    except (TimeoutError, regex.error):
        found = None
    if not found:
        yield ValidationError(f"{instance[:50]!r} does not match {pattern[:50]!r}")


_Validator: Any = extend(Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]


class JsonSchema:
    """A schema for objects."""

    def __init__(self, text: str) -> None:
        """Raises `InvalidRequest` (field `json_schema`) when `text` is not the JSON of a schema whose root is an object."""
        if len(text) > MOST_CHARACTERS:
            raise _refused(f"has {len(text):,} characters; the most is {MOST_CHARACTERS:,}")
        try:
            schema = json.loads(text)
            if not isinstance(schema, dict) or schema.get("type", "object") != "object":
                raise _refused("must describe an object")
            if "patternProperties" in text:
                raise _refused("must not use patternProperties")
            _Validator.check_schema(schema)
        except (ValueError, RecursionError) as error:
            raise _refused("is not valid JSON") from error
        except SchemaError as error:
            raise _refused(f"is not a JSON Schema: {error.message[:200]}") from error
        self.schema: dict[str, Any] = schema
        # An empty registry: a reference to somewhere else is an error, and nothing is fetched.
        self._validator = _Validator(schema, registry=Registry())

    def problem(self, value: Any) -> str | None:
        """What is wrong with `value`, in one line; None when it fits."""
        try:
            error = best_match(self._validator.iter_errors(value))
        except (Unresolvable, RecursionError) as failure:
            return f"the schema cannot be applied: {type(failure).__name__}"
        if error is None:
            return None
        place = ".".join(map(str, error.absolute_path))
        return " ".join(f"{place or 'the object'}: {error.message}".split())[:300]


def _refused(why: str) -> InvalidRequest:
    return InvalidRequest(f"json_schema {why}", field="json_schema")
