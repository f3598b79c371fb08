"""Failures in the form that OpenAI's clients read: `{"error": {"message", "type", "param", "code"}}`."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from gateway.openai.usage import usage_of
from schemas.errors import DeepSearchError, InvalidRequest, ModelOutputInvalid, StageUnavailable

logger = logging.getLogger(__name__)

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class ModelNotFound(InvalidRequest):
    """The request names a model that this server does not have."""

    code, http_status, grpc_status = "model_not_found", 404, "NOT_FOUND"


class TooLarge(InvalidRequest):
    """What is attached to the request is too much."""

    code, http_status = "too_large", 413


class StructuredOutputFailed(ModelOutputInvalid):
    """There is an answer, but not as JSON of the schema that was asked for."""

    code = "structured_output_failed"


class RunCancelled(DeepSearchError):
    """The run was stopped by its owner while a client waited for it."""

    code, http_status, grpc_status = "run_cancelled", 409, "ABORTED"


def error_body(error: DeepSearchError) -> dict[str, Any]:
    """The JSON of a failure, with the usage that was spent before it when there was any."""
    kind = _TYPES.get(error.http_status, "invalid_request_error" if error.http_status < 500 else "server_error")
    body: dict[str, Any] = {"error": {"message": str(error), "type": kind, "param": error.field, "code": error.code}}
    return body | ({"usage": usage_of(error.usage)} if error.usage.total_tokens else {})


def error_response(error: DeepSearchError) -> JSONResponse:
    """The HTTP response of a failure.

    OpenAI's clients repeat a request after 409, 429 and 5xx on their own; here that would be a whole run again, whose stages
    have retried already what is worth it. So the header they heed says no, except where nothing could run at all.
    """
    retry = isinstance(error, StageUnavailable)
    return JSONResponse(error_body(error), error.http_status, headers={"x-should-retry": str(retry).lower()})


def failure_in_stream(error: Exception, run_id: str) -> DeepSearchError:
    """What a stream that has begun says of an exception. Ours is logged without its message, which may quote the request."""
    if isinstance(error, DeepSearchError):
        return error
    last = traceback.extract_tb(error.__traceback__)[-1]
    logger.error("the stream of run %s failed: %s at %s:%s", run_id, type(error).__name__, last.filename, last.lineno)
    return DeepSearchError("The gateway failed; its log says where.")


class OpenAIRoute(APIRoute):
    """A route whose failures have OpenAI's form."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler that FastAPI makes, with our errors around it."""
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await handle(request)
            except DeepSearchError as error:
                return error_response(error)
            except RequestValidationError as error:
                return error_response(_invalid(error))
            except HTTPException as error:
                return error_response(InvalidRequest(str(error.detail)))

        return handler


def _invalid(error: RequestValidationError) -> InvalidRequest:
    cause = error.errors()[0]
    if cause["type"] == "json_invalid":
        return InvalidRequest(f"the body is not JSON: {cause.get('ctx', {}).get('error', cause['msg'])}")
    field = _field(cause["loc"])
    if not field:
        return InvalidRequest("the body must be a JSON object, sent with Content-Type: application/json")
    return InvalidRequest(f"{field}: {cause['msg']}", field=field)


def _field(location: Any) -> str:
    """The path of a field as OpenAI writes it, such as `messages[0].role`.

    A union of a text and a list puts its branch into the location: `str`, or a name that is no identifier.
    """
    path = ""
    for part in location[1:]:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part.isidentifier() and part != "str":
            path += f".{part}" if path else part
    return path
