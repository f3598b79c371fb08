"""Documents as readings: the page that a document is under its URL, read now, with its links and images."""

from __future__ import annotations

from datetime import datetime, timezone

from providers.reader.base import Reading
from providers.reader.documents import Document
from providers.reader.pages import page_id
from schemas.reading import Image, Link, Page
from schemas.usage import Usage


def reading_of(document: Document, url: str, source: str, usage: Usage, *, with_images: bool = False) -> Reading:
    """`document` as the page that the reader called `source` found at the normalised `url`."""
    page = Page(
        page_id=page_id(url, document.text),
        url=url,
        title=document.title,
        text=document.text,
        author=document.author,
        language_code=document.language_code,
        published=document.published,
        modified=document.modified,
        date_source=document.date_source,
        source=source,
        read_at=reading_time(),
    )
    links = [Link(url=link.url, text=link.text) for link in document.links]
    images = [Image(**image._asdict(), page_url=url) for image in document.images] if with_images else []
    return Reading(page, links, usage, images)


def reading_time() -> str:
    """Now, as a page keeps it."""
    return time_text(datetime.now(timezone.utc))


def time_text(moment: datetime) -> str:
    """A time with a zone as ISO 8601, UTC, in seconds, like 2026-11-21T10:00:00Z."""
    return moment.astimezone(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
