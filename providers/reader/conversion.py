"""Conversion of documents for callers that must not block: in a worker process, with limits on its time."""

from __future__ import annotations

import asyncio

from providers.reader.documents import Document, convert
from providers.reader.limits import MAX_BYTES
from providers.reader.workers import WorkerDied, shared_pool
from schemas.errors import PageUnavailable, ReadError

SECONDS = 10.0
SECONDS_PER_MEGABYTE = 2.0
"""A conversion may take 10 seconds and 2 more for each megabyte. Ordinary pages take a hundredth of a second, and long ones of hundreds
of kilobytes about one; what takes longer than this was made to take long."""


async def convert_document(
    data: bytes, name: str, *, media_type: str | None = None, max_bytes: int = MAX_BYTES, timeout_seconds: float = 60.0
) -> Document:
    """Turn the bytes of a document into text, as `documents.convert` does, without blocking the event loop.

    Raises `ReadError` as that does, and also when the conversion crashes, needs too much memory or takes longer than `SECONDS` and
    what its size adds to them; `PageUnavailable` when it takes longer than `timeout_seconds`, its wait for a worker included.
    """
    if len(data) > max_bytes:
        raise ReadError(f"{name}: it is larger than {max_bytes:,} bytes")
    own_seconds = SECONDS + SECONDS_PER_MEGABYTE * len(data) / 1_000_000
    try:
        async with asyncio.timeout(timeout_seconds) as patience:
            return await shared_pool().run(_convert, data, name, media_type, max_bytes, timeout=min(own_seconds, timeout_seconds))
    except TimeoutError as error:
        if patience.expired() or timeout_seconds <= own_seconds:
            raise PageUnavailable(f"{name}: it took longer than {timeout_seconds:g} seconds") from error
        raise ReadError(f"{name}: its conversion {str(error).removeprefix('it ')}") from error
    except (WorkerDied, MemoryError) as error:
        raise ReadError(f"{name}: {error}") from error


def _convert(data: bytes, name: str, media_type: str | None, max_bytes: int) -> Document:
    return convert(data, name, media_type=media_type, max_bytes=max_bytes)
