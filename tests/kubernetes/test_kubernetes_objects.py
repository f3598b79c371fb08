"""The objects that are built from k8s/: valid for Kubernetes, confined, checked, scaled, and connected to nobody but who has to be."""

from __future__ import annotations

import json
import re
import shutil
from functools import cache
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from deepsearch.deploying.services import CLOSING_SECONDS, SECRETS, services_of
from executors.controller.stages import STAGE_OF_ENDPOINT
from schemas.settings import Settings
from tests.kubernetes.custom_schemas import CUSTOM_SCHEMAS
from tests.kubernetes.manifests import (
    COMPONENTS,
    K8S,
    NAMESPACES,
    ROOT,
    Network,
    Object,
    built,
    container_of,
    labels_of,
    of_kind,
    overlaid,
    selects,
)

OVERLAYS = ("development", "production")
RELEASES = ("1.27", "1.29", "1.33", "1.37")
"""From the first with gRPC probes for everybody to the newest whose schemas are installed."""
STAGES = {name.replace("_", "-") for name in STAGE_OF_ENDPOINT.values()}
PODS = {"gateway", "controller", *STAGES}


@cache
def overlay(name: str) -> list[Object]:
    return built(K8S / "overlays" / name)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> list[Object]:
    """Production with all components."""
    return overlaid(tmp_path_factory.mktemp("overlay"), "production", COMPONENTS)


def validated(objects: list[Object], release: str) -> set[str]:
    """The kinds of custom resources among objects that are otherwise valid, unknown fields included."""
    custom = set()
    for one in objects:
        if one["kind"] in CUSTOM_SCHEMAS:
            jsonschema.validate(one, CUSTOM_SCHEMAS[one["kind"]], format_checker=jsonschema.FormatChecker())
            custom.add(one["kind"])
        else:
            kubernetes_validate.validate(one, release, strict=True)
    return custom


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("name", OVERLAYS)
def test_overlays_are_valid(name: str, release: str) -> None:
    assert validated(overlay(name), release) == set()


@pytest.mark.parametrize("release", RELEASES)
def test_the_base_is_valid(release: str) -> None:
    assert validated(built(K8S / "base"), release) == set()


@pytest.mark.parametrize("release", RELEASES)
def test_components_are_valid(everything: list[Object], release: str) -> None:
    assert validated(everything, release) == {"ScaledObject", "PodMonitor", "ServiceMonitor"}


@pytest.mark.parametrize("name", OVERLAYS)
@pytest.mark.parametrize("component", COMPONENTS)
def test_each_component_goes_with_each_overlay(tmp_path: Path, name: str, component: str) -> None:
    objects = overlaid(tmp_path, name, [component])
    assert set(of_kind(objects, "Deployment")) == PODS
    assert {one["metadata"].get("namespace") for one in objects if one["kind"] != "Namespace"} == {NAMESPACES[name]}
    assert set(of_kind(objects, "Namespace")) == {NAMESPACES[name]}


def test_the_overlay_of_the_documentation(tmp_path: Path) -> None:
    """What docs/kubernetes.md tells everybody to write works."""
    (text,) = re.findall(r"```yaml\n# my-cluster/kustomization\.yaml\n(.*?)```", (ROOT / "docs/kubernetes.md").read_text(), re.DOTALL)
    copied = shutil.copytree(K8S, tmp_path / "copy" / "k8s")
    own = copied.parent / "my-cluster"
    own.mkdir()
    (own / "kustomization.yaml").write_text(text)
    objects = built(own)
    assert validated(objects, RELEASES[-1]) == {"PodMonitor", "ServiceMonitor"}
    assert {container_of(one)["image"] for one in of_kind(objects, "Deployment").values()} == {"registry.mine.org/deepsearch:1.2.3"}
    assert next(iter(of_kind(objects, "ConfigMap").values()))["data"]["LLM_MODEL"]
    assert of_kind(objects, "Ingress")["gateway"]["spec"]["rules"][0]["host"] == "ask.mine.org"


def test_the_policy_of_the_documentation() -> None:
    (text,) = re.findall(r"```yaml\n(apiVersion: networking.*?)```", (ROOT / "docs/kubernetes.md").read_text(), re.DOTALL)
    assert validated([yaml.safe_load(text)], RELEASES[-1]) == set()


def test_a_mistake_is_seen() -> None:
    wrong = json.loads(json.dumps(of_kind(overlay("production"), "Deployment")["gateway"]))
    wrong["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]["httpGet"]["paths"] = "/"
    with pytest.raises(kubernetes_validate.ValidationError):
        validated([wrong], RELEASES[0])


# -- pods ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_pod_is_confined(name: str) -> None:
    deployments = of_kind(overlay(name), "Deployment")
    assert set(deployments) == PODS
    for deployment in deployments.values():
        pod = deployment["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True and pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False and pod["enableServiceLinks"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & pod.keys()
        container = container_of(deployment)
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/tmp", "/data"}
        assert container["resources"]["requests"].keys() == {"cpu", "memory"} and container["resources"]["limits"].keys() == {"memory"}
    accounts = of_kind(overlay(name), "ServiceAccount")
    assert set(accounts) == PODS and all(one["automountServiceAccountToken"] is False for one in accounts.values())
    assert {one["spec"]["template"]["spec"]["serviceAccountName"] for one in deployments.values()} == PODS
    enforced = {one["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] for one in of_kind(overlay(name), "Namespace").values()}
    assert enforced == {"restricted"}


def test_commands_and_secrets_are_those_of_the_services() -> None:
    services = services_of(ROOT / "flow.yml")
    commands = {stage.host: stage.command for stage in services.stages} | {"gateway": services.gateway_command}
    deployments = of_kind(overlay("production"), "Deployment")
    assert {name: container_of(one)["command"] for name, one in deployments.items()} == commands
    for name, users in SECRETS.items():
        told = {
            pod for pod, one in deployments.items() for variable in container_of(one).get("env", []) if variable["name"] == name.upper()
        }
        assert told == {user.replace("_", "-") for user in users}, name


@pytest.mark.parametrize("name", OVERLAYS)
def test_no_secret_is_written_down(name: str) -> None:
    assert of_kind(overlay(name), "Secret") == {}
    for deployment in of_kind(overlay(name), "Deployment").values():
        for variable in container_of(deployment).get("env", []):
            if variable["name"].lower() in SECRETS:
                reference = variable["valueFrom"]["secretKeyRef"]
                assert (reference["name"], reference["key"]) == ("deepsearch-secrets", variable["name"])
            else:
                assert variable["name"].endswith("_ADDRESS")
    for settings in of_kind(overlay(name), "ConfigMap").values():
        assert not {setting.lower() for setting in settings["data"]} & SECRETS.keys()
        assert {setting.lower() for setting in settings["data"]} <= Settings.model_fields.keys()
        Settings(_env_file=None, **{name.lower(): value for name, value in settings["data"].items()})


def test_production_does_not_start_without_what_it_needs() -> None:
    needed = {
        (name, variable["name"])
        for name, deployment in of_kind(overlay("production"), "Deployment").items()
        for variable in container_of(deployment).get("env", [])
        if "valueFrom" in variable and not variable["valueFrom"]["secretKeyRef"]["optional"]
    }
    assert needed == {("controller", "DEEPSEARCH_STATE_URL"), ("gateway", "DEEPSEARCH_API_KEYS")}


@pytest.mark.parametrize("name", OVERLAYS)
def test_pods_are_asked_whether_they_serve(name: str) -> None:
    for pod, deployment in of_kind(overlay(name), "Deployment").items():
        container = container_of(deployment)
        ports = {one["name"]: one["containerPort"] for one in container["ports"]}
        probes = [container[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness")]
        if pod == "gateway":
            assert [probe["httpGet"] for probe in probes] == [
                {"path": path, "port": "http"} for path in ("/health/live", "/health/ready", "/health/live")
            ]
        else:
            assert [probe["grpc"] for probe in probes] == [{"port": ports["grpc"]}] * 3
            assert ports["metrics"] == ports["grpc"] + 1000


@pytest.mark.parametrize("name", OVERLAYS)
def test_pods_have_the_time_to_leave(name: str) -> None:
    settings = next(iter(of_kind(overlay(name), "ConfigMap").values()))["data"]
    seconds = float(settings["LEAVING_SECONDS"]) + float(settings["DRAIN_SECONDS"]) + CLOSING_SECONDS
    for pod, deployment in of_kind(overlay(name), "Deployment").items():
        assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] >= seconds
        alone = (pod, name) == ("controller", "development")
        rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
        assert deployment["spec"]["strategy"] == ({"type": "Recreate"} if alone else rolling)


def test_where_runs_are_kept() -> None:
    for name, kept in (
        ("development", {"persistentVolumeClaim": {"claimName": "journal"}}),
        ("production", {"emptyDir": {"sizeLimit": "4Gi"}}),
    ):
        pod = of_kind(overlay(name), "Deployment")["controller"]["spec"]["template"]["spec"]
        assert {"name": "data", **kept} in pod["volumes"]
    assert of_kind(overlay("development"), "Deployment")["controller"]["spec"]["replicas"] == 1
    assert set(of_kind(overlay("development"), "PersistentVolumeClaim")) == {"journal"}
    assert of_kind(overlay("production"), "PersistentVolumeClaim") == {}


# -- services, how many there are ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OVERLAYS)
def test_a_stage_s_name_stands_for_all_of_its_pods(name: str) -> None:
    services, deployments = of_kind(overlay(name), "Service"), of_kind(overlay(name), "Deployment")
    assert set(services) == PODS
    addresses = {one["name"]: one["value"] for one in container_of(deployments["controller"])["env"] if "value" in one}
    for pod in PODS:
        service = services[pod]["spec"]
        assert service["selector"].items() <= labels_of(deployments[pod]).items()
        assert (service.get("clusterIP") == "None") is (pod != "gateway")
        ports = {one["name"]: one["containerPort"] for one in container_of(deployments[pod])["ports"]}
        assert {one["name"]: one["port"] for one in service["ports"]} == {port: ports[port] for port in ports if port != "metrics"}
        if pod in STAGES:
            assert addresses[f"{pod.upper().replace('-', '_')}_ADDRESS"] == f"dns:///{pod}:{ports['grpc']}"
        if pod != "gateway":
            assert "grpc.max_connection_age_ms" in container_of(deployments[pod])["command"][-1]
    assert len(addresses) == len(STAGES)


def test_stages_are_counted_by_their_work() -> None:
    production = overlay("production")
    scalers, deployments = of_kind(production, "HorizontalPodAutoscaler"), of_kind(production, "Deployment")
    assert set(scalers) == PODS - {"gateway"} and of_kind(overlay("development"), "HorizontalPodAutoscaler") == {}
    for pod, scaler in scalers.items():
        assert scaler["spec"]["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": pod}
        assert scaler["spec"]["minReplicas"] >= 2 and "replicas" not in deployments[pod]["spec"]
        assert scaler["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"] >= 300
    metric = scalers["page-reader"]["spec"]["metrics"][0]["pods"]["metric"]["name"]
    assert f"| `{metric}` | gauge | `stage`, `endpoint` | every stage |" in (ROOT / "docs/telemetry.md").read_text()
    for name in OVERLAYS:
        budgets = of_kind(overlay(name), "PodDisruptionBudget")
        assert {pod: one["spec"]["selector"]["matchLabels"] for pod, one in budgets.items()} == {
            pod: of_kind(overlay(name), "Deployment")[pod]["spec"]["selector"]["matchLabels"] for pod in PODS
        }


def test_the_door_of_production(everything: list[Object]) -> None:
    (ingress,) = of_kind(everything, "Ingress").values()
    (rule,) = ingress["spec"]["rules"]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    assert backend == {"name": "gateway", "port": {"name": "http"}} and ingress["spec"]["tls"][0]["hosts"] == [rule["host"]]
    assert of_kind(everything, "Deployment")["gateway"]["spec"]["replicas"] == 2


def test_keda_takes_the_place_of_the_autoscaler(everything: list[Object]) -> None:
    (scaled,) = of_kind(everything, "ScaledObject").values()
    usual = of_kind(overlay("production"), "HorizontalPodAutoscaler")["page-reader"]["spec"]
    assert scaled["spec"]["scaleTargetRef"] == {"name": "page-reader"}
    assert set(of_kind(everything, "HorizontalPodAutoscaler")) == PODS - {"gateway", "page-reader"}
    assert (scaled["spec"]["minReplicaCount"], scaled["spec"]["maxReplicaCount"]) == (usual["minReplicas"], usual["maxReplicas"])
    metadata, target = scaled["spec"]["triggers"][0]["metadata"], usual["metrics"][0]["pods"]
    assert metadata["threshold"] == target["target"]["averageValue"] and target["metric"]["name"] in metadata["query"]


def test_the_monitors_find_every_pod(everything: list[Object]) -> None:
    (pods,), (service,) = of_kind(everything, "PodMonitor").values(), of_kind(everything, "ServiceMonitor").values()
    deployments = of_kind(everything, "Deployment")
    found = {name for name, one in deployments.items() if selects(pods["spec"]["selector"], labels_of(one))}
    found_services = {
        name for name, one in of_kind(everything, "Service").items() if selects(service["spec"]["selector"], one["metadata"]["labels"])
    }
    assert (found, found_services) == (PODS - {"gateway"}, {"gateway"})
    (endpoint,) = pods["spec"]["podMetricsEndpoints"]
    assert all(endpoint["port"] in {port["name"] for port in container_of(deployments[name])["ports"]} for name in found)
    assert "DEEPSEARCH_STAGE_METRICS" in next(iter(of_kind(everything, "ConfigMap").values()))["data"]


def test_linkerd_leaves_the_calls_of_the_stages_as_they_are(everything: list[Object]) -> None:
    for pod, deployment in of_kind(everything, "Deployment").items():
        annotations = deployment["spec"]["template"]["metadata"]["annotations"]
        assert annotations["linkerd.io/inject"] == "enabled"
        first, last = map(int, annotations["config.linkerd.io/opaque-ports"].split("-"))
        ports = {one["name"]: one["containerPort"] for one in container_of(deployment)["ports"]}
        assert (first <= ports["grpc"] <= last) is (pod != "gateway")


# -- the network -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OVERLAYS)
def test_pods_reach_whom_they_call_and_nobody_else(name: str) -> None:
    network, deployments = Network(overlay(name)), of_kind(overlay(name), "Deployment")
    for source in PODS:
        for target in PODS:
            for port in container_of(deployments[target])["ports"]:
                calls = (source == "gateway" and target != "gateway") or (source == "controller" and target in STAGES)
                expected = calls and port["name"] == "grpc"
                assert network.connects(source, target, port["containerPort"]) is expected, (source, target, port)


PRIVATE = ("10.1.2.3", "172.17.0.1", "192.168.1.1", "100.64.0.1", "127.0.0.1", "0.0.0.0", "fd00:ec2::254", "fe80::1", "64:ff9b::a01:203")
METADATA = ("169.254.169.254", "100.100.100.200", "168.63.129.16")
PUBLIC = ("93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c")


def test_the_gateway_reaches_redis_and_the_others_every_database() -> None:
    deployments = of_kind(overlay("production"), "Deployment")
    reached: dict[str, set[int]] = {pod: set() for pod in PODS}
    for policy in of_kind(overlay("production"), "NetworkPolicy").values():
        for rule in policy["spec"].get("egress") or []:
            if {"namespaceSelector": {"matchLabels": {"deepsearch-state": "allowed"}}} in rule.get("to", []):
                for pod in PODS:
                    if selects(policy["spec"]["podSelector"], labels_of(deployments[pod])):
                        reached[pod] |= {port["port"] for port in rule["ports"]}
    assert reached == {pod: {6379} if pod == "gateway" else {5432, 6379} for pod in PODS}


def test_only_those_who_ask_outside_leave_the_cluster() -> None:
    network = Network(overlay("production"))
    for pod in PODS:
        assert [network.leaves_for(pod, address, port) for address in PUBLIC for port in (80, 443)] == [pod in STAGES] * 4
        assert not any(network.leaves_for(pod, address, port) for address in (*PRIVATE, *METADATA) for port in (80, 443, 5432, 10250))
        assert not any(network.leaves_for(pod, address, 25) for address in PUBLIC)


def test_the_page_reader_reaches_nothing_private_anywhere() -> None:
    network = Network(overlay("development"))
    assert not any(network.leaves_for("page-reader", address, port) for address in (*PRIVATE, *METADATA) for port in (80, 443, 11434))
    assert network.leaves_for("evaluator", "192.168.65.2", 11434)  # a model server on the machine of whoever develops
    assert not any(network.leaves_for("evaluator", address, 80) for address in METADATA if not address.startswith("100."))
