"""A file that came with the question, as a page."""

from __future__ import annotations

import base64
import binascii

from providers.reader.conversion import convert_document
from providers.reader.pages import page_id
from schemas.errors import InvalidRequest
from schemas.reading import Attachment, Page


async def attached_page(attachment: Attachment, url: str, *, max_bytes: int, timeout_seconds: float) -> Page:
    """The file as text, under its `attachment:` URL.

    Raises `InvalidRequest` when its content is no base64, and `ReadError` when it cannot be read.
    """
    try:
        body = base64.b64decode(attachment.content, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(f"attachment: the content of {attachment.name[:100]} is not base64", field="attachment") from error
    document = await convert_document(
        body, attachment.name, media_type=attachment.media_type or None, max_bytes=max_bytes, timeout_seconds=timeout_seconds
    )
    return Page(
        page_id=page_id(url, document.text),
        url=url,
        title=document.title or attachment.name,
        text=document.text,
        language_code=document.language_code,
        published=document.published,
        source="attachment",
    )
