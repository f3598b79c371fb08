"""Hosts of URLs and of lists."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.hostnames import hostname_of, hostnames, within
from schemas.errors import InvalidRequest


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://www.Example.org:8443/a", "example.org"),
        ("http://docs.example.org./", "docs.example.org"),
        ("https://user:pass@bücher.example/", "xn--bcher-kva.example"),
        ("file:///etc/passwd", ""),
        ("no url", ""),
        ("", ""),
        ("https://a\ud800.example/", ""),
    ],
)
def test_hostname_of(url: str, host: str) -> None:
    assert hostname_of(url) == host


@given(st.text(st.characters()))  # surrogates included
def test_any_text_has_a_host_or_none(text: str) -> None:
    for url in (text, f"https://{text}", f"https://a.example/{text}"):
        host = hostname_of(url)
        assert host.isascii()
        assert host == host.lower()


def test_a_list_of_hosts_and_urls() -> None:
    assert hostnames(["www.A.org", "https://b.org/x?y", " c.org "], "f") == ("a.org", "b.org", "c.org")
    for entry in ("", "  ", "two words", "file:///x", "\ud800"):
        with pytest.raises(InvalidRequest) as caught:
            hostnames(["a.org", entry], "bad_hostnames")
        assert caught.value.field == "bad_hostnames"


def test_subdomains_are_within_and_lookalikes_are_not() -> None:
    assert within("a.org", ["a.org"])
    assert within("x.y.a.org", ["b.org", "a.org"])
    assert not within("nota.org", ["a.org"])
    assert not within("a.org.evil.net", ["a.org"])
    assert not within("org", ["a.org"])
    assert not within("", ["a.org", ""])
