"""The health check of a container, against real gRPC servers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from deepsearch.probing import serving
from tests.gateway.flow_process import free_ports


@contextmanager
def server(status: int | None) -> Iterator[str]:
    """The address of a gRPC server that reports `status`, or knows nothing of health."""
    with ThreadPoolExecutor(2) as pool:
        running = grpc.server(pool)
        if status is not None:
            servicer = health.HealthServicer()
            servicer.set("", status)
            health_pb2_grpc.add_HealthServicer_to_server(servicer, running)
        port = running.add_insecure_port("127.0.0.1:0")
        running.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            running.stop(None).wait()


@pytest.mark.parametrize(
    ("status", "expected"),
    [(health_pb2.HealthCheckResponse.SERVING, True), (health_pb2.HealthCheckResponse.NOT_SERVING, False), (None, False)],
)
def test_serving(status: int | None, expected: bool) -> None:
    with server(status) as address:
        assert serving(address) is expected


def test_as_a_command() -> None:
    command = [sys.executable, "-m", "deepsearch.probing"]
    with server(health_pb2.HealthCheckResponse.SERVING) as address:
        assert subprocess.run([*command, address], check=False, timeout=20).returncode == 0
    done = subprocess.run([*command, f"127.0.0.1:{free_ports(1)[0]}"], check=False, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
