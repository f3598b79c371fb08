"""A stream while nothing happens, when its reader goes, and when the answer begins anew."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from gateway import sse
from gateway.openai.chat import Chat
from gateway.openai.requests import ChatRequest, ResponseRequest
from gateway.openai.responses import Reply
from gateway.openai.run import Happening, begin
from gateway.openai.thoughts import Thought
from schemas.errors import StageUnavailable
from schemas.events import ResearchEvent
from schemas.research import ResearchRequest

CHAT = Chat(ChatRequest.model_validate({"messages": [{"role": "user", "content": "Why?"}]}), ResearchRequest(run_id="r"))
REPLY = Reply(ResponseRequest(input="Why?"), ResearchRequest(run_id="r"))


class Silence:
    """A run that thinks once and then says nothing, and knows whether it was stopped."""

    def __init__(self) -> None:
        self.stopped = False

    async def happenings(self) -> AsyncGenerator[Happening, None]:
        try:
            yield Thought("text", "Hm.")
            await asyncio.Event().wait()
        finally:
            self.stopped = True


@pytest.mark.parametrize("told", [CHAT, REPLY])
async def test_a_silent_stream_is_kept_alive_and_stops_the_run_when_it_is_left(told: Chat | Reply) -> None:
    run = Silence()
    stream = sse.with_heartbeat(told.frames(run.happenings()), seconds=0.001)
    async for frame in stream:
        if frame.startswith(b":"):
            break
    assert not run.stopped
    await stream.aclose()
    assert run.stopped


class Stages:
    """A controller whose run ends with its first events."""

    def __init__(self, *events: tuple[str, dict[str, Any]]) -> None:
        self._events = events
        self.left = False

    async def stream(self, *_: Any) -> AsyncGenerator[ResearchEvent, None]:
        try:
            for kind, data in self._events:
                yield ResearchEvent(type=kind, data=data)
        finally:
            self.left = True


async def test_a_restarted_response_says_in_its_deltas_what_it_says_at_the_end() -> None:
    answer = {"text": "New.", "stop_reason": "answered", "mode": "model"}
    stages: Any = Stages(
        ("run_started", {}),
        ("answer_delta", {"text": "Old"}),
        ("answer_delta", {"text": "New."}),
        ("run_ended", {"outcome": "finished", "answer": answer}),
    )
    research = ResearchRequest(run_id="r")
    reply = Reply(ResponseRequest(input="Why?"), research)
    frames = [frame async for frame in reply.frames(await begin(stages, research))]
    events = [json.loads(frame.partition(b"data: ")[2]) for frame in frames]
    deltas = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    assert deltas == events[-1]["response"]["output"][-1]["content"][0]["text"] == "Old\n\n---\n\nNew."
    assert stages.left


async def test_a_run_without_an_end_is_no_answer() -> None:
    stages: Any = Stages(("run_started", {}))
    happenings = await begin(stages, ResearchRequest(run_id="r"))
    with pytest.raises(StageUnavailable, match="before the run had ended"):
        [happening async for happening in happenings]
