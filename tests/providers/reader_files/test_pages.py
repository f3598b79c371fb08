"""Identity of pages."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from providers.reader.pages import normalise_url, page_id


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("HTTP://WWW.Example.ORG:80", "https://example.org/"),
        ("https://example.org:443/", "https://example.org/"),
        ("https://example.org:8443/a", "https://example.org:8443/a"),
        ("https://example.org/a#part", "https://example.org/a"),
        ("https://example.org/a/", "https://example.org/a/"),
        ("https://example.org//a//b", "https://example.org//a//b"),
        ("https://example.org/%7ejo/%c3%a9/é", "https://example.org/~jo/%C3%A9/%C3%A9"),
        ("https://example.org/100%", "https://example.org/100%25"),
        ("https://example.org/?utm_source=x&UTM_Medium=y&gclid=1&fbclid=2&mc_cid=3&_ga=4&ref_src=5", "https://example.org/"),
        ("https://example.org/?s=hello&q=1", "https://example.org/?q=1&s=hello"),
        (
            "https://example.org/?source=z&term=t&ref=r&cid=c&id=7&page=2&content=5",
            "https://example.org/?cid=c&content=5&id=7&page=2&ref=r&source=z&term=t",
        ),
        ("https://example.org/?b=2&a=2&a=1&&", "https://example.org/?a=2&a=1&b=2"),
        ("https://user:secret@example.org/", "https://example.org/"),
        ("https://exämple.org./x", "https://xn--exmple-cua.org/x"),
        ("https://www.com/", "https://www.com/"),
        ("http://0x7f.1/", "https://127.0.0.1/"),
        ("http://[::1]:80/", "https://[::1]/"),
        ("file://localhost/a/./b/../c%20d/(x).md#f", "file:///a/c%20d/%28x%29.md"),
        ("file://elsewhere/a", "file://elsewhere/a"),
        ("file:///a/%2e%2e%2f%2e%2e/etc/passwd", "file:///etc/passwd"),
    ],
)
def test_normalises(url: str, expected: str) -> None:
    assert normalise_url(url) == expected


@pytest.mark.parametrize(
    "url", ["", "nope", "/a/b", "ftp://example.org/", "mailto:a@b.c", "javascript:alert(1)", "https://", "file:///a%00b"]
)
def test_rejects(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|NUL"):
        normalise_url(url)


_PIECES = st.text("%412fE/.w&=?_tmaqé+ #:\\", max_size=20)


@given(st.sampled_from(["http://", "HTTPS://", "file://"]), st.sampled_from(["", "www.a.b", "www.www.x", "h:443", "h:80"]), _PIECES)
@example("http://", "www.www.com", [])
@example("https://", "h", ["/", "%", "%41", "1"])
def test_is_idempotent(scheme: str, host: str, pieces: list[str]) -> None:
    url = f"{scheme}{host}/{''.join(pieces)}"
    try:
        once = normalise_url(url)
    except ValueError:
        return
    assert normalise_url(once) == once


@given(st.text(min_size=1, max_size=30).filter(lambda name: "\0" not in name and "/" not in name and name not in (".", "..")))
def test_a_file_is_spelled_as_path_does(name: str) -> None:
    try:
        uri = Path("/corpus", name).as_uri()
    except UnicodeEncodeError:  # a lone surrogate that no file name has
        return
    assert normalise_url(uri) == uri


def test_page_id_is_of_the_normalised_url_and_the_text() -> None:
    expected = hashlib.sha256(b"https://example.org/\nText \xc3\xa9").hexdigest()[:16]
    assert page_id("http://www.example.org:80/#top", "Text é") == expected
    assert page_id("https://example.org/", "Text e") != expected


def test_b20_meaningful_parameters_keep_pages_apart() -> None:
    for name in ("s", "content", "source", "term", "ref", "cid", "id", "q", "page"):
        assert normalise_url(f"https://a.org/?{name}=1") != normalise_url(f"https://a.org/?{name}=2") != normalise_url("https://a.org/")
    assert normalise_url("https://a.org/?utm_source=x&gclid=y&q=1") == "https://a.org/?q=1"
