"""What jina needs in every process of the Flow: stages, gateway and the process that starts them.

It lives on the lowest floor because a stage and the gateway both need it and may not import each other. A stage's
`config.yml` names it in `py_modules`, so a container has it too; on one machine the stages are forked from a process
that has it already. Importing it again changes nothing.
"""

from __future__ import annotations

import logging
import os
from typing import Any

import jina
from jina.serve.runtimes.gateway.request_handling import GatewayRequestHandler
from jina.serve.runtimes.servers import BaseServer
from jina.serve.runtimes.servers.grpc import GRPCServer

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
    """Stop taking calls, let those in flight finish, then close the Executor.

    jina closes the Executor first and cuts the calls, so that a rolling update or a Ctrl-C loses work already paid for.
    """
    await BaseServer.shutdown(self)
    await self.health_servicer.enter_graceful_shutdown()
    await self.server.stop(grace=get_settings().drain_seconds)
    if not isinstance(self._request_handler, GatewayRequestHandler):  # shared by the gateway's servers, which closes it after the last
        await self._request_handler.close()


require(GRPCServer, "shutdown")
require(BaseServer, "shutdown")
GRPCServer.shutdown = _shutdown


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
