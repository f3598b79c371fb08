"""From text to terms: Unicode words, bigrams where a script has no spaces, stemmed by language, numbers kept."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

import regex
import snowballstemmer

from providers.lexical.function_words import all_function_words

_RUN = regex.compile(
    r"(?P<unspaced>[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]+)"
    r"|(?P<word>(?:(?![\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}])[\p{L}\p{M}\p{N}])+)"
)

# ISO 639-1 code to the name of its Snowball algorithm.
_STEMMERS = {
    "ar": "arabic", "ca": "catalan", "da": "danish", "de": "german", "el": "greek", "en": "english", "es": "spanish",
    "et": "estonian", "fi": "finnish", "fr": "french", "ga": "irish", "hi": "hindi", "hu": "hungarian", "id": "indonesian",
    "it": "italian", "lt": "lithuanian", "nl": "dutch", "no": "norwegian", "nb": "norwegian", "pl": "polish", "pt": "portuguese",
    "ro": "romanian", "ru": "russian", "sv": "swedish", "ta": "tamil", "tr": "turkish",
}  # fmt: skip


@cache
def _stemmer(language_code: str) -> Any:
    name = _STEMMERS.get(language_code)
    return snowballstemmer.stemmer(name) if name else None


@lru_cache(maxsize=100_000)
def _stem(word: str, language_code: str) -> str:
    stemmer = _stemmer(language_code)
    return stemmer.stemWord(word) if stemmer else word


def _words(text: str) -> Iterator[str]:
    for run in _RUN.finditer(text.casefold()):
        word = run.group()
        if run.lastgroup == "word" or len(word) == 1:
            yield word
        else:
            yield from (word[i : i + 2] for i in range(len(word) - 1))


def terms(text: str, language_code: str = "en") -> list[str]:
    """Terms of `text` in order, case folded and stemmed for `language_code` (ISO 639-1; unknown codes are not stemmed).

    Scripts without spaces between words (Chinese, Japanese, Thai ...) give overlapping pairs of characters. Digits are
    kept, so "iPhone 15" and "iPhone 16" differ.
    """
    code = language_code[:2].lower()
    return [_stem(word, code) for word in _words(text)]


def content_terms(text: str, language_code: str = "en") -> list[str]:
    """Distinct terms of `text` in order, without function and question words (all terms when nothing else is left)."""
    code = language_code[:2].lower()
    words = list(dict.fromkeys(_words(text)))
    kept = [word for word in words if word not in all_function_words()]
    return list(dict.fromkeys(_stem(word, code) for word in kept or words))
