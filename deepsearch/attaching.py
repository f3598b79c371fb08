"""Files of this machine as attachments of a question."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Iterable
from pathlib import Path

from docarray import DocList

from schemas.errors import InvalidRequest
from schemas.reading import Attachment
from schemas.research import Message


def message_with(question: str, files: Iterable[Path]) -> DocList[Message]:
    """The conversation that asks `question` about `files`. Raises `InvalidRequest` naming a file that cannot be read."""
    attachments = []
    for file in files:
        try:
            content = file.read_bytes()
        except OSError as error:
            raise InvalidRequest(f"--attach {file}: {error.strerror or error}", field="messages") from error
        media_type = mimetypes.guess_type(file.name)[0] or ""
        attachments.append(Attachment(name=file.name, media_type=media_type, content=base64.b64encode(content).decode()))
    return DocList[Message]([Message(role="user", content=question, attachments=DocList[Attachment](attachments))])
