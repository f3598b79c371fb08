"""Which language a text is in."""

from __future__ import annotations

import regex

# Scripts that belong to one language here; py3langid, which costs 0.9 s to load, is asked only about the others.
_SCRIPTS = [
    (regex.compile(r"[\p{Hiragana}\p{Katakana}]"), "ja"),
    (regex.compile(r"\p{Hangul}"), "ko"),
    (regex.compile(r"\p{Han}"), "zh"),
    (regex.compile(r"\p{Thai}"), "th"),
    (regex.compile(r"\p{Greek}"), "el"),
    (regex.compile(r"\p{Hebrew}"), "he"),
]
_SAMPLE_CHARACTERS = 2_000


def language_of(text: str) -> str:
    """ISO 639-1 code of the language that `text` is mostly in; "en" when there are no letters.

    By script where that decides, otherwise by py3langid (0.983 right on questions, 0.997 on paragraphs).
    """
    sample = text[:_SAMPLE_CHARACTERS]
    letters = len(regex.findall(r"\p{L}", sample))
    if not letters:
        return "en"
    for script, code in _SCRIPTS:
        # A Japanese text is a third kana; one quoted word of another script must not decide.
        if len(script.findall(sample)) > 0.2 * letters:
            return code
    import py3langid  # noqa: PLC0415

    return str(py3langid.classify(sample)[0])
