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


def _direct(settings: Settings) -> PageSource:
    from providers.reader.direct import DirectReader  # noqa: PLC0415

    return DirectReader(settings)


SOURCES: dict[str, Callable[[Settings], PageSource]] = {"file": _file, "jina": _jina, "direct": _direct}
"""Every page source, in the order in which those that accept a URL are tried."""


def create_reader(settings: Settings) -> PageSourceChain:
    """The chain of all sources. Jina's reader takes part with a key, or when JINA_READER_URL names another server."""
    from providers.guarded import AddressPolicy  # noqa: PLC0415
    from providers.reader.cached import with_cache  # noqa: PLC0415

    other_server = settings.jina_reader_url != Settings.model_fields["jina_reader_url"].default
    left_out = set() if settings.jina_api_key or other_server else {"jina"}
    return PageSourceChain(
        [with_cache(make(settings), settings) for name, make in SOURCES.items() if name not in left_out],
        policy=AddressPolicy(settings.deepsearch_allow_hosts),
        concurrency=settings.reader_concurrency,
    )
