"""What HTML pages say about themselves: where it is looked for, what is believed, and hostile statements."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml.html import document_fromstring, tostring

from providers.reader.metadata import PageMetadata, page_metadata
from providers.reader.stated import believable_date

ARTICLE = {"@type": "NewsArticle", "datePublished": "2024-05-06T23:30:00-07:00", "author": {"name": "Ann Ahn"}}


def of(head: str = "", body: str = "<p>Text.</p>", url: str | None = None, attributes: str = "") -> PageMetadata:
    return page_metadata(document_fromstring(f"<html {attributes}><head>{head}</head><body>{body}</body></html>"), url)


def linked(*values: Any) -> str:
    return "".join(f'<script type="application/ld+json">{v if isinstance(v, str) else json.dumps(v)}</script>' for v in values)


@pytest.mark.parametrize(
    ("value", "published", "author"),
    [
        (ARTICLE, "2024-05-06", "Ann Ahn"),
        ([{"@type": "Organization", "name": "A"}, ARTICLE], "2024-05-06", "Ann Ahn"),
        ({"@graph": [{"@type": "WebPage", "datePublished": "2020-01-01"}, ARTICLE]}, "2024-05-06", "Ann Ahn"),
        ({"@type": "WebPage", "mainEntity": {"@type": ["Thing", "Article"], "datePublished": "2024-05-06"}}, "2024-05-06", ""),
        ({"@type": "http://schema.org/BlogPosting", "datePublished": ["2024-05-06"]}, "2024-05-06", ""),
        ({"schema:datePublished": {"@value": "2024-05-06"}, "@type": "schema.org/Article"}, "2024-05-06", ""),
        (
            {
                "@graph": [
                    {"@type": "Article", "datePublished": "2024-05-06", "author": [{"@id": "#a"}, "Bob Berg"]},
                    {"@type": "Person", "@id": "#a", "name": "Ann Ahn"},
                ]
            },
            "2024-05-06",
            "Ann Ahn, Bob Berg",
        ),
        ({"@type": "Article", "author": {"name": ["Ann Ahn", "Ann Ahn", "https://a.org/x", "admin", 7]}}, None, "Ann Ahn"),
        # dates of other things
        ({"@type": "Book", "datePublished": "2001-01-01"}, None, ""),
        ({"@type": "Question", "acceptedAnswer": {"@type": "Answer", "datePublished": "2001-01-01"}}, None, ""),
        ({"@type": "WebPage", "hasPart": [ARTICLE]}, None, ""),
        ([{"@type": "Article", "datePublished": f"2024-01-0{n}"} for n in range(1, 6)], None, ""),
        # not believed
        ({"@type": "Article", "datePublished": "1969-12-31"}, None, ""),
        ({"@type": "Article", "datePublished": "2999-01-01"}, None, ""),
        ({"@type": "Article", "datePublished": "soon"}, None, ""),
        ({"@type": "Article", "datePublished": {"a": 1}, "author": 7}, None, ""),
        # damaged
        ('<!-- {"@type": "Article", "datePublished": "2024-05-06",} -->', "2024-05-06", ""),
        ('/*<![CDATA[*/ {"@type": "Article",\n"datePublished": "2024-05-06", "x": "a\nb"} /*]]>*/', "2024-05-06", ""),
        ('{"@type": "Article" "datePublished": "2024-05-06"', "2024-05-06", ""),
        ("", None, ""), ("null", None, ""), ("7", None, ""), ('"text"', None, ""), ("[[[]]]", None, ""),
    ],
)  # fmt: skip
def test_linked_data(value: Any, published: str | None, author: str) -> None:
    found = of(linked(value))
    assert (found.published, found.author, found.date_source) == (published, author, "json-ld" if published else None)


@pytest.mark.parametrize(
    ("head", "published", "modified"),
    [
        ('<meta property="article:published_time" content="2024-05-06T07:08:09Z">', "2024-05-06", None),
        ('<meta property="og:updated_time" content="2024-05-07">', None, "2024-05-07"),
        (
            '<meta name="DC.date.issued" content="2024-05-06"><meta name="DCTERMS.modified" content="2024-06-01">',
            "2024-05-06",
            "2024-06-01",
        ),
        ('<meta name="dc:date" content="2024-05-06">', "2024-05-06", None),
        ('<meta name="citation_publication_date" content="2024/05/06">', "2024-05-06", None),
        ('<meta name="citation_publication_date" content="2024/5/6">', "2024-05-06", None),
        ('<meta name="sailthru.date" content="Mon, 06 May 2024 10:00:00 GMT">', "2024-05-06", None),
        ('<meta name="parsely-pub-date" content="May 6, 2024">', "2024-05-06", None),
        ('<meta itemprop="datePublished" content="2024-05-06"><meta itemprop="dateModified" content="2024-05-01">', "2024-05-06", None),
        ('<meta http-equiv="last-modified" content="Mon, 06 May 2024 10:00:00 GMT">', None, "2024-05-06"),
    ],
)
def test_meta_elements(head: str, published: str | None, modified: str | None) -> None:
    found = of(head)
    assert (found.published, found.modified, found.date_source) == (published, modified, "meta")


def test_json_ld_comes_before_meta_and_meta_before_time() -> None:
    meta, element = '<meta name="date" content="2023-01-01">', '<time datetime="2022-01-01">then</time>'
    url = "https://a.org/2021/01/01/x"
    assert (of(linked(ARTICLE) + meta, element, url).published, of(meta, element, url).published) == ("2024-05-06", "2023-01-01")
    assert (of("", element, url).published, of("", element, url).date_source) == ("2022-01-01", "time")
    assert (of("", url=url).published, of("", url=url).date_source) == ("2021-01-01", "url")


@pytest.mark.parametrize(
    ("body", "published", "modified"),
    [
        ('<time class="published" datetime="2024-05-06">x</time><time class="updated" datetime="2024-05-08">', "2024-05-06", "2024-05-08"),
        ("<article><time>2024-05-06</time></article>", "2024-05-06", None),
        ('<article><footer><time datetime="2024-05-06"></time></footer></article>', "2024-05-06", None),
        ('<footer><time datetime="2024-05-06"></time></footer>', None, None),
        ('<article><time datetime="2024-05-06"></time></article><aside><time datetime="2020-01-01"></time></aside>', "2024-05-06", None),
        ('<div class="comments"><time datetime="2024-05-06"></time></div>', None, None),
        ('<article><time datetime="2024-05-06"></time></article><article><time datetime="2024-05-05"></time></article>', None, None),
    ],
)  # fmt: skip
def test_time_elements(body: str, published: str | None, modified: str | None) -> None:
    found = of(body=body, url="https://a.org/")
    if published is None:
        assert found.date_source in (None, "text")  # at most a guess
    else:
        assert (found.published, found.modified, found.date_source) == (published, modified, "time")


@pytest.mark.parametrize(
    ("url", "published"),
    [
        ("https://a.org/2024/05/06/tides", "2024-05-06"), ("https://a.org/n/2024-5-6-tides.html", "2024-05-06"),
        ("https://a.org/20240506/x", "2024-05-06"), ("https://a.org/2024/05/", None), ("https://a.org/2024/13/06/", None),
        ("https://a.org/a20240506", None), ("https://a.org/120240506", None),
        ("https://a.org/1969/05/06/x", None), ("https://a.org/2999/05/06/x", None), ("http://[", None),
    ],
)  # fmt: skip
def test_dates_in_urls(url: str, published: str | None) -> None:
    found = of(url=url)
    assert (found.published, found.date_source) == (published, "url" if published else None)


def test_a_date_in_the_text_is_a_guess() -> None:
    found = of(body="<h1>Tides</h1><p>Published on May 3, 2021 by Jim Jones</p>", url="https://a.org/")
    assert (found.published, found.date_source) == ("2021-05-03", "text")
    assert of(body="<h1>Tides</h1><p>Text.</p><footer>Copyright 2021 Jim Jones</footer>").published is None


@pytest.mark.parametrize(
    ("head", "body", "author"),
    [
        ('<meta name="author" content="Ann Ahn">', "", "Ann Ahn"),
        ('<meta name="byl" content="By Ann Ahn">', "", "Ann Ahn"),
        ('<meta name="author" content="Von: Ann von Ahn">', "", "Ann von Ahn"),
        ('<meta name="author" content="Di Stefano">', "", "Di Stefano"),
        ('<meta name="citation_author" content="Ahn, Ann"><meta name="citation_author" content="Bob Berg">', "", "Ann Ahn, Bob Berg"),
        ('<meta property="article:author" content="https://a.org/ann"><meta name="DC.creator" content="Ann Ahn">', "", "Ann Ahn"),
        ("", '<p itemprop="author"><img alt=x> <span itemprop="name">Ann Ahn</span>, editor</p>', "Ann Ahn"),
        ('<meta name="author" content="admin">', "", ""),
    ],
)
def test_authors(head: str, body: str, author: str) -> None:
    assert of(head, body + "<p>Text.</p>").author == author


@pytest.mark.parametrize(
    ("attributes", "head", "code"),
    [
        ('lang="de-AT"', "", "de"), ('xml:lang="FR"', "", "fr"), ("", '<meta http-equiv="Content-Language" content="it, en">', "it"),
        ("", '<meta property="og:locale" content="pt_BR">', "pt"), ('lang=""', "", ""), ('lang="english"', "", ""), ('lang="x"', "", ""),
    ],
)  # fmt: skip
def test_languages(attributes: str, head: str, code: str) -> None:
    assert of(head, attributes=attributes).language_code == code


def test_the_future_is_not_believed_and_the_tree_is_left_alone() -> None:
    tomorrow = datetime.now(timezone.utc).date() + timedelta(days=1)
    assert believable_date(tomorrow.isoformat()) == tomorrow.isoformat()
    assert believable_date((tomorrow + timedelta(days=2)).isoformat()) is None
    assert [believable_date(value) for value in ("1994-12-31", "1995-01-01", 7, None, "x" * 1_000_000)] == [
        None,
        "1995-01-01",
        None,
        None,
        None,
    ]
    tree = document_fromstring(f"<html><head>{linked(ARTICLE)}<title>Tides</title></head><body><p>Text.</p></body></html>")
    before = tostring(tree)
    page_metadata(tree, "https://a.org/")
    assert tostring(tree) == before


HOSTILE = [
    linked("[" * 200_000),
    linked('{"a":' * 50_000),
    linked("{" + '"datePublished":' * 20_000),
    linked("[" + "{}," * 150_000 + "{}]"),
    linked(json.dumps({"@type": "Article", "author": [{"name": "n" * 1_000}] * 5_000})),
    linked(json.dumps({"@graph": [{"@id": "#a", "name": {"@id": "#a"}}, {"@type": "Article", "author": {"@id": "#a"}}]})),
    linked(*['{"@type": "Article"}'] * 5_000),
    linked('{"@type": ' + " " * 400_000),
    linked("{" + "," * 400_000),
    linked("/*" * 200_000),
    '<meta name="date" content="' + "2" * 500_000 + '">' * 3,
    '<meta name="author" content="by by by ">' * 20_000,
    "<time datetime='x'>" * 1_500,
    "<div itemprop=author>" * 1_500 + "a" * 100_000,
    "<div class='" + "comment-" * 50_000 + "'><time>2024-05-06</time></div>",
    "<html lang='" + "x" * 500_000 + "'>",
]


@pytest.mark.parametrize("markup", HOSTILE)
def test_hostile_statements_cost_little(markup: str) -> None:
    tree = document_fromstring(f"<html><body>{markup}<p>x</p></body></html>")
    started = time.process_time()
    found = page_metadata(tree, "https://a.org/" + "2024/" * 10_000)
    assert time.process_time() - started < 10
    assert len(found.author) < 3_000 and len(found.title) <= 500


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=12) | st.sampled_from(["Article", "2024-05-06", "#a"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["@graph", "@id", "@type", "author", "name", "datePublished", "mainEntity", ""]), inner, max_size=5
        )
    ),
    max_leaves=20,
)


@given(_JSON)
def test_whatever_the_linked_data_say_dates_are_believable(value: object) -> None:
    found = of(linked(json.dumps(value).replace("<", "\\u003c")), "")
    for day in (found.published, found.modified):
        assert day is None or believable_date(day) == day
    assert isinstance(found.author, str)
