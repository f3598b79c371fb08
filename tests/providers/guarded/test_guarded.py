"""Guarded fetching: what is refused without any connection, pinned addresses, redirects, and limits on bytes and time."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Callable
from ipaddress import ip_address
from typing import Any

import brotli
import httpcore
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers.guarded import AddressPolicy, GuardedClient
from schemas.errors import ConfigurationError, ReadError
from tests.providers.guarded.page_server import PageServer, Stream, http

PUBLIC = "93.184.216.34"
connect_for_real = httpcore.AnyIOBackend.connect_tcp


@pytest.fixture
async def server() -> AsyncIterator[PageServer]:
    async with PageServer() as server:
        yield server


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch, server: PageServer) -> list[str]:
    """The addresses that were connected to; whichever it is, `server` answers."""
    addresses: list[str] = []

    async def connect(self: httpcore.AnyIOBackend, host: str, port: int, *arguments: Any) -> httpcore.AsyncNetworkStream:
        addresses.append(host)
        return await connect_for_real(self, "127.0.0.1", server.port, *arguments)

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", connect)
    return addresses


def names(**addresses: str | list[str]) -> Callable[[str, int], Any]:
    """A name resolution that knows these names, dots written as underscores."""

    async def resolve(host: str, port: int) -> list[str]:
        found = addresses.get(host.replace(".", "_"))
        if found is None:
            raise OSError("unknown")
        return [found] if isinstance(found, str) else found

    return resolve


async def fetch(
    url: str, *, allow: str = "127.0.0.1", resolve: Any = None, seconds: float = 5.0, most: int = 1_000_000, **options: Any
) -> Any:
    client = GuardedClient(AddressPolicy(allow), user_agent="deepsearch/0.1", resolve=resolve or names())
    try:
        return await client.get(url, timeout_seconds=seconds, max_bytes=most, **options)
    finally:
        await client.close()


HOSTILE = [
    # loopback, in every spelling
    "http://127.0.0.1/", "http://127.1/", "http://127.0.1/", "http://2130706433/", "http://0x7f000001/", "http://0x7f.1/",
    "http://0177.0.0.1/", "http://017700000001/", "http://127.0.0.1./", "http://127%2e0%2e0%2e1/", "http://①②⑦.⓪.⓪.①/",
    "http://127.255.255.254/", "http://[::1]/", "http://[0:0:0:0:0:0:0:1]/", "https://127.0.0.1:8443/", "http://127.0.0.1\t/",
    "http:127.0.0.1/", "http:\\\\127.0.0.1\\", "http:///127.0.0.1/", "\thttp://127.0.0.1/",
    # names of this machine and its network
    "http://localhost/", "http://LOCALHOST/", "http://localhost./", "http://a.localhost/", "http://localhost.localdomain/",
    "http://metadata.google.internal/computeMetadata/v1/", "http://a.internal./", "http://printer.local/", "http://router.home.arpa/",
    "http://ip6-localhost/", "http://ｌocalhost/", "http://router.lan/",
    # unspecified, private, link-local, metadata
    "http://0.0.0.0/", "http://0/", "http://[::]/", "http://10.0.0.1/", "http://172.16.0.1/", "http://172.31.255.255/",
    "http://192.168.1.1/", "http://192.168.257/", "http://169.254.169.254/latest/meta-data/", "http://0xa9fea9fe/", "http://2852039166/",
    "http://[fd00:ec2::254]/", "http://[fe80::1]/", "http://[fc00::1]/", "http://[fec0::1]/", "http://100.64.0.1/",
    "http://100.100.100.200/", "http://168.63.129.16/", "http://192.0.0.192/",
    # multicast, reserved, benchmark, documentation
    "http://224.0.0.1/", "http://239.255.255.250/", "http://255.255.255.255/", "http://240.0.0.1/", "http://198.18.0.1/", "http://192.0.2.1/",
    "http://203.0.113.9/", "http://192.88.99.1/", "http://[ff02::1]/", "http://[2001:db8::1]/", "http://[100::1]/", "http://[4000::1]/",
    # addresses that hold another address
    "http://[::ffff:127.0.0.1]/", "http://[::ffff:8.8.8.8]/", "http://[::127.0.0.1]/", "http://[64:ff9b::7f00:1]/", "http://[64:ff9b::808:808]/",
    "http://[64:ff9b:1::1]/", "http://[2002:7f00:1::]/", "http://[2002:808:808::1]/", "http://[2001:0:7f00:1::]/",
    # schemes
    "ftp://a.org/", "file:///etc/passwd", "gopher://a.org:70/_x", "javascript:alert(1)", "data:text/html,x", "ws://a.org/", "blob:http://a.org/x",
    "a.org", "//a.org/", "",
    # ports
    "http://a.org:22/", "http://a.org:6379/", "http://a.org:25/", "https://a.org:9200/", "http://a.org:0/", "http://a.org:81/",
    # credentials, and what only looks like them
    "http://user@a.org/", "http://user:secret@a.org/", "http://:secret@a.org/", "http://a.org@127.0.0.1/", "http://127.0.0.1#@a.org/",
    "http://a.org:80@169.254.169.254/",
    # not URLs
    "http://", "http://[", "http://[::1", "http://a b/", "http://a.org:99999/", "http://1.2.3.4.5/", "http://256.256.256.256/", "http://%00/",
    "http://a\ud800.org/", "http://a.org/" + "x" * 5_000, "http://a\x00.org/",
]  # fmt: skip


@pytest.mark.parametrize("url", HOSTILE)
async def test_hostile_urls_are_refused_before_anything_is_resolved_or_connected(url: str, connected: list[str]) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        raise AssertionError(f"{host} was resolved")

    with pytest.raises(ReadError, match=r"^refused: [^\n]+$"):
        await fetch(url, allow="", resolve=resolve)
    assert connected == []


@pytest.mark.parametrize("url", [url for url in HOSTILE if "://" in url and url.isascii() and url.isprintable() and " " not in url])
async def test_redirects_to_hostile_urls_are_refused(url: str, server: PageServer, connected: list[str]) -> None:
    server.pages["/"] = http(status=302, Location=url)
    with pytest.raises(ReadError, match=r"^http://a\.org/ redirects to (an address that is refused: |what is not a valid URL)"):
        await fetch("http://a.org/", allow="", resolve=names(a_org=PUBLIC))
    assert (connected, server.paths) == ([PUBLIC], ["/"])


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"], ["10.1.2.3"], [PUBLIC, "10.1.2.3"], ["::1"], ["::ffff:10.0.0.1"], ["64:ff9b::a00:1"], ["fd00:ec2::254"],
        ["fe80::1%2"], ["2130706433"], ["localhost"],
    ],
)  # fmt: skip
async def test_names_of_addresses_that_may_not_be_reached(addresses: list[str], connected: list[str]) -> None:
    with pytest.raises(ReadError, match=r"^refused: "):
        await fetch("http://a.org/", allow="", resolve=names(a_org=addresses))
    assert connected == []


async def test_the_message_names_the_setting(connected: list[str]) -> None:
    with pytest.raises(ReadError) as caught:
        await fetch("http://a.org/", allow="", resolve=names(a_org="10.1.2.3"))
    assert str(caught.value) == "refused: a.org (10.1.2.3) is a private address; add it to DEEPSEARCH_ALLOW_HOSTS to allow it"
    with pytest.raises(ReadError, match=r"^refused: the URL of a\.org carries credentials$"):
        await fetch("ftp://user:secret@a.org/", allow="")


async def test_a_name_that_changes_its_address_is_resolved_once_and_pinned(server: PageServer, connected: list[str]) -> None:
    server.pages["/"] = http("public")
    answers = [[PUBLIC], ["127.0.0.1"]]
    resolved = []

    async def resolve(host: str, port: int) -> list[str]:
        resolved.append((host, port))
        return answers.pop(0)

    client = GuardedClient(AddressPolicy(), user_agent="x", resolve=resolve)
    fetched = await client.get("http://rebind.org/", timeout_seconds=5, max_bytes=100)
    assert (fetched.body, connected, resolved) == (b"public", [PUBLIC], [("rebind.org", 80)])
    assert server.requests[0][1]["host"] == "rebind.org"
    await client.close()  # its connection is gone, so the name is resolved again, and checked again
    with pytest.raises(ReadError, match=r"is a loopback address"):
        await client.get("http://rebind.org/", timeout_seconds=5, max_bytes=100)
    assert connected == [PUBLIC]
    await client.close()


async def test_other_addresses_are_tried_when_one_cannot_be_reached(server: PageServer) -> None:
    server.pages["/"] = http("here")
    unused = await asyncio.start_server(lambda reader, writer: None, "127.0.0.2", 0)
    unused.close()
    await unused.wait_closed()
    resolve = names(a_org=["127.0.0.2", "127.0.0.1"])
    assert (await fetch(server.url(host="a.org"), allow="a.org", resolve=resolve)).body == b"here"
    with pytest.raises(ReadError, match=r"cannot be reached: "):
        await fetch(server.url(host="a.org"), allow="a.org", resolve=names(a_org="127.0.0.2"))


async def test_unknown_names_and_slow_name_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ReadError, match=r"^a\.org cannot be resolved: there is no such host"):
        await fetch("http://a.org/")
    with pytest.raises(ReadError, match=r"^a\.org cannot be resolved: it has no address"):
        await fetch("http://a.org/", resolve=names(a_org=[]))

    async def never(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr("providers.guarded._RESOLVE_SECONDS", 0.01)
    with pytest.raises(ReadError, match=r"^a\.org cannot be resolved within 0\.01 s$"):
        await fetch("http://a.org/", resolve=never)


async def test_the_system_resolves_by_default(server: PageServer) -> None:
    server.pages["/"] = http("here")
    client = GuardedClient(AddressPolicy("localhost"), user_agent="x")
    assert (await client.get(server.url(host="localhost"), timeout_seconds=5, max_bytes=100)).body == b"here"
    await client.close()


async def test_tls_asks_for_the_name_and_not_the_address() -> None:
    hello: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello.set_result(await reader.read(4_096))
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(ReadError, match=r"cannot be reached: "):
        await fetch(f"https://secure.org:{port}/", allow="secure.org", resolve=names(secure_org="127.0.0.1"))
    assert b"secure.org" in await hello
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    ("allowed", "url", "passes"),
    [
        ("127.0.0.1", "http://127.0.0.1:9999/", True),
        ("127.0.0.0/8, ::1", "http://[::1]:9999/", True),
        (" [::1] ,", "http://[::1]/", True),
        ("10.0.0.0/8", "http://10.9.9.9/", True),
        ("10.0.0.0/8", "http://11.9.9.9:22/", False),
        ("wiki.corp", "http://wiki.corp:8000/", True),
        ("WIKI.corp.", "http://wiki.CORP./", True),
        ("wiki.corp", "http://other.wiki.corp:8000/", False),
        ("localhost", "http://localhost:1/", True),
        ("bücher.internal", "http://xn--bcher-kva.internal/", True),
        ("127.0.0.1", "http://[::ffff:127.0.0.1]/", False),
        ("127.0.0.1", "http://user@127.0.0.1/", False),
    ],
)
def test_allowed_hosts(allowed: str, url: str, passes: bool) -> None:
    policy = AddressPolicy(allowed)
    if passes:
        policy.check_url(url)
    else:
        with pytest.raises(ReadError, match=r"^refused: "):
            policy.check_url(url)


@pytest.mark.parametrize("allowed", ["http://a.org", "a.org/x", "10.0.0.0/99", "a b", "a.org:80", "[", "ok.org, ,*?"])
def test_allowed_hosts_that_are_none(allowed: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        AddressPolicy(allowed)
    assert caught.value.field == "DEEPSEARCH_ALLOW_HOSTS"


@pytest.mark.parametrize("agent", ["", " ", "a\r\nX: y", "ü"])
def test_user_agents_that_cannot_be_sent(agent: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^READER_USER_AGENT"):
        GuardedClient(AddressPolicy(), user_agent=agent)


async def test_the_request_says_little(server: PageServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/")
    server.pages["/a"] = http(status=302, Location="/b?x#f", Set_Cookie="id=1")
    server.pages["/b?x"] = http("end", X_Test="ä")
    fetched = await fetch(server.url("/a#top"), accept="text/html")
    assert (fetched.url, fetched.status, fetched.body, fetched.headers["x-test"]) == (server.url("/b?x"), 200, b"end", "ä")
    for _, headers in server.requests:
        assert headers == {
            "host": f"127.0.0.1:{server.port}", "user-agent": "deepsearch/0.1", "accept": "text/html",
            "accept-encoding": "gzip, deflate, br, zstd",
        }  # fmt: skip


async def test_redirects(server: PageServer) -> None:
    for n in range(7):
        server.pages[f"/{n}"] = http(status=(301, 302, 303, 307, 308)[n % 5], Location=f"/{n + 1}")
    server.pages["/5"] = http("five")
    assert (await fetch(server.url("/0"))).body == b"five"
    server.pages["/5"] = http(status=301, Location="/6")
    server.requests.clear()
    with pytest.raises(ReadError, match=r"redirects more than 5 times$"):
        await fetch(server.url("/0"))
    assert server.paths == ["/0", "/1", "/2", "/3", "/4", "/5"]
    server.pages["/to-bad"] = http(status=301, Location="http://[/")
    with pytest.raises(ReadError, match=r"redirects to "):
        await fetch(server.url("/to-bad"))


async def test_a_redirect_from_https_to_http_is_refused(monkeypatch: pytest.MonkeyPatch, connected: list[str], server: PageServer) -> None:
    async def no_tls(self: Any, *arguments: Any, **options: Any) -> Any:
        return self

    monkeypatch.setattr("httpcore._backends.anyio.AnyIOStream.start_tls", no_tls)
    server.pages["/"] = http(status=301, Location="http://a.org/plain")
    with pytest.raises(ReadError, match=r"^refused: https://a\.org/ redirects from https to http$"):
        await fetch("https://a.org/", allow="", resolve=names(a_org=PUBLIC))
    assert server.paths == ["/"]


async def test_statuses_are_the_callers_business(server: PageServer) -> None:
    server.pages["/"] = http("x" * 100, 503, Retry_After="7")
    fetched = await fetch(server.url(), most=10)
    assert (fetched.status, fetched.headers["retry-after"], fetched.body) == (503, "7", b"")


def raw_deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(data) + deflater.flush()


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("", b"text" * 100),
        ("identity", b"text" * 100),
        ("gzip", gzip.compress(b"text" * 100)),
        ("GZIP", gzip.compress(b"text" * 50) + gzip.compress(b"text" * 50) + b"\0\0"),
        ("x-gzip", gzip.compress(b"text" * 100) + b"rubbish"),
        ("deflate", zlib.compress(b"text" * 100)),
        ("deflate", raw_deflate(b"text" * 100)),
        ("br", brotli.compress(b"text" * 100)),
        ("zstd", zstandard.compress(b"text" * 100)),
        ("zstd", zstandard.compress(b"text" * 50) + zstandard.compress(b"text" * 50)),
    ],
)
async def test_encodings(server: PageServer, encoding: str, body: bytes) -> None:
    server.pages["/"] = http(body, Content_Encoding=encoding)
    assert (await fetch(server.url(), most=400)).body == b"text" * 100
    assert (await fetch(server.url(), most=399, truncate=True)).body == (b"text" * 100)[:399]
    with pytest.raises(ReadError, match=r"is larger than 399 bytes$"):
        await fetch(server.url(), most=399)


@pytest.mark.parametrize(
    ("encoding", "body", "message"),
    [
        ("compress", b"x", "is sent in an encoding that was not asked for: compress"),
        ("gzip, br", b"x", "not asked for: gzip, br"),
        ("br", b"no brotli, that much is sure", "cannot be decompressed: "),
        ("br", brotli.compress(b"text" * 100)[:-2], "cannot be decompressed: it ends too early"),
        ("br", brotli.compress(bytes(60_000_000)), "is larger than 1,000,000 bytes"),
        ("zstd", b"no zstd", "cannot be decompressed: "),
        ("zstd", zstandard.compress(bytes(60_000_000)), "is larger than 1,000,000 bytes"),
        ("gzip, gzip", b"x", "not asked for: gzip, gzip"),
        ("gzip", b"no gzip", "cannot be decompressed: "),
        ("gzip", gzip.compress(b"text" * 100)[:-9], "cannot be decompressed: it ends too early"),
        ("gzip", gzip.compress(bytes(60_000_000), 6), "is larger than 1,000,000 bytes"),
        ("gzip", gzip.compress(bytes(100_000)) * 200, "is larger than 1,000,000 bytes"),
        ("deflate", zlib.compress(bytes(60_000_000)), "is larger than 1,000,000 bytes"),
        ("deflate", raw_deflate(bytes(60_000_000)), "is larger than 1,000,000 bytes"),
    ],
)
async def test_broken_bodies_and_bombs(server: PageServer, encoding: str, body: bytes, message: str) -> None:
    server.pages["/"] = http(body, Content_Encoding=encoding)
    with pytest.raises(ReadError) as caught:
        await fetch(server.url())
    assert message in str(caught.value)


def streaming(head: bytes, piece: bytes, sent: list[int], *, wait: bool = False) -> Stream:
    """An answer that never ends by itself; `sent` gets the bytes that were sent."""

    async def stream(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        sent.append(0)
        while sent[0] < 50_000_000:
            writer.write(piece)
            await writer.drain()
            sent[0] += len(piece)
            if wait:
                await asyncio.sleep(0.005)

    return stream


async def test_a_large_body_is_not_read_to_its_end(server: PageServer) -> None:
    sent: list[int] = []
    server.pages["/"] = streaming(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65_536, sent)
    with pytest.raises(ReadError, match=r"is larger than 1,000,000 bytes$"):
        await fetch(server.url())
    assert sent[0] < 20_000_000  # what fits the sockets' buffers is sent on
    server.pages["/"] = http(b"")[:-4].replace(b"Content-Length: 0", b"Content-Length: 50000000") + b"\r\n\r\n"
    with pytest.raises(ReadError, match=r"is larger than 1,000,000 bytes$"):
        await fetch(server.url())


async def test_a_slow_drip_is_cut_off(server: PageServer) -> None:
    for head in (b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: ", b""):
        server.pages["/"] = streaming(head, b"x", [], wait=True)
        with pytest.raises(ReadError, match=r"did not answer within 0\.1 s$"):
            await fetch(server.url(), seconds=0.1)


@pytest.mark.parametrize("piece", [b"X-Header: " + b"y" * 1_000 + b"\r\n", b"y" * 1_000])
async def test_headers_without_an_end(server: PageServer, piece: bytes) -> None:
    sent: list[int] = []
    server.pages["/"] = streaming(b"HTTP/1.1 200 OK\r\nX: ", piece, sent)
    with pytest.raises(ReadError, match=r"cannot be reached: "):
        await fetch(server.url())
    assert sent[0] < 20_000_000


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", b"\x16\x03\x01" * 9]
)
async def test_what_is_no_http(server: PageServer, answer: bytes) -> None:
    async def stream(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    server.pages["/"] = stream
    with pytest.raises(ReadError, match=r"cannot be reached: [^\n]+$"):
        await fetch(server.url())


hosts = st.one_of(
    st.ip_addresses().map(lambda address: f"[{address}]" if address.version == 6 else str(address)),
    st.integers(0, 2**33).map(str),
    st.integers(0, 2**32).map(hex),
    st.text(max_size=20),
    st.domains() if hasattr(st, "domains") else st.from_regex(r"[a-z0-9.]{1,20}", fullmatch=True),
)
urls = st.one_of(
    st.text(),
    st.tuples(
        st.sampled_from(["http://", "https://", "HTTP:\\\\", "ftp://", ""]), hosts, st.sampled_from(["", ":80", ":22", "/", "/é?\ud800"])
    ).map("".join),
)


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(urls)
def test_any_text_is_checked_or_refused(url: str) -> None:
    try:
        target = AddressPolicy().check_url(url)
    except ReadError as error:
        assert str(error).isprintable()
        return
    assert (target.scheme in ("http", "https"), target.port in (80, 443, 8080, 8443)) == (True, True)
    assert (target.url + target.path + target.host).isascii()
    assert AddressPolicy().check_url(target.url) == target
    try:
        address = ip_address(target.host)
    except ValueError:
        return
    assert address.is_global


@settings(max_examples=500, deadline=None)
@given(st.ip_addresses())
def test_no_address_that_is_not_global_passes(address: Any) -> None:
    try:
        AddressPolicy().check_address("a.org", address)
    except ReadError:
        AddressPolicy(f"1.2.3.4, {address}").check_address("a.org", address)
        AddressPolicy("a.org").check_address("a.org", address)
        return
    assert address.is_global
    assert not (address.is_multicast or address.is_reserved or address.is_loopback or address.is_link_local or address.is_unspecified)
