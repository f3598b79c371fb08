"""A web server on loopback that sends exactly the bytes a test gives, also those that no HTTP library would send."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

Stream = Callable[[asyncio.StreamWriter], Awaitable[None]]


def http(body: bytes | str = b"", status: int = 200, **headers: str) -> bytes:
    """A whole answer; underscores in header names stand for hyphens."""
    data = body.encode() if isinstance(body, str) else body
    lines = [
        f"HTTP/1.1 {status} X",
        f"Content-Length: {len(data)}",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


class PageServer:
    """Answers GET requests by path, 404 where there is nothing. `requests` holds (path, headers) of each."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes | Stream | list[bytes]] = {}
        """What a path answers; a list is answered one after the other, its last for good."""
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.connections = 0

    async def __aenter__(self) -> PageServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        self._tasks: set[asyncio.Task[None]] = set()
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.requests]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                path = head[0].split(" ")[1]
                self.requests.append((path, {line.partition(": ")[0].lower(): line.partition(": ")[2] for line in head[1:] if line}))
                page = self.pages.get(path, http("nothing here", 404))
                if isinstance(page, list):
                    page = page.pop(0) if len(page) > 1 else page[0]
                if callable(page):
                    await page(writer)
                    break
                writer.write(page)
                await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await writer.wait_closed()
        self._tasks.discard(task)
