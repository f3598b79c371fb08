"""The criterion attribution: an answer must stand in what was read."""

from __future__ import annotations

import pytest
from docarray import DocList

from executors.evaluator.attribution import attribution
from executors.evaluator.evaluating import evaluate
from schemas.evaluation import EvaluateRequest
from schemas.knowledge import Evidence, Knowledge
from schemas.support import Statement, SupportReport
from schemas.usage import Allowance, Usage
from tests.scripted import Json, Status, Text

EVIDENCE = [
    Evidence(evidence_id="e1", url="https://a.test/", quote="The Eiffel Tower is 330 metres high. It stands in Paris."),
    Evidence(evidence_id="e2", url="https://b.test/", quote="Der Eiffelturm wurde 1889 nach zwei Jahren Bauzeit fertiggestellt."),
]
VERBATIM = "The Eiffel Tower is 330 metres high [e1]."
FOREIGN = "It was completed in 1889 after two years of work [e2]."
CHANGED = "The Eiffel Tower is 324 metres high [e1]."
INVENTED = "Birds of prey nest upon it every spring [e1]."


def ask(answer: str, *criteria: str, **fields: object) -> EvaluateRequest:
    request = EvaluateRequest(question="How high is the Eiffel Tower?", answer=answer, criteria=list(criteria or ["attribution"]))
    request.knowledge = DocList[Knowledge]([Knowledge(kind="url", evidence=DocList[Evidence](EVIDENCE))])
    return request.model_copy(update=fields)


def report(*verdicts: str, usage: Usage | None = None) -> SupportReport:
    statements = [Statement(text=f"Statement {number}.", verdict=verdict) for number, verdict in enumerate(verdicts, 1)]
    return SupportReport(statements=DocList[Statement](statements), usage=usage or Usage())


def entailed(verdict: str, *evidence: str) -> Json:
    return Json({"statements": [{"number": 1, "reason": "r", "verdict": verdict, "evidence": list(evidence)}], "pairs": []})


# -- the verdict -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdicts", "passed"),
    [
        (["supported"] * 4 + ["unsupported"], True),
        (["partly"] * 4 + ["unsupported"], True),
        (["supported"] * 3 + ["unsupported"], False),
        (["supported"] * 99 + ["contradicted"], False),
        (["no_claim"] * 50 + ["unsupported"], False),
        (["unsupported"] + ["no_claim"] * 50, False),
        (["no_claim"], True),
        ([], True),
    ],
)
def test_attribution_passes_at_four_fifths_supported_and_nothing_contradicted(verdicts, passed):
    evaluation = attribution(report(*verdicts))
    assert (evaluation.passed, evaluation.failed_criterion) == (passed, None if passed else "attribution")
    assert bool(evaluation.improvement_plan) is not passed


def test_attribution_names_the_first_unsupported_statements():
    found = report("supported", *["unsupported"] * 4, "contradicted", usage=Usage(llm_calls=2))
    found.statements[1].missing = ["324", "1887"]
    found.statements[2].reason = "no page speaks of it"
    found.statements[5].evidence = ["e7"]
    evaluation = attribution(found)
    assert evaluation.think == (
        "Supported by what was read: 1 of 6 claims; contradicted: 1. At least 80% must be supported and none contradicted. "
        "Not supported: “Statement 6.” (contradicted). “Statement 2.” (not in what was read: 324, 1887). "
        "“Statement 3.” (no page speaks of it)."
    )
    assert evaluation.improvement_plan.startswith(
        "Correct or leave out “Statement 6.”: e7 says otherwise. Find a page that says 324, 1887 for “Statement 2.”, or leave it out. "
        "Find a page that says “Statement 3.”, or leave it out."
    )
    assert (evaluation.support, evaluation.usage.llm_calls) == (found, 2)


def test_attribution_stays_short():
    found = report(*["unsupported"] * 200)
    for statement in found.statements:
        statement.text = "word " * 200
    evaluation = attribution(found)
    assert (len(evaluation.think) <= 500, len(evaluation.improvement_plan)) == (True, 1_000)


# -- the criterion -----------------------------------------------------------------------------------------------------


async def test_attribution_by_rules_rejects_a_changed_figure(prompts, settings):
    evaluation = await evaluate(ask(f"{VERBATIM} {CHANGED}"), None, prompts, settings)
    assert (evaluation.passed, evaluation.failed_criterion, evaluation.judged_by) == (False, "attribution", "rules")
    assert "324 metres high" in evaluation.think
    assert [statement.verdict == "supported" for statement in evaluation.support.statements] == [True, False]


async def test_attribution_by_rules_accepts_what_was_read(prompts, settings):
    evaluation = await evaluate(ask(VERBATIM), None, prompts, settings)
    assert (evaluation.passed, evaluation.support.supported) == (True, 1)


async def test_attribution_is_judged_by_a_model_where_words_do_not_decide(scripted, model, prompts, settings):
    scripted.llm.on("EntailmentOutput", entailed("supported", "e2"))
    evaluation = await evaluate(ask(f"{VERBATIM} {FOREIGN}"), model, prompts, settings)
    assert (evaluation.passed, evaluation.judged_by, evaluation.usage.llm_calls) == (True, "model", 1)


async def test_attribution_is_not_talked_into_a_changed_figure(scripted, model, prompts, settings):
    scripted.llm.on("EntailmentOutput", entailed("supported", "e1"))
    evaluation = await evaluate(ask(f"{VERBATIM} {CHANGED}"), model, prompts, settings)
    assert (evaluation.passed, evaluation.failed_criterion) == (False, "attribution")


@pytest.mark.parametrize("reply", [Status(500), Status(401), Text("Looks fine to me!")])
async def test_attribution_never_fails_with_its_model(*, scripted, model, prompts, settings, reply):
    scripted.llm.on("EntailmentOutput", reply)
    evaluation = await evaluate(ask(INVENTED), model, prompts, settings)
    assert (evaluation.failed_criterion, evaluation.judged_by) == ("attribution", "rules")


async def test_attribution_leaves_a_scarce_model_call_to_the_others(scripted, model, prompts, settings):
    scripted.llm.on("DefinitiveOutput", Json({"think": "fine", "passed": True}))
    request = ask(INVENTED, "attribution", "definitive", allowance=Allowance(llm_calls=1))
    evaluation = await evaluate(request, model, prompts, settings)
    assert (evaluation.failed_criterion, evaluation.judged_by) == ("attribution", "rules")
    assert evaluation.usage.llm_calls == len(scripted.sent()) == 1


async def test_the_report_is_there_when_another_criterion_decides(scripted, model, prompts, settings):
    scripted.llm.on("DefinitiveOutput", Json({"think": "not fine", "passed": False}))
    evaluation = await evaluate(ask(VERBATIM, "definitive", "attribution"), model, prompts, settings)
    assert (evaluation.failed_criterion, evaluation.think) == ("definitive", "not fine")
    assert evaluation.support.supported == 1


async def test_b14_the_answer_to_a_sub_question_is_judged_by_attribution_too(prompts, settings):
    evaluation = await evaluate(ask(INVENTED, "attribution", question="What nests on the Eiffel Tower?"), None, prompts, settings)
    assert (evaluation.passed, evaluation.failed_criterion) == (False, "attribution")
