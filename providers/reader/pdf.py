"""PDF to text by PDFium."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from providers.reader.dates import believed, iso_date
from providers.reader.lines import join_lines

_MAX_PAGES = 5_000
_MAX_CHARACTERS = 20_000_000
_MAX_AUTHOR_CHARACTERS = 300

# PDFium keeps global state and may be used by one thread at a time.
_pdfium_lock = threading.Lock()


@dataclass(frozen=True)
class PdfText:
    """A PDF's pages as one text, a blank line between pages, and what its metadata say."""

    title: str
    text: str
    author: str
    published: str | None
    modified: str | None


def read_pdf(data: bytes) -> PdfText:
    """Text of a PDF: lines of a paragraph joined, words broken at a line end made whole, table rows kept as lines.

    Raises `ValueError` for a broken or encrypted file, and for one of more than 5,000 pages or 20 million characters.
    """
    import pypdfium2  # noqa: PLC0415

    with _pdfium_lock:
        try:
            document = pypdfium2.PdfDocument(data)
        except pypdfium2.PdfiumError as error:
            if "password" in str(error).lower():
                raise ValueError("it is encrypted; save a copy without a password") from error
            raise ValueError(f"the file is damaged ({error})") from error
        try:
            return _read(document)
        except pypdfium2.PdfiumError as error:
            raise ValueError(f"a page is damaged ({error})") from error
        finally:
            document.close()


def _read(document: Any) -> PdfText:
    if len(document) > _MAX_PAGES:
        raise ValueError(f"it has {len(document):,} pages; at most {_MAX_PAGES:,} are read")
    pages: list[str] = []
    characters = 0
    for page in document:
        text_page = page.get_textpage()
        text = text_page.get_text_range()
        text_page.close()
        page.close()
        characters += len(text)
        if characters > _MAX_CHARACTERS:
            raise ValueError(f"it has more than {_MAX_CHARACTERS:,} characters")
        # PDFium writes a hyphen and the line end after it as one mark.
        pages.append(join_lines(_clean(text).replace("\ufffe", "-\n").replace("\x02", "-\n").split("\n")))
    metadata = document.get_metadata_dict(skip_empty=True)
    title = _clean(metadata.get("Title", "")).strip()
    # Word processors put the file's name there.
    if title.lower().endswith((".doc", ".docx", ".tex", ".pdf", ".indd", ".odt")) or title.lower().startswith(
        ("untitled", "microsoft word")
    ):
        title = ""
    text = "\n\n".join(page for page in pages if page)
    author = " ".join(_clean(metadata.get("Author", "")).split())[:_MAX_AUTHOR_CHARACTERS]
    published, modified = (believed(iso_date(metadata.get(key, ""))) for key in ("CreationDate", "ModDate"))
    if published and modified and modified < published:
        modified = None
    return PdfText(title, text, author, published, modified)


def _clean(text: str) -> str:
    """With one kind of line end, and without zero bytes and what UTF-8 cannot hold."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    return text.encode("utf-8", "ignore").decode("utf-8")
