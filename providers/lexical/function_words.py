"""Words that carry grammar rather than content, by language."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def function_words() -> dict[str, frozenset[str]]:
    """Function and question words by ISO 639-1 code, case folded."""
    words: dict[str, list[str]] = {}
    code = ""
    for line in (Path(__file__).parent / "function_words.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            code = line.strip("[]")
        elif not line.startswith("#"):
            words.setdefault(code, []).extend(line.split())
    return {language: frozenset(found) for language, found in words.items()}


@cache
def all_function_words() -> frozenset[str]:
    """The same of all languages together."""
    return frozenset().union(*function_words().values())
