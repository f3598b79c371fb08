"""Documents of any kind turned into text: the type is recognised by content, the text is Markdown or plain."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from providers.lexical import language_of
from providers.reader.blocks import blocks
from providers.reader.charset import decode
from providers.reader.dates import iso_date
from providers.reader.kinds import document_type
from providers.reader.limits import MAX_BYTES, MAX_LINKS
from providers.reader.lines import unwrap
from providers.reader.tables import table_text
from schemas.errors import PageUnavailable, ReadError
from schemas.reading import DateSource

if TYPE_CHECKING:
    from providers.reader.feeds import Feed

_MAX_TITLE_CHARACTERS = 300
# Markdown is parsed for its links at about a megabyte a second; what comes later in a text has them seldom.
_LINKED_CHARACTERS = 500_000
# Indentation of deeply nested JSON can be thousands of times as long as the JSON.
_PRETTY_GROWTH = 4
_PRETTY_CHARACTERS = 10_000


class DocumentLink(NamedTuple):
    """A link found in a document: an absolute http or https URL and its anchor text."""

    url: str
    text: str


class DocumentImage(NamedTuple):
    """An image found in a document: an absolute http or https URL, its caption or alternative text, its size in pixels (0: unknown)."""

    url: str
    text: str
    width: int = 0
    height: int = 0


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
    modified: str | None = None
    """ISO 8601 date of its last change, when the document states one."""
    date_source: DateSource | None = None
    """Where `published`, or else `modified`, was found."""
    images: tuple[DocumentImage, ...] = ()


def convert(data: bytes, name: str, *, media_type: str | None = None, max_bytes: int = MAX_BYTES) -> Document:
    """Turn the bytes of a document into text.

    `name` is its URL or file name; a URL also resolves relative links. `media_type` is the Content-Type header, charset
    included, when there is one. Blocks for as long as the document takes: use `conversion.convert_document` in an event loop.

    Raises `ReadError`, in one line that names the document and the cause, when it is larger than `max_bytes`, its text longer
    than as many characters, or it is broken, encrypted, of a type that is no text, or holds no text; that is `PageUnavailable`
    for HTML that scripts may yet fill.
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
        if kind == "text" and (media == "application/pdf" or _suffix(name) == ".pdf"):
            raise ReadError(f"{name}: it cannot be read as PDF: the file is damaged (it does not begin as one)") from error
        raise ReadError(f"{name}: it cannot be read as {kind.upper()}: {_first_line(error)}") from error
    if len(document.text) > max_bytes:
        # The text of some documents is longer than they are: tables, indentation, compressed PDF.
        raise ReadError(f"{name}: its text is larger than {max_bytes:,} characters")
    if not document.text.strip():
        reason = "it holds no text (scanned pages need OCR first)" if kind == "pdf" else "it holds no text"
        # A page that its scripts make is no empty one for a reader that runs them.
        scripted = kind == "html" and b"<script" in data
        raise (PageUnavailable if scripted else ReadError)(f"{name}: {reason}")
    return document


def _html(data: bytes, name: str, charset: str | None) -> Document:
    from providers.reader.html import read_html  # noqa: PLC0415  (trafilatura and lxml: 40 MB)

    markup = decode(data, declared=charset, markup=True)
    page = read_html(markup, url=_url(name))
    # A few words are too little to tell a language by; then the page's own word counts.
    language = page.language_code if page.language_code and len(page.text) < 200 else language_of(page.text)
    links = tuple(DocumentLink(url, text) for url, text in page.links)
    images = tuple(DocumentImage(*image) for image in page.images)
    return Document(
        _title(page.title, name), page.text, language, page.published, page.author, links, page.modified, page.date_source, images
    )  # fmt: skip


def _pdf(data: bytes, name: str, charset: str | None) -> Document:
    from providers.reader.pdf import read_pdf  # noqa: PLC0415

    pdf = read_pdf(data)
    title = _title(pdf.title or _first_heading(pdf.text), name)
    source: DateSource | None = "document" if pdf.published or pdf.modified else None
    return Document(title, pdf.text, language_of(pdf.text), pdf.published, pdf.author, modified=pdf.modified, date_source=source)


def _json(data: bytes, name: str, charset: str | None) -> Document:
    from providers.reader.feeds import json_feed  # noqa: PLC0415  (lxml)

    source = decode(data, declared=charset)
    value = json.loads(source)
    if feed := json_feed(value, _url(name)):
        return _feed_document(feed, name)
    text = value if isinstance(value, str) else f"```json\n{_pretty(value, source)}\n```"
    return Document(_title("", name), text, language_of(text))


def _pretty(value: object, source: str) -> str:
    """`value` indented; its `source` as it came when indenting would make it many times longer."""
    parts: list[str] = []
    left = max(_PRETTY_CHARACTERS, _PRETTY_GROWTH * len(source))
    for part in json.JSONEncoder(ensure_ascii=False, indent=2).iterencode(value):
        left -= len(part)
        if left < 0:
            return source
        parts.append(part)
    return "".join(parts)


def _xml(data: bytes, name: str, charset: str | None) -> Document:
    from providers.reader.feeds import read_feed, read_xml  # noqa: PLC0415  (lxml)

    markup = decode(data, declared=charset, markup=True)
    if feed := read_feed(markup, _url(name)):
        return _feed_document(feed, name)
    title, text = read_xml(markup)
    return Document(_title(title, name), text, language_of(text))


def _feed_document(feed: Feed, name: str) -> Document:
    links = tuple(DocumentLink(item.url, item.title) for item in feed.items if item.url)[:MAX_LINKS]
    return Document(
        _title(feed.title, name), feed.text, language_of(feed.text), links=links, modified=feed.updated,
        date_source="feed" if feed.updated else None,
    )  # fmt: skip


def _csv(data: bytes, name: str, charset: str | None) -> Document:
    text = table_text(decode(data, declared=charset).strip("\n"))
    return Document(_title("", name), text, language_of(text))


def _text(data: bytes, name: str, charset: str | None) -> Document:
    text = decode(data, declared=charset)
    front, text = _front_matter(text)
    text = unwrap(text.strip())
    title = _title(front.get("title") or _first_heading(text), name)
    published = iso_date(front.get("date") or front.get("published") or "")
    modified = iso_date(next(filter(None, map(front.get, ("modified", "updated", "lastmod", "last_modified"))), ""))
    source: DateSource | None = "document" if published or modified else None
    return Document(title, text, language_of(text), published, front.get("author", ""), _markdown_links(text), modified, source)


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


_CONVERTERS = {"html": _html, "pdf": _pdf, "feed": _xml, "xml": _xml, "json": _json, "csv": _csv, "text": _text}


def _suffix(name: str) -> str:
    return PurePosixPath(name.partition("?")[0].partition("#")[0]).suffix.lower()


def _url(name: str) -> str | None:
    return name if name.startswith(("http://", "https://")) else None


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
