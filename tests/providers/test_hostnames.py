"""Hosts of URLs and of lists."""

from __future__ import annotations

import pytest

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
    ],
)
def test_hostname_of(url: str, host: str) -> None:
    assert hostname_of(url) == host


def test_a_list_of_hosts_and_urls() -> None:
    assert hostnames(["www.A.org", "https://b.org/x?y", " c.org "], "f") == ("a.org", "b.org", "c.org")
    for entry in ("", "  ", "two words", "file:///x"):
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
