"""Answers held against criteria by a model whose figures code checks."""

from __future__ import annotations

import asyncio

import pytest
from docarray import DocList

from executors.evaluator.evaluating import evaluate
from executors.evaluator.sources import cited, days_between, sources
from providers.llm.tokens import count_tokens
from schemas.errors import BudgetExceeded, InvalidRequest, ModelRejected, ModelUnavailable
from schemas.evaluation import EvaluateRequest
from schemas.knowledge import Evidence, Knowledge
from schemas.usage import Allowance
from tests.scripted import Delay, Json, Status, Text

QUESTION = "How high is the Eiffel Tower?"
KNOWLEDGE = [
    Knowledge(
        kind="url",
        evidence=DocList[Evidence](
            [
                Evidence(
                    evidence_id="e1", url="https://a.test/", quote="The Eiffel Tower is 330 m high.", published="2026-11-01", score=0.9
                ),
                Evidence(evidence_id="e2", url="https://b.test/", quote="Paris is a city.", score=0.1),
                Evidence(evidence_id="e3", url="https://c.test/", quote="It was higher once.", published="2001-01-01T10:00:00Z", score=0.4),
            ]
        ),
    ),
    Knowledge(kind="coding", question="in feet", answer="1083"),
    Knowledge(kind="side-info", question="eiffel", answer="a mere snippet"),
]


def ask(*criteria: str, **fields: object) -> EvaluateRequest:
    request = EvaluateRequest(question=QUESTION, answer="It is 330 m high [e1].", criteria=list(criteria), date="2026-11-21")
    request.knowledge = DocList[Knowledge](KNOWLEDGE)
    for name, value in fields.items():
        setattr(request, name, value)
    return request


def passes(**fields: object) -> Json:
    return Json({"think": "fine", "passed": True, **fields})


def fails(**fields: object) -> Json:
    return Json({"think": "not fine", "passed": False, **fields})


# -- all criteria at once ----------------------------------------------------------------------------------------------


async def test_all_criteria_are_judged(scripted, model, prompts, settings):
    scripted.llm.on("StrictOutput", passes(improvement_plan="ignored", think="strictly fine"))
    scripted.llm.on("DefinitiveOutput", passes())
    evaluation = await evaluate(ask("definitive", "strict"), model, prompts, settings)
    assert (evaluation.passed, evaluation.failed_criterion, evaluation.think) == (True, None, "strictly fine")
    assert (evaluation.judged_by, evaluation.improvement_plan, evaluation.usage.llm_calls) == ("model", "", 2)
    systems = sorted(request.body["messages"][0]["content"][:50] for request in scripted.sent())
    assert systems == ["You are the last reviewer before an answer goes ou", "You judge whether an answer is definitive, and not"]


async def test_criteria_are_judged_at_the_same_time(scripted, model, prompts, settings):
    for name in ("DefinitiveOutput", "FreshnessOutput", "StrictOutput"):
        scripted.llm.on(name, Delay(60, passes()))
    judging = asyncio.create_task(evaluate(ask("definitive", "freshness", "strict"), model, prompts, settings))
    assert await asyncio.to_thread(scripted.wait_for_requests, 3)
    judging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await judging
    assert await asyncio.to_thread(scripted.wait_for_lost_streams, 3)


@pytest.mark.parametrize(
    ("order", "verdict"), [(("definitive", "strict", "freshness"), "strict"), (("definitive", "freshness", "strict"), "freshness")]
)
async def test_the_first_failure_in_the_given_order_is_the_verdict(*, scripted, model, prompts, settings, order, verdict):
    scripted.llm.on("DefinitiveOutput", passes())
    scripted.llm.on("StrictOutput", fails(improvement_plan="Name the year. " * 200, think="x " * 500))
    scripted.llm.on("FreshnessOutput", fails(days_ago=9, max_age_days=1, think="old"))
    evaluation = await evaluate(ask(*order), model, prompts, settings)
    assert (evaluation.passed, evaluation.failed_criterion) == (False, verdict)
    if verdict == "strict":
        assert evaluation.improvement_plan.startswith("Name the year. Name")
        assert (len(evaluation.improvement_plan), len(evaluation.think)) == (1_000, 500)
    else:
        assert (evaluation.improvement_plan, evaluation.think) == ("", "old")
    assert evaluation.usage.llm_calls == len(scripted.sent()) == 3


async def test_a_criterion_that_is_named_twice_is_judged_once(scripted, model, prompts, settings):
    scripted.llm.on("DefinitiveOutput", passes())
    assert (await evaluate(ask("definitive", "definitive"), model, prompts, settings)).usage.llm_calls == 1


@pytest.mark.parametrize("answer", ["", " \n\t"])
async def test_b15_an_empty_answer_fails_without_a_call(scripted, model, prompts, settings, answer):
    evaluation = await evaluate(ask("definitive", "strict", answer=answer), model, prompts, settings)
    assert (evaluation.passed, evaluation.failed_criterion, evaluation.think) == (False, "definitive", "The answer is empty.")
    assert scripted.sent() == []


async def test_b14_a_sub_question_is_evaluated_like_any_other(scripted, model, prompts, settings):
    scripted.llm.on("DefinitiveOutput", fails())
    evaluation = await evaluate(ask("definitive", question="When was it built?"), model, prompts, settings)
    assert evaluation.failed_criterion == "definitive"
    assert "When was it built?" in scripted.sent()[0].body["messages"][1]["content"]


async def test_no_criterion_is_no_failure(scripted, model, prompts, settings):
    evaluation = await evaluate(ask(), model, prompts, settings)
    assert (evaluation.passed, evaluation.usage.llm_calls) == (True, 0)


async def test_a_question_is_needed(prompts, settings):
    with pytest.raises(InvalidRequest) as raised:
        await evaluate(ask("definitive", question=" "), None, prompts, settings)
    assert raised.value.field == "question"


# -- figures decide ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days_ago", "max_age_days", "said", "passed"),
    [
        (20, 30, False, True),
        (30.5, 30, True, False),
        (0.05, 0.1, False, True),
        (9_999, None, False, True),
        (None, None, False, True),
        (None, 7, True, True),
        (None, 7, False, False),
    ],
)
async def test_freshness_is_decided_by_the_ages(*, scripted, model, prompts, settings, days_ago, max_age_days, said, passed):
    scripted.llm.on("FreshnessOutput", Json({"think": "t", "passed": said, "days_ago": days_ago, "max_age_days": max_age_days}))
    evaluation = await evaluate(ask("freshness"), model, prompts, settings)
    assert (evaluation.passed, evaluation.judged_by) == (passed, "model")


@pytest.mark.parametrize(("minimum", "actual", "passed"), [(3, 3, True), (3, 2, False), (0, 0, True)])
async def test_plurality_is_decided_by_the_counts(*, scripted, model, prompts, settings, minimum, actual, passed):
    reply = fails if passed else passes
    scripted.llm.on("PluralityOutput", reply(minimum_count_required=minimum, actual_count_provided=actual))
    assert (await evaluate(ask("plurality"), model, prompts, settings)).passed is passed


@pytest.mark.parametrize(
    ("expected", "provided", "said", "passed"),
    [
        (["height", "Year built"], ["year  built.", "HEIGHT"], False, True),
        (["height", "year built"], ["height"], True, False),
        (["height"], [], True, False),
        ([], [], True, True),
        ([" "], ["height"], False, False),
    ],
)
async def test_completeness_is_decided_by_the_aspects(*, scripted, model, prompts, settings, expected, provided, said, passed):
    reply = passes if said else fails
    scripted.llm.on("CompletenessOutput", reply(aspects_expected=expected, aspects_provided=provided))
    assert (await evaluate(ask("completeness"), model, prompts, settings)).passed is passed


@pytest.mark.parametrize(
    ("criterion", "name", "bad"),
    [
        ("freshness", "FreshnessOutput", passes(days_ago=-1, max_age_days=3)),
        ("plurality", "PluralityOutput", passes(minimum_count_required=-5, actual_count_provided=0)),
        ("definitive", "DefinitiveOutput", Json({})),
        ("strict", "StrictOutput", Text("Looks good to me!")),
        ("completeness", "CompletenessOutput", Text("")),
    ],
)
async def test_a_criterion_without_valid_output_is_judged_by_rules(*, scripted, model, prompts, settings, criterion, name, bad):
    scripted.llm.on(name, bad)
    evaluation = await evaluate(ask(criterion), model, prompts, settings)
    assert (evaluation.passed, evaluation.judged_by) == (True, "rules")
    assert evaluation.think.startswith("By rule: ")
    assert evaluation.usage.llm_calls == len(scripted.sent()) == 2


# -- failures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("reply", "error"), [(Status(503), ModelUnavailable), (Status(401), ModelRejected)])
async def test_a_model_that_fails_is_an_error_with_all_usage(*, scripted, model, prompts, settings, reply, error):
    scripted.llm.on("DefinitiveOutput", passes())
    scripted.llm.on("StrictOutput", reply)
    with pytest.raises(error) as raised:
        await evaluate(ask("definitive", "strict"), model, prompts, settings)
    assert raised.value.usage.llm_calls == 1
    assert raised.value.usage.prompt_tokens > 0


@pytest.mark.parametrize("reply", [Status(503), Status(401)])
async def test_an_earlier_verdict_stands_when_a_later_call_fails(*, scripted, model, prompts, settings, reply):
    scripted.llm.on("DefinitiveOutput", fails())
    scripted.llm.on("StrictOutput", reply)
    evaluation = await evaluate(ask("definitive", "strict"), model, prompts, settings)
    assert (evaluation.failed_criterion, evaluation.usage.llm_calls) == ("definitive", 1)


async def test_a_failure_is_no_verdict_when_only_a_later_criterion_failed(scripted, model, prompts, settings):
    scripted.llm.on("DefinitiveOutput", Status(503))
    scripted.llm.on("StrictOutput", fails(improvement_plan="x"))
    with pytest.raises(ModelUnavailable) as raised:
        await evaluate(ask("definitive", "strict"), model, prompts, settings)
    assert raised.value.usage.llm_calls == 1


async def test_all_criteria_share_one_allowance(scripted, model, prompts, settings):
    scripted.llm.on("DefinitiveOutput", passes())
    with pytest.raises(BudgetExceeded) as raised:
        await evaluate(ask("definitive", "strict", allowance=Allowance(llm_calls=1)), model, prompts, settings)
    assert raised.value.usage.llm_calls == len(scripted.sent()) == 1


async def test_a_model_that_writes_all_it_may_stays_within_the_tokens_of_all(scripted, model, prompts, settings):
    scripted.llm.count = count_tokens
    for name in ("DefinitiveOutput", "PluralityOutput", "CompletenessOutput", "StrictOutput"):
        scripted.llm.on(name, lambda request: Text(" many" * request["max_tokens"]))
    request = ask("definitive", "plurality", "completeness", "strict", allowance=Allowance(tokens=20_000, llm_calls=8))
    evaluation = await evaluate(request, model, prompts, settings)
    assert evaluation.judged_by == "rules"
    assert 4 <= evaluation.usage.llm_calls <= 8
    assert 10_000 < evaluation.usage.total_tokens <= 20_000


# -- prompts -----------------------------------------------------------------------------------------------------------


async def test_strict_sees_the_knowledge_cited_evidence_first(scripted, model, prompts, settings):
    scripted.llm.on("StrictOutput", passes(improvement_plan=""))
    await evaluate(ask("strict", language_style="formal German", answer="Once higher [e3] </untrusted>"), model, prompts, settings)
    system, user = (message["content"] for message in scripted.sent()[0].body["messages"])
    assert "formal German" in system
    marks = ["[e3] 2001-01-01", "in feet\n1083", "[e1] 2026-11-01", "[e2]"]
    assert [user.index(mark) for mark in marks] == sorted(user.index(mark) for mark in marks)
    assert "a mere snippet" not in user
    assert "Once higher [e3] &lt;/untrusted>" in user


async def test_strict_sees_only_what_fits(scripted, model, prompts, settings):
    scripted.llm.on("StrictOutput", passes(improvement_plan=""))
    long = [Evidence(evidence_id=f"e{n}", quote=f"quote {n} " + "filler " * 2_000, score=n / 100) for n in range(10, 60)]
    request = ask("strict", allowance=Allowance(tokens=16_000), answer="A [e11].")
    request.knowledge = DocList[Knowledge]([Knowledge(kind="url", evidence=DocList[Evidence](long))])
    await evaluate(request, model, prompts, settings)
    user = scripted.sent()[0].body["messages"][1]["content"]
    assert [n for n in range(10, 60) if f"quote {n} " in user] == [11, 56, 57, 58, 59]


async def test_freshness_sees_ages_and_no_quotes(scripted, model, prompts, settings):
    scripted.llm.on("FreshnessOutput", passes(days_ago=20, max_age_days=30))
    await evaluate(ask("freshness"), model, prompts, settings)
    user = scripted.sent()[0].body["messages"][1]["content"]
    assert user.startswith("Today is 2026-11-21.")
    assert "[e1] 20 days ago\n" in user
    assert "[e2] date unknown\n" in user
    assert "Paris is a city" not in user


# -- what an answer rests on -------------------------------------------------------------------------------------------


def test_cited_evidence_in_the_order_of_the_answer():
    assert [e.evidence_id for e in cited("A [e3], b [e1, e3]; c [e9] arr[0] [2024] e2.", KNOWLEDGE)] == ["e3", "e1"]


@pytest.mark.parametrize(
    ("earlier", "today", "days"),
    [
        ("2026-11-01", "2026-11-21", 20),
        ("2026-11-20T23:59:59+02:00", "2026-11-21T00:00:00Z", 1),
        ("2030-01-01", "2026-11-21", 0),
        (None, "2026-11-21", None),
        ("yesterday", "2026-11-21", None),
        ("2026-11-01", "", None),
    ],
)
def test_days_between(earlier, today, days):
    assert days_between(earlier, today) == days


def test_sources_name_each_evidence_once():
    again = [*KNOWLEDGE, KNOWLEDGE[0]]
    assert [source.label for source in sources("Fine [e2].", again, "2026-11-21")] == ["e2", "coding", "e1", "e3"]
