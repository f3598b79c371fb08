"""What an answer says about how it came about, in the language of the answer (`notices.json`)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path


def notice(language_code: str, code: str, **values: object) -> str:
    """The text for `code` in a language, in English when there is none; empty for a code without a text.

    `language_code` is ISO 639-1, optionally with a region; `values` fill the text's placeholders.
    """
    texts = _texts().get(code)
    if texts is None:
        return ""
    text = texts.get(language_code) or texts.get(language_code.partition("-")[0]) or texts["en"]
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", str(value))
    return text


@cache
def _texts() -> dict[str, dict[str, str]]:
    texts: dict[str, dict[str, str]] = json.loads((Path(__file__).parent / "notices.json").read_text(encoding="utf-8"))
    return texts
