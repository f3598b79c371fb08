"""Every container of every stage is restarted, one after the other, while questions are asked without a pause: none may fail."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.containers.project import Project, docker
from tests.containers.questions import Load

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(1800)]

PORTS = {
    "page_reader": 8094,
    "query_planner": 8091,
    "jina_searcher": 8092,
    "url_ranker": 8093,
    "evaluator": 8096,
    "answer_finalizer": 8097,
    "controller": 8090,
}


def serves(container: str, port: int) -> bool:
    try:
        docker("exec", container, "python", "-m", "deepsearch.probing", f"127.0.0.1:{port}")
    except AssertionError:
        return False
    return True


async def until_serving(container: str, port: int, seconds: float = 300) -> None:
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(serves, container, port):
            await asyncio.sleep(0.5)


async def test_no_question_fails_while_everything_is_restarted(stack: Project) -> None:
    twice = [argument for stage in PORTS for argument in ("--scale", f"{stage}=2")]
    stack.run("up", "--detach", "--no-build", "--no-recreate", *twice, timeout=300)
    for stage, port in PORTS.items():
        for container in stack.containers(stage):
            await until_serving(container["Id"], port)
    begin = time.monotonic()
    async with Load(stack.url).asked() as load:
        await load.until(10, 300)
        for stage, port in PORTS.items():
            for container in await asyncio.to_thread(stack.containers, stage):
                await asyncio.to_thread(docker, "restart", "--time", "30", container["Id"])
                await until_serving(container["Id"], port)
                await load.until(10, 300)
            print(f"{stage} restarted: {load.answered} answered, {load.repeated} asked again, failed: {load.failures}", flush=True)
    seconds = time.monotonic() - begin
    print(f"14 containers restarted in {seconds:.0f} s: {load.answered} answered, {load.repeated} asked again, failed: {load.failures}")
    assert load.failures == []
