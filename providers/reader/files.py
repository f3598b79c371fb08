"""Reading the documents of the corpus."""

from __future__ import annotations

import asyncio

from providers.corpus import OpenCorpora
from providers.reader.base import Reading, ReadOptions
from providers.reader.reading import reading_of
from schemas.errors import PageUnavailable, ReadError, UpstreamError
from schemas.settings import Settings
from schemas.usage import Usage


class FileReader:
    """Reads `file:` URLs inside the configured corpus, or inside a folder of it."""

    name = "file"

    def __init__(self, settings: Settings) -> None:
        self._corpora = OpenCorpora(settings)

    def accepts(self, url: str) -> bool:
        """Whether it is a `file:` URL."""
        return url.strip()[:5].lower() == "file:"

    async def read(self, url: str, options: ReadOptions) -> Reading:
        """Read a document of the corpus.

        Raises `InvalidRequest` for a file that is no document of the corpus and for a corpus outside the configured
        one, `ReadError` when the file cannot be read, `PageUnavailable` when that takes too long or the shared corpus is out of reach.
        """
        corpus = await self._corpora.get(options.corpus)
        try:
            reading = corpus.read(url.strip(), max_bytes=options.max_bytes, timeout_seconds=options.timeout_seconds)
            found = await asyncio.wait_for(reading, options.timeout_seconds)
        except asyncio.TimeoutError as error:
            raise PageUnavailable(f"{url[:200]}: reading took longer than {options.timeout_seconds:g} seconds") from error
        except ReadError:
            raise
        except UpstreamError as error:
            raise PageUnavailable(f"{url[:200]}: {error.message}") from error
        return reading_of(found.document, found.url, self.name, Usage(pages=1), with_images=options.with_images)

    async def close(self) -> None:
        """Close the indexes."""
        await self._corpora.close()
