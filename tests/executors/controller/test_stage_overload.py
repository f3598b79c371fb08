"""Stages as processes that have too much to do, or are told to stop."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path

import pytest
from stage_processes import listening, serving, start

from executors.controller.remote_stages import RemoteStages
from schemas.answering import ComposeRequest, Draft, FinalizeChunk, FinalizeRequest
from schemas.errors import Overloaded
from schemas.reading import ReadRequest, ReadResponse
from tests.gateway.flow_process import free_ports

pytestmark = pytest.mark.flow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield tmp_path_factory.mktemp("overloaded")


@contextmanager
def processes(names: list[str], log: Path, **settings: str) -> Iterator[list[int]]:
    """A process of each stage that is named; gives their ports."""
    ports = free_ports(len(names))
    started = [start(stage, port, log, **settings) for stage, port in zip(names, ports, strict=True)]
    try:
        for port in ports:
            listening(port)
        yield ports
    finally:
        for process in started:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def small(home: Path) -> Iterator[tuple[dict[str, str], Path]]:
    """Stages that do one thing at a time and let nobody wait, two page readers among them: addresses and log."""
    log = home / "small.log"
    limits = {"DEEPSEARCH_STAGE_CONCURRENCY": "1", "DEEPSEARCH_STAGE_WAITING": "0"}
    with processes(["page_reader", "page_reader", "answer_finalizer"], log, **limits) as ports:
        yield {"page_reader": f"127.0.0.1:{ports[0]},127.0.0.1:{ports[1]}", "answer_finalizer": f"127.0.0.1:{ports[2]}"}, log


@pytest.fixture
async def stages(small: tuple[dict[str, str], Path]) -> AsyncIterator[RemoteStages]:
    small[1].unlink(missing_ok=True)
    made = RemoteStages(small[0])
    yield made
    await made.close()


async def noted(log: Path, beginning: str, times: int = 1) -> list[str]:
    """The processes that noted it, as soon as it was noted that often."""
    for _ in range(3_000):
        found = [line.split()[-1] for line in log.read_text().splitlines() if line.startswith(beginning)] if log.exists() else []
        if len(found) >= times:
            return found
        await asyncio.sleep(0.01)
    raise AssertionError(f"{beginning!r} was not noted {times} times")


async def left(*calls: asyncio.Future[ReadResponse] | asyncio.Future[Draft]) -> None:
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


def read(stages: RemoteStages, url: str, seconds: float = 60) -> asyncio.Future[ReadResponse]:
    return asyncio.ensure_future(stages.call("/read", ReadRequest(url=url), ReadResponse, timeout=seconds))


async def test_another_replica_is_asked_when_one_has_too_much_to_do(stages: RemoteStages, small: tuple[dict[str, str], Path]) -> None:
    hanging = read(stages, "slow")
    (busy,) = await noted(small[1], "begin slow")
    for number in range(6):
        assert (await read(stages, f"after {number}")).errors == [f"after {number}"]
    assert len(free := set(await noted(small[1], "begin after", 6))) == 1 and busy not in free
    assert all(serving(int(address.split(":")[1])) for address in small[0]["page_reader"].split(","))  # it is well, only busy
    await left(hanging)


async def test_when_all_have_too_much_to_do_it_is_said_in_time(stages: RemoteStages, small: tuple[dict[str, str], Path]) -> None:
    hanging = [read(stages, "slow"), read(stages, "slow")]
    await noted(small[1], "begin slow", 2)
    with pytest.raises(Overloaded) as caught:
        await read(stages, "late", 1.0)
    assert str(caught.value) == "NotingReader has 1 calls under way and 0 waiting (DEEPSEARCH_STAGE_CONCURRENCY, DEEPSEARCH_STAGE_WAITING)."
    assert caught.value.retry_after == 1
    patient = read(stages, "patient")
    await left(*hanging)
    assert (await patient).errors == ["patient"]


async def test_a_paid_call_that_was_refused_is_made_later(stages: RemoteStages, small: tuple[dict[str, str], Path]) -> None:
    first, second = (stages.call("/compose", ComposeRequest(), Draft, timeout=60) for _ in range(2))
    composing = asyncio.ensure_future(first)
    await noted(small[1], "begin compose")
    waiting = asyncio.ensure_future(second)
    await asyncio.sleep(0.3)
    assert len(await noted(small[1], "begin compose")) == 1 and not waiting.done()
    await left(composing)
    await noted(small[1], "begin compose", 2)
    await left(waiting)


async def test_streams_have_places_too_and_leave_those_of_calls(stages: RemoteStages, small: tuple[dict[str, str], Path]) -> None:
    async with aclosing(stages.stream("/finalize", FinalizeRequest(draft="slow"), FinalizeChunk, timeout=60)) as open_stream:  # type: ignore[type-var]
        assert (await anext(open_stream)).delta == "slow"
        with pytest.raises(Overloaded):
            async for _ in stages.stream("/finalize", FinalizeRequest(draft="a"), FinalizeChunk, timeout=1.0):
                pass
        composing = asyncio.ensure_future(stages.call("/compose", ComposeRequest(), Draft, timeout=60))
        await noted(small[1], "begin compose")
        await left(composing)
        waiting = stages.stream("/finalize", FinalizeRequest(draft="b"), FinalizeChunk, timeout=60)
        first = asyncio.ensure_future(anext(waiting))  # type: ignore[arg-type]
        await asyncio.sleep(0.1)
        assert not first.done()
    assert (await first).delta == "b"
    assert [chunk.text async for chunk in waiting] == ["b"]


async def test_a_stopping_stage_says_so_before_it_closes_its_port(home: Path, tmp_path: Path) -> None:
    log, (port,) = home / "leaving.log", free_ports(1)
    process = start("page_reader", port, log, LEAVING_SECONDS="5", DRAIN_SECONDS="60")
    stages = RemoteStages({"page_reader": f"127.0.0.1:{port}"})
    try:
        listening(port)
        question = str(tmp_path / "go on")
        reading = asyncio.ensure_future(stages.call("/read", ReadRequest(url="until", question=question), ReadResponse, timeout=120))
        await noted(log, "begin until")
        assert await asyncio.to_thread(serving, port)
        process.send_signal(signal.SIGTERM)
        while await asyncio.to_thread(serving, port):
            await asyncio.sleep(0.01)
        assert (await read(stages, "meanwhile")).errors == ["meanwhile"]  # not ready, and still taking calls
        await noted(log, "leave")
        while await asyncio.to_thread(_open, port):
            await asyncio.sleep(0.05)
        assert process.poll() is None and not reading.done()
        Path(question).touch()
        assert (await reading).errors == ["until"]
        assert await asyncio.to_thread(process.wait, 60) == 0
        steps = [line.split()[0] for line in log.read_text().splitlines()]
        assert steps == ["begin", "begin", "leave", "close"]
    finally:
        await stages.close()
        process.kill()
        process.wait()


def _open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
