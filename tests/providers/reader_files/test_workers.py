"""Worker processes: limits on time and memory, crashes, errors of the tree."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator

import pytest

from providers.reader.conversion import convert_document
from providers.reader.workers import WorkerDied, WorkerPool
from schemas.errors import ReadError


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    pool = WorkerPool(1)
    yield pool
    pool.close()


async def test_value_and_error_of_the_tree(pool: WorkerPool) -> None:
    assert await pool.run(divmod, 7, 2, timeout=30) == (3, 1)
    from providers.reader.documents import convert

    with pytest.raises(ReadError, match=r"^a\.md: it is empty$"):
        await pool.run(convert, b"", "a.md", timeout=30)


async def test_a_process_that_hangs_is_ended_and_replaced(pool: WorkerPool) -> None:
    first = await pool.run(os.getpid, timeout=30)
    with pytest.raises(TimeoutError, match=r"^it took longer than 0\.3 seconds$"):
        await pool.run(time.sleep, 60, timeout=0.3)
    assert await pool.run(os.getpid, timeout=30) != first
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


async def test_a_crash_is_reported_and_survived(pool: WorkerPool) -> None:
    with pytest.raises(WorkerDied, match=r"^its reader process crashed \(ended by SIGABRT\)$"):
        await pool.run(os.abort, timeout=30)
    assert await pool.run(divmod, 7, 2, timeout=30) == (3, 1)


async def test_memory_is_limited(pool: WorkerPool) -> None:
    with pytest.raises(MemoryError):
        await pool.run(bytes, 4 << 30, timeout=30)
    assert await pool.run(divmod, 7, 2, timeout=30) == (3, 1)


async def test_secrets_do_not_reach_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    pool = WorkerPool(1)
    try:
        assert await pool.run(os.getenv, "OPENAI_API_KEY", timeout=30) is None
    finally:
        pool.close()


async def test_the_loop_goes_on_during_a_conversion() -> None:
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.01)
            beats += 1

    heart = asyncio.create_task(beat())
    page = "<html><body>" + "<p>Some text that is long enough to count as a paragraph.</p>" * 3_000 + "</body></html>"
    document = await convert_document(page.encode(), "a.html")
    heart.cancel()
    assert document.text.count("paragraph") == 3_000
    assert beats > 5


async def test_a_conversion_that_takes_too_long_is_a_read_error() -> None:
    page = "<html><body>" + "<p>Some text that is long enough to count as a paragraph.</p>" * 20_000 + "</body></html>"
    with pytest.raises(ReadError, match=r"^a\.html: it took longer than 0\.05 seconds$"):
        await convert_document(page.encode(), "a.html", timeout_seconds=0.05)


async def test_size_is_checked_before_anything_is_sent() -> None:
    with pytest.raises(ReadError, match=r"^a\.md: it is larger than 10 bytes$"):
        await convert_document(b"x" * 11, "a.md", max_bytes=10)
