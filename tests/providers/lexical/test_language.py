"""How sure the language of a text is, in the languages that answers come in and some of their relatives."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.lexical import SURE, identify, language_of, written_chinese

QUESTIONS = [line.split("\t") for line in (Path(__file__).parent / "questions.txt").read_text("utf-8").splitlines()]


def test_where_the_language_is_sure_it_is_right_and_it_is_sure_nearly_always():
    sure = 0
    for code, question in QUESTIONS:
        found, certainty = identify(question)
        assert found == language_of(question)
        assert 0 <= certainty <= 1
        if certainty >= SURE:
            sure += 1
            assert found == code[:2], question
    assert sure >= 0.9 * len(QUESTIONS)


@pytest.mark.parametrize(("code", "question"), [(code, question) for code, question in QUESTIONS if "-" in code])
def test_chinese_is_told_apart_by_its_characters(code, question):
    assert written_chinese(question) == code


@pytest.mark.parametrize("text", ["", "人口", "日本人口", "What is this?"])
def test_without_characters_of_one_kind_chinese_stays_chinese(text):
    assert written_chinese(text) == "zh"


@pytest.mark.parametrize(
    "text",
    [
        "", "1234 !?", "Tokyo", "Kafka vs RabbitMQ", "iPhone 15 prix", "寿司", "東京都知事選挙",  # short
        "What does 猫がいます mean?", "What does привет mean?", "What does la vie en rose mean in French?",  # mixed
        "Übersetze ins Englische: Le chat est sur la table et il dort", "ما هي عاصمة فرنسا؟ What is it",
        "def f(x): return x+1", "for (int i = 0; i < n; i++) { sum += a[i]; }", "https://example.com/a/b",  # code
        "SELECT * FROM users WHERE id = 3 and name is not null",
    ],
)  # fmt: skip
def test_what_is_short_mixed_or_code_is_not_sure(text):
    assert identify(text)[1] < SURE


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Warum wirft `x.map is not a function` einen Fehler?", "de"),
        ("Python の asyncio とは何ですか？", "ja"),
        ("東京の人口", "ja"),
        ("한국 인구", "ko"),
        ("Was steht auf https://example.com/what-is-this-and-why über die Wahl?", "de"),
        ("Какви са последиците от изменението на климата за лозята?", "bg"),
        ("Quins són els efectes del canvi climàtic sobre les vinyes?", "ca"),
    ],
)
def test_names_quoted_code_and_addresses_do_not_disturb(text, code):
    found, certainty = identify(text)
    assert (found, certainty >= SURE) == (code, True)


@given(st.text(max_size=300))
def test_every_text_has_a_language_and_a_certainty(text):
    code, certainty = identify(text)
    assert code == language_of(text)
    assert 0 <= certainty <= 1
