"""One allowance divided among calls that run at the same time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from executors.evaluator.allowances import shared
from schemas.usage import Allowance


def test_shares_follow_the_needs():
    shares = shared(Allowance(tokens=1_000, llm_calls=5, seconds=7, cost_usd=1.0), [100, 300])
    assert [(share.tokens, share.llm_calls, share.seconds, share.cost_usd) for share in shares] == [(250, 3, 7, 0.25), (750, 2, 7, 0.75)]


def test_no_calls_no_shares():
    assert shared(Allowance(), []) == []


@given(st.integers(0, 10**6), st.integers(0, 50), st.lists(st.integers(0, 10**5), max_size=30))
def test_shares_never_exceed_the_whole(tokens, calls, needs):
    shares = shared(Allowance(tokens=tokens, llm_calls=calls, cost_usd=2.0), needs)
    assert len(shares) == len(needs)
    assert sum(share.tokens for share in shares) <= tokens
    assert sum(share.llm_calls for share in shares) == (calls if needs else 0)
    assert sum(share.cost_usd for share in shares) <= 2.0 + 1e-9
    assert all(share.cost_usd is not None for share in shares)
