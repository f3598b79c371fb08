"""What an entry takes in a store: text is kept compressed, as a page of 30,000 characters is a third of its size then."""

from __future__ import annotations

import zstandard

_SMALLEST = 512  # bytes; below, compressing gains next to nothing
_WORTHWHILE = 0.9
_LEVEL = 3


def compressed(value: bytes) -> tuple[bool, bytes]:
    """Whether compressing is worthwhile, and the value as it is kept."""
    if len(value) >= _SMALLEST:
        smaller = zstandard.compress(value, _LEVEL)
        if len(smaller) < _WORTHWHILE * len(value):
            return True, smaller
    return False, value
