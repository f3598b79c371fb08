"""Processes for work that may hang, crash or take too much memory: each call has a time limit, and a process that exceeds it is ended.

A worker holds no secret: of the environment it gets only what the interpreter needs.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from typing import Any, TypeVar

from schemas.errors import DeepSearchError, from_wire

Result = TypeVar("Result")

QUICK_SECONDS = 2.0
"""A call that takes longer is one of the slow ones, which have workers of their own."""
_IDLE_SECONDS = 30.0
_START_SECONDS = 60.0
_ANSWER_BYTES = 1 << 28
_MEMORY_BYTES = 3 << 30
_PR_SET_PDEATHSIG = 1
"""Of Linux's prctl(2). It means the thread that started the process; those of a pool live as long as the pool."""
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR", "HOME", "SYSTEMROOT", "DYLD_LIBRARY_PATH")


class WorkerDied(RuntimeError):
    """The worker process ended before it answered: it crashed, or the system ended it for want of memory."""


class WorkerPool:
    """Up to `size` worker processes for calls and half as many, at least one, for slow ones. Safe for use by many threads.

    They are started when they are needed and ended after 30 idle seconds. A new one calls `first`, whose time does not count
    against that of the calls, such as that of imports.
    """

    def __init__(self, size: int, first: Callable[[], object] | None = None) -> None:
        self._first = first
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="worker")
        self._slow = ThreadPoolExecutor(max(1, size // 2), thread_name_prefix="slow-worker")
        # Each thread owns one process, so a call needs no further locking.
        self._local = threading.local()
        self._workers: set[_Worker] = set()
        self._closed = False

    def submit(self, function: Callable[..., Result], *args: object, timeout: float) -> Future[Result]:
        """Call the module-level `function` in a worker; `timeout` is in seconds, from when the worker begins.

        The future raises `TimeoutError` when the time is over, `WorkerDied`, `MemoryError`, or what the function raised
        when that is of the project's error tree.
        """
        return self._threads.submit(self._call, function, args, timeout)

    async def run(self, function: Callable[..., Result], *args: object, timeout: float) -> Result:
        """As `submit`, awaited, and fair: slow calls never hold up the others for longer than 2 seconds.

        A call that is not done in 2 seconds is ended and begun again, for `timeout` seconds, by a worker for slow calls. To begin
        again wastes little and needs no more processes, however many calls are slow.
        """
        try:
            return await asyncio.wrap_future(self.submit(function, *args, timeout=min(timeout, QUICK_SECONDS)))
        except TimeoutError:
            if timeout <= QUICK_SECONDS:
                raise
        return await asyncio.wrap_future(self._slow.submit(self._call, function, args, timeout))

    def close(self) -> None:
        """End the processes; calls that are running fail with `WorkerDied`."""
        self._closed = True
        for threads in (self._threads, self._slow):
            threads.shutdown(wait=False, cancel_futures=True)
        for worker in list(self._workers):
            worker.end()
        for threads in (self._threads, self._slow):
            threads.shutdown(wait=True)

    def _call(self, function: Callable[..., Result], args: tuple[object, ...], timeout: float) -> Result:
        worker: _Worker | None = getattr(self._local, "worker", None)
        if worker is None or not worker.is_alive():
            if worker is not None:
                self._workers.discard(worker)
                worker.end()
            worker = self._local.worker = _Worker()
            self._workers.add(worker)
            if self._closed:
                worker.end()
            if self._first is not None:
                worker.call(self._first, (), _START_SECONDS)
        return worker.call(function, args, timeout)  # type: ignore[no-any-return]


@lru_cache(maxsize=2)
def _pool_of(process_id: int, light: bool = False) -> WorkerPool:
    pool = WorkerPool(2) if light else WorkerPool(max(2, os.cpu_count() or 1), first=_read_a_page)
    # A fork inherits the handler, but must leave its parent's workers alone.
    atexit.register(lambda: pool.close() if os.getpid() == process_id else None)
    return pool


def shared_pool() -> WorkerPool:
    """The pool of this process, with one worker for each CPU, at least 2, and half as many for slow calls."""
    # By process: a fork must not use its parent's workers.
    return _pool_of(os.getpid())


def light_pool() -> WorkerPool:
    """Two workers of this process for work that needs none of the libraries that read pages, so that they start in less than half a
    second."""
    return _pool_of(os.getpid(), light=True)


def _read_a_page() -> None:
    """Load what reading pages needs; the libraries take a second for that."""
    from providers.reader.documents import convert  # noqa: PLC0415  (which would be a circle, and stays out of the parent)

    convert(b"<html><body><p>A page is read before the first one comes.</p></body></html>", "first.html")


class _Worker:
    """One process and the socket to it."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        environment = {key: os.environ[key] for key in _ENVIRONMENT if key in os.environ}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-c", f"from providers.reader.workers import serve; serve({theirs.fileno()})"],
                pass_fds=[theirs.fileno()],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        self._answered = time.monotonic()

    def is_alive(self) -> bool:
        """Whether it can be given work; one that is about to end for idleness cannot."""
        return self._process.poll() is None and time.monotonic() - self._answered < _IDLE_SECONDS - 5

    def call(self, function: Callable[..., Any], args: tuple[object, ...], timeout: float) -> Any:
        deadline = time.monotonic() + timeout
        try:
            _send(self._socket, pickle.dumps((function, args)), deadline)
            outcome, value = pickle.loads(_receive(self._socket, deadline, _ANSWER_BYTES))  # noqa: S301  (our own process)
        except TimeoutError:
            self.end()
            raise TimeoutError(f"it took longer than {timeout:g} seconds") from None
        except _TooLarge as error:
            self.end()
            raise WorkerDied(f"its reader process answered with more than {_ANSWER_BYTES >> 20:,} MB") from error
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            status = self.end()
            cause = f"ended by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
            raise WorkerDied(f"its reader process crashed ({cause})") from error
        self._answered = time.monotonic()
        if outcome == "error":
            raise from_wire(*value)
        if outcome == "memory":
            raise MemoryError(f"it needs more than {_MEMORY_BYTES >> 20:,} MB of memory")
        return value

    def end(self) -> int:
        """End the process and return its exit status."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # or a thread that waits for it might not notice
        self._socket.close()
        try:
            # A crashed process has a status of its own, which says more than ours would.
            return self._process.wait(timeout=0.05)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def _send(channel: socket.socket, message: bytes, deadline: float | None) -> None:
    channel.settimeout(_left(deadline))
    channel.sendall(len(message).to_bytes(8, "big"))
    channel.settimeout(_left(deadline))
    channel.sendall(message)


class _TooLarge(Exception):
    """The other end has more to send than is taken."""


def _receive(channel: socket.socket, deadline: float | None, most: int | None = None) -> bytes:
    size = int.from_bytes(_receive_exactly(channel, 8, deadline), "big")
    if most is not None and size > most:
        raise _TooLarge
    return _receive_exactly(channel, size, deadline)


def _receive_exactly(channel: socket.socket, size: int, deadline: float | None) -> bytes:
    buffer = bytearray(size)
    view, position = memoryview(buffer), 0
    while position < size:
        channel.settimeout(_left(deadline))
        count = channel.recv_into(view[position:])
        if not count:
            raise EOFError("the other end is closed")
        position += count
    return bytes(buffer)


def _left(deadline: float | None) -> float | None:
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def serve(descriptor: int) -> None:
    """Main function of a worker: answer calls until the other end closes or 30 seconds pass without one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the parent, which closes the socket
    _limit_memory()
    _end_with_parent()
    channel = socket.socket(fileno=descriptor)
    while True:
        try:
            request = _receive(channel, time.monotonic() + _IDLE_SECONDS)
        except (EOFError, OSError):  # TimeoutError is an OSError
            return
        try:
            function, args = pickle.loads(request)  # noqa: S301  (from our own parent)
            answer = pickle.dumps(("value", function(*args)))
        except DeepSearchError as error:
            answer = pickle.dumps(("error", (type(error).__name__, list(error.args))))
        except MemoryError:
            answer = pickle.dumps(("memory", None))
        _send(channel, answer, None)
        del request, answer


def _limit_memory() -> None:
    try:
        import resource  # noqa: PLC0415  (POSIX only)
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))


def _end_with_parent() -> None:
    """Be ended at the parent's death, also in the middle of a call that hangs, which nobody would end any more. On Linux only."""
    if sys.platform != "linux":
        return
    import ctypes  # noqa: PLC0415  (workers only)

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
