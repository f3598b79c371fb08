"""`deepsearch export kubernetes`: the Flow as a Kustomize base, one file of objects for each stage and one for the gateway.

jina's own export puts a ClusterIP Service before every stage, which pins a gRPC connection to one pod, and writes no limits, no
autoscaler, no secrets and no network policy. Here a stage is a headless Service: its name stands for the addresses of all ready
pods, clients spread their calls over them, and find new ones when the stage ends their connection.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deepsearch.deploying.services import CLOSING_SECONDS, Services, services_of
from deepsearch.deploying.templates import templates
from deepsearch.serve import _flow_file as find_flow
from schemas.errors import ConfigurationError
from schemas.settings import Settings

LEAVING_SECONDS = 10
"""LEAVING_SECONDS of every pod: the news that a pod is not ready is with everybody by then (CoreDNS keeps an answer for 5 s)."""
METRICS_OFFSET = 1_000
"""A stage serves its metrics on its port plus this (DEEPSEARCH_STAGE_METRICS)."""
READS_PER_POD = 6
"""Reads in flight per page reader that its autoscaler keeps to, of the 8 (READER_CONCURRENCY) that one works on at a time."""

PRIVATE_NETWORKS = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "168.63.129.16/32",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/127",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
)
"""What is not the public internet (IANA's special-purpose registries): private and shared addresses, link-local ones, on which
clouds serve metadata, and ways from IPv6 to them. 168.63.129.16 is Azure's own service on every machine."""


@dataclass(frozen=True)
class Sizing:
    """What one pod asks for and may use at most, memory in Mi and processor in thousandths, and most pods of its autoscaler.

    Measured after hundreds of questions (docs/kubernetes.md), the limit with room for large pages and documents.
    """

    memory: int = 256
    memory_limit: int = 768
    cpu: int = 100
    pods: int = 6


_SIZING = {
    "gateway": Sizing(cpu=250),
    "controller": Sizing(cpu=250, memory_limit=1024),
    "page_reader": Sizing(memory=384, memory_limit=1536, cpu=500, pods=24),
}
_OTHERS = Sizing()


@dataclass(frozen=True)
class Workload:
    """The pods of one stage, or of the gateway.

    `stage` is the name in the Flow, `name` the DNS name; `callers` are the names of those that may call it, nobody named: everybody.
    `calls` has the name and port of each whom it calls itself.
    """

    stage: str
    name: str
    command: list[str]
    ports: dict[str, int]
    secrets: list[str]
    addresses: dict[str, str]
    callers: list[str]
    calls: dict[str, int]
    sizing: Sizing

    @property
    def is_gateway(self) -> bool:
        """Whether it is the door and no stage."""
        return self.stage == "gateway"

    @property
    def is_autoscaled(self) -> bool:
        """Whether the number of its pods follows from their work. Several controllers need a journal that they share, several gateways
        a Redis for their callers' limits: an overlay decides about both."""
        return self.stage not in ("gateway", "controller")

    @property
    def in_flight(self) -> int:
        """Calls per pod that the autoscaler keeps to; 0 where the processor tells enough."""
        return READS_PER_POD if self.stage == "page_reader" else 0

    @property
    def leaves(self) -> bool:
        """Whether it talks to the outside: those do who are told the key of a provider."""
        return any(name.endswith("_API_KEY") for name in self.secrets)


def write_kubernetes_files(output: Path, flow_file: Path | None = None) -> None:
    """Write `kubernetes_files` of a Flow into `output`/base; without `flow_file`, of the one that `deepsearch serve` would take.

    Raises `ConfigurationError` when the Flow cannot be used or the files cannot be written.
    """
    files = kubernetes_files(find_flow(flow_file))
    base = output / "base"
    try:
        base.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (base / name).write_text(text)
    except OSError as error:
        raise ConfigurationError(f"{base} cannot be written: {error.strerror}.", field="output") from error


def kubernetes_files(flow_file: Path) -> dict[str, str]:
    """The files of the base by name. The environment of this process does not count.

    Raises `ConfigurationError` when the file is no Flow of local Executors that have a port each.
    """
    workloads = _workloads(services_of(flow_file))
    environment = templates(Path(__file__).parent / "kubernetes_templates")
    environment.globals.update(
        leaving_seconds=LEAVING_SECONDS,
        drain_seconds=round(Settings.model_construct().drain_seconds),
        closing_seconds=CLOSING_SECONDS,
        private_networks=PRIVATE_NETWORKS,
    )
    workload = environment.get_template("workload.yaml.j2")
    files = {f"{one.name}.yaml": workload.render(one=one) for one in workloads}
    files["network.yaml"] = environment.get_template("network.yaml.j2").render(leaving=[one.name for one in workloads if one.leaves])
    files["kustomization.yaml"] = environment.get_template("kustomization.yaml.j2").render(files=list(files))
    return files


def _workloads(services: Services) -> list[Workload]:
    """The gateway, and every stage in the order of the Flow."""
    ports = {stage.host: stage.port for stage in services.stages}
    hosts = {stage.name: stage.host for stage in services.stages}
    callers = {stage.host: ["gateway"] for stage in services.stages}
    for stage in services.stages:
        for called in stage.calls:
            callers[hosts[called]].insert(0, stage.host)
    gateway = Workload(
        stage="gateway",
        name="gateway",
        command=services.gateway_command,
        ports={"http": services.http_port, "grpc": services.grpc_port},
        secrets=services.gateway_secrets,
        addresses={},
        callers=[],
        calls=ports,
        sizing=_SIZING["gateway"],
    )
    return [
        gateway,
        *(
            Workload(
                stage=stage.name,
                name=stage.host,
                command=stage.command,
                ports={"grpc": stage.port, "metrics": stage.port + METRICS_OFFSET},
                secrets=stage.secrets,
                addresses=stage.addresses,
                callers=callers[stage.host],
                calls={hosts[called]: ports[hosts[called]] for called in stage.calls},
                sizing=_SIZING.get(stage.name, _OTHERS),
            )
            for stage in services.stages
        ),
    ]
