"""The plain text: lines of 80 columns, whatever the writing."""

from __future__ import annotations

import pytest
from export_answers import ARABIC, CHINESE, HOSTILE, answer, tides
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from executors.answer_finalizer.exporting.document import document
from executors.answer_finalizer.exporting.text import text
from schemas.research import ResearchAnswer


def written(of: ResearchAnswer) -> str:
    return text(document(of)).decode()


def test_the_whole_file() -> None:
    assert (
        written(tides())
        == """\
What causes the tides?
======================

The tides are caused by the gravity of the Moon and the Sun [1]. A spring tide
happens at full and new moon [2]. Neap tides are weaker by 37 percent [1].

Causes
------

Three things matter, see https://example.org/tides for more:

3. The distance of the Moon [2]
4. The Sun
   - its mass
   - its colour distance, as in F = G*m1*m2/r^2

> The sea never rests.

Place             | Range (m) |       Remark
------------------+-----------+-------------------
Bay of Fundy      |      16.3 | highest of all [3]
Mediterranean Sea |       0.4 |    nearly none

    def force(m1, m2, r):
        return 6.674e-11 * m1 * m2 / r ** 2

--------------------------------------------------------------------------------

See the almanac <https://almanac.example/2026?x=1&y=2>.

Note: The time was over.

Sources
-------

[1] “The tides are caused by the gravity of the Moon and the Sun.”
    Tides and currents (published 2024-05-01, read 2026-01-30)
    https://ocean.example/tides

[2] “A spring tide happens at full and new moon.”
    Spring tides (changed 2025-01, read 2026-01-31)
    https://moon.example/spring#top

[3] “In the Bay of Fundy the range is 16.3 m.”
    file:///srv/notes.md

Run tides-1 · 2026-01-31 · written by a language model
"""
    )


@pytest.mark.parametrize("sentence", ["潮汐是由月球和太阳的引力引起的。", "The sea never rests. ", "تحدث المد والجزر بسبب القمر. "])
@pytest.mark.parametrize("form", ["{}", "> {}", "- {}", "1. - {}", "|a|b|c|\n|-|-|-|\n|{0}|{0}|{0}|"])
def test_no_line_is_wider(sentence: str, form: str) -> None:
    lines = written(answer(form.format(sentence * 30), question=sentence * 8)).splitlines()
    assert max(cell_len(line) for line in lines) in range(60, 81)


def test_a_wide_table_becomes_records() -> None:
    wide = f"| Name | Remark |\n|---|---|\n| a | {'word ' * 20}|\n| b | c |"
    assert "Name: a\nRemark: word word" in written(answer(wide))
    assert "Name: b\nRemark: c" in written(answer(wide))


def test_what_cannot_be_broken_stays_whole() -> None:
    url = "https://a.example/" + "x" * 100
    assert f"\n{url}\n" in written(answer(f"See\n\n{url}"))


def test_other_writings() -> None:
    assert "潮汐是由月球和太阳的引力引起的[1]。\n\n- 日本語\n- 한국어\n" in written(CHINESE)
    assert "[1] “تحدث المد والجزر بسبب جاذبية القمر.”" in written(ARABIC)


def test_no_control_characters() -> None:
    shown = written(HOSTILE)
    assert "<script>alert(1)</script>" in shown
    assert all(character.isprintable() or character == "\n" for character in shown)


def test_an_empty_answer() -> None:
    assert written(answer("", question="")) == "Answer\n======\n\nRun r1 · written by a language model\n"


@settings(deadline=None)
@given(st.text(alphabet="ab 潮。，（）\n-*|`>#1.[]^é\u0301", max_size=200))
def test_no_word_is_lost(content: str) -> None:
    shown = written(answer(f"```\n{content.replace('`', '')}\n```\n\n{'x' * 3} {'潮' * 90} y"))
    assert shown.count("潮") >= 90 and " y\n" in shown
