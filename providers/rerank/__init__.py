"""Rerank providers, by name, and the one that the settings configure."""

from __future__ import annotations

from collections.abc import Callable

from providers.rerank.base import Reranked, RerankProvider
from providers.rerank.cached import with_cache
from schemas.errors import ConfigurationError
from schemas.settings import Settings

__all__ = ["PROVIDERS", "RerankProvider", "Reranked", "create_rerank"]


def _jina(settings: Settings) -> RerankProvider:
    from providers.rerank.jina import JinaRerank  # noqa: PLC0415

    return JinaRerank(settings)


PROVIDERS: dict[str, Callable[[Settings], RerankProvider]] = {"jina": _jina}
"""Every rerank provider."""


def create_rerank(settings: Settings) -> RerankProvider | None:
    """The provider that RERANK_PROVIDER names, or None when there is none; `auto` is `jina` when its service can be used.

    That needs JINA_API_KEY, or a JINA_API_URL that is not Jina's own. Raises `ConfigurationError` when `jina` is named
    and cannot be used.
    """
    usable = settings.jina_api_key is not None or settings.jina_api_url != Settings.model_fields["jina_api_url"].default
    if settings.rerank_provider == "none" or (settings.rerank_provider == "auto" and not usable):
        return None
    if not usable:
        raise ConfigurationError("RERANK_PROVIDER is jina, but JINA_API_KEY is not set", field="JINA_API_KEY")
    return with_cache(PROVIDERS["jina"](settings), settings)
