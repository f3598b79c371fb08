"""Similarities of vectors."""

from __future__ import annotations

import numpy as np
import pytest

from providers.embedding.similarities import similarities
from schemas.errors import EmbeddingError


def zeros(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.zeros(shape, dtype=np.float32)


def test_dot_products_within_their_range() -> None:
    passages = np.array([[0.6, 0.8], [-2, 0], [np.nan, 1], [0, 0]], dtype=np.float32)
    assert similarities(np.array([1, 0], dtype=np.float32), passages) == pytest.approx([0.6, -1, 0, 0])


@pytest.mark.parametrize(("question", "passages"), [(zeros(0), zeros(3, 4)), (zeros(1, 0), zeros(3, 4)), (zeros(4), zeros(3, 0))])
def test_vectors_of_no_dimension_are_near_nothing(question: np.ndarray, passages: np.ndarray) -> None:
    assert similarities(question, passages) == [0.0] * 3


def test_other_dimensions_cannot_be_compared() -> None:
    with pytest.raises(EmbeddingError, match=r"^the question has a vector of 4 dimensions, and the passages of 8$"):
        similarities(zeros(4), zeros(3, 8))
