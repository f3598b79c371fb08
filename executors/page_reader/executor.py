"""The PageReader Executor: a URL and a question in, the page and its passages out."""

import asyncio
from typing import Any, Optional

from docarray import DocList
from jina import Executor, requests

from providers.reader import ReadOptions, create_reader
from providers.reader.passages import select_passages
from schemas.errors import InvalidRequest
from schemas.reading import Link, Passage, ReadRequest, ReadResponse
from schemas.settings import Settings, get_settings

_MOST_LINKS = 200
# Selecting from more than this takes long enough to hold up the other calls of the process.
_LONG_PAGE_CHARACTERS = 50_000


class PageReader(Executor):
    """Reads pages."""

    def __init__(self, settings: Optional[Settings] = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._settings = settings or get_settings()
        self._reader = create_reader(self._settings)

    @requests(on="/read")
    async def read(self, doc: ReadRequest, **kwargs: Any) -> ReadResponse:
        """The page, its best passages for the question, and its links."""
        for field in ("url", "question"):
            if not getattr(doc, field).strip():
                raise InvalidRequest(f"{field} is empty", field=field)
        if not doc.timeout_seconds > 0:
            raise InvalidRequest("timeout_seconds must be more than 0", field="timeout_seconds")
        options = ReadOptions(
            timeout_seconds=min(doc.timeout_seconds, self._settings.reader_timeout_seconds),
            max_bytes=self._settings.max_page_bytes,
            max_tokens=doc.allowance.tokens,
            corpus=doc.corpus,
        )
        reading, errors = await self._reader.read(doc.url.strip(), options)
        page = reading.page
        if len(page.text) > _LONG_PAGE_CHARACTERS:
            passages = await asyncio.to_thread(select_passages, doc.question, page.text, page.language_code)
        else:
            passages = select_passages(doc.question, page.text, page.language_code)
        return ReadResponse(
            page=page,
            passages=DocList[Passage](passages),
            links=DocList[Link](reading.links[:_MOST_LINKS]),
            errors=errors,
            usage=reading.usage,
        )

    def close(self) -> "asyncio.Task[None]":
        """Start closing connections; jina does not wait for it, others await what is returned."""
        return asyncio.get_running_loop().create_task(self._reader.close())
