"""Runs the command line many times without paying for its imports each time: children of a process that has them already."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from schemas.settings import Settings

ROOT = Path(__file__).parent.parent.parent

_children = multiprocessing.get_context("forkserver")
_children.set_forkserver_preload(
    [
        "deepsearch.cli",
        "deepsearch.client",
        "deepsearch.local",
        "deepsearch.indexing",
        "deepsearch.watching",
        "executors.answer_finalizer.executor",
        "executors.evaluator.executor",
        "executors.jina_searcher.executor",
        "executors.page_reader.executor",
        "executors.query_planner.executor",
        "executors.url_ranker.executor",
    ]
)


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str


@dataclass
class Place:
    """A folder to run commands in, with a home for the indexes and the journal."""

    folder: Path
    _count: int = field(default=0, init=False)
    _counting: threading.Lock = field(default_factory=threading.Lock, init=False)

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a command: no setting of this machine, none of pytest."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if name.lower() not in Settings.model_fields and not name.lower().endswith("_proxy") and name not in ("NO_COLOR", "FORCE_COLOR")
        }
        own = {"DEEPSEARCH_HOME": str(self.folder / "home"), "HOME": str(self.folder), "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
        return {**kept, **own, **more}

    def start(self, *arguments: str, **environment: str) -> Running:
        """Start `deepsearch` with these arguments."""
        with self._counting:
            self._count += 1
            streams = self.folder / f"{self._count}.out", self.folder / f"{self._count}.err"
        return Running(self.folder, arguments, self.environment(**environment), *streams)

    def run(self, *arguments: str, **environment: str) -> Done:
        """Run `deepsearch` with these arguments to its end."""
        return self.start(*arguments, **environment).wait()


class Running:
    """A command under way; its streams are files."""

    def __init__(self, folder: Path, arguments: tuple[str, ...], environment: Mapping[str, str], out: Path, err: Path) -> None:
        self._out, self._err = out, err
        self._process = _children.Process(target=_main, args=(folder, arguments, environment, out, err))
        self._process.start()

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> None:
        """What Ctrl-C does."""
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def wait(self, seconds: float = 60) -> Done:
        """Wait for the end."""
        self._process.join(seconds)
        code = self._process.exitcode
        if code is None:
            self._process.kill()
            raise TimeoutError(f"still running after {seconds:g} s; stderr: {self._err.read_text('utf-8')}")
        self._process.close()
        return Done(code, self._out.read_text("utf-8"), self._err.read_text("utf-8"))


def _main(folder: Path, arguments: tuple[str, ...], environment: Mapping[str, str], out: Path, err: Path) -> None:
    from deepsearch.cli import main

    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["deepsearch", *arguments]
    with out.open("w") as stdout, err.open("w") as stderr:
        os.dup2(stdout.fileno(), 1)
        os.dup2(stderr.fileno(), 2)
        sys.stdout, sys.stderr = stdout, stderr
        main()
