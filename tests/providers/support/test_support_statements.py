"""The statements of a Markdown text: their spans, words and citations."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.support import StatementSpan, statements


def claims(text: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(span.words, span.cited) for span in statements(text) if span.claim]


def test_a_citation_belongs_to_the_sentence_that_it_stands_in_or_behind() -> None:
    text = "**Jina AI** was founded in 2020. [e1] It is in `Berlin.Mitte` [e2, e3].[^4] It grew."
    found = statements(text)
    assert [(span.words, span.cited, span.notes) for span in found] == [
        ("Jina AI was founded in 2020.", ("e1",), ()),
        ("It is in Berlin.Mitte.", ("e2", "e3"), (4,)),
        ("It grew.", (), ()),
    ]
    assert [text[span.start : span.end] for span in found] == [
        "**Jina AI** was founded in 2020. [e1]",
        "It is in `Berlin.Mitte` [e2, e3].[^4]",
        "It grew.",
    ]


def test_items_quotes_and_rows_hold_statements() -> None:
    text = (
        "> A quoted *claim*\n> goes on.[e1]\n\n- item one [e2]\n- item two. Another [e1-e3].\n\n"
        "| a | b |\n|---|---|\n| x | 3 [E4] |\n| y | 5 |\n"
    )
    assert claims(text) == [
        ("A quoted claim goes on.", ("e1",)),
        ("item one", ("e2",)),
        ("item two.", ()),
        ("Another.", ("e1", "e2", "e3")),
        ("x | 3", ("e4",)),
        ("y | 5", ()),
    ]


def test_a_citation_below_a_table_or_code_belongs_to_it() -> None:
    text = "| a | b |\n|---|---|\n| x | 3 |\n| y | 5 |\n\n[e1]\n\n```py\nprint(1)\n```\n\n[e2]\n\nA sentence here."
    found = statements(text)
    assert [(span.words, span.cited, span.claim) for span in found] == [
        ("x | 3", ("e1",), True),
        ("y | 5", ("e1",), True),
        ("print(1)", ("e2",), False),
        ("A sentence here.", (), True),
    ]
    assert text[found[2].start : found[2].end] == "```py\nprint(1)\n```\n\n[e2]"


@pytest.mark.parametrize(
    "text",
    [
        "# The population is large", "Is it large?", "Wie groß ist es?", "它有多大？", "هل هو كبير؟", "There are three reasons:",
        "In summary:",
        "**Background**", "```\nThe tower is tall.\n```", "---", "This answer is based on the sources below.", "Zusammenfassend:",
        "[^1]: [Title](https://example.org)", "Overall.", "以下是主要原因：",
    ],
)  # fmt: skip
def test_what_claims_nothing_is_no_claim(text: str) -> None:
    assert not any(span.claim for span in statements(text))


@pytest.mark.parametrize(
    "text",
    [
        "Berlin.",
        "42",
        "In summary, the tower is tall and old.",
        "**Background** [e1]",
        "The tower opened in 1889:",
        "Overall, sales fell by 3 %.",
    ],
)
def test_what_claims_something_is_a_claim(text: str) -> None:
    assert any(span.claim for span in statements(text))


def test_sentences_end_where_they_do_in_any_language() -> None:
    assert claims("第一句话在这里。[e1]第二句话在那里[e2]。") == [("第一句话在这里。", ("e1",)), ("第二句话在那里。", ("e2",))]
    assert claims("Am 3. Oktober 1990 geschah es bzw. begann es. Es blieb so.") == [
        ("Am 3. Oktober 1990 geschah es bzw. begann es.", ()),
        ("Es blieb so.", ()),
    ]
    assert claims("Apple Inc. was founded by Dr. Smith, e.g. in Jan. 1976 vs. 1977. It grew fast.") == [
        ("Apple Inc. was founded by Dr. Smith, e.g. in Jan. 1976 vs. 1977.", ()),
        ("It grew fast.", ()),
    ]
    assert [words for words, _ in claims("افتتح البرج عام 2010. وهو طويل جدا.")] == ["افتتح البرج عام 2010.", "وهو طويل جدا."]


def test_code_and_links_hold_no_citations_and_round_brackets_only_known_ones() -> None:
    assert statements("See `a[e1]` and [a text](https://x.y/[e2]) here.")[0].cited == ()
    assert statements("Additive (E120) is red (e1).")[0].cited == ()
    assert statements("Additive (E120) is red (e1).", ["e1"])[0].cited == ("e1",)
    assert statements("All of it [e1-e9].", ["e2", "e5", "e12"])[0].cited == ("e1", "e2", "e5")


@pytest.mark.parametrize(
    "piece",
    [
        "[",
        "[e1]",
        "a. ",
        "e.g. ",
        "*",
        "*a_ ",
        "`",
        ">",
        "- ",
        "|",
        "![[",
        "(((e1)",
        "1.",
        "x[^1] ",
        "<a ",
        "\\[e1]",
        "[a](b ",
        "> ",
        "> - ",
        "1 ",
        "&amp;",
        "\u200f",
    ],
)
def test_hostile_text_takes_no_time(piece: str) -> None:
    began = time.process_time()
    statements(piece * (100_000 // len(piece)))
    assert time.process_time() - began < 15  # linear: a tenth of this; quadratic: minutes


def _are_in_order(text: str, found: list[StatementSpan]) -> bool:
    ends = [0, *(span.end for span in found)]
    return all(before <= span.start < span.end <= len(text) for before, span in zip(ends, found, strict=False))


_PIECES = st.sampled_from(
    ["A tower stands. ", "It is **tall** ", "[e1]", " [e2, e3].", "[^1]", "\n", "\n\n", "- ", "> ", "# ", "| a | b |\n",
     "|---|---|\n", "```\n", "`x.y` ", "[l](u) ",
     "句子。", "!", "?", "1. ", "\t", "\r\n", "\\[", "<b>", "&lt;", "![i](s)", "*", "_", "e.g. ", "هل؟ "]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.lists(_PIECES, max_size=25).map("".join), st.text(max_size=80)))
def test_spans_are_in_order_and_inside_the_text(text: str) -> None:
    assert _are_in_order(text, statements(text))
