"""What a question asks about, and what for, in the languages that are promised."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.lexical import aboutness, asked, content_terms, weighed


@pytest.mark.parametrize(
    ("code", "question", "terms", "kind"),
    [
        ("en", "How long is the lease?", ["leas"], "duration"),
        ("en", "How long does the ferry crossing take?", ["ferri", "cross"], "duration"),
        ("en", "How deep is the harbour?", ["harbour"], "length"),
        ("en", "How much does a season ticket cost?", ["season", "ticket"], "money"),
        ("en", "How much does the anchor weigh?", ["anchor"], "mass"),
        ("en", "Which warranty exists?", ["warranti"], None),
        ("de", "Wie teuer ist der Eintritt?", ["eintritt"], "money"),
        ("de", "Wie lange dauert die Überfahrt?", ["uberfahrt"], "duration"),
        ("de", "Wie lang ist die Brücke?", ["bruck"], "length"),
        ("de", "Was kostet die Karte?", ["kart"], "money"),
        ("de", "Welche Frist gilt?", ["frist"], None),
        ("fr", "Combien de temps dure la garantie ?", ["garant"], "duration"),
        ("fr", "Quelle est la hauteur de la tour ?", ["tour"], "length"),
        ("fr", "Combien coûte le billet ?", ["billet"], "money"),
        ("es", "¿Cuánto dura la garantía?", ["garant"], "duration"),
        ("es", "¿Qué altura tiene la torre?", ["torr"], "length"),
        ("it", "Quanto è alta la torre?", ["torr"], "length"),
        ("it", "Quanto costa il biglietto?", ["bigliett"], "money"),
        ("nl", "Hoe lang duurt de garantie?", ["garantie"], "duration"),
        ("nl", "Hoe zwaar is de klok?", ["klok"], "mass"),
        ("pt", "Quanto tempo dura a garantia?", ["garant"], "duration"),
        ("pt", "Quanto custa o bilhete?", ["bilhet"], "money"),
        ("zh", "电池的寿命多长？", ["电池", "寿命"], "duration"),
        ("zh", "大桥有多高？", ["大桥"], "length"),
        ("zh", "车票多少钱？", ["车票"], "money"),
        ("zh", "箱子多重？", ["箱子"], "mass"),
        ("zh", "租期是几天？", ["租期"], "duration"),
        ("en", "How much memory does the index take?", ["memori", "index", "take"], "number"),
        ("en", "How many safety measures does the plant have?", ["safeti", "measur", "plant"], "number"),
        ("en", "How many people take part in the marathon?", ["peopl", "take", "part", "marathon"], "number"),
        ("en", "How long is the tape measure?", ["tape", "measur"], "length"),
        ("en", "How much does a tape measure cost?", ["tape", "measur"], "money"),
        ("en", "How long does shipping take to Spain?", ["ship", "spain"], "duration"),
        ("de", "Wie viele Menschen halten Hunde?", ["mensch", "halt", "hund"], "number"),
        ("de", "Wie viel kostet die Karte?", ["kart"], "money"),
        ("fr", "Combien de mesures prend le port ?", ["mesur", "prend", "port"], "number"),
    ],
)
def test_how_a_question_asks_is_not_what_it_asks_about(code: str, question: str, terms: list[str], kind: str | None) -> None:
    found = asked(question, code)
    assert content_terms(found.about, code) == terms
    assert kind in found.kinds if kind else not found.kinds


@pytest.mark.parametrize(
    ("code", "question"),
    [
        ("en", "What is the last release?"),  # no quantity is asked for
        ("en", "How does a long run end?"),  # "long" does not follow "how"
        ("en", "How long does it last?"),  # nothing else is left
        ("zh", "更多高质量数据"),  # "more", not "how"
        ("sv", "Hur lång är bron?"),  # no words of this language
        ("es", "¿Por qué sube el precio del petróleo?"),  # a reason is asked for
        ("pt", "Por que o preço da gasolina sobe?"),
        ("es", "¿Quién escribió el libro que precio alto alcanzó?"),  # a relative pronoun
    ],
)
def test_words_with_content_stay(code: str, question: str) -> None:
    assert asked(question, code).about == question


@pytest.mark.parametrize(
    ("question", "kept"),
    [
        ("什么是多重继承？", "多重继承"),
        ("这项研究的目的是什么？", "目的"),
        ("什么是几何学？", "几何学"),
        ("北京的士多少钱？", "的士"),
        ("这几年的变化是什么？", "这几年"),
        ("吗啡是什么？", "吗啡"),
    ],
)
def test_no_part_of_a_chinese_word_is_taken_away(question: str, kept: str) -> None:
    assert kept in asked(question, "zh").about


def test_words_of_quantity_are_searched_for_but_empty_verbs_are_not() -> None:
    assert asked("Wie hoch ist die Kaution?", "de").searched == "Wie hoch ist die Kaution?"
    assert content_terms(asked("Welche Rabatte gibt es?", "de").searched, "de") == ["rabatt"]


@given(st.text(max_size=60), st.sampled_from(["en", "de", "fr", "es", "it", "nl", "pt", "zh", "ja", "xx", ""]))
def test_any_text_keeps_something_to_ask_about(text: str, code: str) -> None:
    found = asked(text, code)
    assert set(content_terms(found.about, code)) <= set(content_terms(text, code)) or code in ("zh", "ja")
    assert bool(content_terms(found.about, code)) == bool(content_terms(text, code))


def test_a_text_without_any_rare_word_is_not_about_the_question() -> None:
    texts = ["A point is made.", "The point of the API.", "Points are points.", *["Nothing."] * 4, "Mercury is a metal."]
    scores = aboutness("boiling point of mercury", texts)
    assert not any(scores[:-1]) and scores[-1] > 0
    assert weighed("boiling point of mercury", texts)[0] > 0 and not any(aboutness("", texts))
    assert aboutness("mercury", []) == []


def test_texts_that_share_the_subject_of_a_question_are_about_it() -> None:
    texts = ["Acme makes anvils.", "Acme has 40 workers.", "The office of Acme is in Ghent."]
    assert all(aboutness("Who founded Acme?", texts))
    assert all(aboutness("who founded the bakery?", [text.replace("Acme", "the bakery") for text in texts]))
    assert all(aboutness("Wer gründete Acme?", texts, "de"))
    assert not any(aboutness("What is the boiling point of mercury?", ["A point is made.", "The point of the API.", "Points."]))
