"""The names this server answers to. They all stand for the same research; which language model drives it is a setting."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from gateway.openai.errors import ModelNotFound

DEFAULT_MODEL = "deepsearch"

MODELS = {"deepsearch": 1_763_683_200, "jina-deepsearch-v1": 1_686_935_002, "jina-deepsearch-v2": 1_717_987_200}
"""Name to time of creation, in seconds since the epoch. The last two let clients of Jina's service stay as they are."""


def model_named(name: str | None) -> str:
    """The model that a request asks for, the default when it names none. Raises `ModelNotFound`."""
    if name is None:
        return DEFAULT_MODEL
    if name not in MODELS:
        raise ModelNotFound(f"The model {name[:100]!r} does not exist; there are: {', '.join(MODELS)}.", field="model")
    return name


def add(router: APIRouter) -> None:
    """Add `/v1/models` and `/v1/models/{id}`."""

    @router.get("/v1/models", summary="The names this server answers to")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [_description(name) for name in MODELS]}

    @router.get("/v1/models/{name}", summary="One of them")
    async def model(name: str) -> dict[str, Any]:
        return _description(model_named(name))


def _description(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": MODELS[name], "owned_by": "deepsearch"}
