"""The three storages of the journal, real ones, behind one face; and small documents to keep in them."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
from redis.asyncio import Redis

from providers.journal import Journal, SQLiteJournal, StoredEvent
from providers.journal.postgres import PostgresJournal
from providers.journal.redis import RedisJournal
from schemas import events as ev
from schemas.reading import Attachment, Page
from schemas.research import ResearchRequest, RunSummary

NAMES = ("sqlite", "postgres", "redis")
LIMITS = ev.Limits(tokens=1_000, seconds=10, searches=1, pages=1, llm_calls=1, steps=1, attempts=1)

_owners = itertools.count(1)


class Storage:
    """One storage. Every journal that it opens is an owner of its own, as those of different machines are."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.url = url
        self._opened: list[Journal] = []

    def open(self, lease_seconds: float = 60.0) -> Any:
        journal: Any
        if self.name == "sqlite":
            journal = SQLiteJournal(Path(self.url), lease_seconds)
            journal._owner = f"elsewhere:{next(_owners)}:1"
        else:
            journal = (PostgresJournal if self.name == "postgres" else RedisJournal)(self.url, lease_seconds)
        self._opened.append(journal)
        return journal

    async def close(self) -> None:
        for journal in self._opened:
            await journal.close()
        self._opened.clear()

    async def size(self) -> int:
        """Bytes of the texts that it holds, in whatever form."""
        if self.name == "sqlite":
            connection = sqlite3.connect(self.url)
            sums = [connection.execute(f"SELECT coalesce(sum(length({column})), 0) FROM {table}").fetchone()[0] for table, column in _TEXTS]
            connection.close()
            return sum(sums)
        if self.name == "postgres":
            connection = await asyncpg.connect(self.url)
            sums = [
                await connection.fetchval(f"SELECT coalesce(sum(length({column})), 0) FROM deepsearch_{table}") for table, column in _TEXTS
            ]
            await connection.close()
            return sum(sums)
        async with connected(self.url) as client:
            names = [name async for name in client.scan_iter("deepsearch:*")]
            return sum([await client.memory_usage(name) for name in names if name != b"deepsearch:journal:version"])


_TEXTS = (("runs", "summary"), ("events", "event"), ("pages", "page"), ("attachments", "attachment"))


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    """A Redis client of the test's own."""
    client: Any = Redis.from_url(url)
    try:
        yield client
    finally:
        await client.aclose()


def line(run_id: str = "a", **fields: Any) -> RunSummary:
    return RunSummary(**{"run_id": run_id, "question": "ü 網 \x00", "started_at": 1.0, **fields})


def started(number: int = 1, question: str = "ü 網 \x00") -> StoredEvent:
    return StoredEvent(number, 1_763_735_845.123456, ev.RunStarted(request=ResearchRequest(question=question), limits=LIMITS))


def resumed(number: int) -> StoredEvent:
    return StoredEvent(number, 1_763_735_845.5 + number, ev.RunResumed())


def page(page_id: str = "p", text: str = "text") -> Page:
    return Page(page_id=page_id, url="file:///x", text=text)


def attachment(text: str = "Zm9v") -> Attachment:
    return Attachment(name="a.pdf", media_type="application/pdf", content=text)
