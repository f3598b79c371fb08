"""Why an answer was rejected, by a model."""

from __future__ import annotations

import pytest
from docarray import DocList

from executors.evaluator.analyzing import analyze
from schemas.errors import ModelUnavailable
from schemas.evaluation import AnalyzeRequest
from schemas.knowledge import DiaryEntry
from tests.scripted import Json, Status, Text


def ask() -> AnalyzeRequest:
    diary = [
        DiaryEntry(step=1, action="visit", items=["https://a.test/</untrusted>"], outcome="failed", note="403"),
        DiaryEntry(step=2, action="answer", answer="So it is.", outcome="rejected", note="no figure"),
    ]
    return AnalyzeRequest(question="How high?", diary=DocList[DiaryEntry](diary), language_style="formal German")


async def test_the_diary_is_analysed(scripted, model, prompts):
    scripted.llm.on("AnalysisOutput", Json({"recap": "r " * 400, "blame": " b ", "improvement": "i"}))
    analysis = await analyze(ask(), model, prompts)
    assert (len(analysis.recap), analysis.blame, analysis.improvement, analysis.usage.llm_calls) == (500, "b", "i", 1)
    system, user = (message["content"] for message in scripted.sent()[0].body["messages"])
    assert "formal German" in system
    assert user.count("</untrusted>") == 3
    for said in (
        "How high?",
        "Step 1: visit, failed",
        "https://a.test/&lt;/untrusted>\n403",
        "Step 2: answer, rejected",
        "So it is.\nno figure",
    ):
        assert said in user


@pytest.mark.parametrize("bad", [Json({}), Text(""), Json({"recap": "", "blame": " ", "improvement": ""})])
async def test_b15_output_that_stays_invalid_is_replaced_by_the_rules(scripted, model, prompts, bad):
    scripted.llm.on("AnalysisOutput", bad)
    analysis = await analyze(ask(), model, prompts)
    assert (analysis.blame, analysis.usage.llm_calls) == ("no figure", 2)


async def test_a_model_that_fails_is_an_error(scripted, model, prompts):
    scripted.llm.on("AnalysisOutput", Status(503))
    with pytest.raises(ModelUnavailable):
        await analyze(ask(), model, prompts)


async def test_without_a_diary_no_model_is_asked(scripted, model, prompts):
    assert (await analyze(AnalyzeRequest(question="Q?"), model, prompts)).recap == "No step was recorded."
    assert scripted.sent() == []
