"""`deepsearch compose`: the Flow as a file for Docker Compose, one service for each stage and one for the gateway.

jina's own export makes one service of every replica, which `--scale` cannot scale. Here a stage is one service, found by a DNS
name behind which Docker lists all of its containers. Clients spread their calls over those addresses, and because a stage ends
its connections after a while, they ask for the addresses again and find containers that came later.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import SecretStr

from deepsearch.serve import _flow_file as find_flow
from schemas.errors import ConfigurationError
from schemas.settings import Settings

CONNECTION_SECONDS = 10
"""Age at which a stage ends a connection, after the calls on it. The controller asks DNS again at most every 30 seconds, so a new
container gets its share of the calls after at most 40."""

_CLOSING_SECONDS = 10
"""What a container needs to stop after its calls have finished."""

_MODEL = ("query_planner", "evaluator", "answer_finalizer")
_EMBEDDING = ("url_ranker", "page_reader")
SECRETS: dict[str, tuple[str, ...]] = {
    "openai_api_key": (*_MODEL, *_EMBEDDING),
    "jina_api_key": ("jina_searcher", *_EMBEDDING),
    "brave_api_key": ("jina_searcher",),
    "serper_api_key": ("jina_searcher",),
    "embedding_api_key": _EMBEDDING,
    "deepsearch_api_keys": ("gateway",),
    "deepsearch_api_key": (),
}
"""Which services are told a secret: those that use it. The last is a client's."""

_OF_THE_CONTAINER = re.compile(r"deepsearch_(host|stage_host|\w+_ports?|page_reader_replicas|state_url|cache_url)|\w+_address")
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


def write_compose_file(output: Path, flow_file: Path | None = None) -> None:
    """Write `compose_file` of a Flow to `output`; without `flow_file`, of the one that `deepsearch serve` would take.

    Raises `ConfigurationError` when the Flow cannot be used or `output` cannot be written.
    """
    text = compose_file(find_flow(flow_file))
    try:
        output.write_text(text)
    except OSError as error:
        raise ConfigurationError(f"{output} cannot be written: {error.strerror}.", field="output") from error


def compose_file(flow_file: Path) -> str:
    """The text of docker-compose.yml for a Flow's YAML file. The environment of this process does not count.

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
            # The controller has one container, and its streams last for minutes.
            command=_stage_command(name, uses[name], port, {} if name == "controller" else _CONNECTION_AGE),
            secrets=_secrets(name),
            volume="journal" if name == "controller" else "cache",
            addresses=addresses if name == "controller" else {},
            calls=[other for other in ports if other != "controller"] if name == "controller" else [],
        )
        for name, port in ports.items()
    ]
    template = _templates().get_template("docker-compose.yml.j2")
    return template.render(
        stages=stages,
        settings=_passed_on(),
        gateway_command=_gateway_command(gateway_uses, grpc_port, http_port, stages),
        gateway_secrets=_secrets("gateway"),
        grpc_port=grpc_port,
        http_port=http_port,
        stop_seconds=round(Settings.model_construct().drain_seconds) + _CLOSING_SECONDS,
    )


def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701  (YAML; nothing in it comes from outside)
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["quoted"] = lambda text: "'" + text.replace("'", "''") + "'"
    return environment


def _stage_command(name: str, uses: str, port: int, server_options: dict[str, Any]) -> list[str]:
    command = ["jina", "executor", "--native", "--name", name, "--uses", uses, "--host", "0.0.0.0", "--port", str(port)]  # noqa: S104
    return [*command, "--grpc-server-options", json.dumps(server_options)] if server_options else command


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
