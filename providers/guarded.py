"""Fetching of addresses that pages, models and users name, so that none of them reaches into the network of this machine.

A URL is checked before anything is connected, a name is resolved once, every address it has is checked, and the connection goes
to an address that was checked: what the name means a moment later does not matter. Redirects are followed by hand and checked in
the same way. No cookies, credentials, referrers or proxies; every amount of bytes and time has a limit.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, cast
from urllib.parse import urljoin

import can_ada
import httpcore
import httpx

from providers.content_encoding import ACCEPTED, Body, Damaged, TooLarge, decoder_for
from schemas.errors import ConfigurationError, PageUnavailable, ReadError
from telemetry import upstream

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]
"""All addresses of a host and port, as text, in the order in which they should be tried. Raises `OSError`."""

_PORTS = frozenset({80, 443, 8080, 8443})
_LOCAL_NAMES = ("localhost", "localdomain", "local", "internal", "home.arpa", "lan", "ip6-localhost", "ip6-loopback")
# Top-level domains that networks use for themselves and the public name system does not have.
_PRIVATE_NAMES = (*_LOCAL_NAMES, "corp", "home", "intranet", "private", "test")
_NOT_IN_NAMES = frozenset("/\\:?#@*")
_ABSOLUTE = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]*://")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
_URL_CHARACTERS = 4_000
_RESOLVE_SECONDS = 5.0
_CONNECT_SECONDS = 10.0

# What may not be reached, by the IANA special-purpose registries, and why. An IPv6 address outside 2000::/3, which is all that
# has been given out, is refused anyway.
_REFUSED = [
    (ip_network(network), reason)
    for network, reason in (
        ("0.0.0.0/8", "an unspecified"),
        ("10.0.0.0/8", "a private"),
        ("100.64.0.0/10", "a carrier's private"),
        ("127.0.0.0/8", "a loopback"),
        ("168.63.129.16/32", "a cloud provider's metadata"),
        ("169.254.0.0/16", "a link-local"),
        ("172.16.0.0/12", "a private"),
        ("192.0.0.0/24", "a reserved"),
        ("192.0.2.0/24", "a documentation"),
        ("192.88.99.0/24", "a 6to4 relay"),
        ("192.168.0.0/16", "a private"),
        ("198.18.0.0/15", "a benchmark"),
        ("198.51.100.0/24", "a documentation"),
        ("203.0.113.0/24", "a documentation"),
        ("224.0.0.0/4", "a multicast"),
        ("240.0.0.0/4", "a reserved"),
        ("::/128", "an unspecified"),
        ("::1/128", "a loopback"),
        ("::ffff:0:0/96", "an IPv4-mapped"),
        ("64:ff9b::/96", "a NAT64"),
        ("64:ff9b:1::/48", "a NAT64"),
        ("2001::/32", "a Teredo"),
        ("2001::/23", "a reserved"),
        ("2001:db8::/32", "a documentation"),
        ("2002::/16", "a 6to4"),
        ("3fff::/20", "a documentation"),
        ("fc00::/7", "a private"),
        ("fe80::/10", "a link-local"),
        ("fec0::/10", "a private"),
        ("ff00::/8", "a multicast"),
    )
]
_GIVEN_OUT = ip_network("2000::/3")


@dataclass(frozen=True)
class Target:
    """A URL that may be connected to, in the parts that a request is made of: it is parsed once and never again."""

    url: str
    """As the WHATWG URL standard writes it, without fragment."""
    scheme: str
    host: str
    """A name in ASCII, or an address without brackets."""
    port: int
    path: str
    """Path and query."""

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{self.scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


@dataclass(frozen=True)
class Fetched:
    """What was received at the end of the redirects."""

    url: str
    """The address that was reached."""
    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    """Decoded; empty unless the status is 2xx."""


Visit = Callable[[Target], AbstractAsyncContextManager[None]]
"""What surrounds each hop; entering it may wait, or raise `ReadError` to forbid the hop."""


class AddressPolicy:
    """Which URLs and addresses may be reached: the public ones, and those that `allowed` lists.

    `allowed` is comma-separated: names of hosts (which then may have any address and any port) and networks or single addresses,
    such as `wiki.corp, 10.1.0.0/16`. Raises `ConfigurationError` for an entry that is neither.
    """

    def __init__(self, allowed: str = "") -> None:
        self._networks = []
        names = set()
        for entry in filter(None, (part.strip() for part in allowed.split(","))):
            try:
                self._networks.append(ip_network(entry.strip("[]"), strict=False))
            except ValueError:
                name = _host_of(f"http://{entry}/")
                if not name or _NOT_IN_NAMES & set(entry):
                    raise ConfigurationError(
                        f"DEEPSEARCH_ALLOW_HOSTS: {entry[:100]!r} is neither a host name nor a network", field="DEEPSEARCH_ALLOW_HOSTS"
                    ) from None
                names.add(name)
        self._names = frozenset(names)

    def check_url(self, url: str) -> Target:
        """The target of `url`. Raises `ReadError` when it is not a URL that may be connected to; no name is resolved."""
        shown = _shown(url)
        if len(url) > _URL_CHARACTERS:
            raise ReadError(f"refused: {shown} is longer than {_URL_CHARACTERS:,} characters")
        try:
            parsed = can_ada.parse(url)
        except (ValueError, TypeError) as error:  # a lone surrogate is a TypeError
            raise ReadError(f"refused: {shown} is not a valid URL") from error
        if parsed.username or parsed.password:
            raise ReadError(f"refused: the URL of {_shown(parsed.hostname)} carries credentials")
        scheme = parsed.protocol.removesuffix(":")
        if scheme not in ("http", "https"):
            raise ReadError(f"refused: {shown} is neither http nor https")
        host = _host(parsed.hostname)
        if not host:
            raise ReadError(f"refused: {shown} names no host")
        port = int(parsed.port) if parsed.port else 443 if scheme == "https" else 80
        address = _address(host)
        listed = host in self._names or (address is not None and self._in_networks(address))
        if not listed:
            if port not in _PORTS:
                raise ReadError(f"refused: port {port} of {_shown(host)} is none of {', '.join(map(str, sorted(_PORTS)))}")
            if address is not None:
                self.check_address(host, address)
            elif _is_within(host, _LOCAL_NAMES):
                raise ReadError(f"refused: {_shown(host)} is a local name; add it to DEEPSEARCH_ALLOW_HOSTS to allow it")
        path = parsed.pathname + parsed.search
        shown_host = parsed.hostname
        return Target(f"{scheme}://{shown_host}{f':{parsed.port}' if parsed.port else ''}{path}", scheme, host, port, path)

    def check_address(self, host: str, address: Address) -> None:
        """Raises `ReadError` when `address`, which `host` was resolved to, may not be connected to."""
        if host in self._names or self._in_networks(address):
            return
        reason = _refusal(address)
        if reason is not None:
            named = str(address) if host == str(address) else f"{_shown(host)} ({address})"
            raise ReadError(f"refused: {named} is {reason} address; add it to DEEPSEARCH_ALLOW_HOSTS to allow it")

    def is_private(self, url: str) -> bool:
        """Whether the host of `url`, which `check_url` has let through, is nobody else's business: a name or address that only
        `allowed` lets through, a name within a local network, or one without a dot."""
        host = self.check_url(url).host
        address = _address(host)
        if address is not None:
            return self._in_networks(address) or _refusal(address) is not None
        return host in self._names or "." not in host or _is_within(host, _PRIVATE_NAMES)

    def _in_networks(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


class GuardedClient:
    """Fetches what an `AddressPolicy` lets through. Kept and closed by its owner; used within one event loop.

    HTTP/2 is spoken with servers that offer it in TLS. `resolve` takes the place of the system's name resolution and `ssl_context`
    that of the usual trusted certificates. Raises `ConfigurationError` for a `user_agent` that cannot be sent.
    """

    def __init__(
        self,
        policy: AddressPolicy,
        *,
        user_agent: str,
        resolve: Resolve | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        if not (user_agent.isascii() and user_agent.isprintable() and user_agent.strip()):
            raise ConfigurationError("READER_USER_AGENT must be printable ASCII", field="READER_USER_AGENT")
        self._policy = policy
        self._user_agent = user_agent.strip()
        self._network = _CheckedNetwork(policy, resolve or _resolve)
        self._ssl_context = ssl_context
        self._pool: httpcore.AsyncConnectionPool | None = None

    async def get(
        self,
        url: str,
        *,
        timeout_seconds: float,
        max_bytes: int,
        truncate: bool = False,
        accept: str = "*/*",
        visit: Visit | None = None,
    ) -> Fetched:
        """What `url` answers after at most five redirects, whatever its status is.

        `timeout_seconds` limits everything together, `max_bytes` the body both as it is sent and decoded (with `truncate` the
        rest is left out instead). `visit` surrounds each hop. Raises, in one line that names the cause, `PageUnavailable` when the
        server does not answer in time or cannot be reached, and `ReadError` for everything that will not pass.
        """
        try:
            return await asyncio.wait_for(self._follow(url, max_bytes, truncate, accept, visit), timeout_seconds)
        except asyncio.TimeoutError:
            raise PageUnavailable(f"{_shown(url)} did not answer within {timeout_seconds:g} s") from None

    async def close(self) -> None:
        """Close connections."""
        if self._pool is not None:
            await self._pool.aclose()
            self._pool = None

    async def _follow(self, url: str, max_bytes: int, truncate: bool, accept: str, visit: Visit | None) -> Fetched:
        target = self._policy.check_url(url)
        for _ in range(_MOST_REDIRECTS + 1):
            async with visit(target) if visit else contextlib.nullcontext():
                with upstream.request("web", "GET", target.origin) as sent:
                    answer = await self._request(target, max_bytes, truncate, accept)
                    sent.answered(answer.status if isinstance(answer, Fetched) else 302, judged=True)
            if isinstance(answer, Fetched):
                return answer
            try:
                following = self._policy.check_url(_joined(target.url, answer))
            except ReadError as error:
                raise ReadError(f"{_shown(url)} redirects to an address that is {error}") from error
            except ValueError as error:
                raise ReadError(f"{_shown(url)} redirects to what is not a valid URL") from error
            if target.scheme == "https" and following.scheme == "http":
                raise ReadError(f"refused: {_shown(url)} redirects from https to http")
            target = following
        raise ReadError(f"{_shown(url)} redirects more than {_MOST_REDIRECTS} times")

    async def _request(self, target: Target, max_bytes: int, truncate: bool, accept: str) -> Fetched | str:
        """The answer of one hop, or where it redirects to."""
        default = 443 if target.scheme == "https" else 80
        headers = [
            ("Host", target.origin.partition("://")[2].removesuffix(f":{default}")),
            ("User-Agent", self._user_agent),
            ("Accept", accept),
            ("Accept-Encoding", ACCEPTED),
        ]
        request = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
        try:
            async with self._connections().stream(
                "GET", request, headers=headers, extensions={"timeout": {"connect": _CONNECT_SECONDS}}
            ) as response:
                received = {name.decode("latin-1").lower(): value.decode("utf-8", "replace") for name, value in response.headers}
                location = received.get("location", "")
                if response.status in _REDIRECTS and location:
                    return location
                body = b""
                if 200 <= response.status < 300:
                    body = await _body(target, response, received, max_bytes, truncate)
                return Fetched(target.url, response.status, received, body)
        except httpcore.TimeoutException:
            raise PageUnavailable(f"{_shown(target.url)} cannot be reached: connecting took too long") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol, OSError) as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise PageUnavailable(f"{_shown(target.url)} cannot be reached: {reason}") from error

    def _connections(self) -> httpcore.AsyncConnectionPool:
        if self._pool is None:
            self._pool = httpcore.AsyncConnectionPool(
                ssl_context=self._ssl_context or httpx.create_ssl_context(),
                http2=True,
                max_connections=32,
                max_keepalive_connections=8,
                keepalive_expiry=15.0,
                network_backend=self._network,
            )
        return self._pool


class _CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to addresses that a policy has checked."""

    def __init__(self, policy: AddressPolicy, resolve: Resolve) -> None:
        self._policy, self._resolve = policy, resolve
        self._system = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        if _address(host) is not None:
            addresses = [host]
        else:
            try:
                addresses = list(dict.fromkeys(await asyncio.wait_for(self._resolve(host, port), _RESOLVE_SECONDS)))
            except asyncio.TimeoutError:
                raise PageUnavailable(f"{_shown(host)} cannot be resolved within {_RESOLVE_SECONDS:g} s") from None
            except (OSError, UnicodeError) as error:
                # A name server that fails says so in a way of its own, but not on every system.
                raise PageUnavailable(f"{_shown(host)} cannot be resolved: there is no such host, or the network is down") from error
        for address in addresses:
            # One address that must not be reached makes the name a trap, whatever its others are.
            parsed = _address(address)
            if parsed is None:
                raise ReadError(f"refused: {_shown(host)} resolves to {_shown(address)}, which is not an address")
            self._policy.check_address(host, parsed)
        failure: httpcore.ConnectError | httpcore.ConnectTimeout | None = None
        for address in addresses[:4]:
            try:
                return await self._system.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or ReadError(f"{_shown(host)} cannot be resolved: it has no address")

    async def sleep(self, seconds: float) -> None:
        await self._system.sleep(seconds)


async def _resolve(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


async def _body(target: Target, response: httpcore.Response, headers: Mapping[str, str], max_bytes: int, truncate: bool) -> bytes:
    coding = headers.get("content-encoding", "")
    decoder = decoder_for(coding)
    if decoder is None:
        raise ReadError(f"{_shown(target.url)} is sent in an encoding that was not asked for: {_shown(coding)}")
    too_large = ReadError(f"{_shown(target.url)} is larger than {max_bytes:,} bytes")
    announced = headers.get("content-length", "")
    if announced.isdecimal() and not truncate and (len(announced) > 18 or int(announced) > max_bytes):
        raise too_large
    body = Body(max_bytes)
    received = 0
    try:
        async with contextlib.aclosing(cast("AsyncGenerator[bytes, None]", response.aiter_stream())) as pieces:
            async for piece in pieces:
                received += len(piece)
                decoder.feed(piece, body)
                if received > max_bytes:
                    raise TooLarge
        decoder.finish()
    except TooLarge:
        if not truncate:
            raise too_large from None
    except Damaged as error:
        raise ReadError(f"{_shown(target.url)} cannot be decompressed: {error}") from error
    return bytes(body)


def _joined(base: str, location: str) -> str:
    # `urljoin` takes some absolute URLs for relative ones, such as http:///host/, which browsers do not.
    return location if _ABSOLUTE.match(location) or can_ada.can_parse(location) else urljoin(base, location)


def _is_within(host: str, names: Iterable[str]) -> bool:
    return any(host == name or host.endswith(f".{name}") for name in names)


def _refusal(address: Address) -> str | None:
    for network, reason in _REFUSED:
        if address in network:
            return reason
    if isinstance(address, IPv6Address) and address not in _GIVEN_OUT:
        return "a reserved"
    return None if address.is_global else "a special-purpose"


def _address(host: str) -> Address | None:
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _host_of(url: str) -> str:
    try:
        return _host(can_ada.parse(url).hostname)
    except (ValueError, TypeError):
        return ""


def _host(hostname: str) -> str:
    return hostname.strip("[]").rstrip(".").lower()


def _shown(text: str) -> str:
    """Hostile text, cut and in one line, for a message."""
    return "".join(character if character.isprintable() else "?" for character in text[:200])
