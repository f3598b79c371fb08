"""Page sources that remember what they read."""

from __future__ import annotations

import time
from dataclasses import asdict, replace

from pydantic import TypeAdapter

from providers.cache import Codec, Memory, Question, address, create_memory, seconds_left
from providers.reader.base import PageSource, Reading, ReadOptions
from schemas.errors import PageUnavailable
from schemas.settings import Settings
from schemas.usage import Usage

DETERMINING: dict[str, tuple[str, ...]] = {
    "jina": ("jina_reader_url",),
    "direct": ("reader_user_agent", "reader_robots", "deepsearch_allow_hosts"),
}
"""The settings that a source's pages depend on, or whether they may be read. Files are not here: they are on this machine."""

_NOT_DETERMINING = ("timeout_seconds", "max_tokens", "corpus", "failures")
"""What bounds a reading, or chooses who reads, without changing the page; `corpus` is about files alone."""

_reading = TypeAdapter(Reading)
_CODEC: Codec[Reading] = Codec(_reading.dump_json, _reading.validate_json)


def with_cache(source: PageSource, settings: Settings) -> PageSource:
    """`source`, remembered as DEEPSEARCH_CACHE says; the source itself when nothing is to be remembered of it."""
    if settings.deepsearch_cache == "off" or source.name not in DETERMINING:
        return source
    return CachedReader(source, create_memory(settings), settings)


class CachedReader:
    """Gives pages from `memory` where it can, and from `source` the rest."""

    def __init__(self, source: PageSource, memory: Memory, settings: Settings) -> None:
        self.name = source.name
        self._source = source
        self._memory = memory
        values = {name: getattr(settings, name) for name in DETERMINING[source.name]}
        self._determining = {name: address(value) if name.endswith("_url") else value for name, value in values.items()}

    def accepts(self, url: str) -> bool:
        """Whether the source is meant for `url`."""
        return self._source.accepts(url)

    async def read(self, url: str, options: ReadOptions) -> Reading:
        """As the contract in `base.py` says. Raises `NotRecorded` and `CacheError` too."""

        deadline = time.monotonic() + options.timeout_seconds

        async def ask() -> tuple[Reading, Usage]:
            if (left := seconds_left(deadline)) <= 0:
                raise PageUnavailable(
                    f"{url[:200]}: {round(options.timeout_seconds, 2):g} s passed while another reading of it was under way"
                )
            reading = await self._source.read(url, replace(options, timeout_seconds=min(left, options.timeout_seconds)))
            return replace(reading, usage=Usage()), reading.usage

        reading, usage = await self._memory.answer(self.question(url, options), ask, _CODEC, patience=options.timeout_seconds)
        return replace(reading, usage=usage)

    def question(self, url: str, options: ReadOptions) -> Question:
        """What is asked: the page as this source reads it."""
        bounds = {name: value for name, value in asdict(options).items() if name not in _NOT_DETERMINING}
        material = {"reader": self.name, "settings": self._determining, "url": url, "options": bounds}
        return Question("page", material, f"{url} ({self.name})")

    async def close(self) -> None:
        """Close the source's connections and the cache."""
        await self._source.close()
        await self._memory.close()
