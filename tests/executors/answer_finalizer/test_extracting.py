"""What a person reads when no model is configured: verbatim pieces that answer, or nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from executors.answer_finalizer.markdown.pieces import pieces
from executors.answer_finalizer.writing.extracting import MAX_PIECES, extract
from schemas.knowledge import Evidence

SCALING = """# Scaling the stages

Every stage of the Flow is a process of its own. The page reader is the stage that is scaled most often, because reading
takes most of the time.

## Page readers

To scale the page readers, set `DEEPSEARCH_PAGE_READER_REPLICAS` to the number of replicas and give
as many ports in `DEEPSEARCH_PAGE_READER_PORTS`. For example:

```sh
DEEPSEARCH_PAGE_READER_REPLICAS=4

make up
```

Each replica takes one core.
"""
NAVIGATION = """# How do I scale the page readers?

- [Home](/)
- [How do I scale the page readers](/scale)

[Scale page readers](/a) | [Page readers](/b)"""
FAQ = """**How do I scale the page readers?**

Add replicas in the settings. It takes effect at the next start.

**What does it cost?**

Nothing."""
EFFORT = "| Effort | Tokens |\n|---|---|\n| low | 100,000 |\n| high | 1,000,000 |"
KINDS = "These file types are indexed:\n\n- Markdown and plain text\n- HTML pages\n- PDF documents\n\nThe weather was fine."
PARIS = "Paris is the capital and most populous city of France. It had a population of 2,102,650 in 2023."
CHINESE = "要扩展页面阅读器，请设置副本数量和端口。每个副本占用一个端口。今天天气很好。"
ARABIC = "عاصمة فرنسا هي باريس. الطقس جميل اليوم."


def evidence(*quotes: str) -> list[Evidence]:
    return [Evidence(evidence_id=f"e{n}", quote=quote, start=0, end=len(quote), score=0.5) for n, quote in enumerate(quotes, 1)]


ALL = evidence(NAVIGATION, SCALING, FAQ, EFFORT, KINDS, PARIS, CHINESE, ARABIC)


def test_leads_with_the_sentence_that_says_how() -> None:
    answer = extract("How do I scale the page readers?", ALL)
    assert answer.startswith(
        "To scale the page readers, set `DEEPSEARCH_PAGE_READER_REPLICAS` to the number of replicas and give\n"
        "as many ports in `DEEPSEARCH_PAGE_READER_PORTS`. [e2]\n\n"
    )
    assert "[e1]" not in answer
    assert "weather" not in answer


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is the capital of France?", "Paris is the capital and most populous city of France. [e6]"),
        ("What is the population of Paris?", f"{PARIS} [e6]"),
        ("How many tokens does low effort have?", f"{EFFORT}\n\n[e4]"),
        ("Which file types are indexed?", "These file types are indexed:\n\n- Markdown and plain text\n- HTML pages\n- PDF documents [e5]"),
        ("如何扩展页面阅读器？", "要扩展页面阅读器，请设置副本数量和端口。 [e7]"),
        ("ما هي عاصمة فرنسا؟", "عاصمة فرنسا هي باريس. [e8]"),
    ],
)
def test_answers_word_for_word(question: str, answer: str) -> None:
    assert extract(question, ALL) == answer


@pytest.mark.parametrize(
    "question",
    [
        "How does photosynthesis work?",
        "Who won the world cup in 1998?",
        "What is the boiling point of water?",
        "量子计算机是什么？",
        "?",
        "",
    ],
)
def test_says_nothing_when_nothing_answers(question: str) -> None:
    assert extract(question, ALL) == ""
    assert extract(question, []) == ""


def test_headings_questions_and_link_lists_are_no_answers() -> None:
    assert extract("How do I scale the page readers?", evidence(NAVIGATION)) == ""
    assert extract("How do I scale the page readers?", evidence("## How to scale the page readers\n\nScale the page readers?")) == ""


def test_an_answer_below_its_question_is_found() -> None:
    assert extract(
        "How do I scale the page readers?", evidence("**How do I scale the page readers?**\n\nAdd page replicas in the settings.")
    ) == ("Add page replicas in the settings. [e1]")


def test_the_next_sentence_joins_when_it_says_what_is_missing() -> None:
    quote = "Set `CONTEXT` to the context window of the model. The default is 128,000 tokens. Nothing else matters."
    assert extract("What is the default context window?", evidence(quote)) == f"{quote.removesuffix(' Nothing else matters.')} [e1]"


MACHINE = (
    "# Machine\n\nThe tank holds 1.8 litres. The lease is four years from delivery. The fee is 1,800 euros. The anchor weighs 4 tonnes."
)
MACHINE_DE = "# Maschine\n\nDer Tank fasst 1,8 Liter. Die Garantie beträgt drei Jahre ab Kauf. Der Eintritt beträgt 12 Euro."
MACHINE_ZH = "# 洗衣机\n\n水箱容量是1.8升。保修期为三年。门票价格为12欧元。"


@pytest.mark.parametrize(
    ("quote", "question", "answer"),
    [
        (MACHINE, "How long is the lease?", "The lease is four years from delivery."),
        (MACHINE, "How long does the lease last?", "The lease is four years from delivery."),
        (MACHINE, "How high is the fee?", "The fee is 1,800 euros."),
        (MACHINE, "How expensive is the fee?", "The fee is 1,800 euros."),
        (MACHINE, "How heavy is the anchor?", "The anchor weighs 4 tonnes."),
        (MACHINE_DE, "Wie lange gilt die Garantie?", "Die Garantie beträgt drei Jahre ab Kauf."),
        (MACHINE_DE, "Welche Garantie gibt es?", "Die Garantie beträgt drei Jahre ab Kauf."),
        (MACHINE_DE, "Was kostet der Eintritt?", "Der Eintritt beträgt 12 Euro."),
        (MACHINE_ZH, "洗衣机的保修期多长？", "保修期为三年。"),
        (MACHINE_ZH, "门票多少钱？", "门票价格为12欧元。"),
    ],
)
def test_a_source_need_not_say_the_words_that_ask_for_a_quantity(quote: str, question: str, answer: str) -> None:
    assert extract(question, evidence(quote)) == f"{answer} [e1]"


def test_the_kind_of_quantity_that_was_asked_for_comes_first_and_alone() -> None:
    quotes = evidence("The bell has rung 400 times.", "The bell has a mass of 4 tonnes.", "The bell is old.")
    assert extract("How heavy is the bell?", quotes) == "The bell has a mass of 4 tonnes. [e2]"
    assert extract("How heavy is the bell?", quotes[2:]) == "The bell is old. [e3]"


@pytest.mark.parametrize(
    ("question", "right", "other"),
    [
        ("How much memory does the index take?", "The index takes 3 GB of memory.", "Building with this memory takes 20 minutes."),
        ("How many safety measures does the plant have?", "The plant has 14 safety measures.", "The plant is 200 metres long."),
        ("How many people take part in the marathon?", "In the marathon 4,000 people take part.", "The marathon takes 3 hours."),
        ("How long does the ferry crossing take?", "The ferry crossing has a duration of 3 hours.", "The ferry is 90 metres long."),
    ],
)
def test_the_count_that_was_asked_for_is_kept(question: str, right: str, other: str) -> None:
    for quotes in ([right, other], [other, right]):
        assert extract(question, evidence(*quotes)).startswith(right)


def test_a_passage_that_says_more_of_the_question_stays_without_the_kind_asked_for() -> None:
    answer = extract(
        "How long does the winter ferry crossing to Aarhus take?",
        evidence("The ferry crossing has a duration of 3 hours to Aarhus.", "In winter the ferry to Aarhus has no crossing at all."),
    )
    assert "3 hours" in answer and "no crossing" in answer


def test_a_sentence_that_points_at_something_before_it_does_not_lead() -> None:
    setting = "To scale the readers, set `READERS` to their number and `PORTS` to one port for each of them, separated by commas."
    dangling = "The scale of the readers takes `both` values from these two settings."
    other = evidence(dangling, setting)
    assert extract("How do I scale the readers?", other) == f"{setting} [e2]\n\n{dangling} [e1]"
    together = evidence(f"{setting} {dangling}")
    assert extract("How do I scale the readers?", together) == f"{setting} {dangling} [e1]"
    assert extract("How do I scale the readers?", other[:1]) == f"{dangling} [e1]"


def test_near_duplicates_appear_once() -> None:
    same = "The page readers scale with their replicas."
    answer = extract("How do the page readers scale?", evidence(same, same.upper(), f"{same} Really."))
    assert answer == f"{same} [e1]"


def test_a_sentence_that_leans_back_brings_the_one_before() -> None:
    quote = "The harbour bridge is made of steel. It opened in 1932 over the harbour. Cars cross it."
    assert extract("When did the harbour bridge open?", evidence(quote)).startswith(
        "The harbour bridge is made of steel. It opened in 1932"
    )


def test_code_cut_off_by_the_passage_is_left_out() -> None:
    begins_inside = "replicas = 4\n```\n\nTo scale page readers, add replicas.\n"
    ends_inside = "To scale page readers, add replicas.\n\n```sh\nscale page readers replicas"
    for quote in (begins_inside, ends_inside):
        assert extract("How to scale page readers?", evidence(quote)) == "To scale page readers, add replicas. [e1]"


def test_long_lists_give_single_items() -> None:
    items = "\n".join(f"- Option number {n} is about something else entirely, at great length." for n in range(20))
    answer = extract("What scales the page readers?", evidence(f"{items}\n- `REPLICAS` scales the page readers."))
    assert answer == "- `REPLICAS` scales the page readers. [e1]"


_BLOCKS = st.sampled_from(
    [
        SCALING,
        NAVIGATION,
        FAQ,
        EFFORT,
        KINDS,
        PARIS,
        CHINESE,
        ARABIC,
        "> Page readers scale.",
        "```\nscale page\n",
        "**Scale. Page** readers `a. b` scale.",
        "1. scale\n   page\n\n   readers\n2. two",
        "<div>page readers scale</div>",
        "Scale page (readers. And) more.",
        "\tpage readers scale",
        "page\n===\n",
    ]
)
_QUOTES = st.lists(st.lists(_BLOCKS, min_size=1, max_size=4).map("\n\n".join), min_size=1, max_size=4)


@given(
    quotes=_QUOTES,
    cut=st.integers(0, 200),
    question=st.sampled_from(["How do I scale the page readers?", "如何扩展页面阅读器？", "capital of France"]),
)
def test_every_piece_is_verbatim_and_the_whole_is_valid(quotes: list[str], cut: int, question: str) -> None:
    found = evidence(*[quote[cut:] for quote in quotes])
    answer = extract(question, found)
    parts = answer.split("]") if answer else [""]
    count = 0
    rest = answer
    while rest:
        ends = [(rest.index(f"[{piece.evidence_id}]"), piece) for piece in found if f"[{piece.evidence_id}]" in rest]
        at, piece = min(ends, key=lambda end: end[0])
        assert rest[:at].strip() in piece.quote
        rest = rest[at + len(piece.evidence_id) + 2 :]
        count += 1
    assert count <= MAX_PIECES
    assert len(parts) >= 1
    fences = [token for token in MarkdownIt("commonmark").parse(answer) if token.type == "fence"]
    assert all("[e" not in token.content for token in fences)


@given(quotes=_QUOTES, cut=st.integers(0, 200))
def test_pieces_lie_in_order_and_apart(quotes: list[str], cut: int) -> None:
    quote = "\n\n".join(quotes)[cut:]
    end = 0
    for piece in pieces(quote):
        assert end <= piece.start < piece.end <= len(quote)
        assert piece.of(quote).strip() == piece.of(quote)
        end = piece.end
