"""Scores brought together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from providers.fusion import fused, min_max


def test_min_max() -> None:
    assert min_max([]) == []
    assert min_max([2.0, 4.0, 3.0]) == [0.0, 1.0, 0.5]
    assert min_max([0.3, 0.3]) == [1.0, 1.0]
    assert min_max([0.0, 0.0]) == min_max([-1.0, -1.0]) == [0.0, 0.0]


def test_half_and_half() -> None:
    assert fused([0.0, 0.2, 0.4], [0.9, 0.5, 0.7]) == [0.5, 0.25, 0.75]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(-1, 1)), max_size=20))
def test_what_is_better_by_both_is_better(pairs: list[tuple[float, float]]) -> None:
    scores = fused([own for own, _ in pairs], [other for _, other in pairs])
    assert all(0 <= score <= 1 for score in scores)
    for (own, other), score in zip(pairs, scores, strict=True):
        for (their_own, their_other), theirs in zip(pairs, scores, strict=True):
            if own >= their_own and other >= their_other:
                assert score >= theirs
