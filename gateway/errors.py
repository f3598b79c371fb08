"""How a failure leaves the gateway: one line, a stable code and the right status, never a stack trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import grpc
from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from jina.excepts import InternalNetworkError
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from schemas.errors import DeadlineExceeded, DeepSearchError, RunNotFound, StageUnavailable, from_wire

_NOT_CONNECTED = ("failed to connect", "DNS resolution failed")
"""How gRPC begins to tell of a call that never left this process."""


class Unreached(StageUnavailable):
    """No connection to a stage could be made, so the call has not begun."""


def from_status(status: Any) -> DeepSearchError:
    """The error that a stage reported in a jina response header."""
    exception = status.exception
    return from_wire(exception.name, list(exception.args), " ".join(status.description.split()))


def from_network(error: InternalNetworkError, stages: Mapping[str, Sequence[str]]) -> DeepSearchError:
    """What it means that the gateway's call to a stage failed on the way. `stages` has each stage's addresses."""
    address = " or ".join(sorted(error.dest_addr)) if isinstance(error.dest_addr, set) else str(error.dest_addr)
    stage = next((name for name, addresses in stages.items() if any(one.endswith(address) for one in addresses)), "")
    if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND):
        kind = Unreached if str(error.details()).startswith(_NOT_CONNECTED) else StageUnavailable
        return kind(f"The stage {stage} cannot be reached at {address}; is it running?")
    if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded(f"The stage {stage} at {address} did not answer in time.")
    return DeepSearchError(f"The call to the stage {stage} at {address} failed with {error.code().name}.")


async def abort(context: grpc.aio.ServicerContext, error: DeepSearchError) -> NoReturn:
    """End a gRPC call with the status of `error` and its line.

    A status and not jina's response header: every gRPC client understands it, and `jina.Client` raises an exception whose
    message is that line, where the header would give it a printed protobuf with our stack trace.
    """
    seconds = getattr(error, "retry_after", None)
    trailing = (("retry-after", str(seconds)),) if seconds is not None else ()
    await context.abort(getattr(grpc.StatusCode, error.grpc_status), _line(error, "/runs"), trailing)
    raise AssertionError("abort raises")


def response(error: DeepSearchError) -> JSONResponse:
    """`{"error": {"code", "message", "field"}}` with the status of `error`."""
    headers = None if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return _response(error.http_status, error.code, _line(error, "GET /v1/research"), error.field, headers=headers)


def _line(error: DeepSearchError, runs: str) -> str:
    """The error's line, with what lists the runs at this door when the one that was asked for is not there."""
    return f"{error}: {runs} lists them" if isinstance(error, RunNotFound) and error.field == "run_id" else str(error)


def install(app: FastAPI) -> None:
    """Let every route of `app` answer failures in one form."""

    @app.exception_handler(DeepSearchError)
    async def _(request: Request, error: DeepSearchError) -> JSONResponse:
        return response(error)

    @app.exception_handler(ValidationError)
    @app.exception_handler(RequestValidationError)
    async def _(request: Request, error: RequestValidationError | ValidationError) -> JSONResponse:
        # jina's body is either one document or a list of them: of the two explanations the one that got further is meant.
        cause = max(error.errors(), key=lambda one: len(one["loc"]))
        if cause["type"] == "json_invalid":
            return _response(422, "invalid_request", f"The body is not JSON: {cause['ctx']['error']}.")
        field = _field(cause["loc"])
        details = [{key: one[key] for key in ("loc", "msg", "type")} for one in error.errors()]
        return _response(422, "invalid_request", f"{field or 'body'}: {cause['msg']}", field, detail=jsonable_encoder(details))

    @app.exception_handler(HTTPException)
    async def _(request: Request, error: HTTPException) -> JSONResponse:
        message = str(error.detail)
        if message == "There was an error parsing the body":  # FastAPI's, for what Python's own parser did not expect
            message = "The body is not JSON: it is not UTF-8, is nested too deeply, or has a number of thousands of digits."
        if message == "Not Found":
            message = f"There is no {request.method} {request.url.path}; /docs lists what there is."
        elif message == "Method Not Allowed":
            message = f"{request.url.path} does not take {request.method}; /docs says what it takes."
        return _response(error.status_code, message_code(error.status_code), message, headers=error.headers)


def message_code(status: int) -> str:
    """The `code` of a plain HTTP failure."""
    return {404: "not_found", 405: "method_not_allowed"}.get(status, "invalid_request" if status < 500 else "internal")


def _field(location: Sequence[int | str]) -> str | None:
    """The path of a field in the document, such as `messages.0.role`.

    `location` begins with where FastAPI found it (such as "body"), then for jina's routes "data" and the name of the union's branch,
    which for a list is followed by the document's index. Names that are no identifiers are pydantic's own, of its validators.
    """
    path = list(location)
    if path[:1] in (["body"], ["query"], ["path"], ["header"]):
        path = path[1:]
    if path[:1] == ["data"] and len(path) > 1:
        path = path[2:]
        if path and isinstance(path[0], int):
            path = path[1:]
    return ".".join(str(part) for part in path if isinstance(part, int) or part.isidentifier()) or None


def _response(status: int, code: str, message: str, field: str | None = None, *, headers: Any = None, **more: Any) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": message, "field": field}, **more}, status, headers=headers)
