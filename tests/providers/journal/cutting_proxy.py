"""A TCP proxy that loses connections at a chosen moment."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit, urlunsplit

How = Literal["before", "after", "silent"]


class CuttingProxy:
    """Between a client and the server of `url`. `cut` says when the next connection is lost; the ones after it are left alone."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._how: How = "before"
        self._left = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""

    @property
    def is_armed(self) -> bool:
        return self._left > 0

    def cut(self, message: int, how: How) -> None:
        """Lose the connection over which the `message`-th message from now on is sent to the server.

        `before`: the server never gets it. `after`: the server has answered, and the answer is lost. `silent`: the server never
        gets it, and nobody is told that the connection is of no use any more.
        """
        self._left, self._how = message, how

    def spare(self) -> None:
        self._left = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        address = self._target.netloc.rpartition("@")[0]
        self.url = urlunsplit(self._target._replace(netloc=f"{address}@127.0.0.1:{port}"))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            server_reader, server_writer = await asyncio.open_connection(self._target.hostname, self._target.port)
        except OSError:
            writer.transport.abort()
            return
        answers = asyncio.create_task(self._answers(server_reader, writer))
        try:
            while data := await reader.read(1 << 20):
                if self._left == 0:
                    server_writer.write(data)
                    continue
                self._left -= 1
                if self._left > 0:
                    server_writer.write(data)
                    continue
                if self._how == "after":
                    answers.cancel()
                    await asyncio.gather(answers, return_exceptions=True)
                    server_writer.write(data)
                    await server_reader.read(1)  # the server has done it
                if self._how == "silent":
                    await reader.read()  # until the client gives up
                return
        except OSError:
            pass
        finally:
            answers.cancel()
            writer.transport.abort()
            server_writer.transport.abort()

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 20):
                writer.write(data)
                await writer.drain()
        writer.transport.abort()
