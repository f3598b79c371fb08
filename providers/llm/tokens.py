"""Token counts by the o200k vocabulary: exact for recent OpenAI models, an estimate for all others."""

from __future__ import annotations

from functools import lru_cache
from typing import Any


@lru_cache(maxsize=1)
def _tokenizer() -> Any:
    # Loading takes 50 ms and 67 MB (half of it file pages that processes share), so only a process that counts pays.
    from rs_bpe.bpe import openai  # noqa: PLC0415

    return openai.o200k_base()


def valid_unicode(text: str) -> str:
    """`text` with lone surrogates, which no tokenizer and no HTTP body can carry, as question marks."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def count_tokens(text: str) -> int:
    """Tokens of `text`; about 20 ns a character. Never more than its UTF-8 bytes."""
    try:
        return int(_tokenizer().count(text))
    except UnicodeEncodeError:
        return int(_tokenizer().count(valid_unicode(text)))


def truncate(text: str, tokens: int) -> str:
    """The beginning of `text` that has at most `tokens` tokens, cut between characters; all of it when it fits."""
    if tokens <= 0:
        return ""
    if 4 * len(text) <= tokens:  # a character has at most 4 bytes, and a byte at most one token
        return text
    size = 8 * tokens  # characters; English has about 4 to a token, so this nearly always holds enough
    while size < len(text) and count_tokens(text[:size]) <= tokens:
        size *= 2
    text = valid_unicode(text[:size])
    kept = _tokenizer().encode(text)[:tokens]
    # A rare character is several tokens; the cut may fall inside it, and decoding such a piece gives None.
    while kept and ((head := _tokenizer().decode(kept)) is None or not text.startswith(head) or count_tokens(head) > tokens):
        kept.pop()
    return head if kept else ""
