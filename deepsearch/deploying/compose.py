"""`deepsearch export compose`: the Flow as a file for Docker Compose, one service for each stage and one for the gateway.

jina's own export makes one service of every replica, which `--scale` cannot scale. Here a stage is one service, and Docker lists
all of its containers behind its name.
"""

from __future__ import annotations

from pathlib import Path

from deepsearch.deploying.services import CLOSING_SECONDS, services_of
from deepsearch.deploying.templates import templates
from deepsearch.serve import _flow_file as find_flow
from schemas.errors import ConfigurationError
from schemas.settings import Settings


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
    services = services_of(flow_file)
    template = templates(Path(__file__).parent).get_template("docker-compose.yml.j2")
    return template.render(
        stages=services.stages,
        settings=services.settings,
        gateway_command=services.gateway_command,
        gateway_secrets=services.gateway_secrets,
        grpc_port=services.grpc_port,
        http_port=services.http_port,
        stop_seconds=round(Settings.model_construct().drain_seconds) + CLOSING_SECONDS,
    )
