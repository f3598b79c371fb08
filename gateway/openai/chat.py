"""`POST /v1/chat/completions`: a run as a chat completion, whole or streamed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from gateway import sse
from gateway.calls import StageCalls
from gateway.openai.account import account_of, citation_of
from gateway.openai.errors import error_body, failure_in_stream
from gateway.openai.leaving import while_connected
from gateway.openai.models import model_named
from gateway.openai.requests import ChatRequest, chat_research
from gateway.openai.run import Completion, Happening, Piece, Proposal, begin
from gateway.openai.thoughts import Thought
from gateway.openai.usage import usage_of
from schemas.research import ResearchRequest

_FINGERPRINT = "deepsearch"


def add(router: APIRouter, stages: StageCalls) -> None:
    """Add the route."""

    @router.post(
        "/v1/chat/completions",
        summary="Research the last message's question",
        response_class=JSONResponse,
        responses={200: {"content": {"text/event-stream": {}}}},
    )
    async def completions(body: ChatRequest, request: Request) -> Response:
        research = await asyncio.to_thread(chat_research, body)  # attachments and schemas take a while to check
        chat = Chat(body, research)
        if body.stream:
            return _streamed(chat, await begin(stages, research))
        return await while_connected(request, chat.whole(stages))

    def _streamed(chat: Chat, happenings: AsyncGenerator[Happening, None]) -> StreamingResponse:
        return sse.response(chat.frames(happenings))


@dataclass(frozen=True)
class Chat:
    """One chat completion."""

    request: ChatRequest
    research: ResearchRequest

    async def whole(self, stages: StageCalls) -> JSONResponse:
        """The completion as one JSON document."""
        thoughts: list[str] = []
        async with aclosing(await begin(stages, self.research)) as happenings:
            async for happening in happenings:
                if isinstance(happening, Thought) and happening.kind == "text":
                    thoughts.append(happening.text)
                elif isinstance(happening, Completion | Proposal):
                    end = happening
        message = {
            "role": "assistant",
            "content": end.content,
            "reasoning_content": "\n\n".join(thoughts),
            "refusal": None,
            "type": end.kind if isinstance(end, Completion) else "text",
            "annotations": self._annotations(end),
        }
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        more = {"usage": self._usage(end), **account_of(end, self.request.max_returned_urls)}
        return JSONResponse({**self._head("chat.completion"), "choices": [choice], **more})

    async def frames(self, happenings: AsyncGenerator[Happening, None]) -> AsyncGenerator[bytes, None]:
        """The completion as server-sent events: thoughts in `<think>`, the answer, its account, `[DONE]`."""
        head = self._head("chat.completion.chunk") | ({"usage": None} if self._usage_apart else {})
        kind = "json" if self.research.json_schema else "text"
        thinking = True

        def chunk(delta: dict[str, Any], finish_reason: str | None = None, **more: Any) -> bytes:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
            return _frame({**head, "choices": [choice], **more})

        end_of_thinking = {"content": "</think>\n\n", "type": "think"}
        yield chunk({"role": "assistant", "content": "<think>", "type": "think"})
        try:
            async with aclosing(happenings):
                async for happening in happenings:
                    if isinstance(happening, Thought):
                        yield chunk(_thought(happening))
                        continue
                    if thinking:
                        thinking = False
                        yield chunk(end_of_thinking)
                    if isinstance(happening, Piece):
                        yield chunk({"content": happening.text, "type": kind})
                        continue
                    usage = self._usage(happening)
                    more = account_of(happening, self.request.max_returned_urls) | ({} if self._usage_apart else {"usage": usage})
                    yield chunk({"type": kind, "annotations": self._annotations(happening)}, "stop", **more)
                    if self._usage_apart:
                        yield _frame({**head, "choices": [], "usage": usage})
        except Exception as caught:
            error = failure_in_stream(caught, self.research.run_id)
            if thinking:
                yield chunk(end_of_thinking)
            yield _frame(error_body(error))
        yield b"data: [DONE]\n\n"

    @property
    def _usage_apart(self) -> bool:
        return bool(self.request.stream_options and self.request.stream_options.include_usage)

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self.research.run_id}",
            "object": kind,
            "created": int(time.time()),
            "model": model_named(self.request.model),
            "system_fingerprint": _FINGERPRINT,
        }

    @staticmethod
    def _usage(end: Completion | Proposal) -> dict[str, Any] | None:
        """None of a run that waits: it tells at its end what it has spent."""
        return usage_of(end.answer.usage, end.answer.support) if isinstance(end, Completion) else None

    @staticmethod
    def _annotations(end: Completion | Proposal) -> list[dict[str, Any]]:
        citations = end.citations if isinstance(end, Completion) else []
        return [{"type": "url_citation", "url_citation": citation_of(citation)} for citation in citations]


def _thought(thought: Thought) -> dict[str, Any]:
    """A thought as a delta. Clients that know `reasoning_content` show it, the others show what is between the tags."""
    if thought.kind == "text":
        text = f"{thought.text}\n\n"
        return {"content": text, "reasoning_content": text, "type": "think"}
    return {thought.kind: thought.text, "type": "think"}


def _frame(document: dict[str, Any]) -> bytes:
    return sse.frame(json.dumps(document, ensure_ascii=False, separators=(",", ":")))
