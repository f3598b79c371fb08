"""What a cluster does with Deployments and Services, on a Docker network: exactly the containers that the objects describe.

A pod is a container with the command, environment, user, file systems, limits and ports of its object; the names of Services are
DNS names of the network, found by the search domains of a pod; probes are made as they are specified. What Docker lacks: a name
stands for pods that are not ready too, and nothing enforces NetworkPolicies.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.containers.project import KEY, ROOT, docker, wait_until
from tests.kubernetes.manifests import Object, container_of, labels_of, of_kind, selects


@dataclass
class Pod:
    """A container that runs, or ran, and its ports on this machine by their number in the container."""

    id: str
    name: str
    deployment: str
    address: str
    ports: dict[int, int]
    started: float
    ready_after: float = 0.0
    """Seconds from its start until its readiness probe was seen to pass."""


class Cluster:
    """The pods of one namespace. `secrets` are the data of deepsearch-secrets."""

    def __init__(self, name: str, objects: Iterable[Object], secrets: Mapping[str, str]) -> None:
        objects = list(objects)
        self.name = name
        self.namespace = next(iter(of_kind(objects, "Namespace")))
        self.deployments = of_kind(objects, "Deployment")
        self._services = of_kind(objects, "Service")
        self._settings = of_kind(objects, "ConfigMap")
        self._claims = of_kind(objects, "PersistentVolumeClaim")
        self._secrets = {"deepsearch-secrets": dict(secrets)}
        self._made = 0
        self.pods: list[Pod] = []

    def __enter__(self) -> Cluster:
        docker("network", "create", self.name)
        for claim in self._claims:
            docker("volume", "create", f"{self.name}-{claim}")
        return self

    def __exit__(self, *_: object) -> None:
        containers = docker("ps", "--all", "--quiet", "--filter", f"network={self.name}").split()
        if containers:
            docker("rm", "--force", "--volumes", *containers)
        docker("network", "rm", self.name)
        for claim in self._claims:
            docker("volume", "rm", "--force", f"{self.name}-{claim}")

    def beside(self, name: str, *arguments: str) -> None:
        """Start a container that is no pod, by its name for the pods, with these arguments of `docker run`."""
        docker("run", "--detach", "--name", f"{self.name}-{name}", "--network", self.name, f"--network-alias={name}", *arguments)

    def upstream(self, image: str) -> None:
        """Start what stands for the model, the search and the web."""
        tests = ("--volume", f"{ROOT / 'tests'}:/upstream/tests:ro", "--env=PYTHONPATH=/app:/upstream", "--no-healthcheck", "--init")
        self.beside("upstream", "--publish=127.0.0.1::9000", *tests, image, "python", "-m", "tests.containers.upstream")

    def pages(self) -> Counter[str]:
        """How many pages each address has read so far."""
        port = docker("port", f"{self.name}-upstream", "9000").strip().rpartition(":")[2]
        return Counter(httpx.get(f"http://127.0.0.1:{port}/pages", timeout=5).json())

    def apply(self) -> None:
        """Start one pod, or as many as it says, of every Deployment at the same time, and wait until all are ready."""
        started = [self._start(name) for name, one in self.deployments.items() for _ in range(one["spec"].get("replicas", 1))]
        for pod in started:
            self._wait(pod)

    def add(self, deployment: str, count: int = 1) -> list[Pod]:
        """Start more pods of a Deployment and wait until they are ready."""
        started = [self._start(deployment) for _ in range(count)]
        for pod in started:
            self._wait(pod)
        return started

    def of(self, deployment: str) -> list[Pod]:
        """The pods of a Deployment that were not taken away."""
        return [pod for pod in self.pods if pod.deployment == deployment]

    def delete(self, pod: Pod) -> int:
        """Have a pod stop in its time and return its exit code, which is 137 when the time was not enough."""
        grace = self.deployments[pod.deployment]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        self.pods.remove(pod)
        docker("stop", "--time", str(grace), pod.id, timeout=grace + 60)
        return int(docker("inspect", "--format", "{{.State.ExitCode}}", pod.id))

    def kill(self, pod: Pod) -> None:
        """Kill a pod's container: its node is gone."""
        self.pods.remove(pod)
        docker("kill", "--signal", "KILL", pod.id)

    def roll(self, deployment: str) -> list[int]:
        """Renew the pods of a Deployment as its strategy says, and return the exit codes of the old ones."""
        assert self.deployments[deployment]["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
        codes = []
        for old in self.of(deployment):
            self.add(deployment)
            codes.append(self.delete(old))
        return codes

    def passes(self, pod: Pod, kind: str) -> bool:
        """Whether the startup, readiness or liveness probe of a pod passes now."""
        container = container_of(self.deployments[pod.deployment])
        probe, named = container[f"{kind}Probe"], {one["name"]: one["containerPort"] for one in container["ports"]}
        if "httpGet" in probe:
            port = pod.ports[named[probe["httpGet"]["port"]]]
            try:
                status = httpx.get(f"http://127.0.0.1:{port}{probe['httpGet']['path']}", timeout=probe["timeoutSeconds"]).status_code
            except httpx.TransportError:
                return False
            return 200 <= status < 400
        with grpc.insecure_channel(f"127.0.0.1:{pod.ports[probe['grpc']['port']]}") as channel:
            request = health_pb2.HealthCheckRequest(service=probe["grpc"].get("service", ""))
            try:
                answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=probe["timeoutSeconds"])
            except grpc.RpcError:
                return False
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def memory(self, pod: Pod) -> int:
        """What its limit counts, in bytes: what the processes have and the files that the kernel keeps for them."""
        files = ("/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes")
        return int(docker("exec", pod.id, "sh", "-c", f"cat {files[0]} 2> /tmp/none || cat {files[1]}"))

    def logs(self) -> str:
        """The last lines of every pod."""
        return "\n".join(f"{pod.name}: {docker('logs', '--tail', '15', pod.id)}" for pod in self.pods)

    def _start(self, deployment: str) -> Pod:
        self._made += 1
        name = f"{self.name}-{deployment}-{self._made}"
        options, command = self._arguments(self.deployments[deployment])
        started = time.monotonic()
        created = docker("run", "--detach", "--name", name, "--hostname", name, "--network", self.name, *options, *command).strip()
        described = json.loads(docker("inspect", created))[0]["NetworkSettings"]
        ports = {int(port.split("/")[0]): int(bound[0]["HostPort"]) for port, bound in described["Ports"].items() if bound}
        pod = Pod(created, name, deployment, described["Networks"][self.name]["IPAddress"], ports, started)
        self.pods.append(pod)
        return pod

    def _wait(self, pod: Pod) -> None:
        startup = container_of(self.deployments[pod.deployment])["startupProbe"]
        wait_until(lambda: self.passes(pod, "startup"), startup["periodSeconds"] * startup["failureThreshold"], self.logs)
        wait_until(lambda: self.passes(pod, "readiness"), 120, self.logs)
        assert self.passes(pod, "liveness")
        pod.ready_after = time.monotonic() - pod.started

    def _arguments(self, deployment: Object) -> tuple[list[str], list[str]]:
        """The options of `docker run`, and the image with its command."""
        spec, container = deployment["spec"]["template"]["spec"], container_of(deployment)
        search = [f"{self.namespace}.svc.cluster.local", "svc.cluster.local", "cluster.local"]
        options = [f"--dns-search={domain}" for domain in search] + ["--dns-option=ndots:5"]
        for name, service in self._services.items():
            if selects({"matchLabels": service["spec"]["selector"]}, labels_of(deployment)):
                options.append(f"--network-alias={name}.{search[0]}")
        security, confined = spec["securityContext"], container["securityContext"]
        options += [f"--user={security['runAsUser']}:{security['runAsGroup']}", f"--group-add={security['fsGroup']}"]
        options += [f"--cap-drop={capability}" for capability in confined["capabilities"]["drop"]]
        options += ["--read-only"] * confined["readOnlyRootFilesystem"]
        options += ["--security-opt=no-new-privileges:true"] * (not confined["allowPrivilegeEscalation"])
        limit = _bytes(container["resources"]["limits"]["memory"])
        options += [f"--memory={limit}", f"--memory-swap={limit}", "--restart=no", "--no-healthcheck"]
        options += [f"--env={name}={value}" for name, value in self._environment(container).items()]
        options += [f"--publish=127.0.0.1::{port['containerPort']}" for port in container["ports"]]
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        for mount in container["volumeMounts"]:
            options.append(self._volume(volumes[mount["name"]], mount["mountPath"]))
        program, *arguments = container["command"]
        return [*options, f"--entrypoint={program}"], [container["image"], *arguments, *container.get("args", [])]

    def _volume(self, volume: Object, path: str) -> str:
        if "persistentVolumeClaim" in volume:
            return f"--volume={self.name}-{volume['persistentVolumeClaim']['claimName']}:{path}"
        return f"--tmpfs={path}:mode=1777,exec,size={_bytes(volume['emptyDir']['sizeLimit'])}"

    def _environment(self, container: Object) -> dict[str, str]:
        environment: dict[str, str] = {}
        for source in container["envFrom"]:
            environment |= self._settings[source["configMapRef"]["name"]]["data"]
        for variable in container.get("env", []):
            if "value" in variable:
                environment[variable["name"]] = variable["value"]
                continue
            reference = variable["valueFrom"]["secretKeyRef"]
            value = self._secrets[reference["name"]].get(reference["key"])
            assert value is not None or reference["optional"], f"{reference['key']} is missing: the pod would not start"
            if value is not None:
                environment[variable["name"]] = value
        return environment


UPSTREAM = "http://upstream:9000"
SETTINGS: dict[str, Any] = {
    "OPENAI_BASE_URL": f"{UPSTREAM}/v1",
    "LLM_MODEL": "scripted",
    "JINA_SEARCH_URL": f"{UPSTREAM}/search/",
    "JINA_READER_URL": f"{UPSTREAM}/reader/",
    "EMBEDDING_PROVIDER": "none",
    "RERANK_PROVIDER": "none",
    "USE_DUCKDUCKGO": "false",
    "SEARCH_PER_MINUTE": "1000000",
    "DEEPSEARCH_KEY_REQUESTS_PER_MINUTE": "1000000",
}
"""What leads to the scripted upstreams."""
SECRETS = {"DEEPSEARCH_API_KEYS": KEY, "OPENAI_API_KEY": "model-secret", "JINA_API_KEY": "search-secret"}


def _bytes(quantity: str) -> int:
    """A quantity of Kubernetes in bytes."""
    units = {"Ki": 1024, "Mi": 1024**2, "Gi": 1024**3}
    return int(quantity[:-2]) * units[quantity[-2:]]
