"""The HTTP side of the scripted server: a small HTTP/1.1 protocol on asyncio, in a thread with a loop of its own.

It parses just what HTTP clients send to JSON APIs (a request line, headers, a body with Content-Length), so that a
request costs some tens of microseconds and a benchmark measures the client.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl

from tests.scripted.jina import ScriptedReader, ScriptedSearch
from tests.scripted.llm import ScriptedModel
from tests.scripted.replies import Delay, Drip, Drop, Json, Reply, Status, Text
from tests.scripted.vectors import ScriptedEmbeddings, ScriptedRerank

_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 402: "Payment Required", 404: "Not Found", 429: "Too Many Requests"}


@dataclass(frozen=True)
class Recorded:
    """A request as it arrived.

    Header names are in lower case; `body` is the parsed JSON, or the parameters of a GET; `time` is monotonic seconds.
    """

    path: str
    headers: dict[str, str]
    body: Any
    time: float


class ScriptedServer:
    """Serves on a free port of the loopback interface while the `with` block runs.

    Handlers run in the server's thread, one at a time. Closing drops every connection and pending delay, and waits for
    the thread to end.
    """

    def __init__(self, port: int = 0, *, record: bool = True) -> None:
        self.llm = ScriptedModel()
        self.search = ScriptedSearch()
        self.reader = ScriptedReader()
        self.embeddings = ScriptedEmbeddings()
        self.rerank = ScriptedRerank()
        self.requests: list[Recorded] = []
        self.port = port
        self._record = record
        self._connections: set[_Connection] = set()
        self._ready = threading.Event()
        self._changed = threading.Condition()
        self._streams_lost = 0
        self._thread = threading.Thread(target=self._run, name="scripted-server", daemon=True)
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._failure: BaseException | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def llm_url(self) -> str:
        """Base URL for `OPENAI_BASE_URL`, `EMBEDDING_BASE_URL` and `JINA_API_URL`."""
        return f"{self.url}/v1"

    @property
    def search_url(self) -> str:
        return f"{self.url}/search/"

    @property
    def reader_url(self) -> str:
        return f"{self.url}/reader/"

    @property
    def streams_lost(self) -> int:
        """How many clients went away before their response was complete."""
        return self._streams_lost

    @property
    def under_way(self) -> int:
        """How many requests wait for their response to be complete."""
        return sum(connection._busy for connection in list(self._connections))

    def add_page(self, url: str, title: str, text: str, **details: Any) -> None:
        """Make a page that the search finds and the reader reads; see `ScriptedReader.add`."""
        self.search.pages.append((url, title, text))
        self.reader.add(url, title, text, **details)

    def sent(self, path: str = "/v1/chat/completions") -> list[Recorded]:
        """The recorded requests of one path, in order."""
        return [request for request in list(self.requests) if request.path == path]

    def wait_for_requests(self, count: int = 1, timeout: float = 30.0) -> bool:
        """Block until `count` requests have arrived; False after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.requests) >= count, timeout)

    def wait_for_lost_streams(self, count: int = 1, timeout: float = 30.0) -> bool:
        """Block until `count` clients went away before their response was complete; False after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._streams_lost >= count, timeout)

    def wait_until_idle(self, timeout: float = 30.0) -> bool:
        """Block until no request waits for its response; False after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self.under_way, timeout)

    # -- life ----------------------------------------------------------------------------------------------------------

    def __enter__(self) -> ScriptedServer:
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except OSError as error:
            self._failure = error
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = await self._loop.create_server(lambda: _Connection(self), "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for connection in list(self._connections):
            connection.abort()
        await asyncio.sleep(0)

    # -- one request ---------------------------------------------------------------------------------------------------

    def _reply(self, path: str, parameters: str, headers: dict[str, str], body: bytes) -> tuple[Any, Any, Reply]:
        try:
            request = json.loads(body) if body else dict(parse_qsl(parameters)) or None
        except ValueError:
            request = body.decode("utf-8", "replace")
        if self._record:
            with self._changed:
                self.requests.append(Recorded(path, headers, request, time.monotonic()))
                self._changed.notify_all()
        if path == "/v1/chat/completions":
            return self.llm, request, self.llm.reply(request)
        if path == "/v1/embeddings":
            return self.embeddings, request, self.embeddings.reply(request)
        if path == "/v1/rerank":
            return self.rerank, request, self.rerank.reply(request)
        if path.startswith("/search"):
            return self.search, request, self.search.reply(request)
        if path.startswith("/reader"):
            return self.reader, request, self.reader.reply(request)
        return self.llm, request, Status(404, {"error": {"message": f"nothing is served at {path}"}})

    def _answered(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _lost(self) -> None:
        with self._changed:
            self._streams_lost += 1
            self._changed.notify_all()


class _Connection(asyncio.Protocol):
    """One client's connection; requests on it are answered in order."""

    def __init__(self, server: ScriptedServer) -> None:
        self._server = server
        self._buffer = b""
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server._connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._server._connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._busy:
            self._busy = False
            self._server._lost()

    def abort(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while not self._busy:
            head, separator, rest = self._buffer.partition(b"\r\n\r\n")
            if not separator:
                return
            request_line, *lines = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            length = int(headers.get("content-length", 0))
            if len(rest) < length:
                if headers.get("expect", "").lower() == "100-continue":
                    self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                return
            body, self._buffer = rest[:length], rest[length:]
            path, _, parameters = request_line.split(" ")[1].partition("?")
            self._busy = True
            try:
                service, request, reply = self._server._reply(path, parameters, headers, body)
            except Exception as error:  # a handler's own failure must reach the test, not hang it
                service, request, reply = self._server.llm, None, Status(400, {"error": {"message": f"script failed: {error!r}"}})
            self._answer(service, request, reply)

    def _answer(self, service: Any, request: Any, reply: Reply) -> None:
        self._timer = None
        if isinstance(reply, Delay):
            self._timer = self._server._loop.call_later(reply.seconds, self._answer, service, request, reply.reply)
        elif isinstance(reply, Drop):
            self._finish()
            self._transport.abort()
        elif isinstance(reply, Drip):
            self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
            self._drip()
        elif isinstance(reply, Status):
            body = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
            kind = "text/plain" if isinstance(reply.body, str) else "application/json"
            self._send(reply.code, body.encode(), kind, reply.headers)
        elif isinstance(request, dict) and request.get("stream"):
            self._stream(service.events(request, reply), reply)
        else:
            self._send(200, service.body(request, reply), "application/json")
        if not self._busy and self._buffer and self._timer is None:
            self._server._loop.call_soon(self.data_received, b"")

    def _send(self, code: int, body: bytes, kind: str, headers: Any = ()) -> None:
        extra = "".join(f"{name}: {value}\r\n" for name, value in dict(headers).items())
        head = f"HTTP/1.1 {code} {_REASONS.get(code, 'Status')}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n{extra}\r\n"
        self._finish()
        self._transport.write(head.encode() + body)

    def _stream(self, events: Iterator[bytes], reply: Json | Text) -> None:
        self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        stop_after = reply.stop_after if isinstance(reply, Text) else None
        for number, event in enumerate(events):
            if number == stop_after:
                if isinstance(reply, Text) and reply.then == "drop":
                    self._finish()
                    self._transport.close()
                return
            # One write each, so that a client sees the pieces as separate chunks.
            self._transport.write(b"%x\r\n%b\r\n" % (len(event), event))
        self._finish()
        self._transport.write(b"0\r\n\r\n")

    def _drip(self) -> None:
        self._transport.write(b" ")
        self._timer = self._server._loop.call_later(0.01, self._drip)

    def _finish(self) -> None:
        self._busy = False
        self._server._answered()


Handler = Callable[[Any], Reply]
