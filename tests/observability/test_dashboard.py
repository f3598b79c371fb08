"""The Grafana dashboard as a file: complete, importable anywhere, and only of metrics that exist."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

import gateway.metrics
from telemetry.metrics import METRICS

GRAFANA = Path(__file__).parents[2] / "observability/grafana"
DASHBOARD: dict[str, Any] = json.loads((GRAFANA / "dashboards/deepsearch.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def expressions() -> list[str]:
    return [target["expr"] for panel in PANELS for target in panel["targets"]]


def test_every_panel_has_an_id_a_place_and_the_chosen_data_source() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids) and len(PANELS) > 20
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken and max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells
    for panel in PANELS:
        assert panel["datasource"] == SOURCE and panel["description"] and panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references) > 0
        assert all(target["datasource"] == SOURCE for target in panel["targets"])
    names = [panel["title"] for panel in PANELS]
    assert len(set(names)) == len(names)


def test_it_names_no_host_and_only_its_own_variables() -> None:
    text = json.dumps(DASHBOARD)
    assert not re.search(r"https?://|localhost|127\.0\.0\.1|:\d{4}\b", text)
    declared = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", text)) - {"__rate_interval", "__all"}
    assert declared == used == {"datasource", "job"}
    assert not {"id", "__inputs", "__requires"} & set(DASHBOARD)


def test_it_asks_for_metrics_that_exist() -> None:
    known = {sample.name for metric in gateway.metrics.REGISTRY.collect() for sample in metric.samples}
    ours = {metric.name + {"counter": "_total"}.get(metric.kind, "") for metric in METRICS} | {"deepsearch_refused_total"}
    ours |= {f"{metric.name}_{part}" for metric in METRICS if metric.kind == "histogram" for part in ("bucket", "sum", "count")}
    asked = {name for expression in expressions() for name in re.findall(r"\bdeepsearch_\w+", expression)}
    rules = (GRAFANA.parent / "prometheus/alerts.yml").read_text()
    asked |= set(re.findall(r"\bdeepsearch_\w+", "\n".join(re.findall(r"expr: .*?for: ", rules, re.DOTALL))))
    assert asked - ours - known == set() and len(asked) > 20


def test_grafana_is_told_where_dashboard_and_data_are() -> None:
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
    assert (source["type"], source["url"], source["isDefault"]) == ("prometheus", "http://prometheus:9090", True)
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/deepsearch.yml").read_text())["providers"]
    mounted = yaml.safe_load((GRAFANA.parents[1] / "docker-compose.yml").read_text())["services"]["grafana"]["volumes"]
    assert f"./observability/grafana/dashboards:{provider['options']['path']}:ro" in mounted
