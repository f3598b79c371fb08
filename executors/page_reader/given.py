"""A page that came with the request, such as one whose text a search delivered: checked, and completed where something is missing."""

from __future__ import annotations

from datetime import datetime

from providers.lexical import language_of
from providers.reader.pages import normalise_url, page_id
from providers.reader.reading import reading_time, time_text
from schemas.errors import InvalidRequest
from schemas.reading import Page


def given_page(page: Page, url: str, max_bytes: int) -> Page:
    """`page` with its URL normalised (`url` where it has none), its id, its language when it names none, and now as the time of its reading
    when it names no other.

    Raises `InvalidRequest` when its URL is none, its id is not that of its URL and text, its text is blank or takes more than
    `max_bytes` bytes, or it was read at what is no time.
    """
    if not page.text.strip():
        raise InvalidRequest("page: its text is blank; leave it empty to have the page fetched", field="page")
    if len(page.text) > max_bytes or len(page.text.encode("utf-8", "surrogatepass")) > max_bytes:
        raise InvalidRequest(f"page: its text takes more than {max_bytes} bytes (MAX_PAGE_BYTES)", field="page")
    try:
        identity = normalise_url(page.url.strip() or url.strip())
    except ValueError as error:
        raise InvalidRequest(f"url: {error}", field="url") from error
    own_id = page_id(identity, page.text)
    if page.page_id not in ("", own_id):
        raise InvalidRequest("page: page_id is not that of its URL and text", field="page")
    language = page.language_code or language_of(page.text)
    return page.model_copy(update={"url": identity, "page_id": own_id, "language_code": language, "read_at": _read_at(page)})


def _read_at(page: Page) -> str:
    if not page.read_at:
        return reading_time()
    try:
        moment = datetime.fromisoformat(page.read_at.replace("Z", "+00:00"))
        if moment.tzinfo is None:
            raise ValueError(page.read_at)
        return time_text(moment)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest("page: read_at is not a time in ISO 8601 with its zone", field="page") from error
