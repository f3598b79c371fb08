"""The languages an answer can be asked for by code."""

from __future__ import annotations

from schemas.errors import InvalidRequest

LANGUAGES = {
    "en": "English", "zh": "Chinese", "zh-CN": "Simplified Chinese", "zh-TW": "Traditional Chinese", "de": "German", "fr": "French",
    "es": "Spanish", "it": "Italian", "ja": "Japanese", "ko": "Korean", "pt": "Portuguese", "ru": "Russian", "ar": "Arabic",
    "hi": "Hindi", "bn": "Bengali", "tr": "Turkish", "nl": "Dutch", "pl": "Polish", "sv": "Swedish", "no": "Norwegian",
    "da": "Danish", "fi": "Finnish", "el": "Greek", "he": "Hebrew", "hu": "Hungarian", "id": "Indonesian", "ms": "Malay",
    "th": "Thai", "vi": "Vietnamese", "ro": "Romanian", "bg": "Bulgarian",
}  # fmt: skip
"""Code (ISO 639-1, Chinese also by region) to English name."""

_BY_LOWER_CASE = {code.lower(): code for code in LANGUAGES}


def chosen_language(code: str) -> str:
    """The accepted spelling of a language code that a caller chose.

    Raises `InvalidRequest` for any other text: it is never guessed at, and never shown to a model.
    """
    known = _BY_LOWER_CASE.get(code.strip().lower())
    if known is None:
        raise InvalidRequest(f"language_code is not one of: {', '.join(LANGUAGES)}", field="language_code")
    return known


def formal_style(code: str) -> str:
    """The style of an answer when nothing else is known, such as "formal English"."""
    return f"formal {LANGUAGES.get(code, code)}"
