"""Page sources, by name, and the chain of them that reads any URL.

A source's module is loaded when a chain is made, so that what only needs `pages` or `passages` stays light.
"""

from __future__ import annotations

from collections.abc import Callable

from providers.reader.base import PageSource, Reading, ReadOptions
from providers.reader.chain import PageSourceChain
from schemas.settings import Settings

__all__ = ["SOURCES", "PageSource", "PageSourceChain", "ReadOptions", "Reading", "create_reader"]


def _file(settings: Settings) -> PageSource:
    from providers.reader.files import FileReader  # noqa: PLC0415

    return FileReader(settings)


def _jina(settings: Settings) -> PageSource:
    from providers.reader.jina import JinaReader  # noqa: PLC0415

    return JinaReader(settings)


SOURCES: dict[str, Callable[[Settings], PageSource]] = {"file": _file, "jina": _jina}
"""Every page source, in the order in which those that accept a URL are tried."""


def create_reader(settings: Settings) -> PageSourceChain:
    """The chain of all sources."""
    return PageSourceChain([make(settings) for make in SOURCES.values()])
