"""Embeddings of any server that speaks OpenAI's `/embeddings`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from providers.batched.service import Service, service_url, spared
from providers.batched.texts import divided
from providers.embedding.answers import vectors
from providers.embedding.base import Embedded, Task
from providers.embedding.families import family_of
from providers.embedding.remote import embed_remotely
from providers.http import Endpoint, authorization, create_client
from schemas.errors import ConfigurationError, EmbeddingError
from schemas.settings import Settings

_OPENAI = "https://api.openai.com/v1"

_BATCH = 32
"""Texts in one request: what text-embeddings-inference takes unless told otherwise."""

_BATCH_BYTES = 400_000
"""UTF-8 bytes in one request: some 100,000 tokens, a third of OpenAI's limit."""


class OpenAIEmbedding:
    """Embeds through OpenAI, or a server of one's own such as Ollama, vLLM or text-embeddings-inference.

    32 texts go in one request, up to four requests at the same time. A text is cut where its model's family stops
    reading, and gets the prefix that the family was trained with; see `families.py`.
    """

    name = "openai"
    supports_late_chunking = False

    def __init__(self, settings: Settings) -> None:
        if settings.embedding_model is None:
            raise ConfigurationError("EMBEDDING_MODEL is not set: name a model of the embeddings server", field="EMBEDDING_MODEL")
        base_url = settings.embedding_base_url or settings.openai_base_url
        key = settings.embedding_api_key or settings.openai_api_key
        if base_url is None and key is None:
            message = "no server for EMBEDDING_MODEL is known: set EMBEDDING_API_KEY, or EMBEDDING_BASE_URL for a server of your own"
            raise ConfigurationError(message, field="EMBEDDING_API_KEY")
        key_setting = "OPENAI_API_KEY" if settings.embedding_api_key is None and settings.openai_api_key else "EMBEDDING_API_KEY"
        base_setting = "EMBEDDING_BASE_URL" if settings.embedding_base_url else "OPENAI_BASE_URL"
        self.model = settings.embedding_model
        self._family = family_of(self.model)
        self._wanted_dimensions = settings.embedding_dimensions
        self._dimensions = settings.embedding_dimensions
        self._timeout_seconds = settings.embedding_timeout_seconds
        self._endpoint = Endpoint(
            url=service_url(base_url or _OPENAI, "embeddings", base_setting),
            service="the embeddings server",
            key_setting=key_setting,
            error=EmbeddingError,
            headers=authorization(key, key_setting),
            upstream=spared(self._timeout_seconds),
        )
        self._client = create_client()

    async def embed(self, texts: Sequence[str], task: Task, *, late_chunking: bool = False, max_tokens: int | None = None) -> Embedded:
        """As the contract in `base.py` says. `late_chunking` has no effect: the wire format knows none.

        Vectors of other dimensions than those before are an `EmbeddingError` once, because the two cannot be compared.
        """
        options: dict[str, object] = {"model": self.model, "encoding_format": "base64"}
        if self._wanted_dimensions is not None:
            options["dimensions"] = self._wanted_dimensions
        service = Service(
            endpoint=self._endpoint,
            client=self._client,
            timeout_seconds=self._timeout_seconds,
            item="vector",
            payload=lambda asked: {**options, "input": list(asked)},
            read=partial(vectors, endpoint=self._endpoint, dimensions=self._wanted_dimensions),
        )
        embedded = await embed_remotely(
            service,
            texts,
            lambda asked: divided(asked, _BATCH, _BATCH_BYTES),
            prefix=self._family.prefix(task),
            characters=self._family.characters,
            dimensions=self._dimensions,
            max_tokens=max_tokens,
        )
        if texts:
            before, self._dimensions = self._dimensions, embedded.vectors.shape[1]
            if before not in (None, self._dimensions):
                message = f"the embeddings server sent vectors of {self._dimensions} dimensions, and of {before} before"
                raise EmbeddingError(message, usage=embedded.usage)
        return embedded

    async def close(self) -> None:
        """Close connections."""
        await self._client.aclose()
