"""The contract of a reader: a URL in, a page out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from schemas.reading import Image, Link, Page
from schemas.usage import Usage


@dataclass(frozen=True)
class ReadOptions:
    """What bounds one reading."""

    timeout_seconds: float = 60.0
    max_bytes: int = 20_000_000
    max_tokens: int = 0
    """Most tokens a paid reader may bill; 0: no limit."""
    corpus: str = ""
    failures: int = 0
    """How often reading this page has failed already: the readers that accept it are asked beginning with another one each time."""
    with_images: bool = False
    """Whether images are wanted."""


@dataclass(frozen=True)
class Reading:
    """A page, the links and, when they were asked for, the images on it, and what it cost."""

    page: Page
    links: list[Link] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    images: list[Image] = field(default_factory=list)


class PageSource(Protocol):
    """Reads pages of the URLs it accepts."""

    name: str

    def accepts(self, url: str) -> bool:
        """Whether this reader is meant for `url` (by scheme)."""
        ...

    async def read(self, url: str, options: ReadOptions) -> Reading:
        """Read the page.

        Raises `ReadError`, `PageUnavailable` for what may pass or may not stop another reader, or `InvalidRequest` for a file outside
        the corpus; each message names the cause.
        """
        ...

    async def close(self) -> None:
        """Close connections."""
        ...
