"""Documents of any kind turned into text: the type is recognised by content, the text is Markdown or plain."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

from providers.lexical import language_of
from providers.reader.blocks import blocks
from providers.reader.charset import decode
from providers.reader.dates import iso_date
from providers.reader.limits import MAX_BYTES, MAX_LINKS
from providers.reader.lines import unwrap
from schemas.errors import ReadError

_MAX_TITLE_CHARACTERS = 300
# Markdown is parsed for its links at about a megabyte a second; what comes later in a text has them seldom.
_LINKED_CHARACTERS = 500_000

DocumentType = Literal["pdf", "html", "json", "text"]


class DocumentLink(NamedTuple):
    """A link found in a document: an absolute http or https URL and its anchor text."""

    url: str
    text: str


@dataclass(frozen=True)
class Document:
    """What a document says. `text` has "\\n" line ends, no control characters and at least one visible character."""

    title: str
    text: str
    language_code: str
    published: str | None = None
    """ISO 8601 date, when the document states one (for HTML possibly a guess from its text)."""
    author: str = ""
    links: tuple[DocumentLink, ...] = ()


def convert(data: bytes, name: str, *, media_type: str | None = None, max_bytes: int = MAX_BYTES) -> Document:
    """Turn the bytes of a document into text.

    `name` is its URL or file name; a URL also resolves relative links. `media_type` is the Content-Type header, charset
    included, when there is one. Blocks for as long as the document takes: use `conversion.convert_document` in an event loop.

    Raises `ReadError`, in one line that names the document and the cause, when it is larger than `max_bytes`, broken,
    encrypted, of a type that is no text, or holds no text.
    """
    if len(data) > max_bytes:
        raise ReadError(f"{name}: it is larger than {max_bytes:,} bytes")
    if not data.strip():
        raise ReadError(f"{name}: it is empty")
    media, charset = _media_type(media_type)
    kind = document_type(data, name, media)
    try:
        document = _CONVERTERS[kind](data, name, charset)
    except ReadError:
        raise
    except (ValueError, RecursionError, MemoryError) as error:
        raise ReadError(f"{name}: it cannot be read as {kind.upper()}: {_first_line(error)}") from error
    if not document.text.strip():
        reason = "it holds no text (scanned pages need OCR first)" if kind == "pdf" else "it holds no text"
        raise ReadError(f"{name}: {reason}")
    return document


def document_type(data: bytes, name: str, media: str = "") -> DocumentType:
    """What kind of document `data` is: by its first bytes, then its media type, then the suffix of `name`.

    Raises `ReadError` for archives, pictures, programs and other types that are no text.
    """
    head = data[:1_024].lstrip(b"\xef\xbb\xbf \t\r\n\f").lower()
    if b"%pdf-" in head:
        return "pdf"
    for magic, what in _BINARY:
        if data.startswith(magic):
            raise ReadError(f"{name}: it is {what}, which is not read")
    # UTF-16 spells "<html" with zero bytes in between.
    if head.replace(b"\0", b"").lstrip(b"\xff\xfe").startswith(_HTML_STARTS) or (head.startswith(b"<?xml") and b"<html" in head):
        return "html"
    suffix = PurePosixPath(name.partition("?")[0].partition("#")[0]).suffix.lower()
    if media in ("text/html", "application/xhtml+xml") or (not media and suffix in (".html", ".htm", ".xhtml")):
        return "html"
    if media == "application/json" or media.endswith("+json") or (not media and suffix == ".json"):
        return "json"
    if media.endswith(("/xml", "+xml")) or head.startswith(b"<?xml"):
        return "html"
    return "text"


_HTML_STARTS = (b"<!doctype html", b"<html", b"<head", b"<body", b"<title", b"<meta")
_BINARY = [
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"\xd0\xcf\x11\xe0", "an old office document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"\x7fELF", "a program"),
    (b"SQLite format 3\0", "a database"),
    (b"{\\rtf", "an RTF document"),
]


def _html(data: bytes, name: str, charset: str | None) -> Document:
    from providers.reader.html import read_html  # noqa: PLC0415  (trafilatura and lxml: 40 MB)

    markup = decode(data, declared=charset, markup=True)
    page = read_html(markup, url=name if name.startswith(("http://", "https://")) else None)
    # A few words are too little to tell a language by; then the page's own word counts.
    language = page.language_code if page.language_code and len(page.text) < 200 else language_of(page.text)
    links = tuple(DocumentLink(url, text) for url, text in page.links)
    return Document(_title(page.title, name), page.text, language, page.published, page.author, links)


def _pdf(data: bytes, name: str, charset: str | None) -> Document:
    from providers.reader.pdf import read_pdf  # noqa: PLC0415

    pdf = read_pdf(data)
    return Document(_title(pdf.title or _first_heading(pdf.text), name), pdf.text, language_of(pdf.text), pdf.published, pdf.author)


def _json(data: bytes, name: str, charset: str | None) -> Document:
    value = json.loads(decode(data, declared=charset))
    text = value if isinstance(value, str) else f"```json\n{json.dumps(value, ensure_ascii=False, indent=2)}\n```"
    return Document(_title("", name), text, language_of(text))


def _text(data: bytes, name: str, charset: str | None) -> Document:
    text = decode(data, declared=charset)
    front, text = _front_matter(text)
    text = unwrap(text.strip())
    title = _title(front.get("title") or _first_heading(text), name)
    return Document(title, text, language_of(text), iso_date(front.get("date", "")), front.get("author", ""), _markdown_links(text))


def _markdown_links(text: str) -> tuple[DocumentLink, ...]:
    """Links to http and https pages, each once, in order."""
    if "](http" not in text and "<http" not in text and "]: http" not in text:
        return ()
    from markdown_it import MarkdownIt  # noqa: PLC0415

    links: dict[str, str] = {}
    for token in MarkdownIt("commonmark").parse(text[:_LINKED_CHARACTERS]):
        url, label = "", ""
        for inline in token.children or []:
            if inline.type == "link_open":
                url, label = str(inline.attrGet("href") or ""), ""
            elif inline.type == "link_close":
                if url.startswith(("http://", "https://")) and len(links) < MAX_LINKS:
                    links.setdefault(url, label)
                url = ""
            else:
                label += inline.content
    return tuple(DocumentLink(url, label) for url, label in links.items())


_CONVERTERS = {"html": _html, "pdf": _pdf, "json": _json, "text": _text}


def _media_type(header: str | None) -> tuple[str, str | None]:
    media, _, parameters = (header or "").partition(";")
    charset = None
    for parameter in parameters.split(";"):
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "charset":
            charset = value.strip(" \"'")
    media = media.strip().lower()
    # What servers say when they do not know.
    return ("" if media in ("application/octet-stream", "text/plain", "binary/octet-stream") else media), charset


def _front_matter(text: str) -> tuple[dict[str, str], str]:
    """The simple `key: value` lines of a leading block between `---` lines, and the text after it."""
    if not text.startswith("---\n"):
        return {}, text
    end = text.find("\n---\n", 3)
    lines = text[4:end].splitlines() if end > 0 else []
    if not lines or not all(not line.strip() or line[0] in " \t-#" or ":" in line for line in lines):
        return {}, text
    pairs = (line.partition(":") for line in lines if line[:1].isalpha())
    return {key.strip().lower(): value.strip().strip("\"'") for key, _, value in pairs}, text[end + 5 :]


def _first_heading(text: str) -> str:
    """The first heading, or the first line when no heading comes early."""
    head = text[:5_000]
    early = blocks(head)
    for block in early[:10]:
        if block.kind == "heading":
            return block.heading[-1]
    return head[early[0].start : early[0].end].partition("\n")[0][:120] if early and early[0].kind == "paragraph" else ""


def _title(title: str, name: str) -> str:
    words = " ".join(title.split())
    return (words or PurePosixPath(name.rstrip("/")).name or name)[:_MAX_TITLE_CHARACTERS]


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
