"""Who may ask: those with a key, or, without one, this machine."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote, urlsplit

from gateway.guard.keys import Keys
from schemas.errors import Forbidden, Unauthorized
from schemas.settings import Settings

_FORWARDED = frozenset({"forwarded", "via", "x-real-ip", "true-client-ip", "cf-connecting-ip", "x-client-ip", "x-cluster-client-ip"})
_FORWARDED_PREFIX = "x-forwarded"
"""A request with one of these came through a proxy, so its peer's address is not the caller's."""
_PROXY_HTTP_VERSION = "1.0"
"""What nginx speaks to what it stands before unless it is told otherwise, and no client of today."""
_CROSS_SITE = frozenset({"cross-site", "same-site"})

NO_KEY = "This server asks for a key; send it as `Authorization: Bearer KEY`."
WRONG_KEY = "The key is not one of this server's."
NOT_LOCAL = "Only this machine may ask without a key; set DEEPSEARCH_API_KEYS, or DEEPSEARCH_ALLOW_ANONYMOUS to answer everybody."
WRONG_HOST = "Without a key, this server answers only as localhost, 127.0.0.1 or [::1]."
CROSS_SITE = "A web page of another site may not ask without a key; DEEPSEARCH_CORS_ORIGINS names those that may."


class Access:
    """Decides about each request from its headers and its peer's address.

    What it returns names the caller, for limits: its key's hash in short, or its address.
    """

    def __init__(self, settings: Settings) -> None:
        self._keys = Keys(settings)
        self._anybody = settings.deepsearch_allow_anonymous
        self._origins = frozenset(origins(settings))

    def caller(self, headers: Iterable[tuple[str, str]], peer: str | None, *, web: bool, version: str = "") -> str:
        """The caller's name.

        `headers` are HTTP headers or gRPC metadata with names in lower case; `peer` is the address at the other end of the
        connection, None for a Unix socket; `web`: a browser could have sent it; `version` is HTTP's. Raises `Unauthorized`, or
        `Forbidden` for what a browser sends on behalf of another site's page.
        """
        found = dict(headers)
        get = found.get
        key = _key(get)
        if key:
            owner = self._keys.owner(key)
            if owner is None and self._keys.configured:
                raise Unauthorized(WRONG_KEY)
            if owner is not None:
                return owner
        if not self._anybody:
            if self._keys.configured:
                raise Unauthorized(NO_KEY)
            if not is_loopback(peer) or _is_forwarded(found, version):
                raise Unauthorized(NOT_LOCAL)
        if web:
            self._check_page(get)
        return address_name(peer)

    def local(self, headers: Iterable[tuple[str, str]], peer: str | None, version: str = "") -> bool:
        """Whether a request was made on this machine, by something other than a web page."""
        found = dict(headers)
        here = is_loopback(peer) and not _is_forwarded(found, version) and _is_local_name(found.get("host", ""))
        return here and "origin" not in found and found.get("sec-fetch-site") not in _CROSS_SITE

    def _check_page(self, get: Callable[[str], str | None]) -> None:
        """Raise `Forbidden` for a request that the page of another site makes with the visitor's network position as its key."""
        host = get("host") or ""
        if not self._anybody and not _is_local_name(host):
            raise Forbidden(WRONG_HOST)  # DNS rebinding: another site's name that has become an address of this machine
        origin = get("origin")
        if origin is None:
            if get("sec-fetch-site") in _CROSS_SITE:  # an image or a link: browsers name no origin there
                raise Forbidden(CROSS_SITE)
        elif origin not in self._origins and urlsplit(origin).netloc != host:
            raise Forbidden(CROSS_SITE)


def origins(settings: Settings) -> list[str]:
    """The origins that the settings allow."""
    return [origin.strip().rstrip("/") for origin in settings.deepsearch_cors_origins.split(",") if origin.strip()]


def address_name(peer: str | None) -> str:
    """The name of a caller without a key. A whole /64 of IPv6 is one caller, because that is what one household has."""
    if peer is None:
        return "address local"
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return "address unknown"
    address = _unmapped(address)
    if address.version == 6 and not address.is_loopback:
        return f"address {ipaddress.ip_network((address, 64), strict=False).network_address}/64"
    return f"address {address}"


def is_loopback(peer: str | None) -> bool:
    """Whether `peer` is this machine: a loopback address, or None, a Unix socket."""
    if peer is None:
        return True
    try:
        return _unmapped(ipaddress.ip_address(peer)).is_loopback
    except ValueError:
        return False


def grpc_peer(peer: str) -> str | None:
    """The address in gRPC's name of a peer, such as `ipv4:127.0.0.1:5000`, `ipv6:%5B::1%5D:5000` or `unix:`."""
    kind, _, rest = unquote(peer).partition(":")
    if kind == "unix":
        return None
    return rest.rpartition(":")[0].strip("[]").partition("%")[0]


def _unmapped(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _key(get: Callable[[str], Any]) -> str:
    scheme, _, key = str(get("authorization") or "").strip().partition(" ")
    return key.strip() if scheme.lower() == "bearer" else str(get("x-api-key") or "").strip()


def _is_forwarded(headers: Iterable[str], version: str) -> bool:
    return version == _PROXY_HTTP_VERSION or any(name in _FORWARDED or name.startswith(_FORWARDED_PREFIX) for name in headers)


def _is_local_name(host: str) -> bool:
    try:
        parts = urlsplit(f"//{host}")
        name, _ = parts.hostname, parts.port
    except ValueError:
        return False
    return parts.netloc == host and parts.username is None and name in {"localhost", "127.0.0.1", "::1"}
