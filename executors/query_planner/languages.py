"""The languages an answer can be asked for by code."""

from __future__ import annotations

import re

from providers.lexical import SURE, identify, written_chinese
from schemas.errors import InvalidRequest

LANGUAGES = {
    "en": "English", "zh": "Chinese", "zh-CN": "Simplified Chinese", "zh-TW": "Traditional Chinese", "de": "German", "fr": "French",
    "es": "Spanish", "it": "Italian", "ja": "Japanese", "ko": "Korean", "pt": "Portuguese", "ru": "Russian", "ar": "Arabic",
    "hi": "Hindi", "bn": "Bengali", "tr": "Turkish", "nl": "Dutch", "pl": "Polish", "sv": "Swedish", "no": "Norwegian",
    "da": "Danish", "fi": "Finnish", "el": "Greek", "he": "Hebrew", "hu": "Hungarian", "id": "Indonesian", "ms": "Malay",
    "th": "Thai", "vi": "Vietnamese", "ro": "Romanian", "bg": "Bulgarian",
}  # fmt: skip
"""Code (ISO 639-1, Chinese also by region) to English name."""

_OTHER_NAMES = {
    "ca": "Catalan", "cs": "Czech", "et": "Estonian", "fa": "Persian", "ga": "Irish", "hr": "Croatian", "hy": "Armenian",
    "is": "Icelandic", "lt": "Lithuanian", "lv": "Latvian", "mk": "Macedonian", "mr": "Marathi", "sk": "Slovak", "sl": "Slovenian",
    "sq": "Albanian", "sr": "Serbian", "sw": "Swahili", "ta": "Tamil", "te": "Telugu", "tl": "Tagalog", "uk": "Ukrainian",
    "ur": "Urdu",
}  # fmt: skip
"""Languages that a question may turn out to be in, but that cannot be chosen."""

_BY_LOWER_CASE = {code.lower(): code for code in LANGUAGES}


def known_spelling(code: str) -> str | None:
    """The accepted spelling of a code, however it is cased; None for a code that is not among `LANGUAGES`."""
    return _BY_LOWER_CASE.get(code.strip().lower())


def chosen_language(code: str) -> str:
    """The accepted spelling of a language code that a caller chose.

    Raises `InvalidRequest` for any other text: it is never guessed at, and never shown to a model.
    """
    known = known_spelling(code)
    if known is None:
        raise InvalidRequest(f"language_code is not one of: {', '.join(LANGUAGES)}", field="language_code")
    return known


def language_name(code: str) -> str:
    """The English name of the language with this code; the code itself when it is not known."""
    return LANGUAGES.get(code) or _OTHER_NAMES.get(code, code)


def formal_style(code: str) -> str:
    """The style of an answer when nothing else is known, such as "formal English"."""
    return f"formal {language_name(code)}"


def language_in(style: str) -> str | None:
    """Code of the one language that a style such as "casual, technical Spanish" names; None when it names none or several."""
    words = set(re.findall(r"\w+", style.casefold()))
    named = {code[:2] for code, name in (LANGUAGES | _OTHER_NAMES).items() if name.split()[-1].casefold() in words}
    return named.pop() if len(named) == 1 else None


def language_of_question(question: str) -> tuple[str, bool]:
    """The code of the language that the question is in, and whether that is sure."""
    code, certainty = identify(question)
    return written_chinese(question) if code == "zh" else code, certainty >= SURE


def answer_language(style: str, question: str) -> tuple[str, bool]:
    """The code of the language that an answer in this style is in, by its name there or by the question, and whether that is sure."""
    named = language_in(style)
    if named is None:
        return language_of_question(question)
    return ("zh-TW" if named == "zh" and "traditional" in style.casefold() else named), True
