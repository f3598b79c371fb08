"""Clients as they are outside: what breaks is taken up where it broke off, at whichever gateway answers."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import httpx
from docarray import BaseDoc

from deepsearch.flow_calls import FlowCalls
from schemas.errors import (
    DeadlineExceeded,
    DeepSearchError,
    InvalidRequest,
    JournalError,
    RunNotFound,
    RunUnderWay,
    StageUnavailable,
    from_code,
)
from schemas.events import ResearchEvent
from schemas.research import ResearchAnswer, ResearchRequest, RunQuery
from tests.faults.stack import Stack

PATIENCE_SECONDS = 180.0
"""Longest that a client tries."""
_SILENCE = httpx.Timeout(40.0, connect=5.0)
_PASSING = (StageUnavailable, JournalError, RunUnderWay, DeadlineExceeded)
_PASSING_STATUS = {409, 502, 503, 504}


@dataclass
class Seen:
    """What a client saw of a run."""

    subject: str
    run_id: str = ""
    events: list[ResearchEvent] = field(default_factory=list)
    """Empty for a client that only sees answers."""
    answer: ResearchAnswer | None = None
    text: str = ""
    breaks: int = 0
    asked_again: int = 0
    """New runs because the id of the one before was not known."""
    refusals: list[str] = field(default_factory=list)
    """What gateways said that could not serve it."""
    seconds: float = 0.0
    failure: str = ""
    """Why it has no answer."""
    sequence: int = 0
    written: int = 0

    def take(self, event: ResearchEvent) -> None:
        """Note an event, and where to go on after it."""
        self.events.append(event)
        self.sequence = event.sequence
        if event.type == "answer_delta":
            self.written = event.data.get("offset", 0) + len(event.data["text"])
        elif event.type != "run_ended":
            self.written = 0
        if event.type == "run_ended" and event.data.get("answer"):
            self.answer = ResearchAnswer(**event.data["answer"])
            self.text = self.answer.text

    @property
    def ended(self) -> bool:
        return bool(self.events) and self.events[-1].type == "run_ended" and self.events[-1].data.get("outcome") != "interrupted"


class Client:
    """Asks one question in one of five ways (`WAYS`)."""

    def __init__(self, stack: Stack, chance: random.Random, subject: str, request: ResearchRequest) -> None:
        self._stack, self._chance, self._request = stack, chance, request
        self.seen = Seen(subject)
        self._last = ""
        """The `id` of the last event of a job."""
        self._began = 0.0

    async def ask(self, way: str) -> Seen:
        """The answer, in whatever number of attempts. Raises what does not pass, or `TimeoutError`."""
        ways: dict[str, Callable[[], Any]] = {
            "job": self._job,
            "stream gRPC": lambda: self._stream(1),
            "stream HTTP": lambda: self._stream(0),
            "chat": self._chat,
            "chat stream": self._chat_stream,
        }
        self._began = time.monotonic()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await ways[way]()
        self.seen.seconds = time.monotonic() - self._began
        return self.seen

    def _gateway(self) -> tuple[str, str]:
        return self._chance.choice(self._stack.addresses())

    def _refused_with(self, response: httpx.Response) -> None:
        """Note a refusal that may pass. Raises `AssertionError` for any other."""
        assert response.status_code in _PASSING_STATUS, response.text
        self.seen.refusals.append(f"{response.status_code} {response.json()['error']['message']}")

    async def _broken(self) -> None:
        self.seen.breaks += 1
        await asyncio.sleep(self._chance.uniform(0.1, 0.6))

    # -- a job: POST /v1/research, its events with Last-Event-ID, its answer ---------------------------------------------

    async def _job(self) -> None:
        self.seen.run_id = self._request.run_id
        body = json.loads(self._request.model_dump_json(exclude_defaults=True, exclude={"id"}))
        begun = False
        while not self._last.endswith(".end"):
            async with httpx.AsyncClient(base_url=self._gateway()[0], timeout=_SILENCE) as web:
                try:
                    begun = begun or await self._begin(web, body)
                    if begun:
                        await self._follow(web)
                except httpx.TransportError:
                    pass
            if not self._last.endswith(".end"):
                await self._broken()
        while self.seen.answer is None or not self.seen.text:
            async with httpx.AsyncClient(base_url=self._gateway()[0], timeout=_SILENCE) as web:
                try:
                    response = await web.get(f"/v1/research/{self.seen.run_id}")
                except httpx.TransportError:
                    continue
                if response.status_code == 200:
                    document = response.json()
                    assert document["run"]["state"] == "finished", document
                    self.seen.answer = ResearchAnswer(**document["answer"])
                    self.seen.text = self.seen.answer.text
                else:
                    self._refused_with(response)
                    await self._broken()

    async def _begin(self, web: httpx.AsyncClient, body: dict[str, Any]) -> bool:
        response = await web.post("/v1/research", json=body)
        taken = response.status_code == 400 and response.json()["error"].get("param") == "run_id"  # by the request before
        if response.status_code != 202 and not taken:
            self._refused_with(response)
        return response.status_code == 202 or taken

    async def _follow(self, web: httpx.AsyncClient) -> None:
        async with web.stream("GET", f"/v1/research/{self.seen.run_id}/events", headers={"Last-Event-ID": self._last}) as response:
            if response.status_code != 200:
                await response.aread()
                self._refused_with(response)
                return
            number = ""
            async for line in response.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "id":
                    number = value
                elif name == "data":
                    event = ResearchEvent.model_validate_json(value)
                    if event.type == "run_ended" and (event.data.get("outcome") == "interrupted" or not event.sequence):
                        continue  # the journal is away, or nobody drives the run for now
                    self.seen.take(event)
                    self._last = number

    # -- a stream: /research/stream, and /continue after it broke --------------------------------------------------------

    async def _stream(self, protocol: int) -> None:
        self.seen.run_id = self._request.run_id
        while not self.seen.ended:
            first = not self.seen.events
            await self._go_on(protocol, "/research/stream" if first else "/continue", self._request if first else self._rest())
            if not self.seen.ended:
                await self._broken()

    def _rest(self) -> RunQuery:
        return RunQuery(run_id=self.seen.run_id, after=self.seen.sequence, after_offset=self.seen.written)

    async def _go_on(self, protocol: int, endpoint: str, asked: BaseDoc) -> None:
        calls = FlowCalls(self._gateway()[protocol])
        try:
            async with aclosing(calls.stream(endpoint, asked, ResearchEvent)) as events:
                async for event in events:
                    refused = _refusal(event)
                    if refused is not None:
                        await self._refused(protocol, refused)
                        return
                    if event.type == "run_ended" and event.data.get("outcome") == "interrupted":
                        return
                    self.seen.take(event)
        except _PASSING:
            return
        except DeepSearchError as error:
            await self._refused(protocol, error)
        finally:
            await calls.close()

    async def _refused(self, protocol: int, error: DeepSearchError) -> None:
        if isinstance(error, _PASSING):
            return
        if isinstance(error, InvalidRequest) and not isinstance(error, RunNotFound) and self.seen.breaks and not self.seen.events:
            await self._go_on(protocol, "/continue", self._rest())  # it has begun by the request that broke
            return
        raise error

    # -- chat completions ------------------------------------------------------------------------------------------------

    def _chat_body(self, **more: Any) -> dict[str, Any]:
        fields = ("no_direct_answer", "mode", "words", "team_size", "reasoning_effort")
        given = {name: getattr(self._request, name) for name in fields if getattr(self._request, name) is not None}
        return {"messages": [{"role": "user", "content": self._request.question}], **given, **more}

    async def _chat(self) -> None:
        """A client that waits for a whole completion learns its run's id with it: when it breaks, it asks again, which is a new run."""
        while not self.seen.text:
            async with httpx.AsyncClient(base_url=self._gateway()[0], timeout=httpx.Timeout(PATIENCE_SECONDS, connect=5)) as web:
                response = None
                try:
                    response = await web.post("/v1/chat/completions", json=self._chat_body())
                except httpx.ConnectError:
                    await self._broken()
                    continue
                except httpx.TransportError:
                    pass
            if response is not None and response.status_code == 200:
                document = response.json()
                self.seen.run_id = document["id"].removeprefix("chatcmpl-")
                self.seen.text = document["choices"][0]["message"]["content"]
                return
            if response is not None:
                self._refused_with(response)
            self.seen.asked_again += 1
            await self._broken()

    async def _chat_stream(self) -> None:
        """The id is in the first chunk: with it `/continue` gives the events of the run, and its answer."""
        while not self.seen.run_id:
            async with httpx.AsyncClient(base_url=self._gateway()[0], timeout=_SILENCE) as web:
                try:
                    async with web.stream("POST", "/v1/chat/completions", json=self._chat_body(stream=True)) as response:
                        if response.status_code == 200:
                            if await self._chunks(response.aiter_lines()):
                                return
                        else:
                            await response.aread()
                            self._refused_with(response)
                    self.seen.asked_again += not self.seen.run_id
                except httpx.ConnectError:
                    pass
                except httpx.TransportError:
                    self.seen.asked_again += not self.seen.run_id
            await self._broken()
        while not self.seen.ended:
            await self._go_on(0, "/continue", self._rest())
            if not self.seen.ended:
                await self._broken()

    async def _chunks(self, lines: AsyncIterator[str]) -> bool:
        content = ""
        async for line in lines:
            data = line.removeprefix("data: ")
            if data == line or not data:
                continue
            if data == "[DONE]":
                self.seen.text = content.partition("</think>\n\n")[2]
                return bool(self.seen.text)
            chunk = json.loads(data)
            if "error" in chunk:
                return False
            self.seen.run_id = chunk["id"].removeprefix("chatcmpl-")
            for choice in chunk["choices"]:
                content += choice["delta"].get("content") or ""
        return False


WAYS = ("job", "stream gRPC", "stream HTTP", "chat", "chat stream")


def _refusal(event: ResearchEvent) -> DeepSearchError | None:
    """Why no event of the run could be given."""
    if event.type != "run_ended" or event.data.get("outcome") != "failed" or event.sequence:
        return None
    error = from_code(event.data.get("code", ""), event.data.get("message", ""))
    error.field = event.data.get("field") or None
    return error
