"""Judging and analysing without a model."""

from __future__ import annotations

import pytest
from docarray import DocList

from executors.evaluator import rules
from executors.evaluator.evaluating import evaluate
from schemas.evaluation import AnalyzeRequest, EvaluateRequest
from schemas.knowledge import DiaryEntry, Evidence, Knowledge


def ask(answer: str, *quotes: str, question: str = "How high is the Eiffel Tower?", published: str | None = None) -> EvaluateRequest:
    evidence = [Evidence(evidence_id=f"e{n}", quote=quote, published=published) for n, quote in enumerate(quotes, start=1)]
    knowledge = DocList[Knowledge]([Knowledge(kind="url", evidence=DocList[Evidence](evidence))])
    return EvaluateRequest(question=question, answer=answer, knowledge=knowledge, date="2026-11-21", criteria=["definitive"])


HIGH = "The Eiffel Tower is 330 m high."
PARIS = "Paris has a tower."


@pytest.mark.parametrize(
    ("answer", "passed", "think"),
    [
        ("It is high [e1].", True, "By rule: the cited passages cover 100% of what the question asks about, at least 50% is needed."),
        ("It is high.", False, "By rule: the answer cites no evidence that was read."),
        ("It is high [e9].", False, "By rule: the answer cites no evidence that was read."),
    ],
)
def test_definitive(answer, passed, think):
    evaluation = rules.judge("definitive", ask(answer, HIGH, PARIS))
    assert (evaluation.passed, evaluation.think, evaluation.judged_by) == (passed, think, "rules")
    assert evaluation.failed_criterion == (None if passed else "definitive")


def test_common_terms_cover_less_than_rare_ones():
    common = ["The tower is high." for _ in range(8)]
    question = "How high is the Eiffel tower in Paris?"
    assert rules.judge("definitive", ask("A [e1].", *common, "Eiffel. Paris.", question=question)).passed is False
    assert rules.judge("definitive", ask("A [e9].", *common, "Eiffel. Paris.", question=question)).passed is True


@pytest.mark.parametrize(
    ("published", "passed", "think"),
    [
        ("2026-01-01", True, "By rule: the newest cited page is 324 days old, at most 365 are accepted."),
        ("2020-01-01", False, "By rule: the newest cited page is 2516 days old, at most 365 are accepted."),
        (None, False, "By rule: none of the cited pages has a known date."),
    ],
)
def test_freshness(published, passed, think):
    evaluation = rules.judge("freshness", ask("A [e1].", HIGH, published=published))
    assert (evaluation.passed, evaluation.think) == (passed, think)


@pytest.mark.parametrize("criterion", ["plurality", "completeness", "strict"])
def test_the_other_criteria_pass_with_definitive(criterion):
    assert rules.judge(criterion, ask("A [e1].", HIGH)).passed is True
    failed = rules.judge(criterion, ask("A.", HIGH))
    assert (failed.passed, failed.failed_criterion) == (False, criterion)


async def test_extractive_mode_evaluates_by_rules(prompts, settings):
    evaluation = await evaluate(ask("A [e1].", HIGH), None, prompts, settings)
    assert (evaluation.passed, evaluation.judged_by, evaluation.usage.llm_calls) == (True, "rules", 0)


def test_the_account_is_made_of_the_diary():
    diary = [
        DiaryEntry(step=1, action="search", items=["eiffel", "tower"], outcome="nothing_new"),
        DiaryEntry(step=2, action="visit", items=["https://a.test/"], outcome="done"),
        DiaryEntry(step=3, action="answer", outcome="rejected", note="No  figure."),
    ]
    analysis = rules.analyze(AnalyzeRequest(question="Q?", diary=DocList[DiaryEntry](diary)))
    assert analysis.recap == (
        "Step 1: search (eiffel; tower), nothing new. Step 2: visit (https://a.test/), done. Step 3: answer, rejected."
    )
    assert (analysis.blame, analysis.improvement) == ("No figure.", "Search with different words and read other pages.")


def test_the_account_of_steps_that_failed():
    diary = [DiaryEntry(step=n, action="search", items=["x" * 400], outcome="failed") for n in (1, 2)]
    analysis = rules.analyze(AnalyzeRequest(diary=DocList[DiaryEntry](diary)))
    assert len(analysis.recap) == 500
    assert (analysis.blame, analysis.improvement) == ("2 of 2 steps brought nothing.", "Read pages before answering.")


def test_an_empty_diary():
    analysis = rules.analyze(AnalyzeRequest())
    assert (analysis.recap, analysis.blame) == ("No step was recorded.", "The diary names no failed step.")
