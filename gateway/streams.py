"""Streaming endpoints over HTTP, as server-sent events.

The framing is jina's (`event: update` with one document each, then `event: end`), so `jina.Client(protocol="http").stream_doc`
works. Two things differ, which is why these routes take the place of jina's: a failure before the first document has its own
HTTP status, and a later one arrives as `event: error`, where jina's stream just ends.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from docarray import BaseDoc
from fastapi import Body, FastAPI, Request
from fastapi.responses import StreamingResponse
from fastapi.routing import APIRoute

from gateway.errors import response
from gateway.jina_patches import EndpointStreamer
from gateway.sse import Stream, with_heartbeat
from schemas.errors import DeepSearchError

_BEAT = b"\r\n"
"""A sign of life. Not a comment: `jina.Client` takes one that arrives together with a document for a part of it."""


def install(app: FastAPI, streamer: EndpointStreamer) -> None:
    """Replace jina's route of each streaming endpoint of the Flow."""
    endpoints = {endpoint: models["input"] for endpoint, models in streamer._endpoints_models_map.items() if models["is_generator"]}
    app.router.routes[:] = [route for route in app.router.routes if not (isinstance(route, APIRoute) and route.path in endpoints)]
    for endpoint, document in endpoints.items():
        _add(app, streamer, endpoint, document)


def _add(app: FastAPI, streamer: EndpointStreamer, endpoint: str, document: type[BaseDoc]) -> None:
    async def stream(request: Request, body: Any = Body(None)) -> StreamingResponse:  # noqa: B008
        question = document.model_validate(dict(request.query_params) if body is None else body)
        answers: Any = streamer.stream_doc(doc=question, exec_endpoint=endpoint)
        first = await anext(answers, None)
        events = with_heartbeat(_events(first, answers), beat=_BEAT)
        return Stream(events, media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    stream.__annotations__["body"] = document | None  # what /docs shows; FastAPI validates it and names the field
    app.add_api_route(endpoint, stream, methods=["GET"], summary=f"Streaming Endpoint {endpoint}", response_class=StreamingResponse)


async def _events(first: Any, rest: AsyncGenerator[Any, None]) -> AsyncGenerator[bytes, None]:
    try:
        async with aclosing(rest):
            if first is not None:
                yield _event(b"update", first[0].model_dump_json().encode())
            async for answer, _ in rest:
                yield _event(b"update", answer.model_dump_json().encode())
    except DeepSearchError as error:
        yield _event(b"error", bytes(response(error).body))
    yield b"event: end\r\n\r\n"


def _event(name: bytes, data: bytes) -> bytes:
    return b"event: " + name + b"\r\ndata: " + data + b"\r\n\r\n"
