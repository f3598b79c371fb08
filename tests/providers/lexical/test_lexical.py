"""Terms, sentences, relevance and language, in many scripts."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.lexical import content_terms, coverage, language_of, relevance, sentences, similarity, terms


def test_terms_are_folded_stemmed_and_keep_numbers() -> None:
    assert terms("Scaling the Readers, 15 of them") == ["scale", "the", "reader", "15", "of", "them"]
    assert terms("Häuser und Straßen", "de") == ["haus", "und", "strass"]
    assert terms("网页阅读器 v2") == ["网页", "页阅", "阅读", "读器", "v2"]
    assert terms("สวัสดี")[0] == "สว"


def test_content_terms_leave_function_words_out_unless_nothing_else_is_there() -> None:
    assert content_terms("How do I scale the page readers?") == ["scale", "page", "reader"]
    assert content_terms("Who are you?") == ["who", "are", "you"]


def test_b5_numbers_make_a_difference() -> None:
    assert similarity("iPhone 15 price", "iPhone 16 price") < 0.86
    assert relevance("iPhone 15", ["the iPhone 16", "the iPhone 15"]) == sorted(relevance("iPhone 15", ["the iPhone 16", "the iPhone 15"]))


def test_sentences_end_where_readers_see_it() -> None:
    text = "Hello world. This is e.g. a test! Dr. Who is 3.14 old.\n- one\n- two\n你好。世界！"
    assert [text[a:b] for a, b in sentences(text)] == [
        "Hello world.", "This is e.g. a test!", "Dr. Who is 3.14 old.", "- one", "- two", "你好。", "世界！",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Er kam am 3. Mai 1990. Dann ging er.", ["Er kam am 3. Mai 1990.", "Dann ging er."]),
        ("Im 19. Jahrhundert wuchs sie. Der 2. Weltkrieg begann.", ["Im 19. Jahrhundert wuchs sie.", "Der 2. Weltkrieg begann."]),
        ("Sie gewann 3. Danach nichts mehr.", ["Sie gewann 3.", "Danach nichts mehr."]),
        ("He won in round 3. Then he lost.", ["He won in round 3.", "Then he lost."]),
        ("Acme Inc. makes it. Gen. Smith left.", ["Acme Inc. makes it.", "Gen. Smith left."]),
    ],
)
def test_dates_and_abbreviations_end_no_sentence(text: str, expected: list[str]) -> None:
    assert [text[a:b] for a, b in sentences(text)] == expected


def test_a_run_of_abbreviations_costs_no_more_than_other_text() -> None:
    began = time.process_time()
    assert len(sentences("e.g. " * 40_000)) == 1
    assert time.process_time() - began < 2  # a quadratic search takes minutes


@given(st.text(max_size=400))
def test_sentences_are_in_order_and_lose_no_text(text: str) -> None:
    spans = sentences(text)
    assert all(a < b for a, b in spans) and all(first[1] <= second[0] for first, second in itertools.pairwise(spans))
    outside = "".join(text[a:b] for a, b in zip([0, *(b for _, b in spans)], [*(a for a, _ in spans), len(text)], strict=True))
    assert not outside.strip()


@given(st.text(max_size=60), st.lists(st.text(max_size=60), max_size=5))
def test_scores_are_between_0_and_1(question: str, texts: list[str]) -> None:
    assert all(0 <= score <= 1 for score in relevance(question, texts))
    assert all(0 <= coverage(question, text) <= 1 and 0 <= similarity(question, text) <= 1.0000001 for text in texts)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("How do I scale the page readers?", "en"),
        ("Wie skaliere ich die Leser der Seiten?", "de"),
        ("Quelle est la capitale de la France ?", "fr"),
        ("¿Cuál es la capital de Francia?", "es"),
        ("Qual è la capitale della Francia?", "it"),
        ("Wat is de hoofdstad van Frankrijk?", "nl"),
        ("如何扩展页面阅读器？", "zh"),
        ("ページリーダーを拡張するには？", "ja"),
        ("페이지 리더를 어떻게 확장하나요?", "ko"),
        ("ما هي عاصمة فرنسا؟", "ar"),
        ("Какая столица у Франции?", "ru"),
        ("Hvad er hovedstaden i Frankrig?", "da"),
        ("budget tokens", "en"),
        ("", "en"),
        ("1234 !?", "en"),
    ],
)
def test_language(text: str, code: str) -> None:
    assert language_of(text) == code


def test_plain_questions_do_not_load_the_language_model() -> None:
    code = "import sys; from providers.lexical import language_of; language_of('How do I scale it?'); print('py3langid' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    assert done.stdout.strip() == "False"
