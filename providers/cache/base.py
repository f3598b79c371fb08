"""The contract of a cache: what the outside answered, by the content of what it was asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["search", "page", "embedding", "rerank", "llm"]


@dataclass(frozen=True)
class Entry:
    """A remembered answer and when it was given, in seconds since the epoch."""

    value: bytes
    stored_at: float


class Cache(Protocol):
    """Keeps answers by kind and key; shared by processes, safe for any number of them at once.

    A fault of the cache is raised as `CacheError`.
    """

    async def get(self, kind: Kind, keys: Sequence[str]) -> dict[str, Entry]:
        """The entries that there are, whatever their age, by key."""
        ...

    async def put(self, kind: Kind, values: Mapping[str, bytes]) -> None:
        """Keep `values` by key, in place of what was there; entries not used for longest go when the size limit is reached."""
        ...

    async def close(self) -> None:
        """Release what it holds."""
        ...
