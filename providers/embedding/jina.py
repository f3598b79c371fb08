"""Jina embeddings, by POST to JINA_API_URL/embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from providers.batched.service import Service, service_url, spared
from providers.batched.texts import divided
from providers.embedding.answers import vectors
from providers.embedding.base import Embedded, Task
from providers.embedding.remote import embed_remotely
from providers.http import Endpoint, authorization, create_client
from schemas.errors import EmbeddingError
from schemas.settings import Settings

_MODEL = "jina-embeddings-v3"
_DIMENSIONS = 1_024
_TASKS: dict[Task, str] = {"query": "retrieval.query", "passage": "retrieval.passage", "match": "text-matching"}

_BATCH = 32
"""Texts in one request."""

_BATCH_BYTES = 400_000
"""UTF-8 bytes in one request: some 100,000 tokens, a tenth of what the free tier allows in a minute."""

_WINDOW = 128
_WINDOW_BYTES = 20_000
"""Pieces of a document, and their UTF-8 bytes, in one late-chunking request: they are read as one text of at most 8,192
tokens, and of the densest text (tables, code) a token has 2.4 bytes, of English 4."""

_CHARACTERS = 32_000
"""Of a text: more than the 8,192 tokens that the model reads; the service cuts the rest."""


class JinaEmbedding:
    """Embeds through Jina's service, or any server that speaks its wire format.

    32 texts go in one request, up to four requests at the same time. With `late_chunking` a request holds as many
    consecutive pieces as fit the model's window of 8,192 tokens, and a longer document has several such windows. Pieces
    that an answer leaves out are asked for again without the others, so they know less of their surroundings.
    """

    name = "jina"

    def __init__(self, settings: Settings) -> None:
        self.model = settings.embedding_model or _MODEL
        self.supports_late_chunking = not self.model.startswith(("jina-embeddings-v2", "jina-clip"))
        self._dimensions = settings.embedding_dimensions or _DIMENSIONS
        self._timeout_seconds = settings.embedding_timeout_seconds
        self._endpoint = Endpoint(
            url=service_url(settings.jina_api_url, "embeddings", "JINA_API_URL"),
            service="Jina embeddings",
            key_setting="JINA_API_KEY",
            error=EmbeddingError,
            headers=authorization(settings.jina_api_key, "JINA_API_KEY"),
            upstream=spared(self._timeout_seconds),
        )
        self._client = create_client()

    async def embed(self, texts: Sequence[str], task: Task, *, late_chunking: bool = False, max_tokens: int | None = None) -> Embedded:
        """As the contract in `base.py` says. Texts are sent as they are, and cut where the model stops reading."""
        late = late_chunking and self.supports_late_chunking
        options: dict[str, object] = {
            "model": self.model,
            "task": _TASKS[task],
            "dimensions": self._dimensions,
            "truncate": True,
            "embedding_type": "base64",
        }
        if late:
            options["late_chunking"] = True
        service = Service(
            endpoint=self._endpoint,
            client=self._client,
            timeout_seconds=self._timeout_seconds,
            item="vector",
            payload=lambda asked: {**options, "input": list(asked)},
            read=partial(vectors, endpoint=self._endpoint, dimensions=self._dimensions),
        )
        limits = (_WINDOW, _WINDOW_BYTES) if late else (_BATCH, _BATCH_BYTES)
        return await embed_remotely(
            service,
            texts,
            lambda asked: divided(asked, *limits),
            prefix="",
            characters=_WINDOW_BYTES if late else _CHARACTERS,
            dimensions=self._dimensions,
            max_tokens=max_tokens,
        )

    async def close(self) -> None:
        """Close connections."""
        await self._client.aclose()
