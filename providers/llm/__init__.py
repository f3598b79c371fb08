"""Language models, over any server that speaks OpenAI's chat completions."""

from __future__ import annotations

from typing import get_args
from urllib.parse import urlsplit

from providers.llm.base import ChatModel, Role
from schemas.errors import ConfigurationError
from schemas.settings import Settings


def create_model(settings: Settings) -> ChatModel | None:
    """The model that the settings name, or None when they name none: extractive mode.

    Raises `ConfigurationError` when only some roles have a model, or when no server can be meant; a replay needs none.
    """
    roles: tuple[Role, ...] = get_args(Role)
    models: dict[Role, str] = {role: getattr(settings, f"llm_model_{role}") or settings.llm_model or "" for role in roles}
    if not any(models.values()):
        return None
    missing = [f"LLM_MODEL_{role.upper()}" for role, model in models.items() if not model]
    if missing:
        raise ConfigurationError(f"LLM_MODEL is unset, and so is {', '.join(missing)}: set LLM_MODEL", field="llm_model")
    if settings.openai_base_url is None and settings.openai_api_key is None and settings.deepsearch_cache != "replay":
        raise ConfigurationError(
            "a model is set, but no server for it: set OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own",
            field="openai_api_key",
        )
    if settings.openai_base_url is not None:
        parts = urlsplit(settings.openai_base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigurationError("OPENAI_BASE_URL is no URL such as http://localhost:11434/v1", field="openai_base_url")
    # Importing the openai package takes half a second and 25 MB, which extractive mode never pays.
    from providers.llm.chat import OpenAIModel  # noqa: PLC0415

    return OpenAIModel(settings, models)
