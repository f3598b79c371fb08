"""What a search engine without parameters of its own for them is told in the text of the query."""

from __future__ import annotations

from collections.abc import Sequence


def on_hostnames(text: str, only_hostnames: Sequence[str]) -> str:
    """`text`, restricted to pages of `only_hostnames` with the operators that the large search engines share."""
    return f"{text} ({' OR '.join(f'site:{host}' for host in only_hostnames)})" if only_hostnames else text


def near(text: str, location: str | None) -> str:
    """`text` with the place it is about."""
    return f"{text} {location}" if location else text
