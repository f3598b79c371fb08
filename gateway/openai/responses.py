"""`POST /v1/responses`: a run as a response, whole or streamed.

Thoughts become reasoning items, queries and URLs web search calls, and the answer is the last item, a message.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from gateway import sse
from gateway.calls import StageCalls
from gateway.openai.account import account_of, citation_of
from gateway.openai.errors import error_body, failure_in_stream
from gateway.openai.leaving import while_connected
from gateway.openai.models import model_named
from gateway.openai.requests import ResponseRequest, response_research
from gateway.openai.run import Completion, Happening, Piece, Proposal, begin
from gateway.openai.thoughts import Thought
from gateway.openai.usage import response_usage_of
from schemas.research import ResearchRequest

Event = dict[str, Any]


def add(router: APIRouter, stages: StageCalls) -> None:
    """Add the route."""

    @router.post(
        "/v1/responses",
        summary="Research a question",
        response_class=JSONResponse,
        responses={200: {"content": {"text/event-stream": {}}}},
    )
    async def create(body: ResponseRequest, request: Request) -> Response:
        research = await asyncio.to_thread(response_research, body)  # attachments and schemas take a while to check
        reply = Reply(body, research)
        if body.stream:
            return sse.response(reply.frames(await begin(stages, research)))
        return await while_connected(request, reply.whole(stages))


class Reply:
    """One response, which grows as its run goes on."""

    def __init__(self, request: ResponseRequest, research: ResearchRequest) -> None:
        self._research = research
        self._most_urls = request.max_returned_urls
        self._output: list[dict[str, Any]] = []
        self._message: dict[str, Any] | None = None
        self._response: dict[str, Any] = {
            "id": f"resp_{research.run_id}",
            "object": "response",
            "created_at": int(time.time()),
            "status": "in_progress",
            "background": False,
            "error": None,
            "incomplete_details": None,
            "instructions": request.instructions,
            "max_output_tokens": request.max_output_tokens,
            "metadata": {},
            "model": model_named(request.model),
            "output": self._output,
            "parallel_tool_calls": False,
            "previous_response_id": None,
            "reasoning": {"effort": research.reasoning_effort, "summary": None},
            "store": False,
            "temperature": None,
            "text": {"format": _format(research.json_schema)},
            "tool_choice": "none",
            "tools": [],
            "top_p": None,
            "truncation": "disabled",
            "usage": None,
        }

    async def whole(self, stages: StageCalls) -> JSONResponse:
        """The response as one JSON document."""
        async with aclosing(await begin(stages, self._research)) as happenings:
            async for happening in happenings:
                for _ in self._events(happening):
                    pass
        return JSONResponse(self._response)

    async def frames(self, happenings: AsyncGenerator[Happening, None]) -> AsyncGenerator[bytes, None]:
        """The response as server-sent events, numbered from 0."""
        number = 0

        def frame(event: Event) -> bytes:
            nonlocal number
            number += 1
            document = json.dumps({**event, "sequence_number": number - 1}, ensure_ascii=False, separators=(",", ":"))
            return sse.frame(document, event=event["type"])

        for beginning in ("response.created", "response.in_progress"):
            yield frame({"type": beginning, "response": self._response})
        try:
            async with aclosing(happenings):
                async for happening in happenings:
                    for event in self._events(happening):
                        yield frame(event)
        except Exception as caught:
            error = failure_in_stream(caught, self._research.run_id)
            self._response.update(status="failed", error=error_body(error)["error"])
            if error.usage.total_tokens:
                self._response["usage"] = response_usage_of(error.usage)
            yield frame({"type": "response.failed", "response": self._response})

    def _events(self, happening: Happening) -> Iterator[Event]:
        """Take what happened into the response; yields the events that tell of it."""
        if isinstance(happening, Thought):
            yield from self._reasoned(happening.text) if happening.kind == "text" else self._searched(happening)
        elif isinstance(happening, Piece):
            yield from self._wrote(happening.text)
        else:
            yield from self._completed(happening)

    def _reasoned(self, text: str) -> Iterator[Event]:
        item: dict[str, Any] = {"id": self._item_id("rs"), "type": "reasoning", "summary": []}
        part = {"type": "summary_text", "text": text}
        where = {"item_id": item["id"], "output_index": len(self._output), "summary_index": 0}
        yield self._added(item)
        yield {"type": "response.reasoning_summary_part.added", **where, "part": {**part, "text": ""}}
        yield {"type": "response.reasoning_summary_text.delta", **where, "delta": text}
        yield {"type": "response.reasoning_summary_text.done", **where, "text": text}
        yield {"type": "response.reasoning_summary_part.done", **where, "part": part}
        item["summary"].append(part)
        yield self._done(item)

    def _searched(self, thought: Thought) -> Iterator[Event]:
        search = {"type": "search", "query": thought.text, "queries": [thought.text]}
        action = search if thought.kind == "query" else {"type": "open_page", "url": thought.text}
        item: dict[str, Any] = {"id": self._item_id("ws"), "type": "web_search_call", "status": "in_progress", "action": action}
        where = {"item_id": item["id"], "output_index": len(self._output)}
        yield self._added(item)
        yield {"type": "response.web_search_call.in_progress", **where}
        yield {"type": "response.web_search_call.searching", **where}
        item["status"] = "completed"
        yield {"type": "response.web_search_call.completed", **where}
        yield self._done(item)

    def _wrote(self, text: str) -> Iterator[Event]:
        if self._message is None:
            self._message = {"id": self._item_id("msg"), "type": "message", "status": "in_progress", "role": "assistant", "content": []}
            yield self._added(self._message)
            yield {"type": "response.content_part.added", **self._where(), "part": _output_text("", [])}
        yield {"type": "response.output_text.delta", **self._where(), "delta": text, "logprobs": []}

    def _completed(self, end: Completion | Proposal) -> Iterator[Event]:
        yield from self._wrote("") if self._message is None else ()
        assert self._message is not None
        where = self._where()
        citations = end.citations if isinstance(end, Completion) else []
        annotations = [{"type": "url_citation", **citation_of(citation)} for citation in citations]
        for number, annotation in enumerate(annotations):
            yield {"type": "response.output_text.annotation.added", **where, "annotation_index": number, "annotation": annotation}
        part = _output_text(end.content, annotations)
        yield {"type": "response.output_text.done", **where, "text": end.content, "logprobs": []}
        yield {"type": "response.content_part.done", **where, "part": part}
        self._message.update(status="completed", content=[part])
        yield self._done(self._message)
        usage = response_usage_of(end.answer.usage, end.answer.support) if isinstance(end, Completion) else None
        self._response.update(status="completed", completed_at=int(time.time()), usage=usage, **account_of(end, self._most_urls))
        yield {"type": "response.completed", "response": self._response}

    def _item_id(self, kind: str) -> str:
        return f"{kind}_{self._research.run_id}_{len(self._output)}"

    def _where(self) -> Event:
        """The place of the answer's text: it is the last item's only part."""
        assert self._message is not None
        return {"item_id": self._message["id"], "output_index": int(self._message["id"].rpartition("_")[2]), "content_index": 0}

    def _added(self, item: dict[str, Any]) -> Event:
        return {"type": "response.output_item.added", "output_index": len(self._output), "item": dict(item)}

    def _done(self, item: dict[str, Any]) -> Event:
        self._output.append(item)
        return {"type": "response.output_item.done", "output_index": len(self._output) - 1, "item": dict(item)}


def _format(schema: str) -> dict[str, Any]:
    """The form of the answer, as it was understood."""
    return {"type": "json_schema", "name": "answer", "schema": json.loads(schema), "strict": True} if schema else {"type": "text"}


def _output_text(text: str, annotations: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": []}
