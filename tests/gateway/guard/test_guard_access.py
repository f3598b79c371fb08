"""Without a key: this machine only, and no web page of another site."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.guard.access import Access, address_name, grpc_peer, is_loopback
from schemas.errors import Unauthorized
from schemas.settings import Settings

LOCAL = {"host": "localhost:8080"}


def allowed(settings: Settings, peer: str | None, web: bool = True, **headers: str) -> bool:
    found = {**LOCAL, **{name.replace("_", "-"): value for name, value in headers.items()}}
    try:
        Access(settings).caller(found.items(), peer, web=web)
    except Unauthorized:
        return False
    return True


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", None])
def test_this_machine_may_ask(make_settings: Callable[..., Settings], peer: str | None) -> None:
    assert allowed(make_settings(), peer)


@pytest.mark.parametrize(
    "peer", ["10.0.0.1", "192.168.1.5", "8.8.8.8", "::ffff:10.0.0.1", "fe80::1", "0.0.0.0", "", "localhost", "127.0.0.1.evil.org"]
)
def test_other_machines_may_not(make_settings: Callable[..., Settings], peer: str) -> None:
    assert not allowed(make_settings(), peer)
    assert allowed(make_settings(deepsearch_allow_anonymous=True), peer)


@pytest.mark.parametrize(
    "header",
    ["x_forwarded_for", "x_forwarded_proto", "x_forwarded_host", "forwarded", "x_real_ip", "via", "cf_connecting_ip", "true_client_ip"],
)
def test_what_came_through_a_proxy_is_not_local(make_settings: Callable[..., Settings], header: str) -> None:
    assert not allowed(make_settings(), "127.0.0.1", **{header: "127.0.0.1"})
    assert not allowed(make_settings(), "127.0.0.1", web=False, **{header: ""})


def test_a_proxy_that_names_itself_nowhere_is_known_by_its_old_http(make_settings: Callable[..., Settings]) -> None:
    local = Access(make_settings())
    assert local.caller(LOCAL.items(), "127.0.0.1", web=True, version="1.1") == "address 127.0.0.1"
    with pytest.raises(Unauthorized):
        local.caller(LOCAL.items(), "127.0.0.1", web=True, version="1.0")
    assert not local.local(LOCAL.items(), "127.0.0.1", "1.0")
    keyed = Access(make_settings(deepsearch_api_keys="k1"))
    assert keyed.caller({**LOCAL, "x-api-key": "k1"}.items(), "127.0.0.1", web=True, version="1.0").startswith("key ")
    assert Access(make_settings(deepsearch_allow_anonymous=True)).caller(LOCAL.items(), "8.8.8.8", web=True, version="1.0")


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1:1", "[::1]", "[::1]:8080", "LOCALHOST"])
def test_the_names_of_this_machine(make_settings: Callable[..., Settings], host: str) -> None:
    assert allowed(make_settings(), "127.0.0.1", host=host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.org",
        "localhost.evil.org",
        "localhost@evil.org",
        "evil.org:8080",
        "127.0.0.1.nip.io",
        "localhost:x",
        "localhost/evil",
        "[::2]",
    ],
)
def test_dns_rebinding(make_settings: Callable[..., Settings], host: str) -> None:
    assert not allowed(make_settings(), "127.0.0.1", host=host)


def test_pages_of_other_sites(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(deepsearch_cors_origins="https://app.example, http://localhost:3000/")
    assert allowed(settings, "127.0.0.1", origin="http://localhost:8080")
    assert allowed(settings, "127.0.0.1", origin="https://app.example")
    assert allowed(settings, "127.0.0.1", origin="http://localhost:3000", sec_fetch_site="same-site")
    assert allowed(settings, "127.0.0.1", sec_fetch_site="same-origin")
    assert allowed(settings, "127.0.0.1", sec_fetch_site="none")
    for headers in ({"origin": "https://evil.org"}, {"origin": "null"}, {"origin": "http://localhost:9999"}, {"origin": ""}):
        assert not allowed(settings, "127.0.0.1", **headers)
        assert not allowed(make_settings(deepsearch_allow_anonymous=True), "127.0.0.1", **headers)
    assert not allowed(settings, "127.0.0.1", sec_fetch_site="cross-site")
    assert not allowed(settings, "127.0.0.1", sec_fetch_site="same-site")


def test_a_key_may_come_from_any_page_and_address(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(deepsearch_api_keys="k1")
    assert allowed(settings, "8.8.8.8", authorization="Bearer k1", origin="https://evil.org", host="evil.org", x_forwarded_for="1.1.1.1")
    assert not allowed(settings, "127.0.0.1")
    assert not allowed(settings, "127.0.0.1", authorization="Bearer k2")


def test_a_key_that_nobody_asked_for_does_no_harm(make_settings: Callable[..., Settings]) -> None:
    assert allowed(make_settings(), "127.0.0.1", authorization="Bearer sk-anything")
    assert not allowed(make_settings(), "127.0.0.1", authorization="Bearer sk-anything", origin="https://evil.org")


def test_anonymous_beside_keys(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(deepsearch_api_keys="k1", deepsearch_allow_anonymous=True)
    assert allowed(settings, "8.8.8.8")
    assert not allowed(settings, "8.8.8.8", authorization="Bearer wrong")


def test_callers_are_named(make_settings: Callable[..., Settings]) -> None:
    assert address_name("127.0.0.1") == address_name("::ffff:127.0.0.1") == "address 127.0.0.1"
    assert address_name("2001:db8:1:2:3::4") == address_name("2001:db8:1:2:ffff::") == "address 2001:db8:1:2::/64"
    assert address_name("2001:db8:1:3::") != address_name("2001:db8:1:2::")


@pytest.mark.parametrize(
    ("peer", "address"),
    [("ipv4:127.0.0.1:5000", "127.0.0.1"), ("ipv6:%5B::1%5D:5000", "::1"), ("ipv6:[fe80::1%25eth0]:1", "fe80::1"), ("unix:", None)],
)
def test_grpc_names_its_peers_in_its_own_way(peer: str, address: str | None) -> None:
    assert grpc_peer(peer) == address


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_no_header_and_no_address_upsets_it(host: str, origin: str, peer: str) -> None:
    settings = Settings(_env_file=None)
    assert not allowed(settings, "8.8.8.8", host=host, origin=origin)
    allowed(settings, "127.0.0.1", host=host, origin=origin)
    assert isinstance(is_loopback(peer), bool) and address_name(peer).startswith("address ")


# -- the real gateway --------------------------------------------------------------------------------------------------


@pytest.mark.flow
def test_a_local_gateway_cannot_be_driven_by_a_web_page_elsewhere(start: Any) -> None:
    flow = start()
    assert httpx.get(f"{flow.http}/v1/models").status_code == 200
    assert httpx.get(f"http://localhost:{flow.http_port}/v1/models").status_code == 200
    assert httpx.get(f"{flow.http}/dry_run").json()["code"] == 0
    for headers in (
        {"Host": "evil.org"},
        {"Origin": "https://evil.org"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        response = httpx.get(f"{flow.http}/research/stream", params={"question": "q"}, headers=headers)
        assert (response.status_code, response.json()["error"]["code"]) == (403, "forbidden")
    assert httpx.get(f"{flow.http}/v1/models", headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 401
    socket_request = {"Origin": "https://evil.org", "Connection": "Upgrade", "Upgrade": "websocket"}
    handshake = {**socket_request, "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    assert httpx.get(f"{flow.http}/", headers=handshake).status_code == 403


@pytest.mark.flow
def test_a_caller_behind_a_proxy_needs_a_key_or_leave(start: Any) -> None:
    opened, forwarded = start(DEEPSEARCH_ALLOW_ANONYMOUS="true"), {"X-Forwarded-For": "203.0.113.9", "Host": "search.example"}
    refused = httpx.get(f"{start().http}/v1/research", headers=forwarded)
    assert refused.status_code == 401 and "DEEPSEARCH_ALLOW_ANONYMOUS" in refused.json()["error"]["message"]
    assert httpx.get(f"{opened.http}/v1/models", headers=forwarded).status_code == 200
    assert httpx.get(f"{opened.http}/v1/models", headers={**forwarded, "Origin": "https://evil.org"}).status_code == 403


@pytest.mark.flow
def test_cors_is_off_unless_an_origin_is_named(start: Any) -> None:
    preflight = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    closed = start()
    assert httpx.options(f"{closed.http}/v1/research", headers=preflight).status_code == 403
    assert not [name for name in httpx.get(f"{closed.http}/health/live", headers=preflight).headers if name.startswith("access-control")]
    named = start(DEEPSEARCH_CORS_ORIGINS="https://app.example", DEEPSEARCH_API_KEYS="sk-page")
    allowed_preflight = httpx.options(f"{named.http}/v1/research", headers=preflight)
    assert (allowed_preflight.status_code, allowed_preflight.headers["access-control-allow-origin"]) == (200, "https://app.example")
    other = httpx.options(f"{named.http}/v1/research", headers={**preflight, "Origin": "https://evil.org"})
    assert other.status_code == 400 and "access-control-allow-origin" not in other.headers
    refused = httpx.get(f"{named.http}/v1/models", headers={"Origin": "https://app.example"})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, "https://app.example")
    assert "access-control-allow-credentials" not in refused.headers
    assert {"retry-after", "x-should-retry", "mcp-session-id"} <= set(refused.headers["access-control-expose-headers"].lower().split(", "))
    wanted = "authorization, content-type, last-event-id, mcp-protocol-version, mcp-session-id, x-stainless-lang, x-stainless-retry-count"
    clients = httpx.options(f"{named.http}/mcp", headers={**preflight, "Access-Control-Request-Headers": wanted})
    assert (clients.status_code, clients.headers["access-control-allow-headers"]) == (200, wanted)


@pytest.mark.flow
def test_old_http_needs_a_key(start: Any) -> None:
    request = b"GET /v1/models HTTP/1.0\r\nHost: 127.0.0.1\r\n"
    for flow, extra, status in (
        (start(), b"", b"401"),
        (start(DEEPSEARCH_CORS_ORIGINS="https://app.example", DEEPSEARCH_API_KEYS="sk-page"), b"X-Api-Key: sk-page\r\n", b"200"),
    ):
        with socket.create_connection(("127.0.0.1", flow.http_port)) as connection:
            connection.sendall(request + extra + b"\r\n")
            assert connection.recv(100).split()[1] == status


@pytest.mark.flow
def test_every_response_has_the_security_headers_and_no_banner(start: Any) -> None:
    flow = start()
    for method, path in (
        ("GET", "/"),
        ("GET", "/docs"),
        ("GET", "/nothing"),
        ("POST", "/research"),
        ("GET", "/metrics"),
        ("GET", "/assets/main.js"),
    ):
        headers = httpx.request(method, flow.http + path).headers
        assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "server" not in headers
    assert "script-src 'self'" in httpx.get(f"{flow.http}/").headers["content-security-policy"]
