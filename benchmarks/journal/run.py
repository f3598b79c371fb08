"""Events per second that each storage of the journal takes, against SQLite in the same run.

    python -m benchmarks.journal.run [--events 2000] [--postgres URL] [--redis URL]

Without a URL a server of its own is started on this machine, which writes to its disk before it confirms anything. Every event is
an append as a run makes it; first by one run, then by 16 runs at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from pydantic import SecretStr

from providers.journal import Journal, StoredEvent, create_journal
from schemas import events as ev
from schemas.research import ResearchRequest, RunSummary
from schemas.settings import Settings
from tests.servers import PostgresServer, RedisServer

AT_ONCE = 16
_LIMITS = ev.Limits(tokens=1_000, seconds=60, searches=9, pages=9, llm_calls=9, steps=9, attempts=2)
_EVENT = ev.Composed.model_validate({"effect_id": "1.compose.1", "draft": {"text": "Page readers scale by their number. [e1] " * 40}})


class _EverySecond(RedisServer):
    """Confirms a write before it is on the disk, as Redis does when nothing else is said."""

    def _command(self, port: int) -> Sequence[str]:
        return [*super()._command(port), "--appendonly", "yes", "--appendfsync", "everysec"]


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[Journal]:
    journal = create_journal(Settings(_env_file=None, deepsearch_state_url=SecretStr(url)))
    try:
        yield journal
    finally:
        await journal.close()


async def _append(journal: Journal, events: int, seconds: list[float]) -> str:
    """One run with so many events; how long each append took is added to `seconds`."""
    run_id = uuid.uuid4().hex[:16]
    started = ev.RunStarted(request=ResearchRequest(question="q", run_id=run_id), limits=_LIMITS)
    await journal.create(RunSummary(run_id=run_id, question="q", started_at=time.time()), StoredEvent(1, time.time(), started), {})
    for sequence in range(2, events + 2):
        begun = time.perf_counter()
        await journal.append(run_id, StoredEvent(sequence, time.time(), _EVENT))
        seconds.append(time.perf_counter() - begun)
    await journal.update(RunSummary(run_id=run_id, question="q", state="finished"))
    return run_id


async def _measure(url: str, events: int, runs: int) -> tuple[float, float]:
    """Events per second, and the median of milliseconds that one takes."""
    async with _opened(url) as journal:
        await _append(journal, 20, [])  # connections and plans are made
        seconds: list[float] = []
        begun = time.perf_counter()
        made = await asyncio.gather(*(_append(journal, events // runs, seconds) for _ in range(runs)))
        passed = time.perf_counter() - begun
        for run_id in made:
            await journal.forget(run_id)
        return len(seconds) / passed, statistics.median(seconds) * 1_000


def main() -> None:
    """Print a table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--events", type=int, default=2_000)
    arguments.add_argument("--postgres", metavar="URL")
    arguments.add_argument("--redis", metavar="URL")
    given = arguments.parse_args()
    with ExitStack() as held:
        folder = held.enter_context(tempfile.TemporaryDirectory())
        urls = {"SQLite": f"sqlite:///{Path(folder) / 'runs.db'}"}
        urls["PostgreSQL"] = given.postgres or held.enter_context(PostgresServer("fsync=on", "full_page_writes=on")).url()
        if given.redis:
            urls["Redis"] = given.redis
        else:
            urls["Redis, appendfsync always"] = held.enter_context(RedisServer(durable=True)).url()
            everysec = _EverySecond()
            urls["Redis, appendfsync everysec"] = held.enter_context(everysec).url()
        print(f"{'storage':28} {'runs':>4} {'events/s':>9} {'of SQLite':>9} {'median ms':>9}")
        for runs in (1, AT_ONCE):
            baseline = 0.0
            for name, url in urls.items():
                rate, median = asyncio.run(_measure(url, given.events, runs))
                baseline = baseline or rate
                print(f"{name:28} {runs:4} {rate:9.0f} {rate / baseline:9.2f} {median:9.2f}")


if __name__ == "__main__":
    main()
