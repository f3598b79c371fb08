"""The contract of a reader: a URL in, a page out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from schemas.reading import Link, Page
from schemas.usage import Usage


@dataclass(frozen=True)
class ReadOptions:
    """What bounds one reading."""

    timeout_seconds: float = 60.0
    max_bytes: int = 20_000_000
    max_tokens: int = 0
    """Most tokens a paid reader may bill; 0: no limit."""
    corpus: str = ""


@dataclass(frozen=True)
class Reading:
    """A page, the links on it, and what it cost."""

    page: Page
    links: list[Link] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)


class PageSource(Protocol):
    """Reads pages of the URLs it accepts."""

    name: str

    def accepts(self, url: str) -> bool:
        """Whether this reader is meant for `url` (by scheme)."""
        ...

    async def read(self, url: str, options: ReadOptions) -> Reading:
        """Read the page. Raises `ReadError`, or `CorpusError` for a file outside the corpus; each message names the cause."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...
