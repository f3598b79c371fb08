"""Hostnames, as people list them and as URLs carry them, and whether one lies within another."""

from __future__ import annotations

from collections.abc import Sequence

import can_ada

from schemas.errors import InvalidRequest


def hostname_of(url: str) -> str:
    """The host of `url` in lower case as ASCII, without `www.`; empty for `file:` URLs and for what is not a URL."""
    try:
        return str(can_ada.parse(url).hostname).rstrip(".").removeprefix("www.")
    except (ValueError, TypeError):  # a lone surrogate is a TypeError
        return ""


def hostnames(entries: Sequence[str], field: str) -> tuple[str, ...]:
    """The hosts that a list of hostnames or URLs names. Raises `InvalidRequest` naming `field` for an entry that has none."""
    found = []
    for entry in entries:
        host = hostname_of(entry if "://" in entry else f"https://{entry.strip()}") if entry.strip() else ""
        if not host:
            raise InvalidRequest(f"{field}: {entry[:100]!r} is not a hostname", field=field)
        found.append(host)
    return tuple(found)


def within(host: str, listed: Sequence[str]) -> bool:
    """Whether `host` is one of `listed` or a subdomain of one. An empty host is within nothing."""
    return bool(host) and any(host == other or host.endswith(f".{other}") for other in listed)
