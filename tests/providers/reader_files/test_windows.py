"""Pieces and windows of a long page."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.reader.windows import best_windows, mean_similarity, pieces, window_count


def test_b22_a_blank_piece_does_not_move_the_pieces_after_it() -> None:
    text = "a" * 300 + " " * 300 + "b" * 300 + "\n" * 300 + "c" * 10
    assert pieces(text) == [(0, 300), (600, 900), (1_200, 1_210)]
    assert [text[start] for start, _ in pieces(text)] == ["a", "b", "c"]
    assert pieces(" \n") == pieces("") == []


@pytest.mark.parametrize(("characters", "count"), [(12_000, 2), (17_999, 2), (18_000, 3), (29_999, 4), (30_000, 5), (10**6, 5)])
def test_how_many_windows(characters: int, count: int) -> None:
    assert window_count(characters) == count


def test_b22_no_window_is_given_twice_when_none_is_left() -> None:
    spans = [(start, start + 300) for start in range(0, 9_000, 300)]
    similarities = [0.0] * 5 + [1.0] * 20 + [0.0] * 5
    assert best_windows(spans, similarities, 5) == [(1_500, 7_500)]


def test_the_best_windows_come_first() -> None:
    spans = [(start, start + 300) for start in range(0, 30_000, 300)]
    similarities = [0.1] * 100
    similarities[70:90] = [0.9] * 20
    similarities[10:30] = [0.5] * 20
    assert best_windows(spans, similarities, 2) == [(21_000, 27_000), (3_000, 9_000)]
    assert best_windows(spans[:7], similarities[:7], 2) == [(0, 2_100)]
    assert best_windows([], [], 2) == []


def test_the_mean_is_that_of_the_pieces_touched() -> None:
    spans = [(0, 300), (600, 900), (900, 1_200)]
    assert mean_similarity((250, 700), spans, [0.2, 0.4, 0.9]) == pytest.approx(0.3)
    assert mean_similarity((300, 600), spans, [0.2, 0.4, 0.9]) == 0.0


@given(st.text("ab \n", max_size=60).map(lambda text: text * 300), st.integers(1, 5), st.data())
def test_windows_are_exact_disjoint_and_repeatable(text: str, count: int, data: st.DataObject) -> None:
    spans = pieces(text)
    assert all(0 < end - start <= 300 and not text[start:end].isspace() for start, end in spans)
    assert all(start % 300 == 0 for start, _ in spans)
    assert sum(len(text[start:end].strip()) > 0 for start, end in spans) == len(spans)
    similarities = data.draw(st.lists(st.floats(-1, 1), min_size=len(spans), max_size=len(spans)))
    windows = best_windows(spans, similarities, count)
    assert windows == best_windows(spans, similarities, count)
    assert len(windows) <= count
    assert bool(windows) == bool(spans)
    begins, ends = {start for start, _ in spans}, {end for _, end in spans}
    previous = 0
    for start, end in sorted(windows):
        assert previous <= start < end
        assert start in begins
        assert end in ends
        previous = end
