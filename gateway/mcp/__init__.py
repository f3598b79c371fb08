"""The tools of DeepSearch for other agents, over the Model Context Protocol (MCP).

`tools` says what a client can call, `runs` begins and follows research, `results` is what comes back, `server` speaks the
protocol, `http` carries it at `/mcp`. Over stdin and stdout the same server is run by `deepsearch mcp`.
"""

from __future__ import annotations

from fastapi import FastAPI
from starlette.routing import Route

from gateway.calls import StageCalls
from gateway.mcp.http import Endpoint, Origins
from gateway.mcp.in_flight import InFlight
from gateway.mcp.server import create_server
from schemas.settings import get_settings


def install(app: FastAPI, stages: StageCalls) -> None:
    """Add `/mcp` to `app`."""
    in_flight = InFlight()
    endpoint = Endpoint(create_server(stages, in_flight), in_flight, Origins(get_settings()))
    app.router.routes.append(Route("/mcp", endpoint=endpoint, include_in_schema=False))
