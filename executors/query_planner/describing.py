"""An attached image in words."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import replace

from pydantic import BaseModel, Field

from providers.llm.base import ChatModel
from providers.llm.prompts import PromptFile
from schemas.errors import ConfigurationError, InvalidRequest
from schemas.planning import DescribeRequest, Description

_MOST_BYTES = 10_000_000
_KINDS = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif"}
"""The first bytes of the formats that vision models take, beside WebP."""


class DescriptionOutput(BaseModel):
    """What the model sees."""

    description: str = Field(
        description="What the image shows that matters to the question, its words and numbers exactly; 1,500 characters"
    )


async def describe(request: DescribeRequest, model: ChatModel | None, prompts: Mapping[str, PromptFile]) -> Description:
    """Put `request.image` into words. One model call.

    Raises `InvalidRequest` for what is no PNG, JPEG, GIF or WebP of at most 10 MB, `ConfigurationError` without a model, and
    what the model raises (one that cannot see is `ModelRejected`).
    """
    name = request.image.name[:100]
    try:
        body = base64.b64decode(request.image.content, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(f"{name}: its content is not base64", field="image") from error
    kind = next((kind for start, kind in _KINDS.items() if body.startswith(start)), "")
    if body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        kind = "image/webp"
    if not kind or len(body) > _MOST_BYTES:
        raise InvalidRequest(f"{name}: give a PNG, JPEG, GIF or WebP image of at most {_MOST_BYTES:,} bytes", field="image")
    if model is None:
        raise ConfigurationError(f"{name}: looking at images needs a language model: set LLM_MODEL", field="LLM_MODEL")
    prompt = replace(prompts["describe"].render(question=request.question), images=(f"data:{kind};base64,{request.image.content}",))
    generated = await model.generate("planner", prompt, DescriptionOutput, request.allowance)
    return Description(text=generated.value.description.strip(), usage=generated.usage)
