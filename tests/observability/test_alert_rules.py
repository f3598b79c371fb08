"""The alert rules, by Prometheus's own tools: each fires when it should, after its time, and not before."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
RULES = ROOT / "observability/prometheus/alerts.yml"
CONFIG = ROOT / "observability/prometheus/prometheus.yml"
PROMTOOL = shutil.which("promtool")

needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="no promtool is installed (Debian: apt-get install prometheus)")


def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}


def promtool(*arguments: str | Path) -> str:
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass
class Case:
    """Series, and the alerts that fire at `minutes`, each with how many."""

    name: str
    minutes: int
    fires: set[str]
    series: dict[str, str] = field(default_factory=dict)

    def written(self) -> dict[str, Any]:
        quiet = {"deepsearch_runs_under_way": "1x1500", "deepsearch_runs_driven": "1x1500"}
        told = [{"series": name, "values": values} for name, values in (quiet | self.series).items() if values]
        samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(self.fires)]
        expected = {"expr": 'count by (alertname) (ALERTS{alertstate="firing"})', "eval_time": f"{self.minutes}m", "exp_samples": samples}
        return {"name": self.name, "interval": "1m", "input_series": told, "promql_expr_test": [expected]}


def _outcomes(failed: str, finished: str) -> dict[str, str]:
    return {
        'deepsearch_runs_total{outcome="failed",stop_reason="none"}': failed,
        'deepsearch_runs_total{outcome="finished",stop_reason="answered"}': finished,
    }


def _limits(at_limit: str, answered: str) -> dict[str, str]:
    return {
        'deepsearch_runs_total{outcome="finished",stop_reason="time_budget"}': at_limit,
        'deepsearch_runs_total{outcome="finished",stop_reason="answered"}': answered,
    }


def _upstream(provider: str, failing: str, ok: str) -> dict[str, str]:
    name = "deepsearch_upstream_request_seconds_count"
    return {f'{name}{{provider="{provider}",outcome="failing"}}': failing, f'{name}{{provider="{provider}",outcome="ok"}}': ok}


def _journal(le_01: str, le_1: str) -> dict[str, str]:
    of = 'deepsearch_journal_seconds_bucket{operation="append",le='
    return {f'{of}"0.1"}}': le_01, f'{of}"1"}}': le_1, f'{of}"+Inf"}}': le_1}


_EVALUATOR = 'deepsearch_stage_call_seconds_count{stage="evaluator",outcome='
_JOURNAL = 'deepsearch_journal_seconds_count{operation="append",outcome='
_READER = 'deepsearch_calls_in_flight{stage="page_reader",endpoint="/read",instance='
CASES = [
    Case("nothing happens", 120, set()),
    Case("all is well", 60, set(), _outcomes("0x60", "0+5x60") | _upstream("llm", "0x60", "0+9x60") | {'up{job="controller"}': "1x60"}),
    Case("a fifth of the runs fails", 30, {"DeepSearchRunsFail"}, _outcomes("0+1x60", "0+4x60")),
    Case("it has only begun", 3, set(), _outcomes("0+1x60", "0+4x60")),
    Case("one of few runs fails", 30, set(), _outcomes("0x20 1x40", "0x20 2x40")),
    Case("half of the runs end at a limit", 60, {"DeepSearchRunsRunOut"}, _limits("0+1x90", "0+1x90")),
    Case("a tenth of them does", 60, set(), _limits("0+1x90", "0+9x90")),
    Case("runs wait", 20, {"DeepSearchQueueLong"}, {"deepsearch_runs_waiting": "0x5 3x60"}),
    Case("runs waited for a moment", 20, set(), {"deepsearch_runs_waiting": "0x5 3x5 0x60"}),
    Case("runs are refused", 20, {"DeepSearchOverloaded"}, {'deepsearch_refused_total{reason="overloaded"}': "0+2x60"}),
    Case("keys are refused", 20, set(), {'deepsearch_refused_total{reason="unauthorized"}': "0+9x60"}),
    Case("runs change their controllers", 40, {"DeepSearchTakeovers"}, {"deepsearch_runs_resumed_total": "0+1x60"}),
    Case("one restart", 40, set(), {"deepsearch_runs_resumed_total": "0x10 3x60"}),
    Case("money flows", 1470, {"DeepSearchSpendsFast"}, {'deepsearch_run_cost_usd_total{stage="evaluator"}': "0+0.01x1400 14+1x100"}),
    Case("as much as always", 1470, set(), {'deepsearch_run_cost_usd_total{stage="evaluator"}': "0+1x1500"}),
    Case("a stage is gone", 10, {"DeepSearchProcessDown"}, {'up{job="page_reader",instance="a:9094"}': "1x3 0x60"}),
    Case("somebody else's is", 10, set(), {'up{job="node"}': "0x60"}),
    Case("the gateway is not scraped", 10, {"DeepSearchNotWatched"}, {"deepsearch_runs_under_way": ""}),
    Case("no replica", 10, {"DeepSearchStageUnreachable"}, {_EVALUATOR + '"unreachable"}': "0+6x60"}),
    Case("a stage is late", 30, {"DeepSearchStageLate"}, {_EVALUATOR + '"late"}': "0+1x60", _EVALUATOR + '"ok"}': "0+3x60"}),
    Case("readers are full", 20, {"DeepSearchReadersBusy"}, {_READER + '"a"}': "8x60", _READER + '"b"}': "7x60"}),
    Case("one of two is", 20, set(), {_READER + '"a"}': "8x60", _READER + '"b"}': "0x60"}),
    Case("memory", 30, {"DeepSearchMemoryHigh"}, {'process_resident_memory_bytes{job="page_reader"}': "2000000000x60"}),
    Case("files", 30, {"DeepSearchFilesHigh"}, {'process_open_fds{job="gateway"}': "900x60", 'process_max_fds{job="gateway"}': "1000x60"}),
    Case("the model fails", 20, {"DeepSearchUpstreamFails"}, _upstream("llm", "0+9x60", "0+3x60")),
    Case("web pages fail, as they do", 20, set(), _upstream("web", "0+9x60", "0+3x60")),
    Case("a circuit is open", 20, {"DeepSearchCircuitOpen"}, {'deepsearch_circuit_open{provider="jina_search"}': "0x5 1x60"}),
    Case("the journal fails", 20, {"DeepSearchJournalFails"}, {_JOURNAL + '"failed"}': "0+1x60"}),
    Case("the journal is slow", 30, {"DeepSearchJournalSlow"}, _journal("0+1x60", "0+9x60")),
    Case("one operation is", 30, set(), _journal("0+99x60", "0+100x60")),
]  # fmt: skip


@needs_promtool
def test_the_configuration_and_the_rules_are_valid(tmp_path: Path) -> None:
    assert "17 rules found" in promtool("check", "rules", RULES)
    key = tmp_path / "api-key"
    key.write_text("k")
    (tmp_path / "alerts.yml").write_text(RULES.read_text())
    (tmp_path / "prometheus.yml").write_text(CONFIG.read_text().replace("/tmp/api-key", str(key)))
    assert "is valid prometheus config file" in promtool("check", "config", tmp_path / "prometheus.yml")


@needs_promtool
def test_every_alert_fires_when_it_should_and_only_then(tmp_path: Path) -> None:
    assert {name for case in CASES for name in case.fires} == set(alerts())
    tests = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [case.written() for case in CASES]}
    file = tmp_path / "tests.yml"
    file.write_text(yaml.safe_dump(tests))
    promtool("test", "rules", file)


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    headings = re.findall(r"^#{2,4} (.+)$", (ROOT / "docs/telemetry.md").read_text(), re.MULTILINE)
    anchors = {heading.lower().replace(" ", "-") for heading in headings}
    for name, rule in alerts().items():
        assert re.fullmatch(r"\d+[mh]", rule["for"]), name
        assert rule["labels"]["severity"] in ("critical", "warning"), name
        told = rule["annotations"]
        assert told["summary"] and len(told["description"]) > 40, name
        file, _, anchor = told["runbook"].partition("#")
        assert (file, anchor) == ("docs/telemetry.md", name.lower()) and anchor in anchors, name


def test_what_compose_starts_is_what_is_scraped() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    ports = {"gateway": 8080}
    for name, service in services.items():
        command = [str(word) for word in service.get("command", [])]
        if "executor" in command:
            ports[name] = int(command[command.index("--port") + 1]) + 1000
    assert len(ports) == 8
    scraped = {}
    for job in yaml.safe_load(CONFIG.read_text())["scrape_configs"]:
        (found,) = job["dns_sd_configs"]
        assert (found["names"], found["type"]) == ([job["job_name"].replace("_", "-")], "A")
        scraped[job["job_name"]] = found["port"]
    assert scraped == ports
