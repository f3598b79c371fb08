"""The answer of a run as a file to keep."""

from __future__ import annotations

import base64
import re
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import quote

from fastapi import FastAPI, Path, Query, Response

from gateway.calls import StageCalls
from schemas.answering import Export, ExportRequest
from schemas.errors import InvalidRequest
from schemas.research import RunQuery, RunReport

Format: TypeAlias = Literal["markdown", "html", "text", "pdf", "docx"]
Ending: TypeAlias = Literal["md", "html", "txt", "pdf", "docx"]

_FORMATS: dict[Ending, Format] = {"md": "markdown", "html": "html", "txt": "text", "pdf": "pdf", "docx": "docx"}
_TAGS: Any = ["Research jobs"]
_RunId = Annotated[str, Path(description="Id of the run.", pattern=r"^[A-Za-z0-9_-]{1,64}$")]
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FILE: Any = {200: {"description": "The file.", "content": {"application/octet-stream": _BINARY}}}
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"
"""For a browser that shows the file all the same."""


class NoAnswer(InvalidRequest):
    """The run has no answer: it has not ended, or ended without one."""

    code, http_status, grpc_status = "no_answer", 409, "FAILED_PRECONDITION"


def install(app: FastAPI, stages: StageCalls) -> None:
    """Add the download of an answer to `app`, by format and by ending."""

    @app.get("/v1/research/{run_id}/answer", tags=_TAGS, summary="The answer of a run as a file", response_class=Response, responses=_FILE)
    async def answer(
        run_id: _RunId,
        wanted: Annotated[Format, Query(alias="format", description="What to write it as.")] = "markdown",
    ) -> Response:
        return await _download(stages, run_id, wanted)

    @app.get(
        "/v1/research/{run_id}/answer.{ending}",
        tags=_TAGS,
        summary="The same, by the ending of the file",
        response_class=Response,
        responses=_FILE,
    )
    async def answer_file(run_id: _RunId, ending: Annotated[Ending, Path(description="Ending of the file.")]) -> Response:
        return await _download(stages, run_id, _FORMATS[ending])


async def _download(stages: StageCalls, run_id: str, wanted: Format) -> Response:
    """The answer of a run as a file. Raises `RunNotFound`, or `NoAnswer`."""
    report = await stages.call("/run", RunQuery(run_id=run_id), RunReport)
    if report.answer is None:
        cause = f" ({report.message})" if report.message else ""
        raise NoAnswer(f"run {run_id!r} has no answer: it is {report.run.state}{cause}", field="run_id")
    file = await stages.call("/export", ExportRequest(answer=report.answer, format=wanted), Export)
    headers = {"Content-Disposition": disposition(file.name), "Content-Security-Policy": _POLICY}
    return Response(base64.b64decode(file.content), media_type=file.media_type, headers=headers)


def disposition(name: str) -> str:
    """A header that has a file saved under `name` (RFC 6266), with an ASCII name beside it for clients that know no other."""
    stem, dot, ending = name.rpartition(".")
    plain = f"{_UNSAFE.sub('-', stem).strip('-.') or 'answer'}{dot}{_UNSAFE.sub('', ending)}"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
