"""Small stages as processes, started as in a container."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import grpc
import noting_stages
from grpc_health.v1 import health_pb2, health_pb2_grpc

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


def start(stage: str, port: int, log: Path, **settings: str) -> subprocess.Popen[bytes]:
    """A process that serves `stage`; `listening` waits for it."""
    arguments = ["--uses", noting_stages.STAGES[stage].__name__, "--py-modules", "schemas.jina_runtime", "noting_stages"]
    arguments += ["--host", "127.0.0.1", "--port", str(port), "--uses-with", f"log:{log}", "--native"]
    command = [sys.executable, "-W", "ignore", "-c", "from jina_cli import main; main()", "executor", *arguments]
    paths = [os.environ.get("PYTHONPATH", ""), str(ROOT), str(HERE)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path), **settings}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def listening(port: int) -> None:
    """Wait until somebody does at `port`."""
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.max_reconnect_backoff_ms", 200)]) as channel:
        grpc.channel_ready_future(channel).result(timeout=30)


def serving(port: int) -> bool:
    """Whether the server at `port` says that it serves."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
