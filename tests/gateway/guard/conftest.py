"""Guarded Flows for the tests of this folder."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.gateway.guard.guarded_flow import Guarded, serving


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Guarded]]:
    """Starts Flows that live as long as the module; one for each different settings."""
    running: dict[tuple[tuple[str, str], ...], Guarded] = {}
    with ExitStack() as flows:

        def get(**settings: str) -> Guarded:
            key = tuple(sorted(settings.items()))
            if key not in running:
                running[key] = flows.enter_context(serving(Path(tempfile.mkdtemp(dir=tmp_path_factory.getbasetemp())), **settings))
            return running[key]

        yield get


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Waits for something that another process does."""

    async def wait(happened: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not await asyncio.to_thread(happened):
                await asyncio.sleep(0.01)

    return wait
