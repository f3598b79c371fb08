"""One contract for the stages, whether they are processes or objects; and what only processes can do: die, and come back."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

import noting_stages
import pytest
from stage_processes import listening, start

from executors.controller.local_stages import LocalStages
from executors.controller.remote_stages import RemoteStages
from executors.controller.stages import Stages
from schemas.answering import ComposeRequest, Draft, FinalizeChunk, FinalizeRequest
from schemas.errors import DeadlineExceeded, DeepSearchError, ReadError, StageUnavailable
from schemas.ranking import DedupeRequest, DedupeResponse, Ranking, RankRequest
from schemas.reading import ReadRequest, ReadResponse
from schemas.usage import Usage
from tests.gateway.flow_process import free_ports

pytestmark = pytest.mark.flow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home for the stages' processes, which start before the first test has one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield tmp_path_factory.mktemp("stages")


@pytest.fixture(scope="module")
def served(home: Path) -> Iterator[tuple[dict[str, str], Path]]:
    """The stages as processes, two page readers among them: addresses and log."""
    log = home / "remote.log"
    names = ["page_reader", "page_reader", "url_ranker", "answer_finalizer"]
    ports = free_ports(len(names))
    processes = [start(stage, port, log) for stage, port in zip(names, ports, strict=True)]
    try:
        for port in ports:
            listening(port)
        addresses = {stage: f"127.0.0.1:{port}" for stage, port in zip(names[2:], ports[2:], strict=True)}
        yield {**addresses, "page_reader": f"127.0.0.1:{ports[0]}, 127.0.0.1:{ports[1]}"}, log
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.fixture(params=["remote", "local"])
async def stages(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Stages, Path]]:
    """Each implementation, with the log in which the stages note what happens to them."""
    implementation: Stages
    if request.param == "remote":
        addresses, log = request.getfixturevalue("served")
        log.unlink(missing_ok=True)
        implementation = RemoteStages(addresses)
    else:
        log = tmp_path / "local.log"
        implementation = LocalStages({stage: executor(log=str(log)) for stage, executor in noting_stages.STAGES.items()})
    yield implementation, log
    await implementation.close()


def lines(log: Path, beginning: str) -> list[str]:
    """What the stages noted that begins so."""
    return [line for line in log.read_text().splitlines() if line.startswith(beginning)] if log.exists() else []


async def noted(log: Path, beginning: str, times: int = 1) -> list[str]:
    """The same, as soon as it was noted that often."""
    for _ in range(500):
        if len(found := lines(log, beginning)) >= times:
            return found
        await asyncio.sleep(0.01)  # another process writes the file
    raise AssertionError(f"{beginning!r} was not noted {times} times")


async def test_a_document_goes_there_and_another_comes_back(stages: tuple[Stages, Path]) -> None:
    response = await stages[0].call("/read", ReadRequest(url="u", question="é"), ReadResponse, timeout=30)
    assert response.errors == ["u"]
    assert response.page.text == "é" * 100
    assert response.usage.pages == 1


async def test_an_error_arrives_as_it_was_raised_with_what_was_spent(stages: tuple[Stages, Path]) -> None:
    with pytest.raises(ReadError) as raised:
        await stages[0].call("/read", ReadRequest(url="fail"), ReadResponse, timeout=30)
    assert str(raised.value) == "No page at fail."
    assert raised.value.field == "url"
    assert raised.value.usage.model_copy(update={"id": ""}) == Usage(id="", pages=1, provider_tokens=7)


async def test_a_defect_arrives_as_one_line(stages: tuple[Stages, Path]) -> None:
    with pytest.raises(DeepSearchError) as raised:
        await stages[0].call("/read", ReadRequest(url="defect"), ReadResponse, timeout=30)
    assert (type(raised.value), str(raised.value)) == (DeepSearchError, "KeyError('defect')")


async def test_the_deadline_ends_the_wait_and_the_work(stages: tuple[Stages, Path]) -> None:
    with pytest.raises(DeadlineExceeded, match=r"^/read took longer than 1 s\.$"):
        await stages[0].call("/read", ReadRequest(url="slow"), ReadResponse, timeout=1)
    await noted(stages[1], "cancelled slow")


async def test_cancelling_the_call_cancels_the_work(stages: tuple[Stages, Path]) -> None:
    call = asyncio.ensure_future(stages[0].call("/read", ReadRequest(url="slow"), ReadResponse, timeout=60))
    await noted(stages[1], "begin slow")
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await noted(stages[1], "cancelled slow")


async def test_an_endpoint_that_the_stage_does_not_bind_is_named(stages: tuple[Stages, Path]) -> None:
    with pytest.raises(DeepSearchError, match=r"^The stage url_ranker has no endpoint /rank\.$"):
        await stages[0].call("/rank", RankRequest(question="q"), Ranking, timeout=30)


async def test_many_calls_at_once_get_their_own_answers(stages: tuple[Stages, Path]) -> None:
    calls = (stages[0].call("/dedupe", DedupeRequest(texts=["a", str(n)], existing=["a"]), DedupeResponse, timeout=30) for n in range(50))
    assert [answer.texts for answer in await asyncio.gather(*calls)] == [[str(n)] for n in range(50)]


async def test_a_stream_yields_the_pieces_in_order(stages: tuple[Stages, Path]) -> None:
    chunks = [chunk async for chunk in stages[0].stream("/finalize", FinalizeRequest(draft="a b"), FinalizeChunk, timeout=30)]
    assert [(chunk.delta, chunk.done, chunk.text) for chunk in chunks] == [("a", False, ""), ("b", False, ""), ("", True, "a b")]


async def test_the_deadline_ends_a_stream_and_its_work(stages: tuple[Stages, Path]) -> None:
    chunks = []
    with pytest.raises(DeadlineExceeded, match=r"^/finalize took longer than 1.5 s\.$"):
        async for chunk in stages[0].stream("/finalize", FinalizeRequest(draft="a slow b"), FinalizeChunk, timeout=1.5):
            chunks.append(chunk.delta)
    assert chunks == ["a", "slow"]
    await noted(stages[1], "cancelled finalize")


async def test_leaving_a_stream_ends_its_work(stages: tuple[Stages, Path]) -> None:
    async with aclosing(stages[0].stream("/finalize", FinalizeRequest(draft="a slow b"), FinalizeChunk, timeout=60)) as pieces:  # type: ignore[type-var]
        async for chunk in pieces:
            if chunk.delta == "slow":
                break
    await noted(stages[1], "cancelled finalize")


async def test_replicas_take_turns(served: tuple[dict[str, str], Path]) -> None:
    addresses, log = served
    log.unlink(missing_ok=True)
    stages = RemoteStages(addresses)
    for _ in range(6):
        await stages.call("/read", ReadRequest(url="turn"), ReadResponse, timeout=30)
    await stages.close()
    processes = [line.split()[-1] for line in lines(log, "begin turn")]
    assert sorted(processes.count(process) for process in set(processes)) == [3, 3]


async def test_a_stage_that_is_not_there_is_named_with_address_and_setting() -> None:
    (port,) = free_ports(1)
    stages = RemoteStages({"page_reader": f"127.0.0.1:{port}", "answer_finalizer": f"127.0.0.1:{port}"})
    with pytest.raises(StageUnavailable) as raised:
        await stages.call("/read", ReadRequest(), ReadResponse, timeout=30)
    assert str(raised.value) == f"The stage page_reader cannot be reached at 127.0.0.1:{port}; start it, or correct PAGE_READER_ADDRESS."
    with pytest.raises(StageUnavailable):
        async for _ in RemoteStages({"answer_finalizer": f"127.0.0.1:{port}"}).stream(
            "/finalize", FinalizeRequest(), FinalizeChunk, timeout=30
        ):
            pass
    await stages.close()


async def test_a_replica_that_dies_costs_no_page_but_a_paid_call_is_not_repeated(home: Path) -> None:
    log, ports = home / "dying.log", free_ports(3)
    names = ["page_reader", "page_reader", "answer_finalizer"]
    processes = {port: start(stage, port, log) for stage, port in zip(names, ports, strict=True)}
    stages = RemoteStages({"page_reader": f"127.0.0.1:{ports[0]},127.0.0.1:{ports[1]}", "answer_finalizer": f"127.0.0.1:{ports[2]}"})
    try:
        for port in ports:
            listening(port)
        reading = asyncio.ensure_future(stages.call("/read", ReadRequest(url="slow"), ReadResponse, timeout=60))
        os.kill(int((await noted(log, "begin slow"))[0].split()[-1]), signal.SIGKILL)
        await noted(log, "begin slow", times=2)  # the other one begins it too
        reading.cancel()
        for number in range(4):  # and from now on every call goes to the one that lives
            answer = await stages.call("/read", ReadRequest(url=f"after {number}"), ReadResponse, timeout=30)
            assert answer.errors == [f"after {number}"]

        composing = asyncio.ensure_future(stages.call("/compose", ComposeRequest(), Draft, timeout=60))
        os.kill(int((await noted(log, "begin compose"))[0].split()[-1]), signal.SIGKILL)
        with pytest.raises(StageUnavailable, match=r"^The stage answer_finalizer at \S+ went away during /compose\.$"):
            await composing
    finally:
        await stages.close()
        for process in processes.values():
            process.kill()
            process.wait()
