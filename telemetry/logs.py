"""Logs as JSON: one object a line on standard error, of this project, of jina and of every library, with the ids of run and trace.

Messages of this project name causes, hosts and ids, and hold neither keys nor prompts. Of an exception the line tells its kind and
where it came from; not its message, which is a library's own and may quote what it was given.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from datetime import datetime, timezone
from types import TracebackType

from schemas.jina_runtime import require
from telemetry import tracing
from telemetry.carrying import RUN

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_LOGGER_OF_FAILURES = "uncaught"

_process = ""


class JsonFormatter(logging.Formatter):
    """A record as a JSON object without line breaks."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; fields without a value are left out."""
        trace_id, span_id = tracing.ids()
        line = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": _COLOURS.sub("", _message_of(record)),
            "stage": _process,
            "run_id": RUN.get(),
            "trace_id": trace_id,
            "span_id": span_id,
            "error": _place_of(record.exc_info[1]) if record.exc_info and record.exc_info[1] else "",
        }
        return json.dumps({name: value for name, value in line.items() if value}, ensure_ascii=False, default=str)


class _Handler(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to what standard error is at the moment: a process that is forked may have been given another."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(JsonFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line."""
        self.stream = sys.stderr
        super().emit(record)


def _message_of(record: logging.LogRecord) -> str:
    """The message; jina puts an exception's own into it, in whose place stands its kind."""
    message = record.getMessage()
    error = record.exc_info[1] if record.exc_info else None
    for quoted in filter(None, (repr(error), str(error))) if error is not None else ():
        message = message.replace(quoted, type(error).__name__)
    return message


def _place_of(error: BaseException) -> str:
    """The kind of an exception and the calls that led to it, the innermost first."""
    calls = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(traceback.extract_tb(error.__traceback__))]
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return " < ".join([type(error).__name__, *calls]) + (f"; after {_place_of(cause)}" if cause is not None else "")


def start(log_format: str) -> None:
    """Write every log of this process, and of those forked from it, as JSON when `log_format` is `json`; `text` changes nothing."""
    if log_format != "json":
        return
    root = logging.getLogger()
    if any(isinstance(handler, _Handler) for handler in root.handlers):
        return
    root.handlers[:] = [_Handler()]
    for logger in list(logging.Logger.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):
            _to_root(logger)
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    _take_over_jina()


def name(process: str) -> None:
    """What lines of this process have as `stage`."""
    global _process  # noqa: PLW0603  (one for the process)
    _process = process


def _to_root(logger: logging.Logger) -> None:
    logger.handlers.clear()
    logger.propagate = True


def _take_over_jina() -> None:
    """jina gives each of its loggers handlers of their own when it makes them."""
    from jina.logging.logger import JinaLogger  # noqa: PLC0415

    require(JinaLogger, "add_handlers")
    add_handlers = JinaLogger.add_handlers

    def to_root(self: JinaLogger, *arguments: object, **named: object) -> None:
        add_handlers(self, *arguments, **named)  # which sets the level too
        _to_root(self.logger)

    JinaLogger.add_handlers = to_root


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger(_LOGGER_OF_FAILURES).critical("%s", kind.__name__, exc_info=(kind, error, trace))
