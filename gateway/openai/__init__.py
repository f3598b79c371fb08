"""The OpenAI-compatible API: chat completions, responses and models, over the controller's stream of a run's events.

A request becomes a `ResearchRequest` (`requests`, `messages`, `structured`); the events of its run become thoughts, pieces of
the answer and a completion (`run`, `thoughts`, `answer`); `chat` and `responses` write these in the two shapes that OpenAI's
clients know. Failures have OpenAI's form (`errors`).
"""

from __future__ import annotations

from fastapi import APIRouter, FastAPI

import gateway.openai.chat
import gateway.openai.models
import gateway.openai.responses
from gateway.calls import StageCalls
from gateway.openai.errors import OpenAIRoute


def install(app: FastAPI, stages: StageCalls) -> None:
    """Add `/v1/models`, `/v1/chat/completions` and `/v1/responses` to `app`."""
    router = APIRouter(route_class=OpenAIRoute, tags=["OpenAI-compatible API"])
    gateway.openai.models.add(router)
    gateway.openai.chat.add(router, stages)
    gateway.openai.responses.add(router, stages)
    app.include_router(router)
