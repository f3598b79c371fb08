"""Runs as jobs: begin one, look at it, follow its events, stop it. The journal is the source, so nothing is lost with a connection."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import Body, FastAPI, Header, Path, Query, Response
from fastapi.responses import StreamingResponse

from gateway import outlines, sse
from gateway.calls import StageCalls
from schemas.errors import InvalidRequest
from schemas.events import ResearchEvent
from schemas.reading import Page
from schemas.reporting import Outline, OutlineApproval
from schemas.research import PageQuery, ResearchRequest, RunList, RunQuery, RunReport, RunSummary

_END = ".end"
"""How the id of a stream's last event ends."""
_WAITING = ".waiting"
"""The same, of a run that goes on when its outline is approved."""
_TAGS: Any = ["Research jobs"]

RunId = Annotated[str, Path(description="Id of the run.", pattern=r"^[A-Za-z0-9_-]{1,64}$")]


def install(app: FastAPI, stages: StageCalls) -> None:
    """Add `/v1/research` and what is below it to `app`."""

    @app.post("/v1/research", status_code=202, tags=_TAGS, summary="Begin a run that goes on by itself")
    async def begin(request: ResearchRequest, response: Response) -> RunSummary:
        run = await stages.call("/submit", request, RunSummary)
        response.headers["Location"] = f"/v1/research/{run.run_id}"
        return run

    @app.get("/v1/research", tags=_TAGS, summary="The newest runs")
    async def runs(limit: Annotated[int, Query(ge=1, le=1000, description="How many, newest first.")] = 20) -> RunList:
        return await stages.call("/runs", RunQuery(limit=limit), RunList)

    @app.get("/v1/research/{run_id}", tags=_TAGS, summary="A run as far as it has come, with its answer when it has ended")
    async def run(run_id: RunId) -> outlines.RunView:
        return await outlines.view(stages, run_id)

    @app.post("/v1/research/{run_id}/outline", status_code=202, tags=_TAGS, summary="Let a run that waits go on with its outline")
    async def approve(run_id: RunId, outline: Annotated[Outline | None, Body()] = None) -> RunSummary:
        if outline is not None and "sections" in outline.model_fields_set and not outline.sections:
            raise InvalidRequest("sections is empty: name at least one, or leave it out to approve the outline as it is", field="sections")
        return await stages.call("/approve", OutlineApproval(run_id=run_id, outline=outline or Outline()), RunSummary)

    @app.delete("/v1/research/{run_id}", tags=_TAGS, summary="Stop a run for good")
    async def cancel(run_id: RunId) -> RunSummary:
        return await stages.call("/cancel", RunQuery(run_id=run_id), RunSummary)

    @app.delete("/v1/research/{run_id}/record", status_code=204, tags=_TAGS, summary="Delete all that is kept of a run")
    async def forget(run_id: RunId) -> Response:
        await stages.call("/forget", RunQuery(run_id=run_id), RunSummary)
        return Response(status_code=204)

    @app.get(
        "/v1/research/{run_id}/events",
        tags=_TAGS,
        summary="The events of a run, past and to come, as server-sent events",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}}},
    )
    async def events(
        run_id: RunId,
        last_event_id: Annotated[str, Header(description="`id` of the last event that was received; only later ones are sent.")] = "",
    ) -> Response:
        if last_event_id.endswith(_END):
            return Response(status_code=204)  # with this status a browser does not come back
        after, offset = _position(last_event_id.removesuffix(_WAITING))
        following = stages.stream("/events", RunQuery(run_id=run_id, after=after, after_offset=offset), ResearchEvent)
        report = await stages.call("/run", RunQuery(run_id=run_id), RunReport)  # an unknown run has its status before the stream begins
        if last_event_id.endswith(_WAITING) and report.run.state == "waiting":
            return Response(status_code=204)  # nothing has happened since
        await stages.permit("/events")
        return sse.response(sse.until(_frames(following), app.state.stopping))

    @app.get("/v1/research/{run_id}/pages/{page_id}", tags=_TAGS, summary="A page as it was read in a run")
    async def page(run_id: RunId, page_id: Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]) -> Page:
        return await stages.call("/page", PageQuery(run_id=run_id, page_id=page_id), Page)


def _position(last_event_id: str) -> tuple[int, int]:
    """Sequence and offset into the answer, from the id of an event. Raises `InvalidRequest` for what was never an id."""
    sequence, _, offset = last_event_id.strip().partition(".")
    if not last_event_id.strip():
        return 0, 0
    if not (sequence.isdecimal() and (offset or "0").isdecimal()) or len(sequence) > 9 or len(offset) > 9:
        raise InvalidRequest("Last-Event-ID is not the id of an event of this stream", field="Last-Event-ID")
    return int(sequence), int(offset or 0)


async def _frames(following: Any) -> AsyncGenerator[bytes, None]:
    """Each event with an id from which the stream can be taken up again: its sequence, in the answer with the characters so far."""
    async with aclosing(following):
        async for event in following:
            part = ""
            if event.type == "run_ended":
                part = _WAITING if event.data.get("outcome") == "waiting" else _END
            if event.type == "answer_delta":
                part = f".{event.data.get('offset', 0) + len(event.data['text'])}"
            yield sse.frame(event.model_dump_json(exclude={"id"}), event=event.type, event_id=f"{event.sequence}{part}")
