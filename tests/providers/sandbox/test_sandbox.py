"""What a program can do in the sandbox, what it cannot, and that nothing of it remains."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from providers.sandbox import Sandbox, SandboxLimits, create_sandbox
from schemas.errors import SandboxError
from schemas.settings import Settings

LIMITS = SandboxLimits(seconds=5.0, memory_mb=64, output_characters=1_000)
SHORT = SandboxLimits(seconds=0.2, memory_mb=64, output_characters=1_000)


def children() -> list[int]:
    """Process ids of this process's children that still exist, ended ones that nobody waited for included."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:  # it ended while we looked
            continue
        if int(fields[1]) == os.getpid():
            found.append(int(status.parent.name))
    return found


def proc(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text()


def open_files(pid: int) -> list[str]:
    return [str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    sandbox = create_sandbox(Settings(_env_file=None))
    before = children()
    yield sandbox
    await sandbox.close()
    assert children() == before


VALUES = [
    ("return 6 * 7", "42"),
    ("return 'text as it is'", "text as it is"),
    ("return {a: [1, 'é', null, true]}", '{"a":[1,"é",null,true]}'),
    ("return null", "null"),
    ("return new Proxy({a: 1}, {})", '{"a":1}'),
    ("return [1, 2, 3].reduce((sum, n) => sum + n, 0) // the last line is a comment", "6"),
    ("console.log('ignored'); return new Date(Date.UTC(2024, 1, 29)).toISOString()", "2024-02-29T00:00:00.000Z"),
    ("return String(2n ** 70n)", "1180591620717411303424"),
    ("return '\\ud800 alone'", "\ufffd alone"),
]


async def test_values(sandbox: Sandbox) -> None:
    values = await asyncio.gather(*(sandbox.run(source, LIMITS) for source, _ in VALUES))
    assert values == [value for _, value in VALUES]


FAILURES = [
    ("let x = 1", "the program returned nothing; end it with `return <value>`"),
    ("\n\nthrow new Error('boom')", "the program failed: Error: boom (line 3)"),
    ("return a.b", "ReferenceError: a is not defined (line 1)"),
    ("let x = ;", "SyntaxError: Unexpected token ';' (line 1)"),
    ("return 1 }; globalThis.escaped = (function () {", "SyntaxError"),
    ("await 1; return 2", "SyntaxError: await is only valid"),
    ("let a = {}; a.a = a; return a", "TypeError: Converting circular structure to JSON"),
    ("return 10n", "returned a BigInt; return String(value)"),
    ("return {a: 10n}", "TypeError: Do not know how to serialize a BigInt"),
    ("return () => 1", "a value of type function"),
    ("return Symbol('x')", "a value of type symbol"),
    ("return 0 / 0", "returned NaN"),
    ("return Promise.resolve(1)", "returned a promise; only synchronous code can run"),
    ("throw null", "the program failed: null"),
    ("throw new Proxy({}, {get() { throw 1 }})", "the program failed: "),
    ("return new Proxy({}, {ownKeys() { throw new Error('trap') }})", "Error: trap"),
    ("const f = () => f() + 1; return f()", "RangeError: Maximum call stack size exceeded"),
    ("let o = []; for (let i = 0; i < 1e5; i++) o = [o]; return o", "the program failed: "),
    ("return 'x'.repeat(1001)", "the result has 1001 characters, more than the 1000 allowed"),
    ("throw 'x'.repeat(1e6)", "x" * 500),
]


async def failure(sandbox: Sandbox, source: str, limits: SandboxLimits) -> str:
    with pytest.raises(SandboxError) as caught:
        await sandbox.run(source, limits)
    return str(caught.value)


async def test_failures_in_one_line(sandbox: Sandbox) -> None:
    messages = await asyncio.gather(*(failure(sandbox, source, LIMITS) for source, _ in FAILURES))
    for (source, expected), message in zip(FAILURES, messages, strict=True):
        assert expected in message, source
        assert "\n" not in message
        assert len(message) < 600


async def test_a_program_that_replaces_the_built_ins_changes_only_its_own_value(sandbox: Sandbox) -> None:
    source = """
        JSON.stringify = () => 'forged'; Array.prototype.toJSON = () => 'own'; Object.prototype.toString = () => { throw 1 };
        Function.prototype.call = Function.prototype.apply = Reflect.apply = Number.isFinite = null;
        String.prototype.toWellFormed = () => 'x'.repeat(1e6); Promise[Symbol.hasInstance] = null;
        globalThis.undefined = 1;
        return [1]"""
    assert await sandbox.run(source, LIMITS) == '"own"'


async def test_nothing_is_reachable_but_the_standard_library(sandbox: Sandbox) -> None:
    names = ["require", "process", "module", "fetch", "XMLHttpRequest", "WebSocket", "Worker", "Deno", "Bun", "os", "std", "print", "load",
             "read", "quit", "setTimeout", "clearTimeout", "setInterval", "setImmediate", "queueMicrotask", "WebAssembly",
             "__timer_manager", "__TimerManager", "harness"]  # fmt: skip
    source = (
        f"return {json.dumps(names)}.filter(name => {{ try {{ return eval('typeof ' + name) !== 'undefined' }} catch {{ return true }} }})"
    )
    assert await sandbox.run(source, LIMITS) == "[]"


async def test_no_module_loads(sandbox: Sandbox) -> None:
    sources = ["return import('fs')", "import fs from 'fs'; return 1", "return import.meta", "return require('fs')"]
    await asyncio.gather(*(failure(sandbox, source, LIMITS) for source in sources))


async def test_runs_share_nothing(sandbox: Sandbox) -> None:
    await sandbox.run("globalThis.left = 1; Math.max = () => 0; return 1", LIMITS)
    assert await sandbox.run("return [typeof left, Math.max(1, 2)]", LIMITS) == '["undefined",2]'


ENDLESS = [
    "while (true);",
    "return /^(a+)+$/.test('a'.repeat(40) + 'b')",
    "const again = () => Promise.resolve().then(again); again(); while (true);",
    "return {toJSON() { while (true); }}",
    "throw {toString() { while (true); }}",
    "Error.prepareStackTrace = () => { while (true); }; throw new Error('x')",
    "return Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)",
]


async def test_time_is_limited(sandbox: Sandbox) -> None:
    started = time.monotonic()
    messages = await asyncio.gather(*(failure(sandbox, source, SHORT) for source in ENDLESS))
    assert set(messages) == {"the program took longer than 0.2 s and was stopped; use a faster method"}
    assert time.monotonic() - started < 30


GREEDY = [
    "let a = []; while (true) a.push(a.length)",
    "let a = []; while (true) a.push('xy'.repeat(1e6) + a.length)",
    "let s = 'x'.repeat(5e8); return [s, s]",
    "let a = []; while (true) a.push(new Uint8Array(1e6).fill(1))",
    "let a = []; while (true) a.push(new Uint8Array(new SharedArrayBuffer(1e6)).fill(1))",
    "let b = 2n; while (true) b = b * b",
    "return Array.from({length: 1e9}, () => 0)",
    "return 'é'.repeat(1e8).split('')",
]


async def test_memory_is_limited(sandbox: Sandbox) -> None:
    limits = SandboxLimits(seconds=20.0, memory_mb=32)
    messages = await asyncio.gather(*(failure(sandbox, source, limits) for source in GREEDY))
    for source, message in zip(GREEDY, messages, strict=True):
        assert re.search(r"used more than 32 MB|allocation failed|Invalid (array|string) length|Maximum BigInt size", message), (
            source,
            message,
        )


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_resident_memory_stays_near_the_limit(sandbox: Sandbox) -> None:
    before = children()
    run = asyncio.create_task(
        sandbox.run(
            "let a = []; try { while (true) a.push(new Uint8Array(1e6).fill(1)) } catch { while (true); }",
            SandboxLimits(seconds=3.0, memory_mb=64),
        )
    )
    peak = 0
    while not run.done():
        for pid in set(children()) - set(before):
            # A process that is about to end has no memory to tell of any more, and one that has ended tells nothing.
            with suppress(FileNotFoundError, ProcessLookupError):
                if "VmHWM:" in (status := proc(pid, "status")):
                    peak = max(peak, int(status.partition("VmHWM:")[2].split()[0]))
        await asyncio.wait({run}, timeout=0.05)
    assert isinstance(run.exception(), SandboxError)
    assert 90 * 1024 < peak < (64 + 90) * 1024  # the engine and its interpreter take about 67 MB


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_the_process_has_no_environment_no_files_and_no_rights_to_get_any(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JINA_API_KEY", "secret")
    before = children()
    run = asyncio.create_task(sandbox.run("while (true);", SandboxLimits(seconds=20)))
    pid = None
    limits = ""
    while "Max open files            0" not in limits:
        await asyncio.wait({run}, timeout=0.01)
        assert not run.done()
        for pid in set(children()) - set(before):
            limits = proc(pid, "limits")
    assert pid is not None
    environment = proc(pid, "environ")
    assert "secret" not in environment
    assert set(environment.split("\0")) <= {"", "LC_CTYPE=C.UTF-8"}
    assert not [file for file in open_files(pid) if file.startswith("/") and file != "/dev/null"]
    assert os.getsid(pid) == pid
    lines = {line[:26].strip(): line[26:].split()[:2] for line in limits.splitlines()}
    assert {name: lines[name] for name in ("Max core file size", "Max file size", "Max processes", "Max cpu time")} == {
        "Max core file size": ["0", "0"], "Max file size": ["0", "0"], "Max processes": ["0", "0"], "Max cpu time": ["6", "6"],
    }  # fmt: skip
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert children() == before


async def test_cancelling_kills_the_process(sandbox: Sandbox) -> None:
    before = children()
    run = asyncio.create_task(sandbox.run("while (true);", SandboxLimits(seconds=30)))
    while children() == before:
        await asyncio.wait({run}, timeout=0.01)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert children() == before


async def test_closing_ends_what_runs() -> None:
    sandbox = create_sandbox(Settings(_env_file=None))
    before = children()
    run = asyncio.create_task(sandbox.run("while (true);", SandboxLimits(seconds=30)))
    while children() == before:
        await asyncio.wait({run}, timeout=0.01)
    await sandbox.close()
    with pytest.raises(SandboxError):
        await run
    assert children() == before


async def test_settings_are_the_ceiling() -> None:
    sandbox = create_sandbox(Settings(_env_file=None, sandbox_seconds=0.2))
    with pytest.raises(SandboxError, match=r"longer than 0\.2 s"):
        await sandbox.run("while (true);", SandboxLimits(seconds=50))
    await sandbox.close()


async def test_many_at_once(sandbox: Sandbox) -> None:
    values = await asyncio.gather(*(sandbox.run(f"return {n}", LIMITS) for n in range(8)))
    assert values == [str(n) for n in range(8)]
