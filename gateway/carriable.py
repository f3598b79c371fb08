"""What can travel to a stage. jina carries whole numbers of 32 bits and text that is Unicode; JSON holds more than that."""

from __future__ import annotations

from typing import Any

from docarray import BaseDoc, DocList

from schemas.errors import InvalidRequest

LEAST, MOST = -(2**31), 2**31 - 1


def check(value: Any, field: str = "") -> None:
    """Raise `InvalidRequest`, naming the field, for what cannot travel: a document, list or dictionary is looked through."""
    if isinstance(value, str):
        if not _is_text(value):
            raise InvalidRequest(f"{field} holds characters that are no text (lone surrogates): send it as UTF-8", field=field)
    elif isinstance(value, int):
        if not LEAST <= value <= MOST:
            raise InvalidRequest(f"{field} is {_short(value)}; it must be from {LEAST:,} to {MOST:,}", field=field)
    elif isinstance(value, BaseDoc):
        for name, inner in value.__dict__.items():
            check(inner, f"{field}.{name}" if field else name)
    elif isinstance(value, list | DocList):
        for number, inner in enumerate(value):
            check(inner, f"{field}.{number}" if field else str(number))
    elif isinstance(value, dict):
        for name, inner in value.items():
            check(name, field)
            check(inner, f"{field}.{name}" if field else name)


def _is_text(value: str) -> bool:
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _short(number: int) -> str:
    return f"{number:,}" if number.bit_length() < 100 else "far too large" if number > 0 else "far too small"
