"""Waiting for a paid call."""

from __future__ import annotations

import asyncio

import pytest

from providers.patience import within
from schemas.errors import BudgetExceeded, EmbeddingError


async def _answer() -> str:
    return "answer"


async def _never() -> str:
    await asyncio.Event().wait()
    raise AssertionError


async def _refused() -> str:
    raise BudgetExceeded("too much")


@pytest.mark.parametrize("seconds", [None, 5.0])
async def test_an_answer_in_time(seconds: float | None) -> None:
    assert await within(seconds, _answer, EmbeddingError, name="a", texts=["b"]) == "answer"


async def test_a_call_that_takes_too_long_counts_as_billed() -> None:
    with pytest.raises(EmbeddingError, match=r"^a took longer than the 0\.0 s that were left$") as caught:
        await within(0.01, _never, EmbeddingError, name="a", texts=["one two", "three"])
    assert caught.value.usage.provider_tokens >= 3
    assert caught.value.usage.estimated


async def test_no_time_left_asks_nothing() -> None:
    with pytest.raises(EmbeddingError, match=r"^a was not asked, the time is over$") as caught:
        await within(0.0, _never, EmbeddingError, name="a", texts=["one two"])
    assert caught.value.usage.total_tokens == 0


async def test_other_errors_pass() -> None:
    with pytest.raises(BudgetExceeded):
        await within(1.0, _refused, EmbeddingError, name="a", texts=[])
