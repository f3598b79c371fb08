"""Statements judged by quotes: single rules, the labelled pairs, and what must hold for any sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from benchmarks.claims.labelled import PAIRS, Pair, binary, pairs, score
from providers.support import judge

Q = (
    "The company was founded in Berlin in 2012 by Anna Weber and Paul Klein. It acquired Nordlicht for $4.2 million in May 2019. "
    "Revenue rose by 57 % to 1.5 million euros. About 120 people work there, most of them in Hamburg. The battery lasts 90 minutes."
)


@pytest.mark.parametrize(
    ("statement", "verdict"),
    [
        ("The company was founded in 2012.", "supported"),
        ("Anna Weber and Paul Klein established the company in Berlin.", "supported"),
        ("Revenue increased by more than 50 percent.", "supported"),
        ("Revenue rose to 1,500,000 euros.", "supported"),
        ("The battery lasts 1.5 hours.", "supported"),
        ("Nordlicht was acquired by the company in 2019.", "supported"),
        ("Anna Weber's company, founded in 2012, acquired Nordlicht for $4.2 million.", "supported"),
        ("The company was founded in Berlin in 2021.", "contradicted"),
        ("The company was founded in Vienna in 2012.", "contradicted"),
        ("Revenue fell by 57 %.", "contradicted"),
        ("Revenue rose by 75 %.", "contradicted"),
        ("Revenue did not rise by 57 %.", "contradicted"),
        ("The battery lasts 90 hours.", "contradicted"),
        ("Nordlicht was not acquired in May 2019.", "contradicted"),
        ("Revenue rose by fewer than 40 %.", "contradicted"),
        ("About 120 people work there, all of them in Hamburg.", "partly"),
        ("Penguins live in Antarctica.", "unsupported"),
    ],
)
def test_single_rules(statement: str, verdict: str) -> None:
    assert judge(statement, [Q]).verdict == verdict


@pytest.mark.parametrize(
    ("statement", "quote"),
    [
        ("Er kam am 3. Oktober 1990.", "Er kam am 03.10.1990."),
        ("The event took place on 3 October 1990.", "The event took place on 1990-10-03."),
        ("The village has 1,234,567 trees.", "The village has 1234567 trees."),
        ("Das Dorf hat 1.234.567 Bäume.", "Das Dorf hat 1 234 567 Bäume."),
        ("Le village compte 2,5 millions d'arbres.", "Le village compte 2 500 000 arbres."),
        ("El pueblo tiene 3,4 millones de árboles.", "El pueblo tiene 3.400.000 árboles."),
        ("该市人口三百五十万。", "该市人口350万。"),
        ("人口は1億2000万人である。", "人口は120,000,000人である。"),
        ("بلغ عدد السكان 3.5 مليون نسمة.", "بلغ عدد السكان ٣٫٥ مليون نسمة."),
        ("About half of the trees survived.", "Some 50 % of the trees survived."),
        ("The race is 26.2 miles long.", "The race is 42.195 km long."),
        ("Water boils at 212 °F.", "Water boils at 100 °C."),
        ("The bag weighs 2.2 pounds.", "The bag weighs 1 kg."),
        ("The trip takes two hours.", "The trip takes 120 minutes."),
        ("It was built in the 1880s.", "It was built in 1887."),
        ("It was built in the 19th century.", "It was built in 1887."),
        ("It was built before 1900.", "It was built in 1887."),
        ("The WHO declared it over.", "The World Health Organization declared it over."),
    ],
)
def test_values_are_compared_by_what_they_mean(statement: str, quote: str) -> None:
    assert judge(statement, [quote]).verdict == "supported"
    assert judge(statement, [quote]).missing == ()


@pytest.mark.parametrize(
    ("statement", "quote", "verdict"),
    [
        ("Berlin is the capital of France.", "Paris is the capital of France.", "contradicted"),
        ("Berlin is the capital of France.", "Berlin is the capital of Germany.", "contradicted"),
        ("Tom Hale directed the film.", "The film was directed by Ana Torres and stars Tom Hale.", "contradicted"),
        ("Priya Nair is the singer.", "The band was formed by the singer Tom Hale and the drummer Priya Nair.", "contradicted"),
        ("Corvex acquired Nordal.", "Corvex was acquired by its rival Nordal.", "contradicted"),
        ("Nordal bought Corvex.", "Corvex was acquired by its rival Nordal.", "supported"),
        ("John Abt defeated Carl Voss.", "Carl Voss lost to John Abt.", "supported"),
        ("Carl Voss defeated John Abt.", "Carl Voss lost to John Abt.", "contradicted"),
        ("Lena Brandt is still the head of Corvex.", "Lena Brandt stepped down as head of Corvex in 2014.", "contradicted"),
        ("Otto Hahn died in 1934.", "Otto Hahn (12 May 1861 – 3 January 1934) was a chemist.", "supported"),
        ("Otto Hahn was born in 1934.", "Otto Hahn (12 May 1861 – 3 January 1934) was a chemist.", "contradicted"),
        ("Otto Hahn was Danish.", "Otto Hahn was a Norwegian chemist.", "contradicted"),
        ("Otto Hahn studied in Bergen.", "Otto Hahn was the mayor of Bergen.", "unsupported"),
        ("The bird stands in the water.", "The heron stands in the water.", "supported"),
        ("The heron stands in the water.", "The bird stands in the water.", "partly"),
        ("The drug does not prevent strokes.", "The drug had no significant effect on the incidence of stroke.", "supported"),
        ("The drug prevents strokes.", "The drug had no significant effect on the incidence of stroke.", "contradicted"),
        ("The drug reduces the risk of stroke.", "The drug was associated with a 27 % lower incidence of stroke.", "supported"),
        ("The drug raises the risk of stroke.", "The drug was associated with a 27 % lower incidence of stroke.", "contradicted"),
        ("There are 120 cases.", "There are 480 cases and 120 deaths.", "contradicted"),
        ("The film grossed less than $80 million.", "The film grossed $84 million on a budget of $20 million.", "contradicted"),
        ("Varen is the second-largest city of Ostland.", "Varen is the largest city of Ostland.", "contradicted"),
    ],
)
def test_who_did_what(statement: str, quote: str, verdict: str) -> None:
    assert judge(statement, [quote]).verdict == verdict


def test_a_name_that_a_sentence_leaves_out_is_that_of_the_quote() -> None:
    quote = "Ada Holm was a Norwegian painter. She died in Bergen in 1911."
    assert judge("Ada Holm died in Bergen.", [quote]).verdict == "supported"
    assert judge("Ada Holm died in Bergen.", [quote.replace("She", "Ivar Holt")]).verdict != "supported"


def test_what_is_said_of_another_is_not_put_together() -> None:
    quotes = ["Nadia Petrov won a title in 2009.", "Nadia Petrov played at the Australian Open in 2012."]
    assert judge("Nadia Petrov won the Australian Open.", quotes).verdict != "supported"
    quotes = ["The Battle of Arden Moor was fought in 1643.", "Oliver Cromwell had joined the army."]
    assert judge("Oliver Cromwell fought at Arden Moor.", quotes).verdict != "supported"


def test_facts_of_several_quotes_are_put_together() -> None:
    quotes = ["Ada Lovelace was born in London in 1815.", "Lovelace published the first algorithm in 1843."]
    found = judge("Ada Lovelace, born in London in 1815, published the first algorithm in 1843.", quotes)
    assert (found.verdict, set(found.used)) == ("supported", {0, 1})


def test_what_is_missing_is_named() -> None:
    found = judge("The bridge in Oslo was opened in 1932 and is 503 metres long.", ["The bridge was opened in 1932 and painted grey."])
    assert found.verdict in ("partly", "unsupported")
    assert set(found.missing) == {"503 metres", "Oslo"}


def test_languages_differ_facts_are_compared() -> None:
    quote = "Linus Torvalds released Linux 0.01 on 17 September 1991."
    assert judge("Linus Torvalds veröffentlichte die erste Version von Linux am 17. September 1991.", [quote]).verdict in (
        "supported",
        "partly",
    )
    assert (
        judge("Linus Torvalds veröffentlichte das Programm im März 1985 und die Welt hat es nicht beachtet.", [quote]).verdict
        == "unsupported"
    )
    assert judge("该软件由他的朋友在赫尔辛基写成。", [quote]).verdict == "unsupported"


def test_similarity_lifts_what_words_do_not_reach_but_no_wrong_number() -> None:
    quote = "The firm let 300 members of its staff go last spring."
    statement = "Three hundred posts vanished."
    assert judge(statement, [quote]).verdict != "supported"
    assert judge(statement, [quote], lambda a, b: 0.95).verdict == "supported"
    assert judge(statement.replace("Three", "Five"), [quote], lambda a, b: 0.95).verdict != "supported"


@pytest.mark.parametrize("quotes", [[], [""], ["\x00"], ["]" * 5_000], ["1" * 5_000], ["\ud800"]])
def test_any_quotes_are_taken(quotes: list[str]) -> None:
    assert judge("The tower is 330 metres tall.", quotes).verdict == "unsupported"
    assert judge("", quotes).verdict == "unsupported"


HELD_OUT = pairs(sorted(Path(PAIRS).glob("*.jsonl")), "held_out")
FRESH = pairs(sorted(Path(PAIRS).glob("*.jsonl")), "fresh_held_out")


def test_labelled_pairs_are_whole() -> None:
    both = pairs(sorted(Path(PAIRS).glob("*.jsonl")))
    assert len(both) >= 320
    assert len({pair.id for pair in both}) == len(both)
    assert {pair.language for pair in both} == {"en", "de", "fr", "es", "zh", "ja", "ar"}
    tune = {quote for pair in both if pair.split == "tune" for quote in pair.quotes}
    assert not tune & {quote for pair in HELD_OUT for quote in pair.quotes}
    fresh = {quote for pair in both if pair.split == "fresh_tune" for quote in pair.quotes}
    assert not fresh & {quote for pair in FRESH for quote in pair.quotes}


@pytest.mark.parametrize(
    ("wanted", "precision", "recall", "against_precision", "against_recall"),
    [(HELD_OUT, 0.78, 0.76, 0.9, 0.75), (FRESH, 0.82, 0.73, 0.77, 0.8)],
    ids=["held_out", "fresh_held_out"],
)
def test_pairs_that_nothing_was_tuned_on_are_judged_well_enough(
    *, wanted: list[Pair], precision: float, recall: float, against_precision: float, against_recall: float
) -> None:
    labels = [pair.label for pair in wanted]
    verdicts = [judge(pair.statement, pair.quotes).verdict for pair in wanted]
    found = binary(labels, verdicts)
    assert found.precision >= precision
    assert found.recall >= recall
    assert score(labels, verdicts, "contradicted").precision >= against_precision
    assert score(labels, verdicts, "contradicted").recall >= against_recall


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.sampled_from([quote for pair in HELD_OUT for quote in pair.quotes]), st.text(min_size=1, max_size=120)))
def test_what_is_quoted_is_supported(sentence: str) -> None:
    assume(any(c.isalpha() for c in sentence) and sentence.strip(" \t*_`\\"))
    assert judge(sentence, [sentence]).verdict == "supported"
    assert judge(sentence, [sentence]).score == 1.0


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(
        ["The tower has {} steps.", "Sales rose by {} % in spring.", "The bridge is {} metres long and was painted grey.",
         "It cost {} euros.",
         "塔高{}米。", "Der Turm hat {} Stufen.", "La torre tiene {} escalones.", "La tour compte {} marches."]
    ),
    st.integers(2, 999),
    st.integers(2, 999),
)  # fmt: skip
def test_another_number_is_never_supported(form: str, first: int, second: int) -> None:
    assume(first != second)
    assert judge(form.format(first), [form.format(second)]).verdict != "supported"


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(HELD_OUT))
def test_a_verdict_is_always_the_same(pair: Pair) -> None:
    assert judge(pair.statement, pair.quotes) == judge(pair.statement, list(pair.quotes))
