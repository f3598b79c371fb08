"""Reading the documents of the corpus."""

from __future__ import annotations

import asyncio

from providers.corpus import OpenCorpora, corpus_folder
from providers.reader.base import Reading, ReadOptions
from schemas.errors import PageUnavailable
from schemas.reading import Image, Link, Page
from schemas.settings import Settings
from schemas.usage import Usage


class FileReader:
    """Reads `file:` URLs inside the configured corpus, or inside a folder of it."""

    name = "file"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._corpora = OpenCorpora(settings)

    def accepts(self, url: str) -> bool:
        """Whether it is a `file:` URL."""
        return url.strip()[:5].lower() == "file:"

    async def read(self, url: str, options: ReadOptions) -> Reading:
        """Read a document of the corpus.

        Raises `InvalidRequest` for a file that is no document of the corpus and for a corpus outside the configured
        one, `ReadError` when the file cannot be read, `PageUnavailable` when that takes too long.
        """
        corpus = await self._corpora.get(corpus_folder(self._settings, options.corpus))
        try:
            reading = corpus.read(url.strip(), max_bytes=options.max_bytes, timeout_seconds=options.timeout_seconds)
            found = await asyncio.wait_for(reading, options.timeout_seconds)
        except asyncio.TimeoutError as error:
            raise PageUnavailable(f"{url[:200]}: reading took longer than {options.timeout_seconds:g} seconds") from error
        document = found.document
        page = Page(
            page_id=found.page_id, url=found.url, title=document.title, text=document.text,
            author=document.author, language_code=document.language_code, published=document.published, modified=document.modified,
            date_source=document.date_source, source=self.name,
        )  # fmt: skip
        links = [Link(url=link.url, text=link.text) for link in document.links]
        images = [Image(**image._asdict()) for image in document.images] if options.with_images else []
        return Reading(page, links, Usage(pages=1), images)

    async def close(self) -> None:
        """Close the indexes."""
        self._corpora.close()
