"""`deepsearch serve`: the Flow as one command that says when it is ready, why it did not start, and stops cleanly.

`jina flow --uses flow.yml` starts the same Flow, but a SIGTERM ends only its main process and leaves every stage running.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import io
import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import executors
from schemas.errors import ConfigurationError, CorpusError, DeepSearchError
from schemas.settings import Settings

if TYPE_CHECKING:
    from jina import Flow

FLOW_FILE = "flow.yml"
_CLOSING_SECONDS = 5.0
"""What a process needs to close its connections after its calls have finished."""


def serve(settings: Settings, flow_file: Path | None = None) -> int:
    """Serve until SIGINT or SIGTERM, then let calls finish for at most `settings.drain_seconds` each and return 0.

    When this process is killed, the others stop in the same order by themselves: none of them stays behind.

    Without `flow_file`, `flow.yml` of the working folder if there is one, else the one that is installed with the package.
    Raises `ConfigurationError` when a setting cannot be used, keys and certificate among them, or a port is taken, and
    `DeepSearchError` when a stage does not start; each says so in one line. Logs of the stages go to stderr; JINA_LOG_LEVEL
    (unset: WARNING) says how much.
    """
    os.environ.setdefault("JINA_LOG_LEVEL", "WARNING")
    from gateway.flow_defaults import flow_variables  # noqa: PLC0415  (jina takes a second to import and logs while it does)
    from gateway.guard.access import Access  # noqa: PLC0415
    from gateway.guard.limits import CallerLimits  # noqa: PLC0415
    from gateway.guard.tls import certificate  # noqa: PLC0415

    path = _flow_file(flow_file)
    corpus = settings.deepsearch_corpus
    if corpus is not None and settings.deepsearch_corpus_url is None and not corpus.expanduser().is_dir():
        raise CorpusError(f"DEEPSEARCH_CORPUS: {corpus} is not a folder; correct it or unset it.", field="DEEPSEARCH_CORPUS")
    scheme = "https" if certificate(settings) else "http"
    Access(settings)  # keys that cannot be used are said here, in one line
    CallerLimits(settings)  # and a Redis for limits that cannot
    os.environ.update(flow_variables(settings))
    _check_ports(settings)
    from jina import Flow  # noqa: PLC0415

    stop = threading.Event()
    with _signals_set(stop):
        root = str(Path(executors.__file__).parent.parent)  # `uses: executors/...` of the installed flow.yml begins here
        flow = Flow.load_config(str(path), extra_search_paths=[root])
        _start(flow)
        try:
            print(f"DeepSearch is ready: gRPC on {settings.deepsearch_host}:{settings.deepsearch_grpc_port}, "
                  f"HTTP on {scheme}://{settings.deepsearch_host}:{settings.deepsearch_http_port}", flush=True)  # fmt: skip
            stop.wait()
        finally:
            _stop(flow, settings.leaving_seconds + settings.drain_seconds)
    return 0


def _flow_file(wanted: Path | None) -> Path:
    if wanted is not None and not wanted.is_file():
        raise ConfigurationError(f"{wanted} is not a file; name the Flow's YAML file.", field="flow")
    candidates = [wanted] if wanted else [Path(FLOW_FILE), Path(__file__).with_name(FLOW_FILE), Path(__file__).parents[1] / FLOW_FILE]
    return next(path for path in candidates if path.is_file()).resolve()


def _check_ports(settings: Settings) -> None:
    """Raise `ConfigurationError` naming the setting of the first port that cannot be listened on, or that is used twice.

    gRPC would not notice: its servers share a port with whoever has it, and half of the calls go to the other program.
    """
    from gateway.flow_defaults import STAGES  # noqa: PLC0415

    host = settings.deepsearch_host
    ports = [(f"deepsearch_{name}_port", host, getattr(settings, f"deepsearch_{name}_port")) for name in ("grpc", "http")]
    ports += [(f"deepsearch_{stage}_port", "127.0.0.1", getattr(settings, f"deepsearch_{stage}_port")) for stage in STAGES]
    ports += [("deepsearch_page_reader_ports", "127.0.0.1", int(port)) for port in settings.deepsearch_page_reader_ports.split(",")]
    owners: dict[int, str] = {}
    for field, address, port in ports:
        name = field.upper()
        if port in owners:
            raise ConfigurationError(f"{owners[port]} and {name} are both {port}; give each its own port.", field=name)
        owners[port] = name
        try:
            socket.create_server((address, port)).close()
        except OSError as error:
            raise ConfigurationError(
                f"{name}: cannot listen on {address}:{port}, {os.strerror(error.errno or 0).lower()}; choose another.", field=name
            ) from error


def _start(flow: Flow) -> None:
    """Start every process of the Flow. Raises `DeepSearchError` with the cause when one of them fails.

    jina itself only says that something failed; the cause is printed by a child, below jina's banner and a stack trace.
    Here the child sends it to this process, and what they print until they are ready is dropped.
    """
    from jina.excepts import RuntimeFailToStart  # noqa: PLC0415

    from gateway.flow_defaults import STAGES  # noqa: PLC0415

    with _lifelines() as hold, _reported_failures(hold) as failures, redirect_stdout(io.StringIO()):
        # The stages are forked from this process: what it has imported they share, for as long as nobody writes to it, and
        # collecting garbage writes.
        for stage in (*STAGES, "page_reader"):
            importlib.import_module(f"executors.{stage}.executor")
        gc.freeze()
        try:
            flow.start()
        except RuntimeFailToStart as error:
            flow.close()
            cause = failures.get() if not failures.empty() else "a stage did not start; JINA_LOG_LEVEL=DEBUG shows why."
            raise DeepSearchError(cause) from error
        except BaseException:
            flow.close()
            raise


_CALLERS = ("gateway", "controller")
"""The processes that call others, from the door inwards."""


@contextmanager
def _lifelines() -> Iterator[Callable[[str], None]]:
    """Pipes that nobody writes to, for processes that are forked within the block: each stops when those that need it are gone.

    Gives what such a process calls, with its name, in its event loop. The other end of the first pipe is kept open by this process
    alone; when it dies, the gateway stops as if it was told to. It keeps open the second, by which the controller notices when it has
    ended, and both the third, by which the stages do. The system closes a pipe however a process ends, and on every system; a signal
    at the parent's death would reach all at once.
    """
    pipes = [os.pipe() for _ in range(len(_CALLERS) + 1)]

    def hold(name: str) -> None:
        node = name.partition("/")[0]
        place = _CALLERS.index(node) if node in _CALLERS else len(_CALLERS)
        watched = pipes[place][0]
        for number, (end, kept_open) in enumerate(pipes):
            if number != place:
                os.close(end)
            if number <= place:
                os.close(kept_open)
        loop = asyncio.get_running_loop()

        def alone() -> None:
            loop.remove_reader(watched)
            os.kill(os.getpid(), signal.SIGTERM)

        loop.add_reader(watched, alone)

    yield hold
    for end, _ in pipes:
        os.close(end)  # the other ends stay open as long as this process lives


@contextmanager
def _reported_failures(begin: Callable[[str], None]) -> Iterator[Any]:
    """A queue that receives one line from each child process, started within the block, that fails while it starts.

    Each of them calls `begin` with its name when it has an event loop.
    """
    from jina.serve.runtimes.asyncio import AsyncNewLoopRuntime  # noqa: PLC0415

    from schemas.jina_runtime import require  # noqa: PLC0415

    require(AsyncNewLoopRuntime, "async_setup")
    failures: Any = multiprocessing.SimpleQueue()
    setup = AsyncNewLoopRuntime.async_setup

    async def reporting_setup(self: Any) -> None:
        begin(self.args.name)
        try:
            await setup(self)
        except BaseException as error:
            failures.put(f"{self.args.name} did not start: {' '.join(str(error).split()) or type(error).__name__}")
            raise
        sys.stdout = sys.stderr  # from now on the child's log is of interest
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal, and they have to stop in order

    AsyncNewLoopRuntime.async_setup = reporting_setup
    try:
        yield failures
    finally:
        AsyncNewLoopRuntime.async_setup = setup


@contextmanager
def _signals_set(stop: threading.Event) -> Iterator[None]:
    """Within the block SIGINT and SIGTERM set `stop` instead of ending the process."""
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(flow: Flow, seconds: float) -> None:
    """Stop the Flow from the door inwards: whoever calls others goes before them, so that what is in flight can finish.

    Each process has `seconds` for that, and some more to close its connections.
    """
    stages = [name for name, _ in flow if name not in _CALLERS]
    for names in ((_CALLERS[0],), (_CALLERS[1],), stages):
        pods = [pod for name in names for pod in _pods(flow, name)]
        for pod in pods:
            pod.worker.terminate()
        for pod in pods:
            pod.worker.join(seconds + _CLOSING_SECONDS)
    _forget_dead(flow)
    flow.close()


def _pods(flow: Flow, name: str) -> list[Any]:
    """The processes of one node of the Flow; none when there is no such node."""
    found = [deployment for node, deployment in flow if node == name]
    return [
        pod
        for deployment in found
        for pod in [*(pod for shard in (deployment.shards or {}).values() for pod in shard._pods), deployment.gateway_pod]
        if pod is not None
    ]


def _forget_dead(flow: Flow) -> None:
    """Tell jina which of its processes are dead; it would wait a minute for each of them to shut down."""
    for name, _ in flow:
        for pod in _pods(flow, name):
            if not pod.worker.is_alive():
                pod.is_shutdown.set()
