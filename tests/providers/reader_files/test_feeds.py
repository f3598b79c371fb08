"""Feeds, XML, CSV and JSON as text, and the same of hostile kinds."""

# ruff: noqa: E501  (whole documents)
from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.reader.documents import Document, convert
from schemas.errors import ReadError

RSS = """<?xml version="1.0"?><rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel>
<title>Sea news</title><link>https://a.org/</link><description>All about the sea.</description>
<item><title>Tides &amp; moons</title><link>/tides</link><pubDate>Mon, 06 May 2024 10:00:00 GMT</pubDate>
<description>Short.</description><content:encoded><![CDATA[<p>The <b>moon</b> moves the sea.</p><p>Twice a day.</p>]]></content:encoded></item>
<item><title>Waves</title><guid>https://a.org/waves</guid><pubDate>Sun, 05 May 2024 10:00:00 GMT</pubDate><description>Wind &lt;i&gt;moves&lt;/i&gt; it.</description></item>
</channel></rss>"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><title>Sea news</title><subtitle>All about the sea.</subtitle><updated>2024-05-07T00:00:00Z</updated>
<entry><title>Tides</title><link rel="self" href="https://a.org/self"/><link href="https://a.org/tides"/><published>2024-05-06T10:00:00Z</published>
<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>The moon moves the sea.</p></div></content></entry></feed>"""
RDF = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/">
<channel><title>Sea news</title></channel><item><title>Tides</title><link>https://a.org/tides</link><dc:date>2024-05-06</dc:date></item></rdf:RDF>"""
JSON_FEED = {
    "version": "https://jsonfeed.org/version/1.1", "title": "Sea news", "description": "All about the sea.",
    "items": [{"title": "Tides", "url": "https://a.org/tides", "date_published": "2024-05-06T10:00:00Z", "content_html": "<p>The moon moves the sea.</p>"}, 7],
}  # fmt: skip


def read(data: str | bytes, name: str = "https://a.org/feed", media: str | None = None) -> Document:
    return convert(data if isinstance(data, bytes) else data.encode(), name, media_type=media)


def test_rss() -> None:
    document = read(RSS, media="text/html")
    assert document.text == (
        "# Sea news\n\nAll about the sea.\n\n## Tides & moons\n\n2024-05-06 <https://a.org/tides>\n\nThe moon moves the sea.\n\nTwice a day."
        "\n\n## Waves\n\n2024-05-05 <https://a.org/waves>\n\nWind moves it."
    )
    assert (document.title, document.published, document.modified, document.date_source) == ("Sea news", None, "2024-05-06", "feed")
    assert document.links == (("https://a.org/tides", "Tides & moons"), ("https://a.org/waves", "Waves"))


@pytest.mark.parametrize(
    ("data", "modified"), [(ATOM, "2024-05-07"), ('<?xml version="1.0"?>' + RDF, "2024-05-06"), (json.dumps(JSON_FEED), "2024-05-06")]
)
def test_other_feeds(data: str, modified: str) -> None:
    document = read(data, media="application/feed+json" if data[0] == "{" else None)
    assert "## Tides\n\n2024-05-06 <https://a.org/tides>" in document.text
    assert ("The moon moves the sea." in document.text) == (data is not None and "moon" in data)
    assert (document.title, document.modified, document.date_source) == ("Sea news", modified, "feed")


def test_links_of_a_feed_that_lead_nowhere() -> None:
    links = ["javascript:alert(1)", "file:///etc/passwd", "http://[", "https://a.org/a b", "https://a.org/>x", ""]
    items = "".join(f"<item><title>T</title><link>{link.replace('>', '&gt;')}</link></item>" for link in links)
    assert read(f"<rss><channel><title>x</title>{items}</channel></rss>").links == ()


def test_other_xml() -> None:
    book = read(
        "<?xml version='1.0'?><book><title>Tides</title><para>The <i>moon</i> moves the sea.</para><port><name>Brest</name><height>7.3</height></port></book>"
    )
    assert book.title == "Tides"
    assert book.text == "title: Tides\n\nThe moon moves the sea.\n\nname: Brest\nheight: 7.3"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("port,height\nBrest,7.3\n", "| port | height |\n| --- | --- |\n| Brest | 7.3 |"),
        ('port;"a|b"\n"Le\nHavre";7,3', "| port | a\\|b |\n| --- | --- |\n| Le Havre | 7,3 |"),
        ("port\theight\n\nBrest\t7.3", "| port | height |\n| --- | --- |\n| Brest | 7.3 |"),
        ("one column\nonly", "one column\nonly"),
        ("a,b", "a,b"),
        ('a,"' + "x" * 200_000 + '"\n1,2', 'a,"' + "x" * 200_000 + '"\n1,2'),
    ],
)  # fmt: skip
def test_csv(data: str, text: str) -> None:
    assert read(data, "heights.csv").text == text


def test_json_that_indentation_would_swell_stays_as_it_is() -> None:
    nested = "[" * 400 + "1" + "]" * 400
    data = "[" + ",".join([nested] * 2_000) + "]"
    started = time.process_time()
    assert read(data, media="application/json").text == f"```json\n{data}\n```"
    assert time.process_time() - started < 20


_LAUGHS = (
    '<!DOCTYPE rss [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {n} "{f"&{p};" * 10}">' for p, n in zip("abcdefghi", "bcdefghij", strict=True))
    + "]>"
)
HOSTILE = [
    f'<?xml version="1.0"?>{_LAUGHS}<rss><channel><title>&j;</title><item><title>x</title><description>&j;</description></item></channel></rss>',
    '<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><rss><channel><title>t&x;</title></channel></rss>',
    '<?xml version="1.0"?><!DOCTYPE r SYSTEM "http://127.0.0.1:9/x.dtd"><r>text</r>',
    "<?xml version='1.0'?><r>" + "<a>" * 5_000 + "text",
    "<rss>" + "<item><title>x</title></item>" * 100_000 + "</rss>",
    "<rss><channel><title>" + "x" * 5_000_000 + "</title></channel></rss>",
    "<feed><entry><content>" + "&lt;b&gt;" * 200_000 + "</content><title>x</title></entry></feed>",
    "<?xml version='1.0'?>" + "<!-- - -->" * 50_000 + "<r>text</r>",
    "<?xml version='1.0'?><r " + "".join(f"a{n}='1' " for n in range(50_000)) + ">text</r>",
]


@pytest.mark.parametrize("markup", HOSTILE)
def test_hostile_xml_costs_little(markup: str) -> None:
    started = time.process_time()
    try:
        document = read(markup)
    except ReadError as error:
        assert "\n" not in str(error)
    else:
        assert "root:" not in document.text and "hahaha" not in document.text
        assert len(document.text) <= len(markup) * 2
    assert time.process_time() - started < 15


@given(
    st.integers(0, len(RSS) - 1),
    st.text(alphabet="<>&;/\"'! ax-[]\0\ufffe", max_size=5),
    st.sampled_from([RSS, ATOM, RDF, json.dumps(JSON_FEED)]),
)
def test_damaged_feeds_are_read_or_refused(position: int, put: str, data: str) -> None:
    at = position % len(data)
    try:
        assert read(data[:at] + put + data[at + len(put) :]).text.strip()
    except ReadError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("data", "media", "what"),
    [
        (b"\x89PNG\r\n\x1a\n", "text/html", "a PNG picture"),
        (b"GIF89a", "text/plain", "a GIF picture"),
        (b"\x1f\x8b\x08\0", "text/html", "a gzip archive"),
        (b"PK\x03\x04\x14\0\0\0\x08\0[Content_Types].xml....word/document.xml", "text/html", "a Word document"),
        (b"PK\x03\x04\x14\0\0\0\0\0mimetypeapplication/epub+zip", "", "an EPUB book"),
        (b"PK\x03\x04\x14\0\0\0\0\0mimetypeapplication/vnd.oasis.opendocument.text", "", "an OpenDocument file"),
        (b"PK\x03\x04 xl/workbook.xml", "", "an Excel workbook"),
        (b"PK\x05\x06", "", "a ZIP archive"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "text/html", "a WebP picture"),
        (b"\0\0\0\x20ftypavif", "", "an AVIF or HEIF picture"),
        (b"\0\0\0\x20ftypisom", "", "a film"),
        (b"<?xml version='1.0'?><svg xmlns='x'><text>x</text></svg>", "", "an SVG picture"),
        (b"<svg xmlns='x'><text>x</text></svg>", "text/html", "an SVG picture"),
        (b"x" * 257 + b"ustar", "text/html", "a tar archive"),
        (b"%!PS-Adobe-3.0", "", "a PostScript document"),
    ],
)  # fmt: skip
def test_what_is_no_text_is_named_whatever_it_is_called(data: bytes, media: str, what: str) -> None:
    with pytest.raises(ReadError) as caught:
        convert(data, "https://a.org/x", media_type=media or None)
    assert str(caught.value) == f"https://a.org/x: it is {what}, which is not read"


def test_html_that_is_called_text_and_a_pdf_that_is_called_nothing() -> None:
    from tests.providers.reader_files.pdf_writer import make_pdf

    page = b"<!-- made by hand -->\n<!DOCTYPE html>\n<html><body><h1>Tides</h1><p>The moon moves the sea.</p></body></html>"
    assert convert(page, "https://a.org/x", media_type="text/plain").text.startswith("# Tides")
    found = convert(make_pdf([["The moon moves the sea."]]), "https://a.org/x", media_type="application/octet-stream")
    assert (found.text, found.author, found.published, found.date_source) == (
        "The moon moves the sea.",
        "A. Writer",
        "2023-04-05",
        "document",
    )
