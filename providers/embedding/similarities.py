"""How near passages are to a question by their vectors."""

from __future__ import annotations

import numpy as np

from providers.embedding.base import Vectors
from schemas.errors import EmbeddingError


def similarities(question: Vectors, passages: Vectors) -> list[float]:
    """The dot product of each row of `passages` with the one vector `question`, -1 to 1.

    Vectors of no dimension (those of texts without words, where no other text tells how many numbers they should have) are near
    nothing: 0. Raises `EmbeddingError` when the dimensions differ, because such vectors are of different models.
    """
    asked = question.reshape(-1)
    if not asked.size or not passages.shape[1]:
        return [0.0] * len(passages)
    if asked.size != passages.shape[1]:
        raise EmbeddingError(f"the question has a vector of {asked.size} dimensions, and the passages of {passages.shape[1]}")
    return [float(product) for product in np.clip(np.nan_to_num(passages @ asked), -1.0, 1.0)]
