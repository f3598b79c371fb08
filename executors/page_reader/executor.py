"""The PageReader Executor: a URL and a question in, the page and its passages out; an answer and images in, those that fit it out."""

import asyncio
import time
from typing import Any, Optional

from docarray import DocList
from jina import Executor, requests

from executors.page_reader.attached import attached_page
from executors.page_reader.given import given_page
from executors.page_reader.illustrating import illustrate
from providers.embedding import create_embedding
from providers.embedding.base import EmbeddingProvider
from providers.embedding.images import image_embedding
from providers.reader import Reading, ReadOptions, create_reader
from providers.reader.passages import select_passages
from providers.reader.pictures import PictureReader
from schemas.bulkhead import WAITED
from schemas.errors import InvalidRequest
from schemas.reading import IllustrateRequest, Illustration, Image, Link, Passage, ReadRequest, ReadResponse
from schemas.settings import Settings, get_settings

_MOST_LINKS = 200
_MOST_IMAGES = 100


class PageReader(Executor):
    """Reads pages, and finds the images of them that illustrate an answer."""

    def __init__(self, settings: Optional[Settings] = None, embedding: Optional[EmbeddingProvider] = None, **kwargs: Any) -> None:
        """Without `embedding`, the provider that the settings name, if they name one."""
        super().__init__(**kwargs)
        self._settings = settings or get_settings()
        self.at_once = (self._settings.reader_concurrency, "READER_CONCURRENCY")
        self._reader = create_reader(self._settings)
        self._embedding = embedding or create_embedding(self._settings)
        self._pictures = PictureReader(self._settings)
        self._image_embedding = image_embedding(self._settings, self._embedding)

    @requests(on="/read")
    async def read(self, doc: ReadRequest, **kwargs: Any) -> ReadResponse:
        """The page, its best passages for the question, and its links."""
        for field in ("url", "question"):
            if not getattr(doc, field).strip():
                raise InvalidRequest(f"{field} is empty", field=field)
        if not doc.timeout_seconds > 0:
            raise InvalidRequest("timeout_seconds must be more than 0", field="timeout_seconds")
        started = time.monotonic() - WAITED.get()
        reading, errors = await self._reading(doc)
        page = reading.page
        selection = await select_passages(
            doc.question,
            page.text,
            page.language_code,
            self._embedding,
            max_tokens=max(0, doc.allowance.tokens - reading.usage.total_tokens),
            seconds=doc.timeout_seconds - (time.monotonic() - started),
        )
        return ReadResponse(
            page=page,
            passages=DocList[Passage](selection.passages),
            links=DocList[Link](reading.links[:_MOST_LINKS]),
            images=DocList[Image](reading.images[:_MOST_IMAGES]),
            errors=errors + selection.errors,
            usage=reading.usage + selection.usage,
        )

    @requests(on="/illustrate")
    async def illustrate(self, doc: IllustrateRequest, **kwargs: Any) -> Illustration:
        """The images that show what a finished answer speaks of."""
        if doc.most < 1:
            raise InvalidRequest("most must be at least 1", field="most")
        if not doc.timeout_seconds > 0:
            raise InvalidRequest("timeout_seconds must be more than 0", field="timeout_seconds")
        return await illustrate(doc, self._pictures, self._image_embedding)

    async def _reading(self, doc: ReadRequest) -> tuple[Reading, list[str]]:
        if doc.attachment.name or doc.attachment.content:
            seconds = min(doc.timeout_seconds, self._settings.reader_timeout_seconds)
            most = self._settings.max_page_bytes
            reading = await attached_page(doc.attachment, doc.url, max_bytes=most, timeout_seconds=seconds, with_images=doc.with_images)
            return reading, []
        if doc.page.text:
            return Reading(page=given_page(doc.page, doc.url, self._settings.max_page_bytes)), []
        options = ReadOptions(
            timeout_seconds=min(doc.timeout_seconds - WAITED.get(), self._settings.reader_timeout_seconds),
            max_bytes=self._settings.max_page_bytes,
            max_tokens=max(1, doc.allowance.tokens),  # 0 would mean no limit
            corpus=doc.corpus,
            failures=doc.failures,
            with_images=doc.with_images,
        )
        return await self._reader.read(doc.url.strip(), options)

    def close(self) -> "asyncio.Task[None]":
        """Start closing connections; jina does not wait for it, others await what is returned."""
        return asyncio.get_running_loop().create_task(self._close())

    async def _close(self) -> None:
        await self._reader.close()
        await self._pictures.close()
        for embedding in (self._embedding, self._image_embedding):
            if embedding is not None:
                await embedding.close()
