"""For every test: no network but this machine's, no settings but the test's own, and a scripted server on demand."""

from __future__ import annotations

import inspect
import ipaddress
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, settings

# jina changes the event loop of the whole process when it first makes a client; every test runs on the same one instead.
os.environ["JINA_DISABLE_UVLOOP"] = "1"
sys.path.insert(0, str(Path(__file__).parent.parent))

from schemas.settings import Settings, get_settings
from tests.scripted import ScriptedServer

pytest_plugins = ["tests.engine", "tests.servers"]

# A busy machine is no failure: an example may take its time, and so may an answer over the loopback interface (httpx gives it 5 s).
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")
_patience = inspect.signature(httpx.get).parameters["timeout"].default
_patience.connect = _patience.read = _patience.write = _patience.pool = 60.0

_LOCAL_NAMES = {"", "localhost", "ip6-localhost", socket.gethostname().lower()}


class NetworkForbidden(RuntimeError):
    """A test tried to leave this machine. No `OSError`, so that no code takes it for a network that is down."""


def _is_local(host: Any) -> bool:
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return name.lower() in _LOCAL_NAMES
    return address.is_loopback or address.is_unspecified


@pytest.fixture(autouse=True)
def _only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connecting a socket or resolving a name beyond this machine raises `NetworkForbidden`."""
    connect, connect_ex, sendto, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.socket.sendto, socket.getaddrinfo

    def guard(self: socket.socket, address: Any) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6} and not _is_local(address[0]):
            raise NetworkForbidden(f"connection to {address!r}")

    def guarded_connect(self: socket.socket, address: Any) -> None:
        guard(self, address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        guard(self, address)
        return connect_ex(self, address)

    def guarded_sendto(self: socket.socket, data: Any, *arguments: Any) -> int:
        guard(self, arguments[-1])
        return sendto(self, data, *arguments)

    def guarded_getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        if not _is_local(host):
            raise NetworkForbidden(f"name resolution of {host!r}")
        return getaddrinfo(host, *arguments, **options)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
    monkeypatch.setattr(socket.socket, "sendto", guarded_sendto)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_getaddrinfo)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No setting, proxy or `.env` file of the machine reaches a test; whatever is written goes to `tmp_path`."""
    for name in list(os.environ):
        if name.lower() in Settings.model_fields or name.upper().startswith("OPENAI_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DEEPSEARCH_HOME", str(tmp_path / "deepsearch"))
    monkeypatch.setenv("USE_DUCKDUCKGO", "false")
    monkeypatch.setitem(Settings.model_config, "env_file", None)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.fixture
def make_settings(tmp_path: Path) -> Callable[..., Settings]:
    """`make_settings(llm_model="m", ...)`: settings with these values and every other default."""

    def make(**values: Any) -> Settings:
        return Settings(_env_file=None, **{"deepsearch_home": tmp_path / "deepsearch", **values})

    return make


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    """The scripted model, search and reader, on a port of its own."""
    with ScriptedServer() as server:
        yield server
