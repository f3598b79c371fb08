"""Whether one thing is said to act on another or not to, in English: "has no effect on", "was not associated with"."""

from __future__ import annotations

from functools import lru_cache

import regex

from providers.support.sentence import Sentence

_CHANGE = (
    r"(?:prevent|cause|reduc|increas|improv|affect|lower|rais|protect|help|alter|chang|influenc|lead|contribut|promot"
    r"|inhibit|decreas|enhanc|impair|induc|associat|link|relat|correlat|connect|differ|benefit|work|effective|trigger"
    r"|modif|impact|act on|play a role|predict|worsen)"
)
_NOTHING = (
    r"effects?|influence|impact|associations?|links?|relationship|relation|correlation|connection"
    r"|differences?|benefits?|changes?|role|evidence"
)
_NEUTRAL = regex.compile(
    rf"\b(?:no|without|little|nor|lack of)\s(?:\w+\s){{0,4}}?(?:{_NOTHING})\b"
    rf"|\b(?:not|n't|neither|nor|never)\s(?:\w+\s){{0,2}}?{_CHANGE}\w*"
    r"|\b(?:unrelated|unaffected|independent of|unchanged|ineffective|fail(?:ed|s)? to)\b",
    regex.IGNORECASE,
)
_ACTS = regex.compile(
    rf"\b(?:{_CHANGE}\w*|effects?|risk|higher|lower|more|less|greater|fewer|loss|(?:gain|suppress|block|attenuat|elevat|stimulat)\w*)\b",
    regex.IGNORECASE,
)

# A sentence that tells of two results can hold both.
_ONE_SIDED = regex.compile(r"\b(?:but|however|whereas|although|while|except|only)\b", regex.IGNORECASE)


def is_neutral(sentence: Sentence) -> bool:
    """Whether it says that something has no effect on, or nothing to do with, something else."""
    return sentence.language in ("en", "") and _neutral(sentence.text)


@lru_cache(maxsize=8_000)
def _neutral(text: str) -> bool:
    return _NEUTRAL.search(text) is not None


def effect_words(sentence: Sentence) -> frozenset[int]:
    """Indices of the tokens with which it says that."""
    spans = [match.span() for match in [*_NEUTRAL.finditer(sentence.text), *_ACTS.finditer(sentence.text)]]
    return frozenset(i for i, token in enumerate(sentence.tokens) if any(start <= token.start < end for start, end in spans))


def disagree(statement: Sentence, quote: Sentence) -> bool:
    """Whether only one of the two says that there is no effect, and the other one nothing but that there is one."""
    ours, theirs = is_neutral(statement), is_neutral(quote)
    if ours == theirs:
        return False
    acting = quote if ours else statement
    return (
        not acting.negations
        and _ACTS.search(acting.text) is not None
        and _ONE_SIDED.search(quote.text if theirs else statement.text) is None
    )
