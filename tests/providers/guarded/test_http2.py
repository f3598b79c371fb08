"""HTTP/2 with a real server over TLS, and what it must not be able to do."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import Any

import brotli
import pytest
import trustme
from hypercorn.asyncio import serve
from hypercorn.config import Config

from providers.guarded import AddressPolicy, GuardedClient
from schemas.errors import PageUnavailable, ReadError


class Http2Server:
    """Answers by path over TLS on loopback; `requests` holds (HTTP version, headers) of each."""

    def __init__(self, certificate: trustme.LeafCert, folder: Any, protocols: list[str]) -> None:
        self.pages: dict[str, tuple[int, list[tuple[bytes, bytes]], bytes]] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        certificate.private_key_pem.write_to_path(folder / "key.pem")
        certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
        self._config = Config()
        self._config.keyfile, self._config.certfile = str(folder / "key.pem"), str(folder / "cert.pem")
        self._config.alpn_protocols = protocols
        self._config.accesslog = self._config.errorlog = None
        self._stop = asyncio.Event()

    async def __aenter__(self) -> Http2Server:
        sockets = []
        self._config.bind = ["127.0.0.1:0"]
        create = self._config.create_sockets

        def create_and_keep() -> Any:
            made = create()
            sockets.extend(made.secure_sockets)
            started.set()
            return made

        started = asyncio.Event()
        self._config.create_sockets = create_and_keep  # type: ignore[method-assign]
        self._task = asyncio.create_task(serve(self._app, self._config, shutdown_trigger=self._stop.wait))
        await started.wait()
        self.port: int = sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._stop.set()
        await self._task

    def url(self, path: str = "/") -> str:
        return f"https://127.0.0.1:{self.port}{path}"

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        self.requests.append((scope["http_version"], {name.decode(): value.decode() for name, value in scope["headers"]}))
        status, headers, body = self.pages.get(scope["path"], (404, [], b""))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for start in range(0, max(1, len(body)), 60_000):
            await send({"type": "http.response.body", "body": body[start : start + 60_000], "more_body": True})
        await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def server(authority: trustme.CA, tmp_path: Any, request: pytest.FixtureRequest) -> AsyncIterator[Http2Server]:
    protocols = getattr(request, "param", ["h2", "http/1.1"])
    async with Http2Server(authority.issue_cert("127.0.0.1"), tmp_path, protocols) as server:
        yield server


@pytest.fixture
async def client(authority: trustme.CA) -> AsyncIterator[GuardedClient]:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    client = GuardedClient(AddressPolicy("127.0.0.1"), user_agent="deepsearch/0.1", ssl_context=context)
    yield client
    await client.close()


async def test_a_page_over_http2(server: Http2Server, client: GuardedClient) -> None:
    text = b"The moon moves the sea. " * 40_000
    server.pages["/old"] = (301, [(b"location", b"/new?x=1")], b"")
    server.pages["/new"] = (200, [(b"content-encoding", b"br"), (b"content-type", b"text/plain")], brotli.compress(text, quality=2))
    fetched = await client.get(server.url("/old"), timeout_seconds=10, max_bytes=len(text))
    assert (fetched.status, fetched.body, fetched.url) == (200, text, server.url("/new?x=1"))
    assert [version for version, _ in server.requests] == ["2", "2"]
    told = server.requests[0][1]
    assert (told["user-agent"], told["accept-encoding"]) == ("deepsearch/0.1", "gzip, deflate, br, zstd")
    assert not {"cookie", "authorization", "referer"} & told.keys()


@pytest.mark.parametrize("server", [["http/1.1"]], indirect=True)
async def test_a_server_that_does_not_offer_it_is_spoken_to_in_http11(server: Http2Server, client: GuardedClient) -> None:
    server.pages["/"] = (200, [], b"here")
    assert (await client.get(server.url(), timeout_seconds=10, max_bytes=100)).body == b"here"
    assert server.requests[0][0] == "1.1"


async def test_many_at_once_and_one_that_is_given_up(server: Http2Server, client: GuardedClient) -> None:
    server.pages["/"] = (200, [], b"x" * 100_000)
    with pytest.raises(ReadError, match="is larger than 1,000 bytes"):
        await client.get(server.url(), timeout_seconds=10, max_bytes=1_000)
    found = await asyncio.gather(*(client.get(server.url(), timeout_seconds=10, max_bytes=100_000) for _ in range(20)))
    assert {len(fetched.body) for fetched in found} == {100_000}
    server.pages["/bomb"] = (200, [(b"content-encoding", b"br")], brotli.compress(bytes(60_000_000)))
    with pytest.raises(ReadError, match="is larger than 1,000,000 bytes"):
        await client.get(server.url("/bomb"), timeout_seconds=10, max_bytes=1_000_000)
    assert len((await client.get(server.url(), timeout_seconds=10, max_bytes=100_000)).body) == 100_000


async def test_a_flood_of_headers(server: Http2Server, client: GuardedClient) -> None:
    server.pages["/"] = (200, [(b"x-%d" % n, b"y" * 1_000) for n in range(500)], b"here")
    with pytest.raises(PageUnavailable, match="cannot be reached: "):
        await client.get(server.url(), timeout_seconds=10, max_bytes=100)


async def test_a_certificate_that_nobody_trusts(server: Http2Server) -> None:
    client = GuardedClient(AddressPolicy("127.0.0.1"), user_agent="x")
    with pytest.raises(PageUnavailable, match="certificate"):
        await client.get(server.url(), timeout_seconds=10, max_bytes=100)
    await client.close()
    assert server.requests == []
