"""The scripted upstreams as a container beside the stages: every page it gives is counted for the container that asked."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from typing import Any

from tests.scripted.five_steps import add_session
from tests.scripted.replies import Json, Reply
from tests.scripted.server import ScriptedServer, _Connection

PORT = 9000


class Upstream(ScriptedServer):
    """Listens on every interface. `GET /pages` has the number of pages each address was given."""

    def __init__(self) -> None:
        super().__init__(PORT, record=False)
        self.pages: Counter[str] = Counter()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        server = await self._loop.create_server(lambda: _CountedConnection(self), "0.0.0.0", PORT)
        self._ready.set()
        await server.serve_forever()

    def _reply(self, path: str, parameters: str, headers: dict[str, str], body: bytes) -> tuple[Any, Any, Reply]:
        if path == "/pages":
            return self.search, None, Json(dict(self.pages))
        return super()._reply(path, parameters, headers, body)


class _CountedConnection(_Connection):
    _server: Upstream

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"POST /reader"):
            self._server.pages[self._transport.get_extra_info("peername")[0]] += 1
        super().data_received(data)


if __name__ == "__main__":
    upstream = Upstream()
    add_session(upstream)
    with upstream:
        threading.Event().wait()
