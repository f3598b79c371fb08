"""A page that came with the request, such as one whose text a search delivered: checked, and completed where something is missing."""

from __future__ import annotations

from providers.lexical import language_of
from providers.reader.pages import normalise_url, page_id
from schemas.errors import InvalidRequest
from schemas.reading import Page


def given_page(page: Page, url: str, max_bytes: int) -> Page:
    """`page` with its URL normalised (`url` where it has none), its id, and its language when it names none.

    Raises `InvalidRequest` when its URL is none, its id is not that of its URL and text, or its text is blank or takes more than
    `max_bytes` bytes.
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
    return page.model_copy(update={"url": identity, "page_id": own_id, "language_code": language})
