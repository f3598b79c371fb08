"""The Executor: documents in, documents out, with the evaluator's model and temperature."""

from __future__ import annotations

from pathlib import Path

import yaml
from docarray import DocList

import executors.evaluator
from executors.evaluator.executor import Evaluator
from schemas.evaluation import AnalyzeRequest, EvaluateRequest
from schemas.knowledge import DiaryEntry, Evidence
from schemas.reporting import Digest, DigestRequest, SynthesizeRequest
from schemas.support import CheckRequest
from tests.scripted import Json


async def test_without_a_model_the_rules_judge(make_settings):
    evaluator = Evaluator(settings=make_settings())
    evaluation = await evaluator.evaluate(EvaluateRequest(question="Q?", answer="A.", criteria=["definitive"]))
    assert (evaluation.passed, evaluation.judged_by) == (False, "rules")
    assert (await evaluator.analyze(AnalyzeRequest())).recap == "No step was recorded."
    await evaluator.close()


async def test_b16_the_evaluator_has_its_model_and_temperature(scripted, make_settings):
    settings = make_settings(
        openai_base_url=scripted.llm_url, llm_model="general", llm_model_evaluator="judge", llm_temperature_evaluator=0.125
    )
    scripted.llm.on("DefinitiveOutput", Json({"think": "t", "passed": True}))
    scripted.llm.on("AnalysisOutput", Json({"recap": "r", "blame": "b", "improvement": "i"}))
    evaluator = Evaluator(settings=settings)
    evaluation = await evaluator.evaluate(EvaluateRequest(question="Q?", answer="A.", criteria=["definitive"]))
    analysis = await evaluator.analyze(AnalyzeRequest(question="Q?", diary=DocList[DiaryEntry]([DiaryEntry(step=1, action="search")])))
    await evaluator.close()
    assert (evaluation.passed, evaluation.judged_by, analysis.blame) == (True, "model", "b")
    assert [(r.body["model"], r.body["temperature"]) for r in scripted.sent()] == [("judge", 0.125)] * 2


def test_every_endpoint_is_bound(make_settings):
    assert set(Evaluator(settings=make_settings()).requests) >= {"/evaluate", "/analyze", "/check", "/digest", "/synthesize"}


async def test_claims_and_pages_without_a_model(make_settings):
    evaluator = Evaluator(settings=make_settings())
    evidence = DocList[Evidence]([Evidence(evidence_id="e1", url="https://a.test/", quote="The Eiffel Tower is 330 metres high.")])
    report = await evaluator.check(CheckRequest(text="The Eiffel Tower is 330 metres high [e1].", evidence=evidence))
    digest = await evaluator.digest(DigestRequest(question="How high is the Eiffel Tower?", url="https://a.test/", evidence=evidence))
    request = SynthesizeRequest(question="How high is the Eiffel Tower?", digests=DocList[Digest]([digest]), evidence=evidence)
    synthesis = await evaluator.synthesize(request)
    await evaluator.close()
    assert (report.supported, report.judged_by) == (1, "rules")
    assert digest.findings == ["The Eiffel Tower is 330 metres high. [e1]"]
    assert (synthesis.agreements, synthesis.conflicts, synthesis.gaps) == ([], [], [])


def test_config_names_the_executor():
    config = yaml.safe_load((Path(executors.evaluator.__file__).parent / "config.yml").read_text("utf-8"))
    assert (config["jtype"], config["py_modules"]) == (
        "Evaluator",
        ["schemas.jina_runtime", "telemetry.serving", "executors.evaluator.executor"],
    )
