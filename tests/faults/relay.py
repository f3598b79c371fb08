"""The network between processes, which can be cut: TCP relays in a thread of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, TypeVar

from typing_extensions import Self

from tests.gateway.flow_process import free_ports

T = TypeVar("T")
_PIECE = 65_536


class Relay:
    """Passes every connection to its port on to another port of this machine, unless it was told otherwise."""

    def __init__(self, network: Network, port: int, to: int) -> None:
        self.port = port
        self._network = network
        self._to = to
        self._server: asyncio.Server | None = None
        self._flows = asyncio.Event()
        self._flows.set()
        self._connections: set[asyncio.Task[None]] = set()

    def refuse(self) -> None:
        """From now on connections are cut and new ones refused."""
        self._network.do(self._close())

    def freeze(self) -> None:
        """From now on nothing passes, and nobody is told."""
        self._network.do(self._set(flows=False))

    def cut(self) -> None:
        """Cut the connections there are; new ones are welcome."""
        self._network.do(self._cut())

    def heal(self) -> None:
        """All passes again."""
        self._network.do(self._open())

    async def _open(self) -> None:
        self._flows.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", self.port)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._cut()

    async def _set(self, *, flows: bool) -> None:
        (self._flows.set if flows else self._flows.clear)()

    async def _cut(self) -> None:
        connections = list(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        writers = [writer]
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._to)
            writers.append(back)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._copy(reader, back))
                both.create_task(self._copy(there, writer))
        except (OSError, asyncio.CancelledError, BaseExceptionGroup):  # noqa: F821 - Python 3.11
            pass  # the connection has ended, as connections do
        finally:
            self._connections.discard(task)
            for each in writers:
                each.transport.abort()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(_PIECE):
            await self._flows.wait()
            writer.write(piece)
            await writer.drain()
        with suppress(OSError):
            writer.write_eof()


class Network:
    """Relays, and the thread that they live in, while the `with` block runs."""

    def __init__(self) -> None:
        self.relays: dict[str, Relay] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for relay in self.relays.values():
            relay.refuse()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def add(self, name: str, to: int) -> Relay:
        """A relay in front of a port."""
        relay = self.relays[name] = Relay(self, free_ports(1)[0], to)
        relay.heal()
        return relay

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, done in the thread of the relays."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)
