"""HTTP connections: how slow a client may be before it is cut off, and how many there may be."""

from __future__ import annotations

import asyncio
import resource
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from gateway.guard.tls import Certificate
from schemas.settings import Settings

_MOST_HEADER_BYTES = 32_768
_MOST_FILES = 65_536
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2; the server's own choice is ciphers that clients of today refuse. TLS 1.3 has its own."""


class Requests(h11.Connection):
    """h11's reading of requests, strict as it is, and stricter about two things that it lets pass."""

    def next_event(self) -> Any:
        """What came next. Raises `h11.RemoteProtocolError` for what is not to be read."""
        event = super().next_event()
        if isinstance(event, h11.Request | h11.EndOfMessage):
            # h11 counts only what is incomplete, so a large request that arrives in one piece would pass.
            size = sum(len(name) + len(value) for name, value in event.headers)
            if isinstance(event, h11.Request):
                size += len(event.target)
                names = {name for name, _ in event.headers}
                if {b"content-length", b"transfer-encoding"} <= names:
                    raise h11.RemoteProtocolError("a request has either a length or chunks")  # what a proxy passes on may be two
            if size > _MOST_HEADER_BYTES:
                raise h11.RemoteProtocolError("the headers are too large", error_status_hint=431)
        return event


class Connection(H11Protocol):
    """A client's connection, with two more deadlines."""

    request_seconds = 60.0
    """Longest from the connection, or the first byte of a later request, to the end of the request's headers."""
    stall_seconds = 120.0
    """Longest that a client may leave unread what is sent to it."""

    _request_timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self.conn = Requests(h11.SERVER, _MOST_HEADER_BYTES)

    def connection_made(self, transport: Any) -> None:
        """The client has connected."""
        super().connection_made(transport)
        self._expect_request()

    def data_received(self, data: bytes) -> None:
        """Something came."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            self._expect_request()
        else:
            self._got_request()

    def pause_writing(self) -> None:
        """The client does not read; the stream waits from here on."""
        super().pause_writing()
        self._stall_timer = self._stall_timer or self.loop.call_later(self.stall_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """It reads again."""
        super().resume_writing()
        self._reads()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        super().connection_lost(exc)
        self._got_request()
        self._reads()

    def _expect_request(self) -> None:
        self._request_timer = self._request_timer or self.loop.call_later(self.request_seconds, self.transport.abort)

    def _got_request(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

    def _reads(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None


def server_options(settings: Settings, certificate: Certificate | None) -> dict[str, Any]:
    """Options of the HTTP server.

    No access log, because addresses hold questions; no word about what serves; and a forwarded address is not believed,
    because it would make a stranger local.
    """
    options: dict[str, Any] = {
        "http": Connection,
        "ws_max_size": settings.deepsearch_max_body_bytes,
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "timeout_graceful_shutdown": int(settings.drain_seconds),  # a stopping server lets its calls finish, but not forever
    }
    if settings.deepsearch_log_format == "json":
        options["log_config"] = None  # uvicorn's own is text
    if certificate is not None:
        options |= {"ssl_certfile": certificate.chain, "ssl_keyfile": certificate.key, "ssl_ciphers": _CIPHERS}
    return options


def allow_connections() -> None:
    """Let this process have `_MOST_FILES` connections, or as many as the system allows it; each is an open file."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if most == resource.RLIM_INFINITY else min(_MOST_FILES, most)
    if now != resource.RLIM_INFINITY and now < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
