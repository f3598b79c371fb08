"""Questions taken apart by their own words, in seven languages."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executors.query_planner.splitting import parts


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Compare PostgreSQL, MySQL and SQLite on concurrency", ["PostgreSQL: concurrency", "MySQL: concurrency", "SQLite: concurrency"]),
        ("Compare the price and performance of Tesla and BYD.", ["Tesla: price and performance", "BYD: price and performance"]),
        ("What is the difference between TCP and UDP?", ["What characterises TCP?", "What characterises UDP?"]),
        ("How do Kafka and NATS differ in ordering guarantees?", ["Kafka: ordering guarantees", "NATS: ordering guarantees"]),
        ("Which is faster, Rust or Go?", ["Rust: Which is faster", "Go: Which is faster"]),
        ("Kafka vs RabbitMQ: latency", ["Kafka: latency", "RabbitMQ: latency"]),
        ("Who are the CEOs of Apple and Google respectively?", ["Who are the CEOs of Apple?", "Who are the CEOs of Google?"]),
        ("What are the population and the area of France?", ["the population of France", "the area of France"]),
        ("Who founded Tesla? What is the capital of France?", ["Who founded Tesla?", "What is the capital of France?"]),
        (
            "I am going to Japan. What does a rail pass cost? When do the cherries blossom in Kyoto?",
            [
                "I am going to Japan. What does a rail pass cost?",
                "I am going to Japan. When do the cherries blossom in Kyoto?",
            ],
        ),
        (
            "Who founded Tesla? When did he leave? What is the capital of France?",
            ["Who founded Tesla? When did he leave?", "What is the capital of France?"],
        ),
        ("Vergleiche Kafka und NATS hinsichtlich der Latenz", ["Kafka: der Latenz", "NATS: der Latenz"]),
        ("Was ist der Unterschied zwischen TCP und UDP?", ["Was zeichnet TCP aus?", "Was zeichnet UDP aus?"]),
        ("Wie lauten die Hauptstadt und die Fläche der Schweiz?", ["die Hauptstadt der Schweiz", "die Fläche der Schweiz"]),
        ("Quelle est la différence entre TCP et UDP ?", ["Qu'est-ce qui caractérise TCP ?", "Qu'est-ce qui caractérise UDP ?"]),
        ("Quelles sont la population et la superficie de la France ?", ["la population de la France", "la superficie de la France"]),
        ("Compara Kafka y NATS en cuanto a la latencia", ["Kafka: la latencia", "NATS: la latencia"]),
        ("¿Quién fundó Tesla? ¿Cuál es la capital de Francia?", ["¿Quién fundó Tesla?", "¿Cuál es la capital de Francia?"]),
        ("比较特斯拉、比亚迪和蔚来的电池技术", ["特斯拉：电池技术", "比亚迪：电池技术", "蔚来：电池技术"]),
        ("特斯拉和比亚迪有什么区别？", ["特斯拉有什么特点？", "比亚迪有什么特点？"]),
        ("法国的首都和人口是多少？", ["法国的首都", "法国的人口"]),
        ("北京、上海和广州的人口分别是多少？", ["北京的人口是多少？", "上海的人口是多少？", "广州的人口是多少？"]),
        ("TCPとUDPの違いは何ですか？", ["TCPの特徴は何ですか？", "UDPの特徴は何ですか？"]),
        ("PostgreSQL、MySQLを性能で比較してください", ["PostgreSQL：性能", "MySQL：性能"]),
        ("フランスの首都と人口は何ですか？", ["フランスの首都", "フランスの人口"]),
        ("ما الفرق بين بروتوكول TCP وبروتوكول UDP؟", ["ما خصائص بروتوكول TCP؟", "ما خصائص بروتوكول UDP؟"]),
        ("قارن بين فرنسا وألمانيا من حيث عدد السكان", ["فرنسا: عدد السكان", "ألمانيا: عدد السكان"]),
        ("ما هي عاصمة فرنسا؟ كم عدد سكان مصر؟", ["ما هي عاصمة فرنسا؟", "كم عدد سكان مصر؟"]),
    ],
)
def test_a_question_that_names_its_parts_is_taken_apart(question, expected):
    assert parts(question, 8) == expected


@pytest.mark.parametrize(
    "question",
    [
        "Which river flows through the city where Mozart was born?",
        "Which treaty did France and Germany sign in 1963?",
        "Who founded Tesla? When did he leave?",
        "中华人民共和国的首都是哪里？",
        "モーツァルトが生まれた街を流れる川は何ですか？",
        "Wie hoch ist der Eiffelturm?",
        "¿Qué río atraviesa la ciudad donde nació Mozart?",
        "Qual è la differenza tra TCP e UDP?",
        "???",
        "",
        "Compare " + "word " * 200,
    ],
)
def test_any_other_question_stays_whole(question):
    assert parts(question, 8) == [question.strip()]


def test_more_things_than_parts_share_them_and_none_is_lost():
    question = "Compare Ada, Basic, Cobol, Dart and Erlang on speed"
    assert parts(question, 2) == ["Ada, Basic: speed", "Cobol, Dart, Erlang: speed"]
    assert parts(question, 1) == [question]
    assert parts("Who? What is Kafka? Where is Rome? When was Linux written?", 2) == [
        "Who? What is Kafka?",
        "Where is Rome? When was Linux written?",
    ]


@pytest.mark.parametrize("text", ["Compare " + "a, " * 99, "What are " + "a and b of " * 27, "比较" + "和的" * 140, "vs " * 100])
def test_a_text_made_to_be_slow_takes_no_time(text):
    parts("What is it?", 8)
    started = time.process_time()
    parts(text, 8)
    assert time.process_time() - started < 5


WORDS = [
    "Compare",
    "and",
    "or",
    ",",
    "of",
    "vs",
    "Ada",
    "Basic",
    "the",
    "?",
    "和",
    "的",
    "比较",
    "と",
    "违い",
    "بين",
    "الفرق",
    "و",
    ".",
    "each",
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=20).map(" ".join), st.integers(1, 8))
def test_parts_are_few_short_and_never_empty(question, most):
    found = parts(question, most)
    assert 1 <= len(found) <= most
    assert found == [question.strip()] or all(part.strip() and len(part) <= 500 for part in found)
