"""A conversation in OpenAI's shapes, chat messages or response items, as the messages of a research request."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, Literal

from docarray import DocList
from pydantic import BaseModel, ConfigDict, Field

from gateway.openai.errors import TooLarge
from schemas.errors import InvalidRequest
from schemas.reading import Attachment
from schemas.research import Message

MOST_MESSAGES = 1_000
MOST_ATTACHMENTS = 10
MOST_ATTACHMENT_BYTES = 10_000_000
"""Of all attachments of a request together, decoded."""
MEDIA_TYPES = (
    "application/pdf", "image/gif", "image/jpeg", "image/png", "image/webp",
    "text/csv", "text/html", "text/markdown", "text/plain",
)  # fmt: skip

_DATA_URI = re.compile(r"data:([\w.+-]+/[\w.+-]+)(?:;[\w.+-]+=[^;,]{0,100}){0,5};base64,", re.ASCII)
_THINK, _END_THINK = "<think>", "</think>"
_ROLES: dict[str, Literal["system", "user", "assistant"]] = {
    "system": "system", "developer": "system", "user": "user", "assistant": "assistant",
}  # fmt: skip


class Turn(BaseModel):
    """A message: of a chat, or among the input items of a response."""

    model_config = ConfigDict(strict=True, extra="ignore")

    type: str | None = Field(None, description="Of input items: `message`; reasoning and calls of earlier responses are left out.")
    role: str | None = Field(None, description="`user`, `assistant`, `system` or `developer`.")
    content: str | list[dict[str, Any]] | None = Field(
        None, description="Text, or parts: text, images (data URI, or a URL to be read), files (data URI)."
    )


def conversation(turns: list[Turn], field: str) -> DocList[Message]:
    """The messages of a request, without empty ones and without what the assistant was thinking.

    `field` is where the request has them, for errors. Raises `InvalidRequest`, or `TooLarge` for attachments.
    """
    attached = _Attached()
    messages = DocList[Message]()
    for number, turn in enumerate(turns):
        where = f"{field}[{number}]"
        if turn.type in ("reasoning", "web_search_call"):
            continue
        if turn.type not in (None, "message"):
            raise InvalidRequest(f"{where}.type: {turn.type[:50]!r} cannot be used here; send messages", field=f"{where}.type")
        if turn.role not in _ROLES:
            raise InvalidRequest(
                f"{where}.role: {str(turn.role)[:50]!r} cannot be used here; send {', '.join(_ROLES)}", field=f"{where}.role"
            )
        message = _message(_ROLES[turn.role], turn.content or "", f"{where}.content", attached)
        if message.content or message.attachments:
            messages.append(message)
    if not messages:
        raise InvalidRequest(f"{field} is empty: ask something", field=field)
    if messages[-1].role != "user":
        raise InvalidRequest(f"{field}: the last message must be from user", field=field)
    if not messages[-1].content:
        raise InvalidRequest(f"{field}: the last message has no text; ask something about what is attached", field=field)
    return messages


def without_thinking(text: str) -> str:
    """An assistant's text without what stands between `<think>` and `</think>`, and without a thought that was cut off."""
    kept: list[str] = []
    position = 0
    while (start := text.find(_THINK, position)) >= 0:
        end = text.find(_END_THINK, start)
        if end < 0:
            if not "".join([*kept, text[position:start]]).strip():
                return ""
            break
        kept.append(text[position:start])
        position = end + len(_END_THINK)
    return "".join([*kept, text[position:]]).strip()


class _Attached:
    """How much is attached so far."""

    def __init__(self) -> None:
        self.files = 0
        self.bytes = 0

    def take(self, uri: str, name: str, where: str) -> Attachment:
        """The file in a data URI."""
        head = _DATA_URI.match(uri)
        if head is None:
            raise InvalidRequest(f"{where}: not a data URI such as data:application/pdf;base64,...", field=where)
        media_type = head[1].lower()
        if media_type not in MEDIA_TYPES:
            raise InvalidRequest(f"{where}: files of type {media_type[:80]} cannot be read; send {', '.join(MEDIA_TYPES)}", field=where)
        content = uri[head.end() :]
        self.files += 1
        self.bytes += len(content) * 3 // 4
        if self.files > MOST_ATTACHMENTS:
            raise TooLarge(f"{where}: more than {MOST_ATTACHMENTS} files are attached", field=where)
        if self.bytes > MOST_ATTACHMENT_BYTES:
            raise TooLarge(f"{where}: more than {MOST_ATTACHMENT_BYTES:,} bytes are attached", field=where)
        try:
            base64.b64decode(content, validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidRequest(f"{where}: the base64 of the data URI is damaged", field=where) from error
        return Attachment(name=name[:200], media_type=media_type, content=content)


def _message(role: Literal["system", "user", "assistant"], content: str | list[dict[str, Any]], where: str, attached: _Attached) -> Message:
    texts: list[str] = []
    attachments = DocList[Attachment]()
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    for number, part in enumerate(parts):
        at = where if isinstance(content, str) else f"{where}[{number}]"
        match part.get("type"):
            case "text" | "input_text" | "output_text":
                text = _unicode(_string(part, "text", at), at)
                texts.append(without_thinking(text) if role == "assistant" else text.strip())
            case "refusal":
                continue
            case "image_url" | "input_image" if role == "user":
                url = _image(part, at)
                if url.startswith("data:"):
                    attachments.append(attached.take(url, "", f"{at}.image_url"))
                else:
                    texts.append(url)
            case "file" | "input_file" if role == "user":
                file, at_file = (part.get("file"), f"{at}.file") if part["type"] == "file" else (part, at)
                if not isinstance(file, dict) or not file.get("file_data"):
                    raise InvalidRequest(f"{at_file}.file_data is missing: files are not stored here, send them as data URI", field=at_file)
                name = _unicode(str(file.get("filename") or ""), at_file)
                attachments.append(attached.take(_string(file, "file_data", at_file), name, f"{at_file}.file_data"))
            case other:
                raise InvalidRequest(f"{at}.type: {str(other)[:50]!r} cannot be used in a {role} message", field=f"{at}.type")
    return Message(role=role, content="\n".join(text for text in texts if text), attachments=attachments)


def _image(part: dict[str, Any], where: str) -> str:
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, dict) else image
    if not isinstance(url, str) or not url.startswith(("data:", "http://", "https://")):
        raise InvalidRequest(f"{where}.image_url: send a data URI or an http(s) URL", field=f"{where}.image_url")
    return _unicode(url, where)


def _string(part: dict[str, Any], name: str, where: str) -> str:
    value = part.get(name)
    if not isinstance(value, str):
        raise InvalidRequest(f"{where}.{name}: a text is missing", field=f"{where}.{name}")
    return value


def _unicode(text: str, where: str) -> str:
    """`text`; JSON can hold halves of characters, which nothing further on could carry."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"{where} holds characters that are no text (lone surrogates): send it as UTF-8", field=where) from error
    return text
