"""HTML to Markdown: what counts is kept with its structure, the rest is gone."""

from __future__ import annotations

import pytest

from providers.reader.documents import convert
from schemas.errors import ReadError

PAGE = """<!doctype html><html lang="en"><head><title>Guide to Foo | Site</title>
<meta property="article:published_time" content="2024-03-05T10:00:00Z"><meta name="author" content="Jane Doe"></head><body>
<nav><ul><li><a href="/">Home</a></li><li><a href="/b">Blog</a></li></ul></nav>
<div class="wrap"><main><h1>Guide to Foo<a class="headerlink" href="#x">¶</a></h1>
<p>Foo is a tool which makes bars out of raw material, and it has been in use since 1998 by many people. It &amp; others.</p>
<h2>Install</h2><p>Run the following command in your shell to install Foo on your own machine:</p>
<pre><code class="language-bash">pip install foo
foo  --version</code></pre>
<h2>Numbers</h2><p>The table shows the numbers which were measured in the laboratory by the team in 2023.</p>
<table><tr><th>Year</th><th>Bars</th></tr><tr><td>2022</td><td>10,5</td></tr><tr><td>2023</td><td>17</td></tr></table>
<h2>Features</h2><ul><li>Fast <a href="/speed" title="t">speed</a></li><li>Small</li>
<li>See <a href="https://ex.org/doc?a=1">the docs</a></li></ul>
Loose text which stands beside block elements and is rather long so that it counts.<br>Second <b>line</b>
<h2>End</h2><blockquote>Quoted wisdom of the ages is here for everyone to read and to enjoy.</blockquote></main>
<aside><h2>Related</h2><ul><li><a href="/r">Related article about other things</a></li></ul></aside></div>
<p style="display: none">Secret instructions for robots that nobody sees.</p>
<footer><p>Copyright 2024 Site Inc. All rights reserved.</p></footer><script>var x=1;</script></body></html>"""

MARKDOWN = """# Guide to Foo

Foo is a tool which makes bars out of raw material, and it has been in use since 1998 by many people. It & others.

## Install

Run the following command in your shell to install Foo on your own machine:

```bash
pip install foo
foo  --version
```

## Numbers

The table shows the numbers which were measured in the laboratory by the team in 2023.

| Year | Bars |
| --- | --- |
| 2022 | 10,5 |
| 2023 | 17 |

## Features

- Fast [speed](https://site.com/speed)

- Small

- See [the docs](https://ex.org/doc?a=1)

Loose text which stands beside block elements and is rather long so that it counts.
Second **line**

## End
> Quoted wisdom of the ages is here for everyone to read and to enjoy."""


def squeezed(markdown: str) -> list[str]:
    return [line.rstrip() for line in markdown.splitlines() if line.strip()]


def test_article_with_structure() -> None:
    document = convert(PAGE.encode(), "https://site.com/guide/")
    assert squeezed(document.text) == squeezed(MARKDOWN)
    assert (document.title, document.author, document.published, document.language_code) == ("Guide to Foo", "Jane Doe", "2024-03-05", "en")
    assert [tuple(link) for link in document.links] == [
        ("https://site.com/", "Home"),
        ("https://site.com/b", "Blog"),
        ("https://site.com/speed", "speed"),
        ("https://ex.org/doc?a=1", "the docs"),
        ("https://site.com/r", "Related article about other things"),
    ]


def test_links_of_a_file_without_a_base_keep_their_text() -> None:
    document = convert(PAGE.encode(), "guide.html")
    assert "- Fast speed" in document.text
    assert [link.url for link in document.links] == ["https://ex.org/doc?a=1"]


def test_layout_table_is_text_and_the_table_inside_is_a_table() -> None:
    inner = "<table><tr><th>City</th><th>People</th></tr><tr><td>Bern</td><td>134,000</td></tr></table>"
    prose = "<p>" + "Switzerland has cities of all sizes, and most of them lie by a lake. " * 4 + "</p>"
    page = f"<html><body><table><tr><td><a href=/>Menu</a></td><td><h1>Cities</h1>{prose}{inner}</td></tr></table></body></html>"
    text = convert(page.encode(), "a.html").text
    assert "| City | People |\n| --- | --- |\n| Bern | 134,000 |" in text
    assert text.count("|") == 9
    assert "# Cities" in text


@pytest.mark.parametrize("depth", [300, 5_000, 100_000])
def test_deep_nesting(depth: int) -> None:
    page = "<html><body>" + "<div>" * depth + "<p>The text at the bottom of the well.</p>" + "</div>" * depth
    assert convert(page.encode(), "deep.html").text == "The text at the bottom of the well."


@pytest.mark.parametrize(
    "page", ["<html>", "<html><body></body></html>", "<!doctype html><title>Only a title</title>", "<html><frameset></html>"]
)
def test_page_without_text(page: str) -> None:
    with pytest.raises(ReadError, match="holds no text"):
        convert(page.encode(), "a.html")


@pytest.mark.parametrize(
    "page",
    [
        "<p>unclosed <b>bold <i>both</p> and <table><tr><td>x",
        "<html><body><a href='http://[bad'>x</a> text that is here</body>",
        "<html><base href='//:'><body><a href='y'>x</a> text that is here</body>",
        "<!doctype html><p>\x01 text that is here <![CDATA[x]]> &#0; &#xD800; &bogus; and it goes on for a while, as texts do",
        "<html><body><svg><p>in svg</p></svg><math><mtext>m</mtext></math><template>t</template>x</body>",
    ],
)
def test_malformed_markup_is_read(page: str) -> None:
    assert convert(page.encode("utf-8"), "a.html").text
