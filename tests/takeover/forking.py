"""A process that has imported everything and forks the others, so that one more costs little: `python -m tests.takeover.forking`.

It reads a line of JSON for each process (`{"arguments": of jina's command line, "log": path}`) and answers with its process id.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys

STAGES = ("controller", "query_planner", "jina_searcher", "url_ranker", "page_reader", "evaluator", "answer_finalizer")


def main() -> None:
    """Fork until there are no more lines."""
    import jina_cli.api  # noqa: F401
    from jina.parsers import get_main_parser

    for stage in STAGES:
        importlib.import_module(f"executors.{stage}.executor")
    importlib.import_module("gateway.gateway")
    get_main_parser()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who has ended is gone at once
    for line in sys.stdin:
        wanted = json.loads(line)
        process = os.fork()
        if not process:
            _become(wanted)
        print(process, flush=True)


def _become(wanted: dict[str, object]) -> None:
    import jina_cli

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log = os.open(str(wanted["log"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.argv = ["jina", *(str(argument) for argument in wanted["arguments"])]  # type: ignore[attr-defined]
    try:
        jina_cli.main()
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()
