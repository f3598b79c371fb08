"""Mixed load on a Flow: what its clients do, one thing after another, by chance."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable

import httpx

from deepsearch.client import DeepSearchClient
from schemas.errors import DeepSearchError
from schemas.research import ResearchRequest
from tests.scripted.every_mode import question

_TIMEOUT = httpx.Timeout(120.0, connect=10.0)


class Load:
    """Clients of a Flow. `done` counts what they did, `failed` what failed, by what they did and the error."""

    def __init__(self, http: str, grpc: str, chance: random.Random, subjects: int) -> None:
        """`subjects` is how many questions there are before the first one is asked again."""
        self.done: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self._http, self._grpc, self._chance = http, grpc, chance
        self._subjects, self._asked = subjects, 0
        self._kept: list[str] = []
        self._kinds: dict[str, tuple[int, Callable[[httpx.AsyncClient], Awaitable[None]]]] = {
            "question over gRPC": (20, lambda web: self._stream(self._grpc)),
            "question over HTTP": (15, lambda web: self._stream(self._http)),
            "chat": (10, self._chat),
            "streamed chat": (10, self._streamed_chat),
            "report": (4, lambda web: self._stream(self._http, mode="report", reasoning_effort="low", words=120)),
            "team": (4, lambda web: self._stream(self._grpc, team_size=2)),
            "job, followed": (10, self._job),
            "job, cancelled": (5, self._cancelled),
            "client that leaves": (8, self._leaving),
            "single stages": (10, self._single),
            "page views": (10, self._views),
        }

    async def work(self, stop: asyncio.Event, pause: float) -> None:
        """Do one thing after another until `stop` is set, with pauses of `pause` seconds on average."""
        names = list(self._kinds)
        weights = [self._kinds[name][0] for name in names]
        while not stop.is_set():
            (name,) = self._chance.choices(names, weights)
            try:
                async with httpx.AsyncClient(base_url=self._http, timeout=_TIMEOUT) as web:
                    await self._kinds[name][1](web)
            except (DeepSearchError, httpx.HTTPError) as error:
                self.failed[f"{name}: {getattr(error, 'code', type(error).__name__)}"] += 1
            self.done[name] += 1
            await asyncio.sleep(self._chance.uniform(0, 2 * pause))

    def _question(self) -> str:
        self._asked += 1
        return question(self._asked % self._subjects)

    def _request(self, **fields: object) -> ResearchRequest:
        return ResearchRequest(question=self._question(), no_direct_answer=True, **fields)

    async def _stream(self, address: str, leave_after: int | None = None, **fields: object) -> None:
        async with DeepSearchClient(address) as client:
            events = client.stream(self._request(**fields))
            number = 0
            async for event in events:
                number += 1
                if number == 1:
                    self._kept = [*self._kept[-20:], event.run_id]
                if number == leave_after:
                    break
            await events.aclose()

    async def _leaving(self, web: httpx.AsyncClient) -> None:
        await self._stream(self._chance.choice((self._http, self._grpc)), leave_after=self._chance.randint(1, 30))

    def _body(self, **fields: object) -> dict[str, object]:
        return {"messages": [{"role": "user", "content": self._question()}], "no_direct_answer": True, **fields}

    async def _chat(self, web: httpx.AsyncClient) -> None:
        (await web.post("/v1/chat/completions", json=self._body())).raise_for_status()

    async def _streamed_chat(self, web: httpx.AsyncClient) -> None:
        async with web.stream("POST", "/v1/chat/completions", json=self._body(stream=True)) as response:
            response.raise_for_status()
            async for _ in response.aiter_bytes():
                pass

    async def _begun(self, web: httpx.AsyncClient) -> str:
        response = await web.post("/v1/research", json=json.loads(self._request().model_dump_json(exclude_defaults=True, exclude={"id"})))
        return str(response.raise_for_status().json()["run_id"])

    async def _job(self, web: httpx.AsyncClient) -> None:
        run_id = await self._begun(web)
        async with web.stream("GET", f"/v1/research/{run_id}/events") as response:
            async for _ in response.aiter_bytes():
                pass
        (await web.get(f"/v1/research/{run_id}")).raise_for_status()

    async def _cancelled(self, web: httpx.AsyncClient) -> None:
        run_id = await self._begun(web)
        await asyncio.sleep(self._chance.uniform(0, 1))
        (await web.delete(f"/v1/research/{run_id}")).raise_for_status()

    async def _single(self, web: httpx.AsyncClient) -> None:
        subject = f"C{self._chance.randrange(self._subjects)}"
        url = f"https://host{self._chance.randint(0, 5)}.org/{subject}/readers"
        calls: list[tuple[str, dict[str, object]]] = [
            ("/search", {"queries": [{"text": f"page readers {subject}"}]}),
            ("/read", {"url": url, "question": "How do they scale?"}),
        ]
        for endpoint, document in calls:
            (await web.post(endpoint, json={"data": [document]})).raise_for_status()

    async def _views(self, web: httpx.AsyncClient) -> None:
        for path in ("/", "/health/ready", "/metrics", "/v1/research?limit=20"):
            (await web.get(path)).raise_for_status()
        if self._kept:
            run = (await web.get(f"/v1/research/{self._chance.choice(self._kept)}")).raise_for_status().json()
            for reference in (run.get("answer") or {}).get("references", [])[:1]:
                (await web.get(f"/v1/research/{run['run']['run_id']}/pages/{reference['page_id']}")).raise_for_status()
