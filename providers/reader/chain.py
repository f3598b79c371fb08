"""Several page sources in one: a URL goes to those that accept it, in order, until one has read it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from providers.reader.base import PageSource, Reading, ReadOptions
from providers.reader.pages import normalise_url
from schemas.errors import InvalidRequest, PageUnavailable, ReadError
from schemas.usage import Usage

if TYPE_CHECKING:
    from providers.guarded import AddressPolicy

# A source that others follow leaves them this share of the time.
_LEFT_TO_OTHERS = 1 / 3


class PageSourceChain:
    """Reads pages with `sources`, in order, `concurrency` at the same time.

    What `policy` refuses is refused before any source sees it, whether that would connect from this machine or not.
    """

    def __init__(self, sources: Sequence[PageSource], *, policy: AddressPolicy | None = None, concurrency: int = 8) -> None:
        self._sources = tuple(sources)
        self._policy = policy
        self._concurrency = concurrency
        self._places = asyncio.Semaphore(concurrency)

    async def read(self, url: str, options: ReadOptions) -> tuple[Reading, list[str]]:
        """The page, with the usage of every attempt, and one line for each source that was tried before and failed.

        `options.timeout_seconds` holds for all sources together, waiting for a place included. A page that failed before
        (`options.failures`) is tried by another source first. Raises `PageUnavailable` naming every cause when all of them failed
        and one of the causes may pass, otherwise `ReadError`; `InvalidRequest` when it is no URL or none accepts it, and
        `CorpusError` when there is no corpus for a file URL.
        """
        sources = self._sources_for(url)
        deadline = time.monotonic() + options.timeout_seconds
        try:
            await asyncio.wait_for(self._places.acquire(), options.timeout_seconds)
        except asyncio.TimeoutError:
            raise PageUnavailable(
                f"{url[:200]}: {options.timeout_seconds:g} s passed while other pages were read; READER_CONCURRENCY allows "
                f"{self._concurrency} at the same time"
            ) from None
        try:
            first = options.failures % len(sources)
            return await self._read([*sources[first:], *sources[:first]], url, options, deadline)
        finally:
            self._places.release()

    async def close(self) -> None:
        """Close the sources' connections."""
        await asyncio.gather(*(source.close() for source in self._sources))

    def _sources_for(self, url: str) -> list[PageSource]:
        if _is_url(url):
            if self._policy and url.strip()[:5].lower() != "file:":
                self._policy.check_url(url)
            if sources := [source for source in self._sources if source.accepts(url)]:
                return sources
        raise InvalidRequest(f"url: {url[:100]!r} cannot be read; give an http, https or file URL", field="url")

    async def _read(self, sources: list[PageSource], url: str, options: ReadOptions, deadline: float) -> tuple[Reading, list[str]]:
        errors: list[str] = []
        usage = Usage()
        passing = False
        for number, source in enumerate(sources):
            left = deadline - time.monotonic()
            if left <= 0:
                errors.append(f"{url[:200]}: no time was left for the {source.name} reader")
                passing = True
                break
            seconds = left if number == len(sources) - 1 else left * (1 - _LEFT_TO_OTHERS)
            try:
                reading = await source.read(url, replace(options, timeout_seconds=seconds))
            except ReadError as error:
                errors.append(str(error))
                usage += error.usage
                passing = passing or isinstance(error, PageUnavailable)
            else:
                return replace(reading, usage=usage + reading.usage), errors
        raise (PageUnavailable if passing else ReadError)("; ".join(errors), usage=usage)


def _is_url(url: str) -> bool:
    try:
        return bool(normalise_url(url))
    except ValueError:
        return False
