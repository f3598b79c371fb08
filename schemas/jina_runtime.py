"""What jina needs in every process of the Flow: stages, gateway and the process that starts them.

It lives on the lowest floor because a stage and the gateway both need it and may not import each other. A stage's
`config.yml` names it in `py_modules`, so a container has it too; on one machine the stages are forked from a process
that has it already. Importing it again changes nothing.
"""

from __future__ import annotations

import logging
import os
from inspect import isawaitable
from typing import Any

import jina
import jina.serve.helper
from jina.serve.runtimes.servers import BaseServer
from jina.serve.runtimes.servers.grpc import GRPCServer
from jina.serve.runtimes.worker.request_handling import WorkerRequestHandler

import schemas.wire  # noqa: F401  (faster documents in every process)
from schemas.errors import ConfigurationError, DeepSearchError
from schemas.settings import get_settings

# jina posts usage to telemetry.jina.ai from every process unless this is set, to whatever value.
os.environ.setdefault("JINA_OPTOUT_TELEMETRY", "1")


def require(owner: Any, *names: str) -> None:
    """Check that what is about to be replaced is still there.

    Raises `ConfigurationError` when this release of jina no longer has it: replacing nothing would fail silently.
    """
    for name in names:
        if not hasattr(owner, name):
            raise ConfigurationError(
                f"jina {jina.__version__} has no {owner.__name__}.{name}, which this project replaces; install jina==3.34.0.", field="jina"
            )


async def _shutdown(self: Any) -> None:
    """Stop taking calls, let those in flight finish, then close the Executor and wait until it is closed.

    jina closes the Executor first and cuts the calls, so that a rolling update or a Ctrl-C loses work already paid for; and
    it awaits no `close()`, but connections can only be closed by awaiting.
    """
    await BaseServer.shutdown(self)
    await self.health_servicer.enter_graceful_shutdown()
    await self.server.stop(grace=get_settings().drain_seconds)
    handler = self._request_handler
    if isinstance(handler, WorkerRequestHandler):  # the gateway's handler serves HTTP too, and is closed after both
        closing = handler._executor.close()
        if isawaitable(closing):
            await closing
        handler._is_closed = True


require(GRPCServer, "shutdown")
require(BaseServer, "shutdown")
require(WorkerRequestHandler, "close")
GRPCServer.shutdown = _shutdown


# jina's clients, our gateway among them, send a sign of life every ten seconds, but its servers take one in five minutes: after
# half a minute of rest they end the connection with "Too many pings", and the next call on it fails as if the stage were down.
require(jina.serve.helper, "get_default_grpc_options", "get_server_side_grpc_options")
_default_grpc_options = jina.serve.helper.get_default_grpc_options
_LEAST_PING_INTERVAL_MILLISECONDS = 5_000


def _grpc_options() -> list[tuple[str, Any]]:
    return [*_default_grpc_options(), ("grpc.http2.min_ping_interval_without_data_ms", _LEAST_PING_INTERVAL_MILLISECONDS)]


jina.serve.helper.get_default_grpc_options = _grpc_options


_make_record = logging.getLogRecordFactory()


def _record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    """An error of our tree is an outcome, not a defect: log its one line. Any other exception keeps its stack trace."""
    record = _make_record(*args, **kwargs)
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, DeepSearchError):
        record.msg, record.args, record.exc_info = f"{type(error).__name__}: {error}", (), None
    return record


if not getattr(logging.getLogRecordFactory(), "one_line_errors", False):
    _record.one_line_errors = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(_record)
