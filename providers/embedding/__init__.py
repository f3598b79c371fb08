"""Embedding providers, by name, and the one that the settings configure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from providers.embedding.base import Embedded, EmbeddingProvider, Task, Vectors
from providers.embedding.cached import with_cache
from schemas.errors import ConfigurationError
from schemas.settings import Settings

__all__ = ["PROVIDERS", "Embedded", "EmbeddingProvider", "Task", "Vectors", "create_embedding"]


def _jina(settings: Settings) -> EmbeddingProvider:
    from providers.embedding.jina import JinaEmbedding  # noqa: PLC0415

    return JinaEmbedding(settings)


def _openai(settings: Settings) -> EmbeddingProvider:
    from providers.embedding.openai import OpenAIEmbedding  # noqa: PLC0415

    return OpenAIEmbedding(settings)


def _local(settings: Settings) -> EmbeddingProvider:
    from providers.embedding.local import LocalEmbedding  # noqa: PLC0415

    return LocalEmbedding(settings)


PROVIDERS: dict[str, Callable[[Settings], EmbeddingProvider]] = {"local": _local, "openai": _openai, "jina": _jina}
"""Every embedding provider."""


def create_embedding(settings: Settings) -> EmbeddingProvider | None:
    """The provider that EMBEDDING_PROVIDER names, or None when there is none.

    `auto` is `local` when EMBEDDING_MODEL is a folder; `openai` when EMBEDDING_BASE_URL is set, or EMBEDDING_MODEL with
    an OpenAI-compatible server or key (except for a Jina model with a Jina key); `jina` when Jina's service can be used.
    Raises `ConfigurationError` naming the setting when the settings cannot work, as for a model that nobody serves.
    """
    if settings.embedding_provider == "none":
        return None
    jina = settings.jina_api_key is not None or settings.jina_api_url != Settings.model_fields["jina_api_url"].default
    name = _automatic(settings, jina) if settings.embedding_provider == "auto" else settings.embedding_provider
    if name is None:
        return None
    if name == "jina" and not jina:
        raise ConfigurationError("EMBEDDING_PROVIDER is jina, but JINA_API_KEY is not set", field="JINA_API_KEY")
    return with_cache(PROVIDERS[name](settings), settings)


def _automatic(settings: Settings, jina: bool) -> str | None:
    model = settings.embedding_model
    if model is not None and Path(model).expanduser().is_dir():
        return "local"
    if settings.embedding_base_url is not None:
        return "openai"
    server = settings.embedding_api_key or settings.openai_api_key or settings.openai_base_url
    if model is not None and model.startswith(("/", "./", "../", "~")):
        raise ConfigurationError(f"EMBEDDING_MODEL: {model} is not a folder", field="EMBEDDING_MODEL")
    if model is not None and server and not (jina and model.startswith("jina-")):
        return "openai"
    if jina:
        return "jina"
    if model is not None:
        message = "EMBEDDING_MODEL is neither a folder nor has it a server: set EMBEDDING_BASE_URL, EMBEDDING_API_KEY or JINA_API_KEY"
        raise ConfigurationError(message, field="EMBEDDING_MODEL")
    return None
