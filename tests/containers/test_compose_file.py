"""docker-compose.yml is what `deepsearch export compose` writes, and tells a container only what it has to know."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import SecretStr

from deepsearch.deploying.compose import compose_file, write_compose_file
from deepsearch.deploying.services import SECRETS
from executors.controller.stages import STAGE_OF_ENDPOINT
from schemas.errors import ConfigurationError
from schemas.settings import Settings
from tests.containers.project import Project, compose_command

ROOT = Path(__file__).parents[2]
STAGES = {"controller", *STAGE_OF_ENDPOINT.values()}


PROFILES = {"postgres": {"postgres"}, "redis": {"redis"}, "searxng": {"searxng"}, "monitoring": {"prometheus", "grafana"}}
PASSWORDS = {
    "postgres": "POSTGRES_PASSWORD",
    "redis": "REDIS_PASSWORD",
    "searxng": "SEARXNG_SECRET",
    "prometheus": "DEEPSEARCH_API_KEY",
    "grafana": "GF_SECURITY_ADMIN_PASSWORD",
}


@pytest.fixture(scope="module")
def every_service() -> dict[str, dict[str, Any]]:
    loaded: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return loaded


@pytest.fixture(scope="module")
def services(every_service: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Those of the Flow: they run whatever profile is asked for."""
    return {name: service for name, service in every_service.items() if "profiles" not in service}


@pytest.fixture(scope="module")
def others(every_service: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Those that run when their profile is asked for."""
    return {name: service for name, service in every_service.items() if "profiles" in service}


def test_the_file_is_fresh() -> None:
    assert (ROOT / "docker-compose.yml").read_text() == compose_file(ROOT / "flow.yml"), "write it again: deepsearch export compose"


def test_the_environment_of_the_writer_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPSEARCH_CONTROLLER_PORT", "9999")
    monkeypatch.setenv("OPENAI_API_KEY", "very-secret")
    assert compose_file(ROOT / "flow.yml") == (ROOT / "docker-compose.yml").read_text()


def test_the_command_writes_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deepsearch", "export", "compose"]
    done = subprocess.run(
        [*command, "--flow", str(ROOT / "flow.yml")], cwd=tmp_path, check=False, capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "written: docker-compose.yml\n", "")
    assert (tmp_path / "docker-compose.yml").read_text() == (ROOT / "docker-compose.yml").read_text()


def test_where_it_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written: Is a directory"):
        write_compose_file(tmp_path, ROOT / "flow.yml")


def test_a_service_for_every_stage_and_the_gateway(services: dict[str, dict[str, Any]]) -> None:
    assert set(services) == {"gateway", *STAGES} == {"gateway", *services["gateway"]["depends_on"]}
    assert set(services["controller"]["depends_on"]) == STAGES - {"controller"}


def test_every_container_is_confined_and_checked(services: dict[str, dict[str, Any]]) -> None:
    for service in services.values():
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["healthcheck"]["test"][:4] == ["CMD", "python", "-m", "deepsearch.probing"]
        assert "privileged" not in service and "container_name" not in service
    assert [name for name, service in services.items() if "ports" in service] == ["gateway"]
    assert all(port.startswith("127.0.0.1:") for port in services["gateway"]["ports"])


def test_each_profile_has_its_services(others: dict[str, dict[str, Any]]) -> None:
    assert {profile: {name for name, one in others.items() if one["profiles"] == [profile]} for profile in PROFILES} == PROFILES
    assert set(others) == set().union(*PROFILES.values())


@pytest.mark.skipif(not compose_command(), reason="there is neither `docker compose` nor `docker-compose`")
@pytest.mark.parametrize("profile", PROFILES)
def test_compose_takes_the_file_with_each_profile(tmp_path: Path, profile: str) -> None:
    (tmp_path / "env").touch()
    project = Project("unused", compose_command(), "unused", 1, 2, tmp_path / "env", {"COMPOSE_PROFILES": profile}, ("docker-compose.yml",))
    assert PROFILES[profile] <= set(yaml.safe_load(project.run("config"))["services"])


def test_other_services_are_pinned_confined_and_checked(others: dict[str, dict[str, Any]]) -> None:
    for name, service in others.items():
        assert re.fullmatch(r"[\w/]+:v?\d+\.\d+[\w.-]*", service["image"]), service["image"]
        assert service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"]
        assert service["read_only"] is (name != "searxng")
        assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        mounted = [volume.split(":") for volume in service["volumes"] if volume.startswith(".")]
        assert all((ROOT / path).exists() and mode == "ro" for path, _, mode in mounted), mounted
    assert {name for name, service in others.items() if "ports" in service} == {"prometheus", "grafana"}


def test_passwords_of_other_services_come_from_the_environment(others: dict[str, dict[str, Any]]) -> None:
    for name, password in PASSWORDS.items():
        assert [one for one, service in others.items() if password in service["environment"]] == [name]
        assert others[name]["environment"][password] is None


def test_only_the_controller_keeps_the_journal(services: dict[str, dict[str, Any]]) -> None:
    assert [name for name, service in services.items() if service.get("volumes") == ["journal:/data"]] == ["controller"]


def test_stages_are_called_by_names_that_stand_for_every_container(services: dict[str, dict[str, Any]]) -> None:
    addresses = {name: value for name, value in services["controller"]["environment"].items() if name.endswith("_ADDRESS")}
    assert addresses["PAGE_READER_ADDRESS"] == "dns:///page-reader:8094"
    assert set(addresses) == {f"{stage.upper()}_ADDRESS" for stage in STAGES - {"controller"}}
    for stage in STAGES - {"controller"}:
        host, port = addresses[f"{stage.upper()}_ADDRESS"].removeprefix("dns:///").split(":")
        assert services[stage]["networks"]["default"]["aliases"] == [host]
        assert services[stage]["command"][services[stage]["command"].index("--port") + 1] == port
        assert "grpc.max_connection_age_ms" in services[stage]["command"][-1]


def test_no_value_is_written_but_addresses(services: dict[str, dict[str, Any]]) -> None:
    for service in services.values():
        assert {name for name, value in service["environment"].items() if value is not None and not name.endswith("_ADDRESS")} == set()


def test_a_secret_is_told_to_those_who_use_it(services: dict[str, dict[str, Any]]) -> None:
    secrets = {name for name, field in Settings.model_fields.items() if SecretStr in (field.annotation, *get_args(field.annotation))}
    assert secrets == set(SECRETS)
    for name, users in SECRETS.items():
        assert {service for service in services if name.upper() in services[service]["environment"]} == set(users)


def test_every_other_setting_is_passed_on_unless_it_is_the_container_s(services: dict[str, dict[str, Any]]) -> None:
    passed = {name.lower() for name in services["evaluator"]["environment"]} - set(SECRETS)
    own = {name for name in Settings.model_fields if name not in SECRETS} - passed
    assert {"llm_model", "deepsearch_cache", "drain_seconds", "deepsearch_allow_anonymous", "reader_robots"} <= passed
    assert own == {
        *(name for name in Settings.model_fields if name.endswith(("_address", "_port", "_ports"))),
        "deepsearch_host", "deepsearch_stage_host", "deepsearch_page_reader_replicas", "deepsearch_home", "deepsearch_corpus",
        "deepsearch_api_keys_file", "deepsearch_tls_certificate", "deepsearch_tls_key",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "- a list", "jtype: Flow\nexecutors: [{name: x}]", "executors: [", "${{ ENV.UNHEARD_OF }}"])
def test_what_is_no_flow_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "flow.yml").write_text(text)
    with pytest.raises(ConfigurationError, match=r"flow\.yml is not this project's Flow"):
        compose_file(tmp_path / "flow.yml")


def test_a_missing_flow_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.yml cannot be read: No such file"):
        compose_file(tmp_path / "none.yml")
