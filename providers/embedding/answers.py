"""Vectors out of the answer of an embeddings endpoint, whose form OpenAI's and Jina's services share."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import numpy as np

from providers.embedding.base import Vectors
from providers.http import Endpoint


def vectors(answer: Mapping[str, Any], count: int, endpoint: Endpoint, dimensions: int | None) -> dict[int, Vectors]:
    """The vectors of `{data: [{index, embedding}]}` by `index`, each of length 1; `embedding` is a list, or float32 in base64.

    Left out is what cannot be used: an index out of range or given twice, a vector with something else than finite
    numbers or without direction. An item without an index has that of its position. Raises the endpoint's error when
    there is no list, and for a vector without `dimensions` numbers (None: any number of them).
    """
    data = answer.get("data")
    if not isinstance(data, list):
        raise endpoint.fails("sent a malformed body: `data` is not a list")
    found: dict[int, Vectors] = {}
    twice = set()
    for position, item in enumerate(data[: 2 * count]):
        index = item.get("index", position) if isinstance(item, dict) else None
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < count:
            continue
        if index in found:
            twice.add(index)
        vector = _vector(item.get("embedding"))
        if vector is None:
            continue
        if dimensions is not None and len(vector) != dimensions:
            raise endpoint.fails(f"sent a vector of {len(vector)} dimensions instead of {dimensions}: check EMBEDDING_DIMENSIONS")
        found[index] = vector
    return {index: vector for index, vector in found.items() if index not in twice}


def _vector(embedding: object) -> Vectors | None:
    try:
        if isinstance(embedding, str):
            numbers = np.frombuffer(base64.b64decode(embedding, validate=True), dtype="<f4").astype(np.float64)
        elif isinstance(embedding, list):
            numbers = np.array(embedding, dtype=np.float64)
        else:
            return None
    except (ValueError, TypeError, OverflowError, binascii.Error):
        return None
    if numbers.ndim != 1 or not numbers.size or not np.isfinite(numbers).all():
        return None
    largest = np.abs(numbers).max()
    if not largest:
        return None
    numbers /= largest  # squares of what is very large or small would leave the range
    return (numbers / np.linalg.norm(numbers)).astype(np.float32)
