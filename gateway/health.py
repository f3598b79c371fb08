"""Whether the gateway runs and means to stay, and whether every stage behind it answers.

jina's own `/dry_run` reaches no stage: it says 200 with all of them dead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc
from fastapi import FastAPI
from grpc_health.v1 import health_pb2, health_pb2_grpc

from schemas.errors import StageUnavailable

TIMEOUT_SECONDS = 2.0
"""Longest one stage may take to say that it serves; a probe of Kubernetes or Compose waits a little longer."""


async def serving(address: str) -> bool:
    """Whether the gRPC server at `address` (host:port) reports SERVING within `TIMEOUT_SECONDS`."""
    async with grpc.aio.insecure_channel(address) as channel:
        try:
            answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def check(stages: Mapping[str, Sequence[str]]) -> dict[str, dict[str, bool]]:
    """Which replicas of each stage answer. `stages` has the addresses (host:port) of each stage's replicas.

    A stage is ready when one of its replicas is; raises `StageUnavailable`, naming the stages that are not.
    """
    names = [(stage, address) for stage, addresses in stages.items() for address in addresses]
    answers = dict(zip(names, await asyncio.gather(*(serving(address) for _, address in names)), strict=True))
    replicas = {stage: {address: answers[stage, address] for address in addresses} for stage, addresses in stages.items()}
    down = [f"{stage} at {', '.join(addresses)}" for stage, addresses in replicas.items() if not any(addresses.values())]
    if down:
        raise StageUnavailable(f"Not answering: {'; '.join(down)}.")
    return replicas


def install(app: FastAPI, stages: Mapping[str, Sequence[str]], leaving: Callable[[], bool] = lambda: False) -> None:
    """Add `/health/live` and `/health/ready` to `app`. A gateway that is `leaving` is live, but no longer ready."""

    @app.get("/health/live", tags=["Health"], summary="The gateway runs")
    async def live() -> dict[str, str]:
        return {"status": "live"}

    @app.get("/health/ready", tags=["Health"], summary="Every stage answers", responses={503: {"description": "A stage is down"}})
    async def ready() -> dict[str, Any]:
        if leaving():
            raise StageUnavailable("The gateway is stopping; ask another one.")
        return {"status": "ready", "stages": await check(stages)}
