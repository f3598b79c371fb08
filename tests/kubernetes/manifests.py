"""The objects of k8s/, as `kubectl kustomize` builds them, and what their network policies let through."""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
K8S = ROOT / "k8s"
COMPONENTS = tuple(sorted(folder.name for folder in (K8S / "components").iterdir()))
NAMESPACES = {"development": "deepsearch-development", "production": "deepsearch"}
OLDEST_KUBECTL = (1, 21)
"""The first whose Kustomize knows components."""

Object = dict[str, Any]


@cache
def _kubectl_missing() -> str:
    if shutil.which("kubectl") is None:
        return "there is no kubectl"
    told = subprocess.run(["kubectl", "version", "--client", "--output", "json"], check=False, capture_output=True, text=True, timeout=30)
    version = json.loads(told.stdout)["clientVersion"] if told.returncode == 0 else {"major": "0", "minor": "0"}
    release = (int(version["major"]), int(version["minor"].rstrip("+")))
    return "" if release >= OLDEST_KUBECTL else f"kubectl is {release[0]}.{release[1]}, whose Kustomize knows no components"


def built(folder: Path) -> list[Object]:
    """The objects of a folder with a kustomization. Skips the test where no kubectl can build it."""
    if reason := _kubectl_missing():
        pytest.skip(reason)
    done = subprocess.run(["kubectl", "kustomize", str(folder)], check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def overlaid(folder: Path, overlay: str, components: Iterable[str] = (), image: str = "", **settings: str) -> list[Object]:
    """An overlay changed as docs/kubernetes.md says: by an overlay of one's own, written into `folder`."""
    namespace = NAMESPACES[overlay]
    generator = {"name": "deepsearch-settings", "namespace": namespace, "behavior": "merge"}
    kustomization: Object = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": namespace,
        "resources": [os.path.relpath(K8S / "overlays" / overlay, folder.resolve())],
        "components": [os.path.relpath(K8S / "components" / name, folder.resolve()) for name in components],
        "configMapGenerator": [generator | {"literals": [f"{name}={value}" for name, value in settings.items()]}] if settings else [],
        "images": [
            {"name": name, "newName": image, "newTag": "latest"} for name in ("deepsearch", "registry.example.org/deepsearch") if image
        ],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return built(folder)


def of_kind(objects: Iterable[Object], kind: str) -> dict[str, Object]:
    """The objects of one kind by name."""
    return {one["metadata"]["name"]: one for one in objects if one["kind"] == kind}


def container_of(deployment: Object) -> Object:
    """The one container of a Deployment's pods."""
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return dict(container)


def labels_of(deployment: Object) -> dict[str, str]:
    """The labels of a Deployment's pods."""
    return dict(deployment["spec"]["template"]["metadata"]["labels"])


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector selects what has these labels."""
    for one in selector.get("matchExpressions", []):
        is_in = labels.get(one["key"]) in one["values"]
        assert one["operator"] in ("In", "NotIn")
        if is_in is not (one["operator"] == "In"):
            return False
    return all(labels.get(name) == value for name, value in selector.get("matchLabels", {}).items())


class Network:
    """What the NetworkPolicies of a namespace let through, by the rules of their API: who is selected may only what a policy allows."""

    def __init__(self, objects: Iterable[Object]) -> None:
        objects = list(objects)
        self._policies = [one["spec"] for one in of_kind(objects, "NetworkPolicy").values()]
        self._pods = {name: (labels_of(one), container_of(one)["ports"]) for name, one in of_kind(objects, "Deployment").items()}

    def connects(self, source: str, target: str, port: int) -> bool:
        """Whether pods of one Deployment reach a port of another's."""
        leaves = any(self._allows(rule, "to", target, port, target) for rule in self._rules(source, "egress"))
        enters = any(self._allows(rule, "from", source, port, target) for rule in self._rules(target, "ingress"))
        return leaves and enters

    def leaves_for(self, source: str, address: str, port: int) -> bool:
        """Whether pods of a Deployment reach an address that is no pod's."""
        ip = ipaddress.ip_address(address)
        return any(
            self._has_port(rule, port, None) and ("to" not in rule or any(_is_in(peer.get("ipBlock"), ip) for peer in rule["to"]))
            for rule in self._rules(source, "egress")
        )

    def _rules(self, name: str, side: str) -> list[Object]:
        labels, _ = self._pods[name]
        selecting = [policy for policy in self._policies if side.capitalize() in policy["policyTypes"]]
        selecting = [policy for policy in selecting if selects(policy["podSelector"], labels)]
        assert selecting, f"{name}: nothing bounds its {side}"
        return [rule for policy in selecting for rule in policy.get(side) or []]

    def _allows(self, rule: Object, side: str, peer: str, port: int, target: str) -> bool:
        return self._has_port(rule, port, target) and (side not in rule or any(self._is_pod(one, peer) for one in rule[side]))

    def _is_pod(self, peer: Object, name: str) -> bool:
        labels, _ = self._pods[name]
        return "podSelector" in peer and "namespaceSelector" not in peer and selects(peer["podSelector"], labels)

    def _has_port(self, rule: Object, port: int, target: str | None) -> bool:
        named = {one["name"]: one["containerPort"] for one in self._pods[target][1]} if target else {}
        return "ports" not in rule or any(named.get(one["port"], one["port"]) == port for one in rule["ports"])


def _is_in(block: Object | None, ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if block is None:
        return False
    return ip in ipaddress.ip_network(block["cidr"]) and not any(ip in ipaddress.ip_network(one) for one in block.get("except", []))
