"""How far a model is believed that judges statements."""

from __future__ import annotations

import pytest

from executors.evaluator.entailment import EntailmentOutput, StatementOutput, judged, problem_with
from schemas.knowledge import Evidence
from schemas.support import Statement

SHOWN = {
    "e1": Evidence(evidence_id="e1", quote="The Eiffel Tower in Paris is 330 metres high."),
    "e2": Evidence(evidence_id="e2", quote="Der Turm wurde 1889 von Gustave Eiffel in München vorgestellt."),
    "e3": Evidence(evidence_id="e3", quote="It was the tallest structure in the world until 1930."),
}


def statement(text: str, verdict: str, **fields: object) -> Statement:
    return Statement(text=text, verdict=verdict, score=0.4, cited=["e1"], **fields)


def said(verdict: str, *evidence: str, number: int = 1, reason: str = "so it is") -> StatementOutput:
    return StatementOutput(number=number, reason=reason, verdict=verdict, evidence=list(evidence))


def told(found: Statement) -> tuple[str, list[str], str, str]:
    return found.verdict, found.evidence, found.judged_by, found.reason


@pytest.mark.parametrize(
    ("verdict", "named", "believed", "evidence"),
    [
        ("supported", ["e1"], "supported", ["e1", "e3"]),
        ("partly", ["e1"], "partly", ["e1"]),
        ("partly", [], "partly", ["e3"]),
        ("unsupported", [], "unsupported", []),
        ("contradicted", ["e3"], "contradicted", ["e3"]),
        ("contradicted", [], "unsupported", []),
        ("contradicted", ["e9"], "unsupported", []),
    ],
)
def test_a_verdict_may_be_confirmed_or_lowered(verdict, named, believed, evidence):
    found = judged(statement("The tower is 330 metres high.", "supported", evidence=["e3"]), said(verdict, *named), SHOWN, disputed=False)
    assert told(found) == (believed, evidence, "model", "" if believed == "supported" else "so it is")


@pytest.mark.parametrize("rules", ["unsupported", "partly"])
@pytest.mark.parametrize("named", [["e1"], ["[e1]"], [" E1 "], ["e9", "e1"], ["^e1"]])
def test_a_verdict_may_be_raised_with_evidence(rules, named):
    before = statement("It rises to 330 metres.", rules)
    assert told(judged(before, said("supported", *named), SHOWN, disputed=False)) == ("supported", ["e1"], "model", "")


@pytest.mark.parametrize(
    ("text", "verdict", "named", "disputed"),
    [
        ("The tower rises to 330 metres.", "unsupported", [], False),
        ("The tower rises to 330 metres.", "unsupported", ["e9", "the first quote", "", "e1e"], False),
        ("The tower rises to 324 metres.", "unsupported", ["e1"], False),
        ("The tower rises to 330 metres since 1889.", "partly", ["e1"], False),
        ("The tower rises to 330 metres in Lyon.", "unsupported", ["e1"], False),
        ("It was presented in 1898.", "unsupported", ["e2"], False),
        ("It was presented by two men.", "unsupported", ["e2"], False),
        ("The tower rises to 330 metres.", "unsupported", ["e1"], True),
        ("The tower rises to 330 metres.", "contradicted", ["e1"], False),
    ],
)
def test_a_verdict_is_not_raised_against_the_rules(text, verdict, named, disputed):
    before = statement(text, verdict, reason="not found")
    assert judged(before, said("supported", *named), SHOWN, disputed=disputed) is before


def test_another_language_may_spell_names_otherwise_but_not_figures():
    raised = judged(
        statement("Gustave Eiffel presented it in Munich in 1889.", "unsupported"), said("supported", "e2"), SHOWN, disputed=False
    )
    assert told(raised) == ("supported", ["e2"], "model", "")
    for wrong in ("Gustave Eiffel presented it in Munich in 1898.", "He presented it in Munich in 1889, three million times."):
        before = statement(wrong, "unsupported")
        assert judged(before, said("supported", "e2"), SHOWN, disputed=False) is before


def test_a_long_reason_is_cut_to_one_line():
    found = judged(statement("It is.", "supported"), said("unsupported", reason="a\nb " * 200), SHOWN, disputed=False)
    assert (len(found.reason), found.reason[:6]) == (200, "a b a ")


def test_of_several_reports_the_least_favourable_counts():
    output = EntailmentOutput(statements=[said("supported", "e1"), said("unsupported"), said("partly", number=2)], pairs=[])
    assert output.on_statement(1).verdict == "unsupported"
    assert output.on_statement(3) is None


@pytest.mark.parametrize(("holds", "dropped"), [([False], True), ([True], False), ([False, True], False), ([], False)])
def test_a_pair_is_dropped_when_all_say_so(holds, dropped):
    output = EntailmentOutput(statements=[], pairs=[{"number": 1, "holds": each} for each in holds])
    assert output.drops(1) is dropped


def test_a_report_on_none_of_the_statements_is_of_no_use():
    assert problem_with(EntailmentOutput(statements=[said("supported", number=2)], pairs=[]), 2) is None
    for numbers in ([], [0, 3]):
        output = EntailmentOutput(statements=[said("supported", number=number) for number in numbers], pairs=[])
        assert problem_with(output, 2) == "statements must hold a report on each of the statements 1 to 2"
