"""Lengths as people ask for them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executors.query_planner.wanted_words import wanted_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Write a report on heat pumps in 3,000 words", 3_000),
        ("a 1500-word essay on Kafka", 1_500),
        ("Write 2k words about tides", 2_000),
        ("between 800 and 1,000 words, please", 900),
        ("800-1000 words on NATS", 900),
        ("etwa 800 Wörter über Wärmepumpen", 800),
        ("Bericht mit 3.000 Wörtern", 3_000),
        ("un rapport de 2 500 mots", 2_500),
        ("un informe de 1.200 palabras", 1_200),
        ("доклад на 2000 слов", 2_000),
        ("写一篇3000字的报告", 3_000),
        ("寫一篇三千字的報告", 3_000),
        ("一万二千字的论文", 12_000),
        ("1.5万字", 15_000),
        ("大约五百字", 500),
        ("2000文字のレポート", 2_000),
        ("３０００字程度で", 3_000),
        ("3000자 보고서", 3_000),
        ("تقرير من ١٥٠٠ كلمة", 1_500),
        ("تقرير من ٣٬٠٠٠ كلمة", 3_000),
        ("laporan 1500 kata", 1_500),
        ("รายงาน 1500 คำ", 1_500),
    ],
)
def test_a_length_is_read(text, words):
    assert wanted_words(text) == words


@pytest.mark.parametrize(
    "text",
    [
        "", "What are the 100 most common words in English?", "How many words has Hamlet?", "ten words", "the last 5 words",
        "Who reads 250 words per minute?", "Who knows 300 words that rhyme?", "List 60 words for snow", "128字节的缓存",
        "1,000,000 words", "0 words", "In 1995 Word was new", "How did words change in 1984?", "iPhone 15 in 3000 m",
    ],
)  # fmt: skip
def test_what_is_no_length_is_left_alone(text):
    assert wanted_words(text) is None


@given(st.text(alphabet="0123456789.,- 一万千字wordsk到", max_size=60))
def test_whatever_is_written_a_length_is_a_possible_one(text):
    words = wanted_words(text)
    assert words is None or 50 <= words <= 100_000
