"""The Flow as services: what the container of each stage runs, which port it serves, whom it calls and what it is told.

A stage is one service, found by a DNS name behind which all of its containers are listed. Clients spread their calls over those
addresses, and because a stage ends its connections after a while, they ask for the addresses again and find containers that
came later.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import get_args

import yaml
from pydantic import SecretStr

from schemas.errors import ConfigurationError
from schemas.settings import Settings

CONNECTION_SECONDS = 10
"""Age, give or take a tenth, at which a stage ends a connection, after the calls on it. Whoever called asks DNS again at once, so
a new container gets its share of the calls about this long after it is listed there."""

CLOSING_SECONDS = 10
"""What a container needs to stop after its calls have finished."""

_MODEL = ("query_planner", "evaluator", "answer_finalizer")
_EMBEDDING = ("url_ranker", "page_reader")
_REMEMBERING = (*_MODEL, *_EMBEDDING, "jina_searcher")
SECRETS: dict[str, tuple[str, ...]] = {
    "openai_api_key": (*_MODEL, *_EMBEDDING),
    "jina_api_key": ("jina_searcher", *_EMBEDDING),
    "brave_api_key": ("jina_searcher",),
    "serper_api_key": ("jina_searcher",),
    "embedding_api_key": _EMBEDDING,
    "deepsearch_state_url": ("controller",),
    "deepsearch_cache_url": _REMEMBERING,
    "deepsearch_corpus_url": ("controller", "jina_searcher", "page_reader"),  # the first one refuses what may not be searched
    "deepsearch_api_keys": ("gateway",),
    "deepsearch_limits_url": ("gateway",),
    "deepsearch_api_key": (),
}
"""Which services are told a secret: those that use it. The last is a client's."""

_OF_THE_CONTAINER = re.compile(r"deepsearch_(host|stage_host|\w+_ports?|page_reader_replicas)|\w+_address")
"""Settings whose value is the container's own; those that are a path of the machine are left out by their type."""

_CHANNEL_OPTIONS = {
    "grpc.service_config": json.dumps({"loadBalancingConfig": [{"round_robin": {}}]}),
    # A container that is made anew has another address: it is found within seconds, not after gRPC's 30 and more.
    "grpc.dns_min_time_between_resolutions_ms": 1_000,
    "grpc.initial_reconnect_backoff_ms": 200,
    "grpc.max_reconnect_backoff_ms": 2_000,
}
"""How the gateway reaches the stages."""
_CONNECTION_AGE = {"grpc.max_connection_age_ms": CONNECTION_SECONDS * 1000}
_VARIABLE = re.compile(r"\$\{\{ *ENV\.(\w+) *\}\}")


@dataclass(frozen=True)
class Stage:
    """A stage as a service. `host` is its DNS name, in which no underscore may stand."""

    name: str
    host: str
    port: int
    command: list[str]
    secrets: list[str]
    volume: str
    addresses: dict[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Services:
    """All stages, in the order of the Flow, and the gateway. `settings` are told to every service."""

    stages: list[Stage]
    gateway_command: list[str]
    gateway_secrets: list[str]
    grpc_port: int
    http_port: int
    settings: list[str]


def services_of(flow_file: Path) -> Services:
    """The services of a Flow's YAML file. The environment of this process does not count.

    Raises `ConfigurationError` when the file is no Flow of local Executors that have a port each.
    """
    os.environ.setdefault("JINA_LOG_LEVEL", "WARNING")
    from gateway.flow_defaults import flow_variables  # noqa: PLC0415  (jina takes a second to import and logs while it does)

    variables = flow_variables(Settings.model_construct())
    try:
        flow = yaml.safe_load(_VARIABLE.sub(lambda found: variables[found[1]], flow_file.read_text()))
        ports = {executor["name"]: int(executor["port"]) for executor in flow["executors"]}
        uses = {executor["name"]: str(executor["uses"]) for executor in flow["executors"]}
        grpc_port, http_port = (int(port) for port in str(flow["gateway"]["port"]).split(","))
        gateway_uses = str(flow["gateway"]["uses"])
    except OSError as error:
        raise ConfigurationError(f"{flow_file} cannot be read: {error.strerror}.", field="flow") from error
    except (KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{flow_file} is not this project's Flow: {' '.join(str(error).split())}.", field="flow") from error
    hosts = {name: name.replace("_", "-") for name in ports}
    # The controller calls the other stages itself; everything else reaches it through the gateway.
    addresses = {f"{name.upper()}_ADDRESS": f"dns:///{hosts[name]}:{ports[name]}" for name in ports if name != "controller"}
    stages = [
        Stage(
            name=name,
            host=hosts[name],
            port=port,
            command=_stage_command(name, uses[name], port),
            secrets=_secrets(name),
            volume="journal" if name == "controller" else "cache",
            addresses=addresses if name == "controller" else {},
            calls=[other for other in ports if other != "controller"] if name == "controller" else [],
        )
        for name, port in ports.items()
    ]
    return Services(
        stages=stages,
        gateway_command=_gateway_command(gateway_uses, grpc_port, http_port, stages),
        gateway_secrets=_secrets("gateway"),
        grpc_port=grpc_port,
        http_port=http_port,
        settings=_passed_on(),
    )


def _stage_command(name: str, uses: str, port: int) -> list[str]:
    return [
        "jina", "executor", "--native", "--name", name, "--uses", uses, "--host", "0.0.0.0", "--port", str(port),  # noqa: S104
        "--grpc-server-options", json.dumps(_CONNECTION_AGE),
    ]  # fmt: skip


def _gateway_command(uses: str, grpc_port: int, http_port: int, stages: list[Stage]) -> list[str]:
    """jina's gateway outside a Flow: the chain of stages and where each of them is."""
    names = ["start-gateway", *(stage.name for stage in stages), "end-gateway"]
    graph = {name: [following] for name, following in pairwise(names)}
    addresses = {stage.name: [f"grpc://{stage.host}:{stage.port}"] for stage in stages}
    return [
        "jina", "gateway", "--uses", uses, "--protocol", "grpc", "http", "--host", "0.0.0.0",  # noqa: S104
        "--port", str(grpc_port), str(http_port), "--retries", "0", "--graph-description", json.dumps(graph),
        "--deployments-addresses", json.dumps(addresses), "--grpc-channel-options", json.dumps(_CHANNEL_OPTIONS),
    ]  # fmt: skip


def _secrets(service: str) -> list[str]:
    return [name.upper() for name, services in SECRETS.items() if service in services]


def _passed_on() -> list[str]:
    """The settings that every service is told: no secrets, and nothing that is the container's own."""
    return [
        name.upper()
        for name, field in Settings.model_fields.items()
        if not {SecretStr, Path} & {field.annotation, *get_args(field.annotation)} and not _OF_THE_CONTAINER.fullmatch(name)
    ]
