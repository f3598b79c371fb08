"""The child process of the sandbox: starts the engine, shuts every door behind itself, runs one program, ends.

Run as `python -I worker.py <memory MB> <seconds> <output characters>`: without this project's folder on the path, so that it can
reach neither settings nor secrets. It writes an empty line when it is ready, reads the program from standard input until
its end, and writes one line of JSON, `{"value": ...}` or `{"error": ...}`. Time is up to the parent, which kills it.
"""

from __future__ import annotations

import json
import math
import os
import re
import resource
import sys
from pathlib import Path

from py_mini_racer import MiniRacer, init_mini_racer
from py_mini_racer._exc import MiniRacerBaseException

_MEGABYTE = 1 << 20
_ERROR_CHARACTERS = 500
# The engine puts "<script>:<line>: " before a message; the two lines that `Function` adds above a body are not the program's.
_MESSAGE = re.compile(r"(?P<script>[^\s:]*):(?P<line>\d+): (?:Uncaught )?(?P<text>.*)")
_LINES_ABOVE = 2


def _limit(name: int, value: int) -> None:
    resource.setrlimit(name, (value, value))


def _shut(memory_mb: int, seconds: float) -> None:
    """Give up, for good, what a program has no use for, should it ever break out of the engine."""
    if sys.platform == "linux":
        # Writable memory. The address space cannot be limited: the engine reserves a terabyte of it and uses little.
        status = Path("/proc/self/status").read_text(encoding="ascii")
        used = int(status.split("VmData:")[1].split()[0]) * 1024
        _limit(resource.RLIMIT_DATA, used + memory_mb * _MEGABYTE)
    _limit(resource.RLIMIT_CPU, math.ceil(seconds) + 1)  # ends it even if the parent is gone
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NPROC, 0)
    _limit(resource.RLIMIT_NOFILE, 0)


def _one_line(message: str) -> str:
    first = message.strip().split("\n", 1)[0]
    parts = _MESSAGE.match(first)
    if parts is None:
        return first[:_ERROR_CHARACTERS]
    where = f" (line {int(parts['line']) - _LINES_ABOVE})" if parts["script"] == "program" else ""
    return parts["text"][:_ERROR_CHARACTERS] + where


def main() -> None:
    """Run the program that standard input holds."""
    memory_mb, seconds, output_characters = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    _limit(resource.RLIMIT_CORE, 0)
    # Without a compiler to machine code there is no writable executable memory (and no WebAssembly).
    init_mini_racer(flags=["--single-threaded", "--jitless", f"--max-heap-size={memory_mb}"])
    engine = MiniRacer()
    harness = (Path(__file__).parent / "harness.js").read_text(encoding="utf-8")
    _shut(memory_mb, seconds)
    os.write(1, b"\n")
    source = sys.stdin.buffer.read().decode("utf-8")
    try:
        outcome = {"value": engine.eval(f"({harness.strip()})({json.dumps(source)}, {output_characters})")}
    except MiniRacerBaseException as error:
        outcome = {"error": _one_line(str(error))}
    with os.fdopen(1, "w", encoding="ascii", closefd=False) as out:
        out.write(json.dumps(outcome) + "\n")
    os._exit(0)  # the engine's own shutdown would wait for a program that left something running


if __name__ == "__main__":
    main()
