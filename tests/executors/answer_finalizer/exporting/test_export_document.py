"""What every format is given: parsed once, with nothing in it that is still markup."""

from __future__ import annotations

import pytest
from export_answers import HOSTILE, ROW, TEXT, answer, numbered, tides
from hypothesis import given, settings
from hypothesis import strategies as st

from executors.answer_finalizer.exporting.document import (
    Block,
    Heading,
    Judged,
    Listing,
    Mark,
    Paragraph,
    Quotation,
    Run,
    Table,
    allowed,
    document,
)
from schemas.errors import InvalidRequest, TooLarge
from schemas.research import Reference
from schemas.support import Statement, SupportReport


def links(blocks: list[Block]) -> list[str]:
    return [part.split("'")[0] for part in str(blocks).split("link='")[1:] if not part.startswith("'")]


def test_blocks_and_runs() -> None:
    read = document(tides())
    kinds = [type(block).__name__ for block in read.blocks]
    assert kinds == ["Paragraph", "Heading", "Paragraph", "Listing", "Quotation", "Table", "Code", "Rule", "Paragraph"]
    first, heading, see, listing, quotation, table, *_ = read.blocks
    assert isinstance(first, Paragraph)
    assert first.inlines[:2] == [Run("The "), Run("tides", bold=True)]
    assert [one for one in first.inlines if isinstance(one, Mark)] == [Mark(1, 1), Mark(2, 1), Mark(1, 2)]
    assert [one.verdict for one in first.inlines if isinstance(one, Judged)] == ["supported", "partly", "unsupported"]
    assert heading == Heading(1, [Run("Causes")])
    assert isinstance(see, Paragraph) and see.inlines[1] == Run("https://example.org/tides", link="https://example.org/tides")
    assert isinstance(listing, Listing) and listing.start == 3 and isinstance(listing.items[1][1], Listing)
    assert quotation == Quotation([Paragraph([Run("The sea never rests.")])])
    assert isinstance(table, Table) and table.aligned == ["left", "right", "center"]
    assert table.rows[1][2] == [Run("highest of all "), Mark(3, 1), Judged("contradicted", "another source says 14.5")]


def test_facts_and_notes() -> None:
    read = document(tides())
    assert (read.title, read.notice, read.date) == ("What causes the tides?", "The time was over.", "2026-01-31")
    assert read.closing == "Run tides-1 · 2026-01-31 · written by a language model"
    assert [(note.number, note.cited) for note in read.notes] == [(1, 2), (2, 2), (3, 1)]
    assert [note.dates for note in read.notes] == ["published 2024-05-01, read 2026-01-30", "changed 2025-01, read 2026-01-31", ""]
    assert [note.place for note in read.notes] == ["ocean.example", "moon.example", "notes.md"]
    assert read.notes[1].passage == ("https://moon.example/spring#top:~:text=A%20spring%20tide%20happens%20at%20full%20and%20new%20moon.")
    assert read.notes[2].passage == "file:///srv/notes.md"
    assert read.in_order


def test_notes_in_order_of_their_marks_and_those_without_one() -> None:
    read = document(answer("A [^3], b [^1], c [^3], d [^7].", numbered(3)))
    assert [(note.number, note.cited) for note in read.notes] == [(3, 2), (1, 1), (2, 0)]
    assert not read.in_order
    assert "[7]" in str(read.blocks)


@pytest.mark.parametrize(
    ("quote", "fragment"),
    [
        ("It is so.", "It%20is%20so."),
        ("A-b, c & d", "A%2Db%2C%20c%20%26%20d"),
        ("one two three four five\nsix seven eight nine ten", "one%20two%20three%20four%20five,six%20seven%20eight%20nine%20ten"),
        ("潮汐" * 100, "%E6%BD%AE%E6%B1%90" * 100),
        ("潮汐" * 200, ""),
        ("too\nshort", ""),
        ("has **markup** in it", ""),
        ("", ""),
    ],
)
def test_a_link_leads_to_the_quote_where_it_can(quote: str, fragment: str) -> None:
    passage = document(answer("x", [Reference(number=1, url="https://a.example/x", quote=quote)])).notes[0].passage
    expected = f"https://a.example/x#:~:text={fragment}" if fragment else "https://a.example/x"
    assert passage == (expected if len(expected) <= 2000 else "https://a.example/x")


def test_no_link_into_a_pdf() -> None:
    note = document(answer("x", [Reference(number=1, url="https://a.example/x.PDF", quote="It is so.")])).notes[0]
    assert note.passage == "https://a.example/x.PDF"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example/x y?q=<b>\"'#f", "https://a.example/x%20y?q=%3Cb%3E%22'#f"),
        ("HTTP://a.example", "HTTP://a.example"),
        ("file:///srv/a b.md", "file:///srv/a%20b.md"),
        ("https://zh.example/潮汐", "https://zh.example/潮汐"),
        ("javascript:alert(1)", ""),
        ("java\nscript:alert(1)", ""),
        (" javascript:alert(1)", ""),
        ("data:text/html,x", ""),
        ("https:alert(1)", ""),
        ("https:///x", ""),
        ("//a.example", ""),
        ("mailto:a@b.example", ""),
        ("http://[", ""),
        ("https://a.example/" + "x" * 2000, ""),
        ("", ""),
    ],
)
def test_what_may_be_followed(url: str, expected: str) -> None:
    assert allowed(url) == expected


def test_hostile_text_is_only_text() -> None:
    read = document(HOSTILE)
    assert set(links(read.blocks)) == {"https://ok.example/?a=%22%3E%3Cscript%3E"}
    assert [bool(note.url) for note in read.notes] == [True, False, False]
    shown = str(read)
    assert not any(character in shown for character in ("\x00", "\x1b", "\x07", "\u202e"))
    assert (read.language, read.rtl) == ("en", False)
    assert "\n" not in read.title


@pytest.mark.parametrize(("language", "rtl"), [("ar", True), ("he-IL", True), ("fa_IR", True), ("en", False), ("art", False)])
def test_direction(language: str, rtl: bool) -> None:
    assert document(answer("x", language_code=language)).rtl is rtl


def test_the_language_is_found_when_it_is_not_given() -> None:
    assert document(answer("The tides are caused by the gravity of the Moon and the Sun.", language_code="")).language == "en"
    assert document(answer("تحدث المد والجزر بسبب جاذبية القمر والشمس.", language_code="")).rtl


def test_headings_begin_with_the_first_level() -> None:
    levels = [block.level for block in document(answer("### a\n\n##### b\n\n### c")).blocks if isinstance(block, Heading)]
    assert levels == [1, 3, 1]


def test_a_long_question_is_cut_and_none_has_a_name() -> None:
    assert len(document(answer("x", question="why " * 1000)).title) <= 300
    assert document(answer("x", question="why " * 1000)).title.endswith("…")
    assert document(answer("x", question=" ")).title == "Answer"


def test_verdicts_that_fit_nowhere_are_left_out() -> None:
    spans = [(0, 5), (3, 900), (-4, 2), (5, 5), (2, 1)]
    statements = [Statement(start=start, end=end, verdict="supported") for start, end in spans]
    statements.append(Statement(start=0, end=3, verdict="unsupported", removed=True))
    statements.append(Statement(start=0, end=3, verdict="no_claim"))
    read = document(answer("It is so.", support=SupportReport(statements=statements)))
    assert read.blocks == [Paragraph([Run("It is"), Judged("supported", ""), Run(" so.")])]


def test_deep_nesting_becomes_flat() -> None:
    assert str(document(answer("> " * 60 + "deep")).blocks).count("Quotation") == 8
    assert "deep" in str(document(answer("> - " * 20 + "deep")).blocks)


def test_limits() -> None:
    with pytest.raises(TooLarge, match=r"1,000,00\d characters with its references; at most 1,000,000") as raised:
        document(answer("x" * 1_000_001))
    assert raised.value.field == "answer"
    for numbers in ((1, 1), (0,), (-1, 2)):
        with pytest.raises(InvalidRequest, match="a number of its own"):
            document(answer("x", [Reference(number=number) for number in numbers]))


_PIECES = [
    "a ",
    "**",
    "*",
    "`",
    "[^1]",
    "[^2]",
    "\n",
    "\n\n",
    "> ",
    "- ",
    "1. ",
    "|",
    "|-|",
    "[x](",
    "https://a.example",
    ")",
    "<b>",
    "```",
    "#",
]


@settings(deadline=None)  # the first text loads what finds languages
@given(st.lists(st.sampled_from(_PIECES), max_size=30), st.integers(0, 60), st.integers(0, 60))
def test_any_text_is_read_with_a_verdict_anywhere(pieces: list[str], start: int, end: int) -> None:
    text = "".join(pieces)
    plain = document(answer(text, numbered(2)))
    report = SupportReport(statements=[Statement(start=start, end=end, verdict="partly", reason="why")])
    judged = document(answer(text, numbered(2), support=report))
    assert all(link.startswith("https://a") for link in links(judged.blocks) + links(plain.blocks))
    assert str(judged.blocks).count("Judged(") <= 1
    assert "\ufdd0" not in str(judged) and "\ufdd1" not in str(judged)


def test_the_example_is_what_it_should_be() -> None:
    assert TEXT.count(ROW) == 1
