"""A real Prometheus before a real Flow: it scrapes every process, and every panel and every alert gets an answer."""

from __future__ import annotations

import math
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any, TypeVar

import httpx
import pytest
import yaml

from tests.gateway.flow_process import flow_of, free_ports, scripted_settings
from tests.gateway.page import sessions
from tests.observability.test_alert_rules import CONFIG, RULES, alerts
from tests.observability.test_dashboard import PANELS
from tests.scripted.server import ScriptedServer

PROMETHEUS = shutil.which("prometheus")

pytestmark = [
    pytest.mark.flow,
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(PROMETHEUS is None, reason="no prometheus is installed (Debian: apt-get install prometheus)"),
]

KEY = "a-key-of-the-tests-0123456789"
STAGES = ("controller", "query_planner", "jina_searcher", "url_ranker", "evaluator", "answer_finalizer")
QUIET = {"Circuits", "Refused at the gateway"}
"""Panels that have nothing to show while all is well."""

Found = TypeVar("Found")


def until(look: Callable[[], Found | None], seconds: float = 60) -> Found:
    """What `look` finds, once it does."""
    pause, late = Event(), monotonic() + seconds
    while (found := look()) is None:
        assert monotonic() < late, f"not within {seconds} s"
        pause.wait(0.2)
    return found


def pairs(number: int) -> list[int]:
    """Free ports whose port plus 1000, for metrics, is free too."""
    found: list[int] = []
    while len(found) < number:
        (port,) = free_ports(1)
        with socket.socket() as other:
            try:
                other.bind(("127.0.0.1", port + 1_000))
            except (OSError, OverflowError):
                continue
        if not {port, port + 1_000, port - 1_000} & set(found):
            found.append(port)
    return found


@dataclass
class Watched:
    """A Flow and the Prometheus that scrapes it."""

    flow: str
    prometheus: str

    def ask(self, path: str, **parameters: str) -> Any:
        response = httpx.get(f"{self.prometheus}/api/v1/{path}", params=parameters, timeout=30)
        assert response.status_code == 200, (parameters, response.text)
        return response.json()["data"]

    def values(self, expression: str) -> list[tuple[dict[str, str], float]]:
        found = self.ask("query", query=expression)
        assert found["resultType"] == "vector", expression
        return [(one["metric"], float(one["value"][1])) for one in found["result"]]

    def holds(self, comparison: str) -> bool | None:
        """True when it does, else None."""
        return bool(self.values(comparison)) or None

    def run(self) -> dict[str, Any]:
        """A run from its question to its answer."""
        headers = {"Authorization": f"Bearer {KEY}"}
        run = httpx.post(f"{self.flow}/v1/research", json={"question": sessions.FULL}, headers=headers, timeout=60).json()["run_id"]
        with httpx.stream("GET", f"{self.flow}/v1/research/{run}/events", headers=headers, timeout=120) as events:
            assert "run_ended" in [line.removeprefix("event: ") for line in events.iter_lines()]
        report = httpx.get(f"{self.flow}/v1/research/{run}", headers=headers, timeout=60).json()
        assert report["run"]["state"] == "finished"
        answer: dict[str, Any] = report["answer"]
        return answer


def configuration(settings: dict[str, str], home: Path) -> str:
    """The project's own configuration, with addresses of this machine in the place of names of containers, and a shorter pause."""
    config = yaml.safe_load(CONFIG.read_text())
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(RULES)]
    for job in config["scrape_configs"]:
        name = job["job_name"]
        del job["dns_sd_configs"]
        if name == "gateway":
            (home / "api-key").write_text(KEY)
            job["authorization"]["credentials_file"] = str(home / "api-key")
            ports = [settings["DEEPSEARCH_HTTP_PORT"]]
        elif name == "page_reader":
            ports = [str(int(port) + 1_000) for port in settings["DEEPSEARCH_PAGE_READER_PORTS"].split(",")]
        else:
            ports = [str(int(settings[f"DEEPSEARCH_{name.upper()}_PORT"]) + 1_000)]
        job["static_configs"] = [{"targets": [f"127.0.0.1:{port}" for port in ports]}]
    written = home / "prometheus.yml"
    written.write_text(yaml.safe_dump(config))
    return str(written)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Watched, list[dict[str, Any]]]]:
    """A Flow after two runs, both of which Prometheus has seen; and their answers."""
    home = tmp_path_factory.mktemp("watched")
    ports = [str(port) for port in pairs(len(STAGES) + 2)]
    with ScriptedServer(record=False) as upstream:
        sessions.add_sessions(upstream)
        settings = scripted_settings(upstream, home) | {
            **{f"DEEPSEARCH_{stage.upper()}_PORT": port for stage, port in zip(STAGES, ports, strict=False)},
            "DEEPSEARCH_PAGE_READER_PORTS": ",".join(ports[-2:]),
            "DEEPSEARCH_STAGE_METRICS": "true",
            "DEEPSEARCH_API_KEYS": KEY,
            "DEEPSEARCH_CACHE": "read-write",
            "LLM_PRICE_INPUT": "1",
            "LLM_PRICE_OUTPUT": "2",
        }
        with flow_of(settings, home / "log"):
            address = f"127.0.0.1:{free_ports(1)[0]}"
            arguments = [f"--config.file={configuration(settings, home)}", f"--storage.tsdb.path={home / 'tsdb'}"]
            arguments.append(f"--web.listen-address={address}")
            with (home / "prometheus.log").open("w") as log:
                process = subprocess.Popen([str(PROMETHEUS), *arguments], stdout=log, stderr=log)
            try:
                served = Watched(f"http://127.0.0.1:{settings['DEEPSEARCH_HTTP_PORT']}", f"http://{address}")
                until(lambda: ready(served.prometheus, process, home / "prometheus.log"))
                until(lambda: served.holds("count(up == 1) == 9"))
                answers = []
                for runs_seen in ("sum(deepsearch_runs_total) == 1", "sum(deepsearch_runs_total) == 2"):
                    answers.append(served.run())
                    until(partial(served.holds, runs_seen))
                yield served, answers
            finally:
                process.terminate()
                process.wait(30)


def ready(address: str, process: subprocess.Popen[bytes], log: Path) -> bool | None:
    assert process.poll() is None, log.read_text()
    try:
        return httpx.get(f"{address}/-/ready").status_code == 200 or None
    except httpx.TransportError:
        return None


def test_every_process_is_scraped(watched: tuple[Watched, list[dict[str, Any]]]) -> None:
    targets = watched[0].ask("targets")["activeTargets"]
    jobs = [target["labels"]["job"] for target in targets]
    assert sorted(jobs) == sorted([*STAGES, "gateway", "page_reader", "page_reader"])
    assert {target["health"] for target in targets} == {"up"}
    assert len(watched[0].values("process_resident_memory_bytes > 1e7")) == 9


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_every_panel_is_answered(watched: tuple[Watched, list[dict[str, Any]]], panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        expression = target["expr"].replace("$__rate_interval", "2m").replace("$job", ".+")
        found = watched[0].values(expression)
        if panel["title"] not in QUIET:
            assert any(math.isfinite(value) for _, value in found), (expression, found)
        labels = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
        assert all(labels <= set(names) for names, _ in found), (expression, found)


def test_what_is_counted_is_what_the_runs_used(watched: tuple[Watched, list[dict[str, Any]]]) -> None:
    served, answers = watched
    used = [answer["usage"] for answer in answers]

    def total(metric: str) -> float:
        ((_, value),) = served.values(f"sum({metric})")
        return value

    assert served.values("sum by (outcome, stop_reason) (deepsearch_runs_total)") == [
        ({"outcome": "finished", "stop_reason": "answered"}, 2.0)
    ]
    assert total("deepsearch_run_searches_total") == sum(usage["searches"] for usage in used)
    assert total("deepsearch_run_pages_total") == sum(usage["pages"] for usage in used)
    tokens = sum(usage.get(kind, 0) for usage in used for kind in ("prompt_tokens", "completion_tokens", "provider_tokens"))
    assert total('deepsearch_run_tokens_total{kind!="cached"}') == tokens
    assert total("deepsearch_run_cost_usd_total") == pytest.approx(sum(usage["cost_usd"] for usage in used))
    assert total("deepsearch_steps_total") == sum(answer["steps"] for answer in answers)


def test_every_alert_is_evaluated_and_none_fires_while_all_is_well(watched: tuple[Watched, list[dict[str, Any]]]) -> None:
    served = watched[0]

    def evaluated() -> list[dict[str, Any]] | None:
        rules = [rule for group in served.ask("rules")["groups"] for rule in group["rules"]]
        return rules if all(rule["health"] != "unknown" for rule in rules) else None

    rules = until(evaluated)
    assert {rule["name"] for rule in rules} == set(alerts())
    assert [(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"] == []
    assert [rule["name"] for rule in rules if rule["state"] == "firing"] == []
    for rule in alerts().values():
        served.ask("query", query=rule["expr"])
