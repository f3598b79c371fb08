"""What kind of document some bytes are: by what they begin with, and only then by what they are called."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Literal

from schemas.errors import ReadError

DocumentType = Literal["pdf", "html", "feed", "xml", "json", "csv", "text"]

_SNIFFED_BYTES = 4_096
_HTML_STARTS = (b"<!doctype html", b"<html", b"<head", b"<body", b"<title", b"<meta")
_PREAMBLE = re.compile(rb"\s*(?:<\?.*?\?>|<!--.*?-->|<!doctype[^>\[]*>)", re.DOTALL)
_ROOT = re.compile(rb"\s*<(?:[\w.-]{1,50}:)?([\w.-]{1,50})")
_OFFICE = [
    (b"word/", "a Word document"),
    (b"xl/", "an Excel workbook"),
    (b"ppt/", "a PowerPoint presentation"),
    (b"application/epub+zip", "an EPUB book"),
    (b"application/vnd.oasis.opendocument", "an OpenDocument file"),
    (b"META-INF/MANIFEST.MF", "a Java archive"),
]
_BINARY = [
    (b"PK\x03\x04", "a ZIP archive"),
    (b"PK\x05\x06", "a ZIP archive"),
    (b"\xd0\xcf\x11\xe0", "an old office document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"II*\0", "a TIFF picture"),
    (b"MM\0*", "a TIFF picture"),
    (b"\0\0\x01\0", "an icon"),
    (b"AT&TFORM", "a DjVu document"),
    (b"%!PS", "a PostScript document"),
    (b"{\\rtf", "an RTF document"),
    (b"ID3", "a sound"),
    (b"\xff\xfb", "a sound"),
    (b"OggS", "a sound or film"),
    (b"fLaC", "a sound"),
    (b"\x1aE\xdf\xa3", "a film"),
    (b"\0asm", "a program"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90\0", "a program"),
    (b"\xca\xfe\xba\xbe", "a program"),
    (b"\xcf\xfa\xed\xfe", "a program"),
    (b"wOFF", "a font"),
    (b"wOF2", "a font"),
    (b"SQLite format 3\0", "a database"),
    (b"PAR1", "a Parquet table"),
]
_CONTAINERS = {b"WEBP": "a WebP picture", b"WAVE": "a sound", b"AVI ": "a film"}


def document_type(data: bytes, name: str, media: str = "") -> DocumentType:
    """What kind of document `data` is: by its first bytes, then its media type, then the suffix of `name`.

    Raises `ReadError` that names the type for archives, pictures, programs and other types that are no text.
    """
    start = data[:_SNIFFED_BYTES]
    head = start.lstrip(b"\xef\xbb\xbf \t\r\n\f").lower()
    if b"%pdf-" in head[:1_024]:
        return "pdf"
    if what := _no_text(start):
        raise ReadError(f"{name}: it is {what}, which is not read")
    # UTF-16 spells "<html" with zero bytes in between.
    narrow = head.replace(b"\0", b"").lstrip(b"\xff\xfe")
    if narrow.startswith(_HTML_STARTS):
        return "html"
    if narrow.startswith((b"<?xml", b"<!--", b"<!doctype", b"<rss", b"<feed", b"<rdf:rdf", b"<svg")):
        markup = _root(narrow, name, xml=narrow.startswith(b"<?xml"))
        if markup is not None:
            return markup
    suffix = PurePosixPath(name.partition("?")[0].partition("#")[0]).suffix.lower()
    if media in ("text/html", "application/xhtml+xml") or (not media and suffix in (".html", ".htm", ".xhtml")):
        return "html"
    if media == "application/json" or media.endswith("+json") or (not media and suffix == ".json"):
        return "json"
    if media in ("text/csv", "text/tab-separated-values") or (not media and suffix in (".csv", ".tsv")):
        return "csv"
    if media.endswith(("/xml", "+xml")):
        return "xml"
    return "text"


def _root(head: bytes, name: str, *, xml: bool) -> DocumentType | None:
    """The kind that the first element says; None when there is none that is known."""
    while preamble := _PREAMBLE.match(head):
        head = head[preamble.end() :]
    root = _ROOT.match(head)
    tag = root.group(1) if root else b""
    if tag in (b"rss", b"feed", b"rdf"):
        return "feed"
    if tag == b"svg":
        raise ReadError(f"{name}: it is an SVG picture, which is not read")
    if tag in (b"html", b"head", b"body", b"title", b"meta"):
        return "html"
    return "xml" if xml else None


def _no_text(start: bytes) -> str | None:
    for magic, what in _BINARY:
        if start.startswith(magic):
            return next((office for part, office in _OFFICE if part in start), what) if what == "a ZIP archive" else what
    if start[:4] == b"RIFF":
        return _CONTAINERS.get(start[8:12])
    if start[4:8] == b"ftyp":
        return "an AVIF or HEIF picture" if start[8:11] in (b"avi", b"hei", b"mif") else "a film"
    return "a tar archive" if start[257:262] == b"ustar" else None
