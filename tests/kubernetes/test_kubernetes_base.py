"""k8s/base is what `deepsearch export kubernetes` writes from the Flow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deepsearch.deploying.kubernetes import kubernetes_files, write_kubernetes_files
from schemas.errors import ConfigurationError
from tests.kubernetes.manifests import K8S, ROOT


def written(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir()}


def test_the_base_is_fresh() -> None:
    assert written(K8S / "base") == kubernetes_files(ROOT / "flow.yml"), "write it again: deepsearch export kubernetes"


def test_the_environment_of_the_writer_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPSEARCH_CONTROLLER_PORT", "9999")
    monkeypatch.setenv("DRAIN_SECONDS", "99")
    monkeypatch.setenv("OPENAI_API_KEY", "very-secret")
    assert kubernetes_files(ROOT / "flow.yml") == written(K8S / "base")


def test_the_command_writes_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deepsearch", "export", "kubernetes", "--output", "here", "--flow", str(ROOT / "flow.yml")]
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "written: here/base\n", "")
    assert written(tmp_path / "here" / "base") == written(K8S / "base")


def test_where_it_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="file/base cannot be written: Not a directory"):
        write_kubernetes_files(tmp_path / "file", ROOT / "flow.yml")


def test_a_stage_of_another_flow_is_written_too(tmp_path: Path) -> None:
    flow = yaml.safe_load((ROOT / "flow.yml").read_text())
    flow["executors"].append({"name": "fact_checker", "uses": "executors/evaluator/config.yml", "port": 8123})
    (tmp_path / "flow.yml").write_text(yaml.safe_dump(flow))
    files = kubernetes_files(tmp_path / "flow.yml")
    assert files.keys() - written(K8S / "base").keys() == {"fact-checker.yaml"}
    assert "fact-checker.yaml" in files["kustomization.yaml"]
    assert "FACT_CHECKER_ADDRESS" in files["controller.yaml"] and "grpc://fact-checker:8123" in files["gateway.yaml"]
    assert "fact-checker" not in files["network.yaml"]  # it was told no provider's key, so it stays in the cluster
