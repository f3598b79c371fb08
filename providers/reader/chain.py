"""Several page sources in one: a URL goes to those that accept it, in order, until one has read it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from providers.reader.base import PageSource, Reading, ReadOptions
from providers.reader.pages import normalise_url
from schemas.errors import InvalidRequest, ReadError
from schemas.usage import Usage


class PageSourceChain:
    """Reads pages with `sources`, in order."""

    def __init__(self, sources: Sequence[PageSource]) -> None:
        self._sources = tuple(sources)

    async def read(self, url: str, options: ReadOptions) -> tuple[Reading, list[str]]:
        """The page, with the usage of every attempt, and one line for each source that was tried before and failed.

        Raises `ReadError` naming every cause when all of them failed, `InvalidRequest` when it is no URL or none accepts it, and
        `CorpusError` for a file outside the corpus.
        """
        sources = [source for source in self._sources if _is_url(url) and source.accepts(url)]
        if not sources:
            raise InvalidRequest(f"url: {url[:100]!r} cannot be read; give an http, https or file URL", field="url")
        errors: list[str] = []
        usage = Usage()
        for source in sources:
            try:
                reading = await source.read(url, options)
            except ReadError as error:
                errors.append(str(error))
                usage += error.usage
            else:
                return replace(reading, usage=usage + reading.usage), errors
        raise ReadError("; ".join(errors), usage=usage)

    async def close(self) -> None:
        """Close the sources' connections."""
        await asyncio.gather(*(source.close() for source in self._sources))


def _is_url(url: str) -> bool:
    try:
        return bool(normalise_url(url))
    except ValueError:
        return False
