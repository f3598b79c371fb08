"""Reports that wait for approval of their outline: as jobs, and as tools of other agents."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateway import flow_process
from tests.gateway.mcp.mcp_clients import Progress, call, failure, fields, http_client, text

pytestmark = pytest.mark.flow

HERE = Path(__file__).parent
SECTIONS = [{"heading": "Hail", "words": 200}, {"heading": "Fog"}]


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    home = tmp_path_factory.mktemp("flow")
    ports = flow_process.free_port_settings()
    serve = f"import sys; sys.path[1:1] = [{str(HERE)!r}]\n{flow_process.SERVE}"
    process = flow_process.start(serve, str(HERE / "waiting_flow.yml"), home=home, DRAIN_SECONDS="5", **ports)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("DeepSearch is ready"), process.communicate()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{ports['DEEPSEARCH_HTTP_PORT']}", timeout=60) as client:
            yield client
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == 0
    finally:
        for number in flow_process.processes_of(process.pid):
            os.kill(number, signal.SIGKILL)
        process.wait()


def begin(http: httpx.Client, run_id: str, question: str = "Why?") -> None:
    body = {"question": question, "run_id": run_id, "mode": "report", "plan_first": True}
    response = http.post("/v1/research", json=body)
    assert response.status_code == 202, response.text


def events(http: httpx.Client, run_id: str, last: str = "") -> list[tuple[str, Any]]:
    """Id and content of each event."""
    response = http.get(f"/v1/research/{run_id}/events", headers={"Last-Event-ID": last})
    if response.status_code == 204:
        return []
    frames = [dict(line.split(": ", 1) for line in frame.split("\n")) for frame in response.text.split("\n\n") if frame]
    return [(frame["id"], json.loads(frame["data"])) for frame in frames]


def test_a_waiting_run_shows_its_outline(http: httpx.Client) -> None:
    begin(http, "shown")
    report = http.get("/v1/research/shown").json()
    assert report["run"]["state"] == "waiting" and report["answer"] is None
    assert report["outline"]["title"] == "Snow"
    assert [section["heading"] for section in report["outline"]["sections"]] == ["Ice", "Rain"]


def test_the_events_of_a_waiting_run_end_and_go_on_after_the_approval(http: httpx.Client) -> None:
    begin(http, "followed")
    first = events(http, "followed")
    assert [(number, event["type"]) for number, event in first] == [("1", "run_started"), ("2", "outlined"), ("2.waiting", "run_ended")]
    assert first[-1][1]["data"] == {"outcome": "waiting"}
    assert events(http, "followed", "2.waiting") == [], "a browser is told not to come back while nothing happens"
    assert [number for number, _ in events(http, "followed", "2")] == ["2.waiting"]
    assert http.post("/v1/research/followed/outline").status_code == 202
    rest = events(http, "followed", "2.waiting")
    assert [(number, event["type"]) for number, event in rest] == [("3", "outline_approved"), ("3.end", "run_ended")]
    assert rest[-1][1]["data"]["outcome"] == "finished" and events(http, "followed", "3.end") == []


@pytest.mark.parametrize(
    ("body", "report"),
    [
        (None, "Snow Ice Rain."),
        ({}, "Snow Ice Rain."),
        ({"title": "Weather", "sections": SECTIONS}, "Weather Hail Fog."),
    ],
)
def test_an_outline_is_approved_as_it_is_or_changed(http: httpx.Client, body: Any, report: str) -> None:
    run_id = f"approved-{len(json.dumps(body))}"
    begin(http, run_id)
    response = http.post(f"/v1/research/{run_id}/outline", json=body) if body is not None else http.post(f"/v1/research/{run_id}/outline")
    assert response.status_code == 202 and response.json()["run_id"] == run_id
    ended = http.get(f"/v1/research/{run_id}").json()
    assert ended["answer"]["text"] == report and ended["outline"] is None and ended["run"]["state"] == "finished"


def test_the_outline_that_was_shown_can_be_sent_back(http: httpx.Client) -> None:
    begin(http, "back")
    outline = http.get("/v1/research/back").json()["outline"]
    outline["sections"].reverse()
    assert http.post("/v1/research/back/outline", json=outline).status_code == 202
    assert http.get("/v1/research/back").json()["answer"]["text"] == "Snow Rain Ice."


def test_what_does_not_wait_cannot_be_approved(http: httpx.Client) -> None:
    begin(http, "ended", "now")
    response = http.post("/v1/research/ended/outline")
    error = {"code": "not_waiting", "message": "run 'ended' does not wait", "field": "run_id"}
    assert (response.status_code, response.json()["error"]) == (409, error)
    unknown = http.post("/v1/research/nobody/outline")
    assert unknown.status_code == 404 and unknown.json()["error"]["message"].endswith(": GET /v1/research lists them")


@pytest.mark.parametrize(("body", "field"), [({"sections": "Ice"}, "sections"), ({"sections": [{"words": "x"}]}, "sections.0.words")])
def test_an_outline_that_is_none_names_its_field(http: httpx.Client, body: Any, field: str) -> None:
    begin(http, f"odd-{field}".replace(".", "-"))
    response = http.post(f"/v1/research/odd-{field}/outline".replace(".", "-"), json=body)
    assert (response.status_code, response.json()["error"]["field"]) == (422, field)


@pytest.mark.parametrize("body", [{"sections": []}, {"title": "Weather", "sections": []}])
def test_an_outline_without_sections_approves_nothing(http: httpx.Client, body: Any) -> None:
    run_id = f"without-sections-{len(body)}"
    begin(http, run_id)
    response = http.post(f"/v1/research/{run_id}/outline", json=body)
    assert (response.status_code, response.json()["error"]["field"]) == (400, "sections")
    assert http.get(f"/v1/research/{run_id}").json()["run"]["state"] == "waiting"


async def test_a_run_that_waits_gives_its_place_back(http: httpx.Client) -> None:
    begin(http, "idle")
    async with asyncio.timeout(30), httpx.AsyncClient(base_url=http.base_url) as client:
        while "deepsearch_runs_under_way 0.0\n" not in (await client.get("/metrics")).text:
            pass  # each turn asks the gateway, which follows the events to their end meanwhile
        assert (await client.get("/v1/research/idle")).json()["run"]["state"] == "waiting"


async def test_the_tools_of_other_agents(http: httpx.Client) -> None:
    async with http_client(str(http.base_url).rstrip("/")) as session:
        progress = Progress()
        wishes = {
            "mode": "report",
            "plan_first": True,
            "team_size": 2,
            "citations": "flag",
            "words": 500,
            "allow_guess": True,
            "polish": True,
        }
        result = await call(session, "research", progress, question="Why?", **wishes)
        run = fields(result)
        assert (run["state"], run["answer"], run["support"]) == ("waiting", "", None)
        assert run["outline"]["title"] == "Snow" and run["outline"]["sections"][1] == {"heading": "Rain", "brief": "", "words": 300}
        assert f'approve_outline with run_id "{run["run_id"]}"' in text(result) and "1. **Ice**: What it is." in text(result)
        assert "Outline of Snow: - Ice - Rain" in progress.messages()
        (_, started), *_ = events(http, run["run_id"])
        asked = started["data"]["request"]
        assert {name: asked[name] for name in wishes} == wishes

        approved = await call(session, "approve_outline", run_id=run["run_id"], title="Weather", sections=SECTIONS)
        written = fields(approved)
        assert (written["state"], written["answer"], written["outline"]) == ("finished", "Weather Hail Fog.", None)
        assert written["support"]["totals"] == {"statements": 1, "supported": 1, "partly": 0, "unsupported": 0, "removed": 0}
        assert written["support"]["statements"][0]["verdict"] == "supported" and written["related_images"] == ["https://a.org/1.png"]
        assert "Evidence supports 1 of 1 statements, 0 in part, 0 not." in text(approved)
        again = failure(await call(session, "approve_outline", run_id=run["run_id"]))
        assert again == f"run_id: run '{run['run_id']}' does not wait"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"team_size": 9}, "team_size: Input should be less than or equal to 8"),
        ({"mode": "poem"}, "mode: Input should be 'answer' or 'report'"),
        ({"words": 50}, "words: Input should be greater than or equal to 100"),
        ({"citations": "lax"}, "citations: Input should be 'strict', 'flag' or 'off'"),
        ({"words": 500}, "words: it is for reports"),
        ({"plan_first": True}, "plan_first: it is for reports"),
    ],
)
async def test_wishes_that_are_wrong_are_named_by_the_tools(http: httpx.Client, arguments: dict[str, Any], line: str) -> None:
    async with http_client(str(http.base_url).rstrip("/")) as session:
        assert line in failure(await session.call_tool("research", {"question": "q", **arguments}))
