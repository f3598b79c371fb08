"""A validated object out of what a model wrote, which may hold more or less than the object.

Nothing is made up on the way: text without an object stays without one, a value that is missing is not filled in, and
half a number, half a list item or a key without a value is dropped before the object is validated.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from providers.llm.base import Output
from providers.llm.forms import form_of
from providers.llm.thinking import split_thinking
from providers.llm.tokens import valid_unicode

_MARK = re.compile(
    r'"(?:[^"\\]|\\[^u]|\\u[0-9a-fA-F]{4})*(?P<end>"|(?:\\u?[0-9a-fA-F]{0,3})?\Z)|[{}\[\],:]|\b(?:true|false|null)\b', re.DOTALL
)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_EMPTY_STRING = re.compile(r'""|\'\'')
# Bounds on hostile text; an answer stays far below each.
_MOST_STRAY_BRACES = 50
_MOST_OBJECTS = 50
_DEEPEST = 100


class InvalidOutput(Exception):
    """The text holds no valid object. `form_ignored`: nothing of the form that was asked for can be seen in it."""

    def __init__(self, problem: str, *, form_ignored: bool) -> None:
        super().__init__(problem)
        self.form_ignored = form_ignored


def read_object(text: str, output: type[Output]) -> Output:
    """The object of type `output` in `text`: the last one, when there are several that are valid.

    Tolerates `<think>` blocks, code fences, prose, syntax slips and a missing end. Raises `InvalidOutput`.
    """
    problem: InvalidOutput | None = None
    for candidate in _candidates(text):
        try:
            return _validated(candidate, output)
        except InvalidOutput as invalid:
            problem = problem or invalid
    raise problem or InvalidOutput("it holds no JSON object" if text.strip() else "it is empty", form_ignored=bool(text.strip()))


def _validated(candidate: dict[str, Any], output: type[Output]) -> Output:
    keys = form_of(output).keys
    unknown, missing = candidate.keys() - keys, keys - candidate.keys()
    # A field that has a default is valid when it is absent, but not when its value was given under another name.
    if missing and (unknown or not candidate):
        found = ", ".join(sorted(map(repr, unknown))) or "nothing"
        raise InvalidOutput(f"it has {found[:200]} where {', '.join(sorted(map(repr, missing)))} belongs", form_ignored=True)
    try:
        return output.model_validate(candidate)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False, include_input=False)
        lines = [f"{'.'.join(map(str, entry['loc'])) or 'the object'}: {entry['msg']}" for entry in errors[:5]]
        raise InvalidOutput("; ".join(lines), form_ignored=any(entry["type"] == "missing" for entry in errors)) from None


def _candidates(text: str) -> Iterator[dict[str, Any]]:
    whole = _loads(text.strip())
    if whole is not None:
        yield whole
        return
    said, thought = split_thinking(text)
    yield from _objects(said, may_be_cut=True)
    # A model may forget to close its thought. Only a complete object that ends it is an answer; others are sketches.
    if thought.rstrip("` \n").endswith("}"):
        for found in _objects(thought, may_be_cut=False):
            yield found
            break


def _objects(text: str, *, may_be_cut: bool) -> Iterator[dict[str, Any]]:
    """Objects in `text`, the last one first."""
    found: deque[str] = deque(maxlen=_MOST_OBJECTS)
    stray = 0
    start = text.find("{")
    while start >= 0 and stray < _MOST_STRAY_BRACES:
        end, rest = _scan(text, start)
        stray += end is None
        if end is not None:
            found.append(text[start:end])
        elif may_be_cut and not text.rstrip("` \n").endswith("}"):
            closed = _loads(rest)
            if closed:
                yield closed
        elif may_be_cut:
            # It ends like an object, but quotes or brackets do not pair up.
            found.append(text[start : text.rindex("}") + 1])
        start = text.find("{", end if end is not None else start + 1)
    for source in reversed(found):
        value = _loads(source)
        if value is None:
            value = _repaired(source)
        if value is not None:
            yield value


def _loads(source: str) -> dict[str, Any] | None:
    try:
        value: Any = json.loads(source, strict=False)
    except (ValueError, RecursionError):
        return None
    if _SURROGATE.search(source):  # an escape may spell half a character, which nothing downstream can carry
        value = json.loads(valid_unicode(json.dumps(value, ensure_ascii=False)))
    return value if isinstance(value, dict) else None


def _repaired(source: str) -> dict[str, Any] | None:
    import json_repair  # noqa: PLC0415 - only for models that write bad JSON

    try:
        value: Any = json_repair.loads(source, skip_json_loads=True)
    except (ValueError, RecursionError):
        return None
    # The repair writes an empty string where a value is missing.
    if isinstance(value, dict) and value and _empty_strings(value) <= len(_EMPTY_STRING.findall(source)):
        return value
    return None


def _empty_strings(value: Any) -> int:
    if isinstance(value, dict):
        return sum(map(_empty_strings, value)) + sum(map(_empty_strings, value.values()))
    if isinstance(value, list):
        return sum(map(_empty_strings, value))
    return int(value == "" and isinstance(value, str))


def _scan(text: str, start: int) -> tuple[int | None, str]:
    """Where the object that starts at `start` ends; or None, and what there is of it, closed.

    A text value that was cut short is kept as far as it goes. Anything else that was cut is left out: half a number is
    another number, half a list item is no item.
    """
    closers: list[str] = []
    complete = start + 1  # everything before this offset consists of whole members
    in_value = False
    for mark in _MARK.finditer(text, start):
        symbol = mark[0][0]
        cut = mark["end"] is not None and mark["end"] != '"'
        if symbol in "{[":
            closers.append("}" if symbol == "{" else "]")
            if len(closers) > _DEEPEST:
                return None, ""
            complete, in_value = mark.end(), symbol == "["
        elif symbol in "}]":
            if symbol != closers.pop():
                return None, ""
            if not closers:
                return mark.end(), ""
            complete, in_value = mark.end(), False
        elif symbol == ",":
            complete, in_value = mark.start(), closers[-1] == "]"
        elif symbol == ":":
            in_value = True
        elif cut and in_value and closers[-1] == "}":
            return None, text[start : mark.start("end")] + '"' + "".join(reversed(closers))
        elif not cut and in_value:
            complete = mark.end()
    return None, text[start:complete] + "".join(reversed(closers))
