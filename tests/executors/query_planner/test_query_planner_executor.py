"""The Executor: documents in, documents out, with the model and temperature of each role."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import executors.query_planner
from executors.query_planner.executor import QueryPlanner
from schemas.knowledge import Evidence
from schemas.planning import CodeRequest, DecideRequest, DecomposeRequest, UnderstandRequest
from schemas.reporting import Digest, OutlineRequest
from tests.scripted import Json

DECISION = {"think": "t", "action": "answer", "queries": None, "urls": None, "questions": None, "answer": "42", "code_issue": None}


async def test_without_a_model_the_rules_answer(make_settings):
    planner = QueryPlanner(settings=make_settings())
    understanding = await planner.understand(UnderstandRequest(question="How high is the Eiffel Tower?"))
    assert (understanding.mode, understanding.language_style) == ("extractive", "formal English")
    decision = await planner.decide(DecideRequest(question="How high is the Eiffel Tower?", allowed_actions=["search"]))
    assert (decision.action, decision.decided_by, decision.usage.llm_calls) == ("search", "rules", 0)
    decomposition = await planner.decompose(DecomposeRequest(question="What is the difference between TCP and UDP?"))
    assert (decomposition.questions, decomposition.decided_by) == (["What characterises TCP?", "What characterises UDP?"], "rules")
    digest = Digest(url="https://a.test/", title="TCP", findings=["It is reliable [e1]."])
    request = OutlineRequest(question="What is TCP?", digests=[digest], evidence=[Evidence(evidence_id="e1")])
    assert [section.heading for section in (await planner.outline(request)).sections] == ["In short", "TCP"]
    await planner.close()


async def test_b16_each_role_has_its_model_and_temperature(scripted, make_settings):
    settings = make_settings(
        openai_base_url=scripted.llm_url,
        llm_model="general",
        llm_model_planner="thinker",
        llm_temperature_planner=0.25,
        llm_model_coder="programmer",
        llm_temperature_coder=0.75,
    )
    scripted.llm.on("DecisionOutput", Json(DECISION))
    scripted.llm.on("CodeOutput", Json({"think": "t", "code": "return 6 * 7"}))
    planner = QueryPlanner(settings=settings)
    decision = await planner.decide(DecideRequest(question="What is 6 * 7?", allowed_actions=["answer"]))
    result = await planner.code(CodeRequest(issue="6 * 7"))
    await planner.close()
    assert (decision.answer, decision.decided_by, result.output) == ("42", "model", "42")
    assert [(r.body["model"], r.body["temperature"]) for r in scripted.sent()] == [("thinker", 0.25), ("programmer", 0.75)]


def test_every_endpoint_is_bound(make_settings):
    assert set(QueryPlanner(settings=make_settings()).requests) >= {
        "/understand", "/decide", "/decompose", "/rewrite", "/cluster", "/code", "/describe", "/outline",
    }  # fmt: skip


@pytest.mark.parametrize("key", ["jtype", "py_modules"])
def test_config_names_the_executor(key):
    config = yaml.safe_load((Path(executors.query_planner.__file__).parent / "config.yml").read_text("utf-8"))
    assert (
        config[key]
        == {"jtype": "QueryPlanner", "py_modules": ["schemas.jina_runtime", "telemetry.serving", "executors.query_planner.executor"]}[key]
    )
