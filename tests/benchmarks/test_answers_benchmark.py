"""The questions to the documentation are still answered by it, and the command that asks them works."""

from __future__ import annotations

import json

import pytest

from benchmarks.answers.questions import missing_quotes, overlap, questions
from benchmarks.answers.run import main


def test_every_quote_stands_in_its_document() -> None:
    missing = missing_quotes()
    assert not missing, "\n".join(missing)


def test_questions_are_of_both_kinds() -> None:
    found = questions()
    assert len({question.id for question in found}) == len({question.question for question in found}) == len(found) >= 60
    unanswerable = [question for question in found if not question.answerable]
    assert len(unanswerable) >= 20
    assert all(question.evidence and question.words for question in found if question.answerable)
    assert not any(question.evidence or question.words for question in unanswerable)
    assert sorted([*questions("tune"), *questions("held_out")], key=lambda question: question.id) == found


def test_a_reflow_changes_no_quote() -> None:
    assert overlap("set\nthe port", "To open it, set the port first.")
    assert not overlap("set the port", "set a port")
    assert not overlap("", "anything")


def test_the_command_answers_five_questions(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--most", "5", "--wrong"])
    report = json.loads(capsys.readouterr().out)
    assert (report["questions"], report["unanswerable"]) == (5, 1)
    figures = report["extractive"]
    assert figures["evidence in ledger"] >= 0.75
    assert figures["answer words found"] >= 0.5
    assert all(name in next(value for key, value in report.items() if key.startswith("BM25")) for name in figures)


def test_a_model_that_is_not_configured_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="LLM_MODEL"):
        main(["--model", "--most", "1"])
