"""The model of the scripted server: chat completions, streamed or not, in every form of structured output."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.scripted.replies import Json, Reply, Status, Text

Handler = Callable[[Any], Reply]
Scripted = Reply | Handler | list[Reply]

_TITLE = re.compile(r'"title"\s*:\s*"(\w+)"')


def schema_name(request: Mapping[str, Any]) -> str:
    """Name of the output that a request asks for, in whatever form; empty for free text.

    Found in `response_format`, in the forced tool, or else as the `title` of a JSON schema inside the messages.
    """
    declared = (request.get("response_format") or {}).get("json_schema") or {}
    if declared.get("name"):
        return str(declared["name"])
    for tool in request.get("tools") or []:
        return str(tool["function"]["name"])
    for message in reversed(request["messages"]):
        titles = _TITLE.findall(text_of(message)) if message["role"] == "user" else []
        if titles:
            return str(titles[-1])
    return ""


def text_of(message: Mapping[str, Any]) -> str:
    """The text of a message, whose content may be a list of texts and images."""
    content = message["content"]
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)


class ScriptedModel:
    """Answers chat completions.

    `on(name, ...)` scripts what is answered when an output of that name is asked for; `on("", ...)` free text. A list
    is used up in order, its last reply again and again. `script(handler)` takes every request instead.
    A request that nothing is scripted for gets status 400 with a message that says so.
    """

    def __init__(self) -> None:
        self.count: Callable[[str], int] = lambda text: (len(text) + 3) // 4
        """How this server counts the tokens of a text."""
        self._handler: Handler | None = None
        self._scripted: dict[str, Scripted] = {}
        self._served: dict[str, int] = {}

    def script(self, handler: Handler) -> None:
        self._handler = handler

    def on(self, name: str, reply: Scripted) -> None:
        self._scripted[name] = reply
        self._served.pop(name, None)

    def reply(self, request: Any) -> Reply:
        if self._handler is not None:
            return self._handler(request)
        name = schema_name(request)
        scripted = self._scripted.get(name)
        if scripted is None:
            return Status(400, {"error": {"message": f"nothing is scripted for {name or 'free text'}"}})
        if isinstance(scripted, list):
            served = self._served.get(name, 0)
            self._served[name] = served + 1
            return scripted[min(served, len(scripted) - 1)]
        return scripted(request) if callable(scripted) else scripted

    def prompt_tokens(self, request: Mapping[str, Any]) -> int:
        """Tokens of a request by `count`: contents, declared schemas and tools, and 4 for each message."""
        declared = [json.dumps(request[key]) for key in ("response_format", "tools") if request.get(key)]
        return sum(self.count(text_of(message)) + 4 for message in request["messages"]) + sum(map(self.count, declared))

    def body(self, request: Mapping[str, Any], reply: Json | Text) -> bytes:
        """The whole response."""
        content, message, finish_reason = self._message(request, reply)
        response: dict[str, Any] = {
            "id": "chatcmpl-scripted",
            "object": "chat.completion",
            "created": 0,
            "model": request.get("model", ""),
            "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        }
        usage = self._usage(request, reply, content)
        if usage is not None:
            response["usage"] = usage
        return json.dumps(response).encode()

    def events(self, request: Mapping[str, Any], reply: Json | Text) -> Iterator[bytes]:
        """The same as server-sent events, one for each piece."""
        content, _, finish_reason = self._message(request, reply)
        pieces = list(reply.pieces) if isinstance(reply, Text) and reply.pieces else re.findall(r"\s*\S+|\s+$", content)
        for piece in pieces:
            yield _event({"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]})
        yield _event({"choices": [{"index": 0, "delta": {}, "finish_reason": finish_reason}]})
        usage = self._usage(request, reply, content)
        if usage is not None and (request.get("stream_options") or {}).get("include_usage"):
            yield _event({"choices": [], "usage": usage})
        yield b"data: [DONE]\n\n"

    def _message(self, request: Mapping[str, Any], reply: Json | Text) -> tuple[str, dict[str, Any], str]:
        if isinstance(reply, Text):
            return reply.content, {"role": "assistant", "content": reply.content}, reply.finish_reason
        content = json.dumps(reply.value, ensure_ascii=False)
        if not request.get("tools"):
            return content, {"role": "assistant", "content": content}, "stop"
        call = {"id": "call_1", "type": "function", "function": {"name": schema_name(request), "arguments": content}}
        return content, {"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls"

    def _usage(self, request: Mapping[str, Any], reply: Json | Text, content: str) -> Any:
        if reply.usage == "missing":
            return None
        if not isinstance(reply.usage, str):
            return reply.usage
        prompt, completion = self.prompt_tokens(request), self.count(content)
        return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _event(data: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps({"id": "chatcmpl-scripted", "object": "chat.completion.chunk", **data}).encode() + b"\n\n"
