"""A stage that has died is waited for, however long its call had been under way; so is a model that is spared for a while."""

from __future__ import annotations

import pytest

from executors.controller import calling
from schemas.errors import ModelUnavailable, Overloaded, StageUnavailable
from schemas.events import Effect
from schemas.usage import Usage

GONE = StageUnavailable("the stage evaluator went away during /check", field="EVALUATOR_ADDRESS")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that only pauses move, and who writes to it."""
    now = [0.0]

    async def pause(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(calling, "monotonic", lambda: now[0])
    monkeypatch.setattr(calling.asyncio, "sleep", pause)
    return now


async def waited(waiting: calling._Waiting) -> int:
    """How often a stage that stays away is asked again."""
    for times in range(1000):
        try:
            await waiting.pause_after(GONE)
        except StageUnavailable:
            return times
    raise AssertionError("it is asked for ever")


async def test_a_call_that_was_long_under_way_is_made_again(clock: list[float]) -> None:
    at_once = await waited(calling._Waiting(Effect(id="1", kind="check", seconds=180)))
    waiting = calling._Waiting(Effect(id="2", kind="check", seconds=180))
    clock[0] += 100
    assert await waited(waiting) == at_once > 10


async def test_nothing_is_waited_for_beyond_the_time_of_the_call(clock: list[float]) -> None:
    waiting = calling._Waiting(Effect(id="1", kind="check", seconds=5))
    assert await waited(waiting) > 1
    assert clock[0] <= 5


@pytest.mark.parametrize("error", [Overloaded("too many calls"), StageUnavailable("it ended its stream without an answer")])
async def test_only_a_stage_that_is_gone_is_waited_for(clock: list[float], error: StageUnavailable) -> None:
    with pytest.raises(type(error)):
        await calling._Waiting(Effect(id="1", kind="check", seconds=180)).pause_after(error)
    assert clock == [0.0]


async def test_a_model_that_is_spared_is_waited_for(clock: list[float]) -> None:
    waiting = calling._Waiting(Effect(id="1", kind="decide", seconds=180))
    await waiting.pause_for_model(ModelUnavailable("the model server is not asked for 30 s", retry_after=30))
    assert 30 <= clock[0] < 31
    await waiting.pause_for_model(ModelUnavailable("the model server is just being tried again", retry_after=1))
    with pytest.raises(ModelUnavailable):
        await waiting.pause_for_model(ModelUnavailable("the model server is not asked for 30 s", retry_after=30))
    assert clock[0] < 33


async def test_a_spared_model_is_not_waited_for_beyond_the_time_of_the_call(clock: list[float]) -> None:
    with pytest.raises(ModelUnavailable):
        await calling._Waiting(Effect(id="1", kind="decide", seconds=30)).pause_for_model(ModelUnavailable("spared", retry_after=30))
    assert clock == [0.0]


@pytest.mark.parametrize("error", [ModelUnavailable("it failed"), ModelUnavailable("spared", usage=Usage(prompt_tokens=9), retry_after=3)])
async def test_a_model_that_was_asked_is_not_waited_for(clock: list[float], error: ModelUnavailable) -> None:
    """What the first attempt cost is told before there is a second one."""
    with pytest.raises(ModelUnavailable):
        await calling._Waiting(Effect(id="1", kind="decide", seconds=180)).pause_for_model(error)
    assert clock == [0.0]
