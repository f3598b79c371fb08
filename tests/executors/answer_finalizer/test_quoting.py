"""A reference quotes the words that its citing statement stands on, exactly."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from executors.answer_finalizer.citations.citing import Resolved
from executors.answer_finalizer.citations.quoting import references
from executors.answer_finalizer.citations.sources import KnownUrls
from schemas.knowledge import Evidence
from schemas.research import Reference

QUOTE = (
    "The Eiffel Tower stands in Paris. It was built from 1887 to 1889 by the company of Gustave Eiffel. "
    "It is 330 metres tall. Millions of people visit it every year.\n\n- Lifts go up to the top floor.\n- Stairs go up to the second floor."
)
TOWER = Evidence(
    evidence_id="e1",
    page_id="p1",
    url="https://a.example",
    title="Tower",
    quote=QUOTE,
    start=100,
    end=100 + len(QUOTE),
    published="2024-05-01",
)
RIVER = Evidence(evidence_id="e2", page_id="p2", url="https://b.example", quote="The Seine flows through Paris.", start=7, end=37)


def refer(draft: str) -> list[Reference]:
    stream = Resolved(draft, {"e1": TOWER, "e2": RIVER}, KnownUrls(), 10)
    return list(references(stream.text, stream.marks, stream.cited))


def test_the_sentence_that_says_it() -> None:
    (reference,) = refer("The tower has a height of 330 metres [e1].")
    assert reference.quote == "It is 330 metres tall."
    assert (reference.start, reference.end) == (100 + QUOTE.index("It is 330"), 100 + QUOTE.index("It is 330") + 22)
    assert (reference.number, reference.evidence_id, reference.page_id, reference.url, reference.title, reference.published) == (
        1, "e1", "p1", "https://a.example", "Tower", "2024-05-01",
    )  # fmt: skip


def test_neighbours_join_when_they_say_the_rest() -> None:
    (reference,) = refer("Built by Gustave Eiffel from 1887 to 1889, it is 330 metres tall [e1].")
    assert reference.quote == "It was built from 1887 to 1889 by the company of Gustave Eiffel. It is 330 metres tall."


def test_a_list_item() -> None:
    (reference,) = refer("Something else.\n\n- Stairs reach the second floor. [e1]")
    assert reference.quote == "- Stairs go up to the second floor."


def test_verbatim_pieces_are_quoted_exactly() -> None:
    piece = QUOTE[QUOTE.index("It was built") : QUOTE.index(" Millions")]
    (reference,) = refer(f"{piece} [e1]")
    assert reference.quote == piece
    tower, river = refer("Millions of people visit it every year. [e1]\n\nThe Seine flows through Paris. [e2]")
    assert (tower.quote, river.quote) == ("Millions of people visit it every year.", "The Seine flows through Paris.")


def test_several_statements_of_one_source_are_all_covered() -> None:
    (reference,) = refer("It stands in Paris [e1]. It is 330 metres tall [e1].")
    assert reference.quote.startswith("The Eiffel Tower stands in Paris.")
    assert reference.quote.endswith("It is 330 metres tall.")


def test_groups_stand_on_the_same_sentence() -> None:
    tower, river = refer("The tower and the Seine are in Paris [e1][e2].")
    assert tower.quote == "The Eiffel Tower stands in Paris."
    assert river.quote == RIVER.quote


def test_another_language_keeps_the_whole_quote() -> None:
    (reference,) = refer("这座塔非常高。[e1]")
    assert reference.quote == QUOTE


_WORDS = st.lists(
    st.sampled_from(["tower", "Paris", "330", "Seine", "[e1]", "[e2]", ".", "\n\n", "- ", "```", "`", "floor", "。", "[e1, e2]", ":"]),
    max_size=25,
)


@given(draft=_WORDS.map(" ".join))
def test_quotes_are_spans_and_markers_have_references(draft: str) -> None:
    stream = Resolved(draft, {"e1": TOWER, "e2": RIVER}, KnownUrls(), 10)
    found = list(references(stream.text, stream.marks, stream.cited))
    assert [reference.number for reference in found] == list(dict.fromkeys(mark.number for mark in stream.marks))
    for reference in found:
        source = {"e1": TOWER, "e2": RIVER}[reference.evidence_id]
        assert reference.quote
        assert source.quote[reference.start - source.start : reference.end - source.start] == reference.quote


def test_dates_of_the_page_come_with_the_reference() -> None:
    river = Evidence(
        **{**RIVER.model_dump(), "published": "2023-01-02", "modified": "2024-03-04", "read_at": "2026-11-21T10:00:00Z"},
    )
    text = Resolved("The Seine flows through Paris [e2].", {"e2": river}, KnownUrls(), 10)
    (reference,) = references(text.text, text.marks, text.cited)
    assert (reference.published, reference.modified, reference.read_at) == ("2023-01-02", "2024-03-04", "2026-11-21T10:00:00Z")
