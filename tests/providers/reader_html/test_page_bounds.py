"""Small pages that once took long: attributes, nesting, tables and lists without end; and what the bounds leave as it is."""

from __future__ import annotations

import time

import pytest
from lxml.html import HtmlElement, tostring

from providers.reader.bounds import without_excess_attributes
from providers.reader.cleaning import parse
from providers.reader.documents import convert
from schemas.errors import ReadError

SENTENCE = "The moon moves the sea twice a day, and the sea moves the sand along the shore. "


@pytest.mark.parametrize(
    "page",
    [
        "<table>" + "<tr><td colspan=1000 rowspan=1000>y" * 200,
        "<table>" + "<tr>" + "<td>x" * 1_000 + "<tr><td>y" * 2_000,
        "<table><tr>" + "<td>x" * 30_000,
        "<table><tr><td rowspan=90>y</table>" * 2_000,
        "<table><tr><td>" * 3_000 + "hello",
        "<p " + " ".join(f"a{n}=1" for n in range(40_000)) + ">hello world",
        "<a href=x><p>t " * 15_000,
        "<ul><li>x " * 25_000,
        "<blockquote>x " * 10_000,
        "<div hidden>" * 1_500 + SENTENCE * 500,
    ],
    ids=["spans", "padding", "columns", "tables", "nested-tables", "attributes", "links", "lists", "quotations", "hidden"],
)
def test_a_small_page_is_read_soon_and_its_text_does_not_grow(page: str) -> None:
    data = f"<html><body><p>{SENTENCE}</p>{page}".encode()
    started = time.process_time()
    text = convert(data, "https://a.org/x").text
    assert time.process_time() - started < 40
    assert len(text) < 3 * len(data)


@pytest.mark.parametrize("charset", ["punycode", "unicode_escape", "raw_unicode_escape", "utf-7", "idna", "rot13", "hz"])
def test_a_codec_that_is_no_charset_of_the_web_is_not_used(charset: str) -> None:
    data = f"<html><meta charset={charset}><p>a-\\u0041+AEE- {SENTENCE}".encode() + b"b" * 1_000_000
    started = time.process_time()
    assert "a-\\u0041+AEE- The moon" in convert(data, "https://a.org/x").text.replace("\\\\", "\\")
    assert time.process_time() - started < 20


@pytest.mark.parametrize(
    ("label", "encoding"),
    [
        ("x-sjis", "shift_jis"), ("windows-31j", "cp932"), ("euc-jp", "euc_jp"), ("iso-2022-jp", "iso2022_jp"), ("x-gbk", "gbk"),
        ("GB2312", "gb18030"), ("windows-949", "cp949"), ("big5", "big5hkscs"),
    ],
)  # fmt: skip
def test_labels_of_the_web(label: str, encoding: str) -> None:
    words = "日本" if encoding not in ("gbk", "gb18030") else "中国"
    assert words in convert(f"<html><p>{words * 20} abc".encode(encoding), "https://a.org/x", media_type=f"text/html; charset={label}").text


def bounded(markup: str) -> HtmlElement:
    return parse(without_excess_attributes(markup))


ORDINARY = (
    '<html><body><div><table><tr><th colspan="3">a</th></tr><tr><td rowspan="2">b</td><td>c</td></tr><tr><td>d</td></tr></table>'
    "<ul><li>e<ul><li>f</li></ul></li></ul><blockquote><p>g</p></blockquote>h<b>i</b>j</div></body></html>"
)


def test_an_ordinary_page_stays_as_it_is() -> None:
    assert without_excess_attributes(ORDINARY) == ORDINARY
    assert tostring(bounded(ORDINARY), encoding="unicode") == ORDINARY
    large = "<html><body><table>" + '<tr><td colspan="9">year</td></tr><tr><td>1</td><td>2</td></tr>' * 5_000 + "</table></body></html>"
    assert tostring(bounded(large), encoding="unicode") == large


def test_what_lies_too_deep_keeps_its_text_and_order() -> None:
    levels = 400
    page = "".join(f"<div>{n} <b>b{n}</b> " for n in range(levels)) + "".join(f"</div>t{n} " for n in reversed(range(levels)))
    tree = bounded(f"<html><body>{page}</body></html>")
    expected = " ".join(f"{n} b{n}" for n in range(levels)) + " " + " ".join(f"t{n}" for n in reversed(range(levels)))
    assert " ".join(tree.text_content().split()) == expected
    assert max(sum(1 for _ in element.iterancestors()) for element in tree.iter()) < 125
    assert sum(1 for _ in tree.iter("b")) == levels


def test_attributes_beyond_the_first_250_are_dropped() -> None:
    attributes = " ".join(f"a{n}='{n} > x'" for n in range(1_000))
    element = bounded(f"<p id=first {attributes} class=last>text</p>").find(".//p")
    assert (len(element.attrib), element.get("id"), element.get("a248"), element.text) == (250, "first", "248 > x", "text")


def test_a_text_that_grows_too_large_is_refused() -> None:
    rows = b",".join(b"a" for _ in range(1_000)) + b"\n"
    with pytest.raises(ReadError, match=r"^https://a\.org/x\.csv: its text is larger than 25,000 characters$"):
        convert(rows * 10, "https://a.org/x.csv", media_type="text/csv", max_bytes=25_000)


def test_nested_lists_in_a_feed_do_not_grow() -> None:
    item = "<item><title>a</title><description>" + "&lt;ul>&lt;li>x " * 3_000 + "</description></item>"
    data = f"<rss version='2.0'><channel><title>t</title>{item * 3}</channel></rss>".encode()
    text = convert(data, "https://a.org/feed").text
    assert text.count("x") == 9_000 and len(text) < len(data)
