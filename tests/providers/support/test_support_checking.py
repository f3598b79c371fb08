"""A whole text held against a ledger of evidence."""

from __future__ import annotations

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from providers.support import check
from schemas.knowledge import Evidence
from schemas.support import SupportReport


def ledger(*quotes: str) -> dict[str, Evidence]:
    return {
        f"e{n}": Evidence(evidence_id=f"e{n}", page_id=f"p{n}", url=f"https://{n}.test/", quote=quote) for n, quote in enumerate(quotes, 1)
    }


LAKES = ledger(
    "Lake Orta lies in Italy. It is 143 metres deep and covers 18.2 km². Its water was treated with lime in 1989.",
    "Lake Bled is a lake in Slovenia. The lake is 2,120 metres long.",
    "According to the guide, Lake Orta is 190 metres deep and covers 18.2 km².",
)


def verdicts(report: SupportReport) -> list[tuple[str, list[str]]]:
    return [(statement.verdict, statement.evidence) for statement in report.statements]


def test_statements_are_judged_by_what_they_cite_first_and_by_the_rest_next() -> None:
    text = (
        "# Lakes\n\nLake Bled is 2,120 metres long [e2]. It was treated with lime in 1989 [e2]. "
        "Lake Bled is 900 metres long [e2]. Penguins can swim."
    )
    report = check(text, LAKES)
    assert verdicts(report) == [
        ("no_claim", []),
        ("supported", ["e2"]),
        ("supported", ["e1"]),
        ("contradicted", ["e2"]),
        ("unsupported", []),
    ]
    assert (report.supported, report.partly, report.unsupported, report.removed, report.judged_by) == (2, 0, 2, 0, "rules")
    assert report.statements[2].cited == ["e2"]
    assert report.statements[3].reason
    assert [text[statement.start : statement.end] for statement in report.statements][1] == "Lake Bled is 2,120 metres long [e2]."


def test_verbatim_sentences_are_supported_at_once() -> None:
    report = check("Lake Orta lies in Italy. [e1]\n\nThe lake is 2,120 metres long.", LAKES)
    assert verdicts(report) == [("supported", ["e1"]), ("supported", ["e2"])]
    assert [statement.score for statement in report.statements] == [1.0, 1.0]


def test_evidence_of_another_page_that_says_otherwise_is_found() -> None:
    report = check("Lake Orta is 143 metres deep and covers 18.2 km² [e1].", LAKES)
    assert verdicts(report) == [("supported", ["e1"])]
    found = report.contradictions[0]
    assert (found.statement, found.supporting, found.opposing) == (0, "e1", "e3")
    assert found.quote in LAKES["e3"].quote
    assert found.reason


def test_evidence_of_the_same_page_and_of_other_things_is_no_contradiction() -> None:
    same = {key: item.model_copy(update={"page_id": "p", "url": "https://p.test/"}) for key, item in LAKES.items()}
    assert not check("Lake Orta is 143 metres deep and covers 18.2 km² [e1].", same).contradictions
    assert not check("Lake Bled is 2,120 metres long [e2].", LAKES).contradictions


def test_unknown_ids_and_no_evidence_at_all() -> None:
    report = check("Lake Orta lies in Italy [e9].", {})
    assert verdicts(report) == [("unsupported", [])]
    assert report.statements[0].cited == []
    assert not check("", LAKES).statements


_PIECES = st.sampled_from(
    [
        "Lake Orta lies in Italy. ",
        "It is 143 metres deep [e1]. ",
        "[e2]",
        "\n\n",
        "- ",
        "**Lake** ",
        "Is it? ",
        "| a |\n|---|\n| b |\n",
        "> ",
        "湖很深。",
        "`e1`",
    ]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(_PIECES, max_size=15).map("".join))
def test_a_report_is_the_same_every_time_and_its_sums_are_right(text: str) -> None:
    report, again = check(text, LAKES), check(text, LAKES)
    assert verdicts(report) == verdicts(again)
    ends = [0, *(statement.end for statement in report.statements)]
    assert all(before <= statement.start < statement.end <= len(text) for before, statement in zip(ends, report.statements, strict=False))
    told = [statement.verdict for statement in report.statements]
    assert report.supported == told.count("supported")
    assert report.partly == told.count("partly")
    assert report.unsupported == told.count("unsupported") + told.count("contradicted")


def test_a_large_ledger_costs_little() -> None:
    evidence = ledger(
        *(
            " ".join(f"Town {n} of valley {m} has {n * m} houses, {m} bridges and a tower of {n + m} metres." for m in range(1, 15))
            for n in range(1, 201)
        )
    )
    text = "\n\n".join(f"In valley {n % 14 + 1}, town {n} has a tower that is {n + 3} metres tall [e{n}]." for n in range(1, 61))
    check(text[:200], evidence)
    began = time.process_time()
    report = check(text, evidence)
    assert len(report.statements) == 60
    assert time.process_time() - began < 10
