"""A finished answer as a file: Markdown, HTML, plain text, PDF or a Word document.

The answer is read once (`document`), and each format has a module that writes it. All is pure and synchronous, and nothing is
loaded from anywhere; the libraries for PDF and Word documents are imported when they are first needed.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Literal, TypeAlias

import regex

from executors.answer_finalizer.exporting.document import Document, document
from executors.answer_finalizer.exporting.html import html
from executors.answer_finalizer.exporting.markdown import markdown
from executors.answer_finalizer.exporting.text import text
from schemas.answering import Export
from schemas.research import ResearchAnswer

Format: TypeAlias = Literal["markdown", "html", "text", "pdf", "docx"]

_FILES: dict[Format, tuple[str, str]] = {
    "markdown": ("text/markdown; charset=utf-8", ".md"),
    "html": ("text/html; charset=utf-8", ".html"),
    "text": ("text/plain; charset=utf-8", ".txt"),
    "pdf": ("application/pdf", ".pdf"),
    "docx": ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", ".docx"),
}
_NAME_CHARACTERS = 60
_NOT_IN_NAMES = regex.compile(r"[^\p{L}\p{M}\p{N}]+")

__all__ = ["Format", "export"]


def export(answer: ResearchAnswer, format: Format) -> Export:
    """`answer` as a file of that format, in base64, with its media type and a name made of the question.

    Takes milliseconds, a PDF of a long report a few seconds: call it in a thread. Raises `TooLarge` for more than
    `document.MOST_CHARACTERS` characters, or for a PDF more than `pdf.MOST_MARKS` citations, and `InvalidRequest` for references
    that share a number.
    """
    read = document(answer)
    media_type, ending = _FILES[format]
    content = markdown(answer, read) if format == "markdown" else _written(read, format)
    stem = _NOT_IN_NAMES.sub("-", read.title)[:_NAME_CHARACTERS].strip("-") or "answer"
    return Export(content=b64encode(content).decode(), media_type=media_type, name=stem + ending)


def _written(read: Document, format: Format) -> bytes:
    if format == "pdf":
        from executors.answer_finalizer.exporting.pdf import pdf  # noqa: PLC0415

        return pdf(read)
    if format == "docx":
        from executors.answer_finalizer.exporting.docx import docx  # noqa: PLC0415

        return docx(read)
    return html(read) if format == "html" else text(read)
