"""The embeddings and the reranker of the scripted server, in the wire formats of Jina and OpenAI."""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Sequence
from typing import Any
from zlib import crc32

from tests.scripted.jina import _Service
from tests.scripted.replies import Json, Reply

_DIMENSIONS = 64


class ScriptedEmbeddings(_Service):
    """`POST {input, dimensions}`: texts that share words have similar vectors; in base64 when the request asks for it."""

    def default(self, request: Any) -> Reply:
        as_text = "base64" in (request.get("embedding_type"), request.get("encoding_format"))
        found = [vector(text, request.get("dimensions") or _DIMENSIONS) for text in request["input"]]
        return Json(embeddings([in_base64(numbers) if as_text else numbers for numbers in found], tokens=tokens(request["input"])))


class ScriptedRerank(_Service):
    """`POST {query, documents}`: the share of the query's words that a document has."""

    def default(self, request: Any) -> Reply:
        wanted = set(_words(request["query"]))
        scores = [len(wanted & set(_words(document))) / max(1, len(wanted)) for document in request["documents"]]
        return Json(scored(scores, tokens=tokens(request["documents"]) + len(scores) * tokens([request["query"]])))


def vector(text: str, dimensions: int = _DIMENSIONS) -> list[float]:
    """A vector that counts the words of `text`, each in a place of its own (but for chance)."""
    numbers = [0.0] * dimensions
    for word in _words(text) or [text]:
        numbers[crc32(word.encode()) % dimensions] += 1.0
    return numbers


def in_base64(numbers: Sequence[float]) -> str:
    """Numbers as little-endian float32 in base64."""
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def embeddings(found: Sequence[Any], *, indices: Sequence[Any] | None = None, tokens: int | None = None) -> dict[str, Any]:
    """The body that carries these embeddings; `tokens` of None: without usage."""
    places = range(len(found)) if indices is None else indices
    data = [{"object": "embedding", "index": index, "embedding": one} for index, one in zip(places, found, strict=True)]
    return {"object": "list", "data": data} | ({} if tokens is None else {"usage": {"total_tokens": tokens, "prompt_tokens": tokens}})


def scored(scores: Sequence[Any], *, indices: Sequence[Any] | None = None, tokens: int | None = None) -> dict[str, Any]:
    """The body that carries these scores, best first as the service sends them; `tokens` of None: without usage."""
    places = range(len(scores)) if indices is None else indices
    results = [{"index": index, "relevance_score": score} for index, score in zip(places, scores, strict=True)]
    results.sort(key=lambda one: one["relevance_score"] if isinstance(one["relevance_score"], float) else -1.0, reverse=True)
    return {"model": "scripted", "results": results} | ({} if tokens is None else {"usage": {"total_tokens": tokens}})


def tokens(texts: Sequence[str]) -> int:
    """How this server counts the tokens of texts."""
    return sum(max(1, len(text) // 4) for text in texts)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
