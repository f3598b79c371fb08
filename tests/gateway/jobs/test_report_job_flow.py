"""A report as a job of the real Flow, without a language model: its outline waits, is approved, and the report is written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.gateway.flow_process import flow_of, scripted_settings
from tests.scripted.five_steps import add_session
from tests.scripted.server import ScriptedServer

pytestmark = pytest.mark.flow

QUESTION = "How do I scale the page readers?"


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    home = tmp_path_factory.mktemp("home")
    with ScriptedServer() as upstream:
        add_session(upstream)
        settings = scripted_settings(upstream, home, LLM_MODEL="")
        url = f"http://127.0.0.1:{settings['DEEPSEARCH_HTTP_PORT']}"
        with flow_of(settings, home / "log"), httpx.Client(base_url=url, timeout=30) as client:
            yield client


def events(http: httpx.Client, run_id: str, last: str = "") -> list[tuple[str, Any]]:
    response = http.get(f"/v1/research/{run_id}/events", headers={"Last-Event-ID": last})
    frames = [frame.split("\n") for frame in response.text.split("\n\n") if frame.startswith("id: ")]
    return [(lines[0].removeprefix("id: "), json.loads(lines[2].removeprefix("data: "))) for lines in frames]


def test_a_report_waits_for_its_outline_and_is_written(http: httpx.Client) -> None:
    begun = http.post("/v1/research", json={"question": QUESTION, "run_id": "report", "mode": "report", "plan_first": True})
    assert begun.status_code == 202, begun.text
    before = events(http, "report")
    assert before[-1][0].endswith(".waiting") and before[-1][1]["data"]["outcome"] == "waiting"
    report = http.get("/v1/research/report").json()
    assert report["run"]["state"] == "waiting" and report["outline"]["sections"], report
    assert http.post("/v1/research/report/outline").status_code == 202
    after = events(http, "report", before[-1][0])
    assert after[0][1]["type"] == "outline_approved" and after[-1][1]["data"]["outcome"] == "finished"
    answer = http.get("/v1/research/report").json()["answer"]
    assert "Page readers scale by their number of replicas" in answer["text"] and answer["references"]
    again = http.post("/v1/research/report/outline")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "not_waiting")


def test_a_report_by_chat_ends_with_its_outline_first(http: httpx.Client) -> None:
    body = {"messages": [{"role": "user", "content": QUESTION}], "mode": "report", "plan_first": True}
    proposal = http.post("/v1/chat/completions", json=body).json()
    assert proposal["stop_reason"] == "waiting" and proposal["outline"]["sections"], proposal
    assert http.post(proposal["approve"]).status_code == 202
    run_id = proposal["id"].removeprefix("chatcmpl-")
    assert events(http, run_id)[-1][1]["data"]["outcome"] == "finished"
    assert http.get(f"/v1/research/{run_id}").json()["answer"]["text"]


def test_a_report_by_chat_tells_what_supports_it(http: httpx.Client) -> None:
    body = {"messages": [{"role": "user", "content": QUESTION}], "mode": "report", "words": 300}
    document = http.post("/v1/chat/completions", json=body).json()
    content, support = document["choices"][0]["message"]["content"], document["support"]
    assert support["totals"]["supported"] > 0 and document["usage"]["support"] == support["totals"]
    for statement in support["statements"]:
        if statement["verdict"] == "supported":
            assert statement["references"] and "[^" in content[statement["start"] : statement["end"]]
    thoughts = document["choices"][0]["message"]["reasoning_content"]
    assert "Outline" in thoughts and "Checked: " in thoughts
