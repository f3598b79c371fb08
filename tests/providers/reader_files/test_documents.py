"""Documents to text: type, charset, structure, hostile input."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.reader.documents import convert, document_type
from schemas.errors import ReadError
from tests.providers.reader_files.pdf_writer import make_pdf

GERMAN = "Die Universität liegt in München und hat über fünfzigtausend Studenten, mehr als jede andere Universität in Bayern."


@pytest.mark.parametrize(
    ("data", "name", "media", "expected"),
    [
        (b"%PDF-1.7 ...", "a.txt", "", "pdf"),
        (b"\n\n  <!DOCTYPE HTML><p>x", "a.md", "", "html"),
        ("<html>".encode("utf-16"), "a", "", "html"),
        (b"<p>x</p>", "a.htm?x=1", "", "html"),
        (b"<p align=center>logo</p>\n# Title", "a.md", "", "text"),
        (b"{}", "a", "application/json", "json"),
        (b"{}", "a.json", "", "json"),
        (b"{}", "a.md", "", "text"),
        (b"<?xml version='1.0'?><feed/>", "a", "application/atom+xml", "feed"),
        (b"<?xml version='1.0'?>\n<!-- x -->\n<!DOCTYPE rss>\n<rss version='2.0'/>", "a", "text/html", "feed"),
        (b"<?xml version='1.0'?><rdf:RDF xmlns:rdf='x'/>", "a", "", "feed"),
        (b"<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'/>", "a", "text/xml", "html"),
        (b"<!-- a long comment --> <html><p>x", "a.txt", "text/plain", "html"),
        (b"<?xml version='1.0'?><db:book xmlns:db='x'/>", "a", "", "xml"),
        (b"<book/>", "a", "application/xml", "xml"),
        (b"a,b\n1,2", "a.csv", "", "csv"),
        (b"a,b\n1,2", "a", "text/csv", "csv"),
        (b"<!-- only a remark -->\n# Title", "a.md", "", "text"),
        (b"plain", "a.txt", "", "text"),
    ],
)
def test_type_is_recognised_by_content_first(data: bytes, name: str, media: str, expected: str) -> None:
    assert document_type(data, name, media) == expected


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (GERMAN.encode("utf-8"), None),
        (GERMAN.encode("utf-8-sig"), None),
        (GERMAN.encode("utf-16"), None),
        (GERMAN.encode("utf-16-le"), None),
        (GERMAN.encode("utf-16-be"), None),
        (GERMAN.encode("latin-1"), None),
        (GERMAN.encode("cp850"), "text/plain; charset=cp850"),
        (GERMAN.encode("utf-8"), "text/plain; charset=no-such-charset"),
        (GERMAN.encode("latin-1"), "text/plain; charset=utf-8"),
    ],
)
def test_charset(data: bytes, media_type: str | None) -> None:
    document = convert(data, "a.txt", media_type=media_type)
    assert document.text == GERMAN
    assert document.language_code == "de"


def test_charset_of_a_meta_element() -> None:
    page = f'<html><head><meta charset="iso-8859-2"></head><body><p>{"Zażółć gęślą jaźń, " * 20}</p></body></html>'
    assert "Zażółć gęślą jaźń" in convert(page.encode("iso-8859-2"), "a.html").text


def test_damaged_utf8_is_still_utf8() -> None:
    assert convert((GERMAN * 3).encode() + b"\xff", "a.txt").text == GERMAN * 3 + "\ufffd"


def test_markdown_front_matter_and_title() -> None:
    document = convert(b"---\ntitle: 'A tale'\ndate: 2024-02-03T10:00\nauthor: Ann\ntags:\n  - x\n---\n\n# Other\n\nText.", "a.md")
    assert (document.title, document.published, document.author) == ("A tale", "2024-02-03", "Ann")
    assert document.text == "# Other\n\nText."


def test_title_is_the_first_heading_or_line_or_name() -> None:
    assert convert(b"intro\n\n## The heading\n\nx", "a.md").title == "The heading"
    assert convert(b"Title\n=====\n\nx", "a.rst").title == "Title"
    assert convert(b"First line\nsecond", "a.txt").title == "First line"
    assert convert(b"```\ncode\n```", "b.md").title == "b.md"


def test_wrapped_lines_are_joined_without_moving_anything() -> None:
    wrapped = (
        "This is a paragraph which somebody has wrapped by hand at about seventy\n"
        "characters, so that it looks good in an editor and in a terminal, and\nnowhere else.\n\n"
        "roses are red\nviolets are blue\n\n```\ncode that is long enough to be taken for a wrapped line of text, but\nis code\n```"
    )
    text = convert(wrapped.encode(), "a.md").text
    assert len(text) == len(wrapped)
    assert "about seventy characters, so that it looks good in an editor and in a terminal, and nowhere else.\n\n" in text
    assert "roses are red\nviolets are blue" in text
    assert "but\nis code" in text


def test_links_of_markdown() -> None:
    text = "# A\n\nSee [the *docs*](https://ex.org/a?b=1 'title'), [local](b.md), <https://ex.org/c>, `[no](https://ex.org/no)` and [the docs](https://ex.org/a?b=1)."
    assert convert(text.encode(), "a.md").links == (("https://ex.org/a?b=1", "the docs"), ("https://ex.org/c", "https://ex.org/c"))


def test_json_is_pretty() -> None:
    assert convert('{"a":["é"]}'.encode(), "a.json").text == '```json\n{\n  "a": [\n    "é"\n  ]\n}\n```'


@pytest.mark.parametrize(
    ("data", "name", "cause"),
    [
        (b"", "a.md", "a.md: it is empty"),
        (b" \n\t ", "a.md", "a.md: it is empty"),
        (bytes(range(256)) * 20, "a.md", "a.md: it cannot be read as TEXT: it holds binary data, not text"),
        (bytes(range(256)) * 20, "a.pdf", "a.pdf: it cannot be read as PDF: the file is damaged (it does not begin as one)"),
        (
            bytes(range(256)) * 20,
            "http://a.org/A.PDF?x#y",
            "http://a.org/A.PDF?x#y: it cannot be read as PDF: the file is damaged (it does not begin as one)",
        ),
        (b"PK\x03\x04....", "a.md", "a.md: it is a ZIP archive, which is not read"),
        (b"\x89PNG\r\n", "a.pdf", "a.pdf: it is a PNG picture, which is not read"),
        (
            b"%PDF-1.4\nnothing",
            "a.pdf",
            "a.pdf: it cannot be read as PDF: the file is damaged (Failed to load document (PDFium: Data format error).)",
        ),
        (make_pdf([["x"]], encrypted=True), "a.pdf", "a.pdf: it cannot be read as PDF: it is encrypted; save a copy without a password"),
        (make_pdf([[]]), "a.pdf", "a.pdf: it holds no text (scanned pages need OCR first)"),
        (
            b"{broken",
            "a.json",
            "a.json: it cannot be read as JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        ),
        (
            b"[" * 100_000,
            "a.json",
            "a.json: it cannot be read as JSON: maximum recursion depth exceeded while decoding a JSON array from a unicode string",
        ),
        (b"<html><body><script>1</script></body></html>", "a.html", "a.html: it holds no text"),
        (b"x" * 101, "a.md", "a.md: it is larger than 100 bytes"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_cause(data: bytes, name: str, cause: str) -> None:
    with pytest.raises(ReadError) as raised:
        convert(data, name, max_bytes=100 if len(data) == 101 else 20_000_000)
    assert str(raised.value) == cause
    assert "\n" not in cause


def test_a_line_of_five_megabytes() -> None:
    assert len(convert(b"word " * 1_000_000, "a.txt").text) == 4_999_999


@given(st.binary(max_size=300), st.sampled_from(["a.md", "a.txt", "a.json", "a"]))
def test_any_bytes_give_text_or_a_read_error(data: bytes, name: str) -> None:
    try:
        text = convert(data, name).text
    except ReadError:
        return
    assert text.strip()
    assert "\r" not in text
    assert "\0" not in text
    text.encode("utf-8")
