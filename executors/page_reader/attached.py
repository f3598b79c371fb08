"""A file that came with the question, as a page."""

from __future__ import annotations

import base64
import binascii

from providers.reader.base import Reading
from providers.reader.conversion import convert_document
from providers.reader.pages import normalise_url
from providers.reader.reading import reading_of
from schemas.errors import InvalidRequest
from schemas.reading import Attachment
from schemas.usage import Usage


async def attached_page(attachment: Attachment, url: str, *, max_bytes: int, timeout_seconds: float, with_images: bool = False) -> Reading:
    """The file as text, under its `attachment:` URL, with the links and, `with_images`, the images in it.

    Raises `InvalidRequest` when it has no name, its content is no base64, or `url` is that of something else; `ReadError` when it
    cannot be read.
    """
    if not attachment.name.strip():
        raise InvalidRequest("attachment: its name is empty", field="attachment")
    try:
        own_url = normalise_url(url.strip())
    except ValueError:
        own_url = ""
    if not own_url.startswith("attachment:"):
        raise InvalidRequest("url: that of an attachment is `attachment:` and its name", field="url")
    try:
        # MIME breaks base64 into lines.
        body = base64.b64decode("".join(attachment.content.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(f"attachment: the content of {attachment.name[:100]} is not base64", field="attachment") from error
    document = await convert_document(
        body, attachment.name, media_type=attachment.media_type or None, max_bytes=max_bytes, timeout_seconds=timeout_seconds
    )
    return reading_of(document, own_url, "attachment", Usage(), with_images=with_images)
