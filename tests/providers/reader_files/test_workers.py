"""Worker processes: limits on time and memory, crashes, errors of the tree."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from providers.reader import conversion, workers
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


_PARENT = """
import os, time
from providers.reader.workers import WorkerPool
pool = WorkerPool(1)
print(pool.submit(os.getpid, timeout=60).result(), flush=True)
pool.submit(time.sleep, 600, timeout=600).result()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
def test_a_process_that_hangs_is_ended_when_its_parent_is_killed() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen([sys.executable, "-c", _PARENT], env=environment, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = Path(f"/proc/{int(parent.stdout.readline())}")
        assert worker.exists()
        parent.kill()
    for _ in range(3_000):
        try:
            if "\nState:\tZ" in (worker / "status").read_text():
                return
        except (FileNotFoundError, ProcessLookupError):
            return
        time.sleep(0.01)
    raise AssertionError("it is still there")


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


async def test_slow_calls_do_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "QUICK_SECONDS", 0.3)
    pool = WorkerPool(2, first=os.getpid)
    try:
        assert await pool.run(divmod, 7, 2, timeout=30) == (3, 1)
        slow = [asyncio.create_task(pool.run(time.sleep, 120, timeout=100)) for _ in range(4)]
        await asyncio.sleep(0)
        started = time.monotonic()
        assert await pool.run(divmod, 9, 2, timeout=30) == (4, 1)
        assert time.monotonic() - started < 60
        assert not any(task.done() for task in slow)
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
    finally:
        pool.close()


async def test_a_slow_call_is_done_although_it_was_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "QUICK_SECONDS", 0.1)
    pool = WorkerPool(1)
    try:
        assert await pool.run(time.sleep, 0.4, timeout=30) is None
        with pytest.raises(TimeoutError, match=r"^it took longer than 0\.5 seconds$"):
            await pool.run(time.sleep, 60, timeout=0.5)
    finally:
        pool.close()


async def test_a_new_worker_makes_its_first_call_before_time_runs() -> None:
    pool = WorkerPool(1, first=_wait_a_moment)
    try:
        assert await pool.run(divmod, 7, 2, timeout=1.5) == (3, 1)
    finally:
        pool.close()


async def test_the_answer_of_a_worker_has_a_limit(pool: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_ANSWER_BYTES", 1 << 20)
    with pytest.raises(WorkerDied, match=r"^its reader process answered with more than 1 MB$"):
        await pool.run(bytes, 2 << 20, timeout=30)
    assert await pool.run(divmod, 7, 2, timeout=30) == (3, 1)


async def test_a_conversion_has_less_time_than_its_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversion, "SECONDS", 0.05)
    page = "<html><body>" + "<p>Some text that is long enough to count as a paragraph.</p>" * 20_000 + "</body></html>"
    with pytest.raises(ReadError, match=r"^a\.html: its conversion took longer than \d\.\d+ seconds$") as raised:
        monkeypatch.setattr(conversion, "SECONDS_PER_MEGABYTE", 0.01)
        await convert_document(page.encode(), "a.html", timeout_seconds=60)
    assert type(raised.value) is ReadError, "it would take as long the next time"


def test_there_are_two_workers_on_one_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    made = workers._pool_of.__wrapped__(os.getpid())
    assert (made._threads._max_workers, made._slow._max_workers) == (2, 1)
    made.close()


def _wait_a_moment() -> None:
    time.sleep(2)
