"""The sandbox: one fresh process with the V8 engine for every program."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from pathlib import Path

from providers.sandbox.base import SandboxLimits
from schemas.errors import SandboxError

_WORKER = str(Path(__file__).parent / "worker.py")
_START_SECONDS = 30.0  # starting takes 0.1 s; this is for a machine that is very busy
_AT_ONCE = 4
# The child writes ASCII JSON, where one character of the result takes up to six bytes (`\uXXXX`).
_BYTES_PER_CHARACTER = 6
_ENVELOPE_BYTES = 8_192


class V8Sandbox:
    """Runs each program in a process that has no environment, no files and no children, and kills it at the deadline.

    A process is used once: starting one costs 0.1 s and 67 MB, less than a pool of clean ones would at rest. At most four
    run at a time, the others wait; waiting does not count as the program's time. `ceiling` bounds every run's limits.
    """

    def __init__(self, ceiling: SandboxLimits) -> None:
        self._ceiling = ceiling
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._children: set[Process] = set()

    async def run(self, source_code: str, limits: SandboxLimits) -> str:
        """As the contract in `base.py` says. Cancelling kills the process."""
        seconds = min(limits.seconds, self._ceiling.seconds)
        memory_mb = min(limits.memory_mb, self._ceiling.memory_mb)
        characters = min(limits.output_characters, self._ceiling.output_characters)
        async with self._slots:
            child = await _start(memory_mb, seconds, characters)
            self._children.add(child)
            try:
                return await _result(child, source_code, seconds, memory_mb)
            finally:
                self._children.discard(child)
                await _end(child)

    async def close(self) -> None:
        """Kill what still runs; the calls that wait for it fail."""
        for child in self._children:
            _kill(child)


async def _start(memory_mb: int, seconds: float, characters: int) -> Process:
    arguments = ("-I", _WORKER, str(memory_mb), str(seconds), str(characters))
    try:
        return await asyncio.create_subprocess_exec(
            sys.executable, *arguments,
            stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env={}, cwd="/", start_new_session=True,
            limit=characters * _BYTES_PER_CHARACTER + _ENVELOPE_BYTES,
        )  # fmt: skip
    except OSError as error:
        raise SandboxError(f"the sandbox cannot start a process: {error}") from error


async def _result(child: Process, source_code: str, seconds: float, memory_mb: int) -> str:
    assert child.stdin and child.stdout
    try:
        if await asyncio.wait_for(child.stdout.readline(), _START_SECONDS) != b"\n":
            raise SandboxError("the sandbox's JavaScript engine does not start; is the package mini-racer installed?")
        child.stdin.write(source_code.encode("utf-8", "replace"))
        child.stdin.write_eof()
        line = await asyncio.wait_for(child.stdout.readline(), seconds)
    except asyncio.TimeoutError:
        raise SandboxError(f"the program took longer than {seconds:g} s and was stopped; use a faster method") from None
    except ValueError:  # a line longer than the stream's limit
        raise SandboxError("the program's result is too long; return less") from None
    if not line and await child.wait() == -signal.SIGKILL:
        raise SandboxError("the program was killed before it ended")
    if not line:
        raise SandboxError(f"the program used more than {memory_mb} MB of memory and was stopped; use less data")
    try:
        outcome = json.loads(line)
        if "error" in outcome:
            raise SandboxError(f"the program failed: {outcome['error']}")
        return str(outcome["value"])
    except (ValueError, TypeError, KeyError):
        raise SandboxError("the program ended without a usable result") from None


def _kill(child: Process) -> None:
    # Not `child.kill()`: that reaps a child which has just ended, and asyncio's own watcher then misses it.
    with suppress(ProcessLookupError):
        if child.returncode is None:
            os.killpg(child.pid, signal.SIGKILL)


async def _end(child: Process) -> None:
    _kill(child)
    assert child.stdin and child.stdout
    child.stdin.close()
    with suppress(ValueError):
        await child.stdout.read()  # unread output would keep the pipe open
    await child.wait()
