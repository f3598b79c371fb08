"""Questions that the scripted upstreams can answer, one or many at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from tests.containers.project import KEY

QUESTION = "How do I scale the page readers?"
ANSWER = "Page readers scale by their number of replicas [^1]."
BEARER = {"authorization": f"Bearer {KEY}"}


@dataclass
class Load:
    """Questions that are asked one after the other by two clients, and what became of them."""

    url: str
    """Of the gateway."""
    answered: int = 0
    failures: list[str] = field(default_factory=list)
    repeated: int = 0
    """Questions that were refused with the time after which to ask again, and were asked again then."""

    @asynccontextmanager
    async def asked(self) -> AsyncIterator[Load]:
        """Ask within the block, and finish what has begun when it ends."""
        over = asyncio.Event()
        async with httpx.AsyncClient(base_url=self.url, headers=BEARER, timeout=60) as client:
            clients = [asyncio.create_task(self._ask(client, over)) for _ in range(2)]
            try:
                yield self
            finally:
                over.set()
                await asyncio.gather(*clients)

    async def _ask(self, client: httpx.AsyncClient, over: asyncio.Event) -> None:
        while not over.is_set():
            response = await client.post("/research", json={"data": [{"question": QUESTION, "no_direct_answer": True}]})
            if response.status_code == 503 and (pause := response.headers.get("retry-after")):
                self.repeated += 1
                await asyncio.sleep(float(pause))
                continue
            text = response.json()["data"][0]["text"] if response.status_code == 200 else response.text
            if text == ANSWER:
                self.answered += 1
            else:
                self.failures.append(text)

    async def until(self, count: int, seconds: float) -> None:
        """Wait until `count` more questions are answered."""
        wanted = self.answered + count
        async with asyncio.timeout(seconds):
            while self.answered < wanted and not self.failures:
                await asyncio.sleep(0.1)
