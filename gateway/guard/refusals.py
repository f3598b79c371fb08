"""The ways in which the door says no, and their HTTP responses."""

from __future__ import annotations

from fastapi.responses import JSONResponse

import gateway.errors
from gateway.openai.errors import error_response
from schemas.errors import DeepSearchError, TooLarge, TooSlow

_OPENAI_PATHS = ("/v1/chat", "/v1/responses", "/v1/models")


def headers(error: DeepSearchError) -> dict[str, str]:
    """What a response to a refusal says beside its body."""
    found: dict[str, str] = {}
    if error.retry_after is not None:
        found |= {"Retry-After": str(error.retry_after), "x-should-retry": "true"}  # OpenAI's clients heed the latter first
    if error.http_status == 401:
        found["WWW-Authenticate"] = 'Bearer realm="deepsearch"'
    if isinstance(error, TooLarge | TooSlow):
        found["Connection"] = "close"  # the rest of the request is never read
    return found


def response(path: str, error: DeepSearchError) -> JSONResponse:
    """The response to a refused request, in the form that the clients of `path` read."""
    found = error_response(error) if path.startswith(_OPENAI_PATHS) else gateway.errors.response(error)
    found.headers.update(headers(error))
    return found
