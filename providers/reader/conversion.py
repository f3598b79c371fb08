"""Conversion of documents for callers that must not block: in a worker process, with a time limit."""

from __future__ import annotations

from providers.reader.documents import Document, convert
from providers.reader.limits import MAX_BYTES
from providers.reader.workers import WorkerDied, shared_pool
from schemas.errors import PageUnavailable, ReadError


async def convert_document(
    data: bytes, name: str, *, media_type: str | None = None, max_bytes: int = MAX_BYTES, timeout_seconds: float = 60.0
) -> Document:
    """Turn the bytes of a document into text, as `documents.convert` does, without blocking the event loop.

    Raises `ReadError` as that does, and also when the conversion crashes or needs too much memory, `PageUnavailable` when it takes
    longer than `timeout_seconds`.
    """
    if len(data) > max_bytes:
        raise ReadError(f"{name}: it is larger than {max_bytes:,} bytes")
    try:
        return await shared_pool().run(_convert, data, name, media_type, max_bytes, timeout=timeout_seconds)
    except TimeoutError as error:
        raise PageUnavailable(f"{name}: {error}") from error
    except (WorkerDied, MemoryError) as error:
        raise ReadError(f"{name}: {error}") from error


def _convert(data: bytes, name: str, media_type: str | None, max_bytes: int) -> Document:
    return convert(data, name, media_type=media_type, max_bytes=max_bytes)
