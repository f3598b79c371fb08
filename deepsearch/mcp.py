"""The MCP server on stdin and stdout, over this process's own stages or over a running Flow."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from docarray import BaseDoc, DocList
from mcp import types
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from typing_extensions import Self

from deepsearch.flow_calls import FlowCalls
from deepsearch.indexing import corpus_of, index_folder, is_indexed_by_asking, with_corpus
from deepsearch.local import LocalDeepSearch
from gateway.mcp.in_flight import InFlight
from gateway.mcp.runs import Calls
from gateway.mcp.server import STDIO_SESSION, create_server
from schemas.errors import DeepSearchError, SearchError
from schemas.events import ResearchEvent
from schemas.reading import Page
from schemas.reporting import OutlineApproval
from schemas.research import PageQuery, ResearchRequest, RunList, RunQuery, RunReport, RunSummary
from schemas.settings import Settings

logger = logging.getLogger(__name__)

Result = TypeVar("Result", bound=BaseDoc)
Message = SessionMessage | Exception

LAST_ANSWERS_SECONDS = 1.0
"""How long requests may still be answered after the client has closed stdin; most clients end this process after two seconds."""
_CALL_SECONDS = 120.0
_INDEXING_SECONDS = 30.0
_CHUNK_BYTES = 65_536


async def serve(settings: Callable[[], Settings], host: str | None, corpus: Path | None) -> None:
    """Answer the client on stdin until it closes it, or until a signal asks this process to stop.

    With `host` the tools work over a running Flow, otherwise in this process, with `settings` and over the documents of `corpus`
    if it is given. Whatever else this process prints goes to stderr.
    """
    incoming, outgoing = _take_standard_streams()
    async with AsyncExitStack() as stack:
        if host is not None:
            flow = FlowCalls(host, key.get_secret_value() if (key := settings().deepsearch_api_key) else None)
            stack.push_async_callback(flow.close)
            calls: Calls = flow
        else:
            calls = await stack.enter_async_context(LocalCalls(settings(), corpus))
        with anyio.CancelScope() as scope:
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, scope.cancel)
            await _converse(calls, _Lines(incoming), _Out(outgoing, scope.cancel), scope)


def _take_standard_streams() -> tuple[int, int]:
    """Descriptors of stdin and stdout, for the protocol alone: what this process or a child of it prints then goes to stderr."""
    sys.stdout.flush()
    incoming, outgoing = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return incoming, outgoing


class _Lines:
    """The lines of a descriptor, read by a thread that ends with the process: nothing else can stop a read that waits."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, name="stdin", daemon=True).start()

    async def __aiter__(self) -> AsyncGenerator[str, None]:
        while (line := await self._lines.get()) is not None:
            if line.strip():
                yield line.decode("utf-8", "replace")

    def _read(self) -> None:
        rest = b""
        try:
            while chunk := os.read(self._descriptor, _CHUNK_BYTES):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._put(line)
            self._put(rest)
            self._put(None)
        except (OSError, RuntimeError):
            return  # the terminal is gone, or the process is ending

    def _put(self, line: bytes | None) -> None:
        self._loop.call_soon_threadsafe(self._lines.put_nowait, line)


class _Out:
    """A descriptor to write to; `gone` is called when nobody reads it any more."""

    def __init__(self, descriptor: int, gone: Callable[[], None]) -> None:
        self._file = anyio.wrap_file(os.fdopen(descriptor, "w", encoding="utf-8", errors="replace"))
        self._gone = gone

    async def write(self, text: str) -> None:
        try:
            await self._file.write(text)
            await self._file.flush()
        except BrokenPipeError:
            self._gone()

    async def flush(self) -> None:
        """Nothing is left to do: `write` has sent everything."""


async def _converse(calls: Calls, lines: Any, out: Any, scope: anyio.CancelScope) -> None:
    in_flight = InFlight()
    server = create_server(calls, in_flight)
    to_server, incoming = anyio.create_memory_object_stream[Message](0)
    outgoing, from_server = anyio.create_memory_object_stream[SessionMessage](0)
    open_requests = _OpenRequests()
    async with stdio_server(lines, out) as (received, to_client), anyio.create_task_group() as tasks:
        tasks.start_soon(_pass_in, received, to_server, in_flight, open_requests, scope)
        tasks.start_soon(_pass_out, from_server, to_client, open_requests)
        await server.run(incoming, outgoing, server.create_initialization_options())


class _OpenRequests:
    """Requests of the client that have no answer yet."""

    def __init__(self) -> None:
        self._ids: set[types.RequestId] = set()
        self._none = asyncio.Event()
        self._none.set()

    def opened(self, message: types.JSONRPCMessage) -> None:
        """Take note of what the client sent."""
        if isinstance(message.root, types.JSONRPCRequest):
            self._ids.add(message.root.id)
            self._none.clear()

    def answered(self, message: types.JSONRPCMessage) -> None:
        """Take note of what it was sent."""
        if isinstance(message.root, types.JSONRPCResponse | types.JSONRPCError):
            self._ids.discard(message.root.id)
            if not self._ids:
                self._none.set()

    async def none(self) -> None:
        """Wait until there is none."""
        await self._none.wait()


async def _pass_in(
    received: MemoryObjectReceiveStream[Message],
    to_server: MemoryObjectSendStream[Message],
    in_flight: InFlight,
    open_requests: _OpenRequests,
    scope: anyio.CancelScope,
) -> None:
    """Hand on what the client sends, except cancellations, which are carried out here. When it has closed stdin, end everything."""
    async for message in received:
        if isinstance(message, Exception):
            logger.warning("a line on stdin is no message of the protocol")
            continue
        if not in_flight.cancel(STDIO_SESSION, message.message):
            open_requests.opened(message.message)
            await to_server.send(message)
    with anyio.move_on_after(LAST_ANSWERS_SECONDS):
        await open_requests.none()
    scope.cancel()


async def _pass_out(
    from_server: MemoryObjectReceiveStream[SessionMessage],
    to_client: MemoryObjectSendStream[SessionMessage],
    open_requests: _OpenRequests,
) -> None:
    async for message in from_server:
        await to_client.send(message)
        open_requests.answered(message.message)


class LocalCalls:
    """The endpoints of a Flow that the tools need, answered in this process.

    Its runs end with the process: they are interrupted and kept, and `deepsearch resume` goes on with one.
    """

    def __init__(self, settings: Settings, corpus: Path | None = None) -> None:
        folder = corpus_of(str(corpus or ""), settings)
        self._settings = with_corpus(settings, folder) if folder is not None else settings
        self._local = LocalDeepSearch(self._settings)
        self._research, self._stages = self._local.research, self._local.stages
        self._tasks: set[asyncio.Task[None]] = set()
        self._endpoints: dict[str, Callable[[Any], Awaitable[BaseDoc]]] = {
            "/submit": self._submit,
            "/approve": self._approve,
            "/run": self._run,
            "/runs": self._runs,
            "/cancel": self._cancel,
            "/page": self._page,
        }
        self._indexing = self._keep(self._index(folder)) if folder is not None and is_indexed_by_asking(self._settings) else None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._local.close()

    async def call(self, endpoint: str, request: BaseDoc, returns: type[Result]) -> Result:
        """See `gateway.mcp.runs.Calls`."""
        if endpoint in ("/search", "/submit"):
            await self._wait_for_documents()
        if endpoint not in self._endpoints:
            return await self._stages.call(endpoint, request, returns, timeout=_CALL_SECONDS)
        answer = await self._endpoints[endpoint](request)
        assert isinstance(answer, returns)
        return answer

    async def stream(self, endpoint: str, request: BaseDoc, returns: type[Result]) -> AsyncIterator[Result]:
        """See `gateway.mcp.runs.Calls`; `/events` is the only one."""
        assert endpoint == "/events" and isinstance(request, RunQuery)
        async with aclosing(self._research.follow(request.run_id)) as events:
            async for event in events:
                assert isinstance(event, returns)
                yield event

    async def _submit(self, request: ResearchRequest) -> RunSummary:
        events = self._research.run(request)
        first = await anext(events)
        self._keep(_finish(events))
        return await self._local.journal.summary(first.run_id)

    async def _approve(self, approval: OutlineApproval) -> RunSummary:
        events = self._research.approve(approval)
        await anext(events)
        self._keep(_finish(events))
        return await self._local.journal.summary(approval.run_id)

    async def _run(self, query: RunQuery) -> RunReport:
        return await self._research.report(query.run_id)

    async def _runs(self, query: RunQuery) -> RunList:
        return RunList(runs=DocList[RunSummary](await self._local.journal.runs(query.limit)))

    async def _cancel(self, query: RunQuery) -> RunSummary:
        await self._research.cancel(query.run_id)
        return await self._local.journal.summary(query.run_id)

    async def _page(self, query: PageQuery) -> Page:
        return await self._local.journal.page(query.run_id, query.page_id)

    async def _wait_for_documents(self) -> None:
        """Indexing goes on while the client already talks; only what searches waits for it. Raises `SearchError` when it takes long."""
        if self._indexing is not None:
            _, pending = await asyncio.wait({self._indexing}, timeout=_INDEXING_SECONDS)
            if pending:
                raise SearchError("the documents are still being indexed; try again in a minute, or run `deepsearch index` beforehand")

    async def _index(self, folder: Path) -> None:
        try:
            await index_folder(folder, self._settings)
        except DeepSearchError as error:
            logger.warning("the documents could not be indexed: %s", error)

    def _keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _finish(events: AsyncGenerator[ResearchEvent, None]) -> None:
    try:
        async with aclosing(events):
            async for _ in events:
                pass
    except DeepSearchError:
        logger.exception("a run stopped")
