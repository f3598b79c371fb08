"""Embedding of images and texts into one space: the contract, and Jina's model for it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import partial
from typing import Protocol

import numpy as np

from providers.batched.bill import Bill
from providers.batched.service import Service, ask, service_url, spared
from providers.batched.texts import divided, sendable
from providers.embedding.answers import vectors
from providers.embedding.base import Embedded, EmbeddingProvider
from providers.http import Endpoint, authorization, create_client
from providers.llm.tokens import count_tokens
from schemas.errors import BudgetExceeded, EmbeddingError
from schemas.settings import Settings

IMAGE_TOKENS = 4_000
"""What an image of up to 512 x 512 pixels is billed as (jina.ai/embeddings: tokens for each tile)."""

_MODEL = "jina-clip-v2"
_DIMENSIONS = 512
_BATCH = 8
_BATCH_BYTES = 1_000_000
_CHARACTERS = 4_000


class ImageEmbeddingProvider(Protocol):
    """Turns images and texts into vectors whose dot product is their similarity, -1 to 1."""

    name: str

    def cost_of(self, texts: Sequence[str]) -> int:
        """About the tokens that `texts` are billed as; an image is billed as `IMAGE_TOKENS`."""
        ...

    async def embed(self, images: Sequence[bytes], texts: Sequence[str], *, max_tokens: int, seconds: float) -> Embedded:
        """A vector of each of `images`, small JPEGs, and then of each of `texts`, which have words.

        Raises `EmbeddingError` naming the cause, and `BudgetExceeded` when they would cost more than `max_tokens`; either carries the
        usage of what was billed before it.
        """
        ...

    async def close(self) -> None:
        """Close connections."""
        ...


def image_embedding(settings: Settings, texts: EmbeddingProvider | None) -> ImageEmbeddingProvider | None:
    """The provider for images that belongs to the one configured for `texts`: Jina's, or None for any other."""
    return JinaImageEmbedding(settings) if texts is not None and texts.name == "jina" else None


class _Picture(str):
    """An image in base64 on its way, so that no text is taken for one."""

    __slots__ = ()


class _Bill(Bill):
    def _tokens(self, texts: Sequence[str]) -> int:
        return sum(IMAGE_TOKENS if isinstance(text, _Picture) else count_tokens(text) for text in texts)


class JinaImageEmbedding:
    """Embeds with jina-clip-v2, in 512 dimensions, through the service that also embeds texts: 8 inputs in a request, four at a time."""

    name = "jina"

    def __init__(self, settings: Settings) -> None:
        named = settings.embedding_model or ""
        self.model = named if named.startswith("jina-clip") else _MODEL
        self._timeout_seconds = settings.embedding_timeout_seconds
        self._endpoint = Endpoint(
            url=service_url(settings.jina_api_url, "embeddings", "JINA_API_URL"),
            service="Jina image embeddings",
            key_setting="JINA_API_KEY",
            error=EmbeddingError,
            headers=authorization(settings.jina_api_key, "JINA_API_KEY"),
            upstream=spared(self._timeout_seconds),
        )
        self._client = create_client()

    def cost_of(self, texts: Sequence[str]) -> int:
        """As the contract says."""
        return sum(count_tokens(text[:_CHARACTERS]) for text in texts)

    async def embed(self, images: Sequence[bytes], texts: Sequence[str], *, max_tokens: int, seconds: float) -> Embedded:
        """As the contract says. Texts are cut to 4,000 characters."""
        cost = len(images) * IMAGE_TOKENS + self.cost_of(texts)
        if cost > max_tokens:
            message = f"{len(images)} images and {len(texts)} texts of {cost} tokens exceed the {max_tokens} tokens left"
            raise BudgetExceeded(message, field="tokens")
        inputs = [*(_Picture(base64.b64encode(image).decode()) for image in images), *(sendable(text, _CHARACTERS) for text in texts)]
        service = Service(
            endpoint=self._endpoint,
            client=self._client,
            timeout_seconds=min(self._timeout_seconds, seconds),
            item="vector",
            payload=self._payload,
            read=partial(vectors, endpoint=self._endpoint, dimensions=_DIMENSIONS),
        )
        bill = _Bill(None)
        found = await ask(service, divided(inputs, _BATCH, _BATCH_BYTES), bill)
        return Embedded(np.array(found, dtype=np.float32).reshape(len(inputs), _DIMENSIONS), bill.spent)

    async def close(self) -> None:
        """Close connections."""
        await self._client.aclose()

    def _payload(self, inputs: Sequence[str]) -> dict[str, object]:
        named = [{"image": one} if isinstance(one, _Picture) else {"text": one} for one in inputs]
        return {"model": self.model, "dimensions": _DIMENSIONS, "embedding_type": "base64", "input": named}
