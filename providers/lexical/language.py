"""Which language a text is in, and how sure that is."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import regex

from providers.lexical.function_words import all_function_words, function_words

SURE = 0.8
"""From this certainty on, what `identify` says needs no second opinion."""

# Scripts that belong to one language here; py3langid, which costs 0.9 s to load, is asked last.
_SCRIPTS = [
    (regex.compile(r"[\p{Hiragana}\p{Katakana}]"), "ja"),
    (regex.compile(r"\p{Hangul}"), "ko"),
    (regex.compile(r"\p{Han}"), "zh"),
    (regex.compile(r"\p{Thai}"), "th"),
    (regex.compile(r"\p{Greek}"), "el"),
    (regex.compile(r"\p{Hebrew}"), "he"),
    (regex.compile(r"\p{Bengali}"), "bn"),
]
# What py3langid may answer: without a limit it takes short English for Nigerian Pidgin.
_LANGUAGES = [
    "ar", "bg", "bn", "ca", "cs", "da", "de", "en", "es", "et", "fa", "fi", "fr", "ga", "hi", "hr",
    "hu", "hy", "id", "is", "it", "lt", "lv", "mk", "mr", "ms", "nl", "no", "pl", "pt", "ro", "ru",
    "sk", "sl", "sq", "sr", "sv", "sw", "ta", "te", "tl", "tr", "uk", "ur", "vi",
]  # fmt: skip
# Least share of the letters by which a script decides; among Chinese characters fewer kana tell a Japanese text.
_LEAST_SCRIPT = 0.2
_LEAST_KANA = 0.1
_HAN = regex.compile(r"\p{Han}")
_LETTER = regex.compile(r"\p{L}")
_WORD = regex.compile(r"[\p{L}\p{M}]+")
_LATIN_WORD = regex.compile(r"\p{Latin}{2,}")
_NO_LATIN = regex.compile(r"(?!\p{Latin})\p{L}")
# Quoted code and addresses say nothing about the language of the person who writes them.
_NO_PROSE = regex.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|\w+://\S+|\S+@\S+", regex.DOTALL)
_CODE = regex.compile(r"\S*(?:[{}<>=\\_$|]|\w\(|::|\w\.\p{L})\S*|(?<!\S)[*+/%^&()\[\]-]+(?!\S)")
# What follows a colon, or stands between quotation marks, may be what somebody else wrote.
_FRAME = regex.compile(r"""[:：\n"“”„«»「」『』]""")
_LONGEST_FRAMED = 500
# Han characters alone may be Japanese, unless there are characters or punctuation that Japanese without kana would not have.
_SURELY_CHINESE = regex.compile(r"[吗嗎呢吧们們么麼这這哪怎您她它还让讓给谁很为较对么]|[？?。]|\p{Han}{15}")
_SAMPLE_CHARACTERS = 2_000
# Function words decide when at least this many occur, as this share of all words, and twice as many as of any other language.
_LEAST_FUNCTION_WORDS = 3
_LEAST_SHARE = 0.25
_LEAST_WORDS_TO_GUESS = 4
# Letters by which a relative shows that shares the function words: Catalan and Romanian, Galician, Danish, Bulgarian and Serbian.
_RELATIVES = {
    "es": regex.compile(r"[àèòçâêôãõïșțăî]", regex.IGNORECASE),
    "it": regex.compile(r"[ñçãõâêôșțăîïáóú]", regex.IGNORECASE),
    "pt": regex.compile(r"[ñèòïșțăî]", regex.IGNORECASE),
    "nl": regex.compile(r"[åøæäãõñ]", regex.IGNORECASE),
    "ru": regex.compile(r"\A[^ыэё]*\Z", regex.IGNORECASE),
}
# What is mixed, short or doubtful in another way is no more certain than this.
_DOUBT = 0.5


def language_of(text: str) -> str:
    """ISO 639-1 code of the language that `text` is mostly in; "en" when that cannot be told.

    By script where that decides, by function words where they are plain, otherwise by py3langid (0.983 right on questions,
    0.997 on paragraphs).
    """
    return _verdict(_prose(text))[0]


def identify(text: str) -> tuple[str, float]:
    """The language of `text` as `language_of` tells it, and how certain that is, 0 to 1; from `SURE` on it need not be asked again.

    What is short, mixed of languages, or looks like code is not certain.
    """
    prose = _prose(text)
    code, certainty = _verdict(prose)
    if not certainty:
        return code, certainty
    certainty *= max(0.0, 1 - 2 * len(_CODE.findall(prose)) / len(prose.split()))
    if certainty >= SURE and len(text) <= _LONGEST_FRAMED:
        first, *others = [piece for piece in _FRAME.split(prose) if _LETTER.search(piece)]
        if others and _verdict(first)[0] != code:
            certainty = _DOUBT
    return code, certainty


def written_chinese(text: str) -> str:
    """How a Chinese text is written: "zh-CN" in simplified characters, "zh-TW" in traditional ones, "zh" when that cannot be told."""
    counts = {code: sum(map(text.count, found)) for code, found in _chinese_characters().items()}
    if counts["zh-CN"] == counts["zh-TW"]:
        return "zh"
    return max(counts, key=lambda code: counts[code])


def _prose(text: str) -> str:
    """The beginning of `text` without addresses and quoted code, unless nothing else is there."""
    whole = text[:_SAMPLE_CHARACTERS]
    prose = _NO_PROSE.sub(" ", whole)
    return prose if _LETTER.search(prose) else whole


def _verdict(sample: str) -> tuple[str, float]:
    """The language of a text and its certainty, as far as the words themselves tell it."""
    letters = len(_LETTER.findall(sample))
    if not letters:
        return "en", 0.0
    return _by_script(sample, letters) or _by_words(sample, letters)


def _by_script(sample: str, letters: int) -> tuple[str, float] | None:
    for script, code in _SCRIPTS:
        # A Japanese text is a third kana; one quoted word of another script must not decide.
        share = len(script.findall(sample)) / letters
        if share <= (_LEAST_KANA if code == "ja" and share + len(_HAN.findall(sample)) / letters > 0.5 else _LEAST_SCRIPT):
            continue
        latin = [word.casefold() for word in _LATIN_WORD.findall(sample)]
        grammar = _by_function_words(latin) if sum(map(len, latin)) > letters / 2 else None
        if grammar:
            return grammar[0], _DOUBT
        doubtful = sum(word in all_function_words() for word in latin) > 1 or (code == "zh" and not _SURELY_CHINESE.search(sample))
        return code, _DOUBT if doubtful else 1.0
    return None


def _by_words(sample: str, letters: int) -> tuple[str, float]:
    words = [word.casefold() for word in _WORD.findall(sample)]
    most = _DOUBT if len(words) < _LEAST_WORDS_TO_GUESS else 1.0
    plain = _by_function_words(words)
    if plain and not (plain[0] in _RELATIVES and _RELATIVES[plain[0]].search(sample)):
        other_script = 0.0 if plain[0] == "ru" else len(_NO_LATIN.findall(sample)) / letters
        return plain[0], min(most, plain[1] - other_script)
    # A few keywords in plain letters say nothing about their language; a guess would answer English ones in Norwegian.
    if sample.isascii() and len(words) < _LEAST_WORDS_TO_GUESS:
        return "en", 0.0
    code, probability = _identifier().classify(sample)
    return str(code), min(most, float(probability))


def _by_function_words(words: list[str]) -> tuple[str, float] | None:
    """The language whose function words are plain among `words`, and how few there are of any other language beside it."""
    languages = function_words()
    counts = sorted(((sum(word in known for word in words), code) for code, known in languages.items()), reverse=True)
    (most, code), (next_most, _) = counts[0], counts[1]
    if most < max(_LEAST_FUNCTION_WORDS, _LEAST_SHARE * len(words), 2 * next_most):
        return None
    others = [word for word in words if len(word) > 1 and word not in languages[code]]
    foreign = max(sum(word in known for word in others) for known in languages.values())
    return code, 1 - foreign / most


@cache
def _identifier() -> Any:
    from py3langid import langid  # noqa: PLC0415

    identifier = langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)
    identifier.set_languages(_LANGUAGES)
    return identifier


@cache
def _chinese_characters() -> dict[str, str]:
    """Characters that only one way of writing uses, by its code."""
    text = (Path(__file__).parent / "chinese_characters.txt").read_text(encoding="utf-8")
    _, simplified, traditional = regex.split(r"\[zh-CN\]|\[zh-TW\]", text)
    return {"zh-CN": "".join(simplified.split()), "zh-TW": "".join(traditional.split())}
