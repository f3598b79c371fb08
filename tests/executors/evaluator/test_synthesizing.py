"""What several pages say together."""

from __future__ import annotations

import pytest
from docarray import DocList

from executors.evaluator.synthesizing import synthesize
from schemas.errors import InvalidRequest, ModelUnavailable
from schemas.knowledge import Evidence
from schemas.reporting import Digest, SynthesizeRequest
from schemas.usage import Allowance
from tests.scripted import Json, Status, Text

QUOTES = {
    "e1": ("https://a.test/", "The Eiffel Tower is 330 metres high."),
    "e2": ("https://b.test/", "The Eiffel Tower in Paris is 330 metres high."),
    "e3": ("https://c.test/", "The Eiffel Tower is 312 metres high."),
    "e4": ("https://a.test/", "The Eiffel Tower weighs 10,100 tonnes."),
}


def ask(question: str = "How high is the Eiffel Tower, and who designed it?", **fields: object) -> SynthesizeRequest:
    evidence = [Evidence(evidence_id=key, url=url, quote=quote) for key, (url, quote) in QUOTES.items()]
    pages = {
        url: Digest(url=url, findings=[f"{quote} [{key}]" for key, (of, quote) in QUOTES.items() if of == url])
        for url in dict.fromkeys(url for url, _ in QUOTES.values())
    }
    request = SynthesizeRequest(question=question)
    request.digests = DocList[Digest](pages.values())
    request.evidence = DocList[Evidence](evidence)
    return request.model_copy(update=fields)


def says(agreements: list[str] | None = None, conflicts: list[str] | None = None, gaps: list[str] | None = None) -> Json:
    return Json({"agreements": agreements or [], "conflicts": conflicts or [], "gaps": gaps or []})


# -- by rules ----------------------------------------------------------------------------------------------------------


async def test_pages_that_say_the_same_agree(prompts, settings):
    found = await synthesize(ask(), None, prompts, settings)
    assert found.agreements == ["The Eiffel Tower is 330 metres high. [e1][e2]"]
    assert found.usage.llm_calls == 0


async def test_evidence_that_disagrees_is_quoted_on_both_sides(prompts, settings):
    found = await synthesize(ask(), None, prompts, settings)
    assert found.conflicts
    assert all("330" in line and "312" in line and "[e3]" in line and ("[e1]" in line or "[e2]" in line) for line in found.conflicts)


async def test_what_no_finding_speaks_of_is_to_be_searched_for(prompts, settings):
    assert (await synthesize(ask(), None, prompts, settings)).gaps == ["high is the eiffel tower designed"]
    assert (await synthesize(ask("How high is the Eiffel Tower?"), None, prompts, settings)).gaps == []


async def test_without_findings_the_question_is_still_open(scripted, model, prompts, settings):
    found = await synthesize(ask(digests=DocList[Digest]([Digest(url="https://a.test/")])), model, prompts, settings)
    assert (found.agreements, found.conflicts, found.gaps) == ([], [], ["How high is the Eiffel Tower, and who designed it?"])
    assert scripted.sent() == []


async def test_a_script_without_spaces_gives_phrases_too(prompts, settings):
    pages = [Digest(url=f"https://{n}.test/", findings=[f"埃菲尔铁塔高330米。 [e{n}]"]) for n in (1, 2)]
    found = await synthesize(ask("埃菲尔铁塔由谁设计？", digests=DocList[Digest](pages)), None, prompts, settings)
    assert found.gaps == ["埃菲尔铁塔 塔由谁设计"]


# -- by a model --------------------------------------------------------------------------------------------------------


async def test_a_model_compares(scripted, model, prompts, settings):
    agreement = "The Eiffel Tower is 330 metres high [e1][e2]."
    conflict = "It is 330 metres high [e1], by another account 312 [e3]."
    gaps = ["Who designed the Eiffel Tower?", " ", "who designed the eiffel tower", *(f"Who painted it in the year {n}?" for n in range(9))]
    scripted.llm.on("SynthesisOutput", says([agreement], [conflict], gaps))
    found = await synthesize(ask(language_style="plain English"), model, prompts, settings)
    assert (found.agreements, found.conflicts) == ([agreement], [conflict])
    assert found.gaps == [gaps[0], *gaps[3:6]]
    assert found.usage.llm_calls == len(scripted.sent())
    system, user = (message["content"] for message in scripted.sent()[0].body["messages"])
    assert "plain English" in system
    assert user.count("</untrusted>") == 4


@pytest.mark.parametrize(
    "lie",
    [
        "All say that the Eiffel Tower is 330 metres high.",
        "The Eiffel Tower is 330 metres high [e1].",
        "The Eiffel Tower is 330 metres high [e1][e9].",
        "The Eiffel Tower has a mass and a height [e1][e4].",
        "The Eiffel Tower is 340 metres high [e1][e2].",
    ],
)
async def test_agreements_of_a_model_that_lies_are_dropped(*, scripted, model, prompts, settings, lie):
    scripted.llm.on("SynthesisOutput", says([lie]))
    statements = [{"number": 1, "reason": "", "verdict": "supported", "evidence": ["e1", "e2"]}]
    scripted.llm.on("EntailmentOutput", Json({"statements": statements, "pairs": []}))
    assert (await synthesize(ask(), model, prompts, settings)).agreements == []


@pytest.mark.parametrize(
    "lie",
    [
        "Some say 330, others 312.",
        "Some say 330 metres [e1], others 312.",
        "Some say 330 metres [e1], others 312 [e9].",
        "Some say 330 metres [e1], others 300 [e3].",
    ],
)
async def test_conflicts_without_two_real_sides_are_dropped(*, scripted, model, prompts, settings, lie):
    scripted.llm.on("SynthesisOutput", says(conflicts=[lie]))
    assert (await synthesize(ask(), model, prompts, settings)).conflicts == []


async def test_the_question_itself_is_no_gap(scripted, model, prompts, settings):
    scripted.llm.on("SynthesisOutput", says(gaps=["How high is the Eiffel Tower and who designed it"]))
    assert (await synthesize(ask(), model, prompts, settings)).gaps == []


@pytest.mark.parametrize("reply", [Text("They agree."), Text(""), Json({"agreements": 3})])
async def test_output_that_stays_invalid_is_replaced_by_the_rules(*, scripted, model, prompts, settings, reply):
    scripted.llm.on("SynthesisOutput", reply)
    found = await synthesize(ask(), model, prompts, settings)
    assert (found.agreements, found.usage.llm_calls) == (["The Eiffel Tower is 330 metres high. [e1][e2]"], 2)


async def test_a_model_that_fails_is_an_error(scripted, model, prompts, settings):
    scripted.llm.on("SynthesisOutput", Status(500))
    with pytest.raises(ModelUnavailable):
        await synthesize(ask(), model, prompts, settings)


async def test_only_findings_that_fit_are_shown_those_of_all_pages_first(scripted, model, prompts, settings):
    scripted.llm.on("SynthesisOutput", says())
    pages = [Digest(url=f"https://{n}.test/", findings=[f"First {n} [e1]", f"Second {n} " + "word " * 900 + "[e1]"]) for n in range(8)]
    found = await synthesize(ask(digests=DocList[Digest](pages), allowance=Allowance(tokens=6_000)), model, prompts, settings)
    user = scripted.sent()[0].body["messages"][1]["content"]
    assert [f"First {n} " in user for n in range(8)] == [True] * 8
    assert 0 < sum(f"Second {n} " in user for n in range(8)) < 8
    assert found.usage.total_tokens <= 6_000


async def test_a_question_is_needed(prompts, settings):
    with pytest.raises(InvalidRequest) as raised:
        await synthesize(ask(" "), None, prompts, settings)
    assert raised.value.field == "question"
