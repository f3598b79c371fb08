"""Blocks, chunks and the passages selected for a question."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.reader.blocks import blocks
from providers.reader.chunks import chunks
from providers.reader.passages import select_passages

GUIDE = """# Guide

Intro paragraph.
Second line.

## Install

1. Get it.
2. Run it
   with care.

```sh
# not a heading

| not | a table |
```

| a | b |
|---|---|
| 1 | 2 |
Setext
------

Last.
"""


def test_blocks_of_every_kind() -> None:
    found = [(block.kind, GUIDE[block.start : block.end].splitlines()[0], block.heading) for block in blocks(GUIDE)]
    assert found == [
        ("heading", "# Guide", ("Guide",)),
        ("paragraph", "Intro paragraph.", ("Guide",)),
        ("heading", "## Install", ("Guide", "Install")),
        ("list", "1. Get it.", ("Guide", "Install")),
        ("code", "```sh", ("Guide", "Install")),
        ("table", "| a | b |", ("Guide", "Install")),
        ("heading", "Setext", ("Guide", "Setext")),
        ("paragraph", "Last.", ("Guide", "Setext")),
    ]


def test_chunks_keep_a_heading_with_its_text() -> None:
    found = [(GUIDE[chunk.start : chunk.end].splitlines()[0], chunk.heading) for chunk in chunks(GUIDE, aim=500, most=1_000)]
    assert found == [("# Guide", ("Guide",)), ("## Install", ("Guide", "Install")), ("Setext", ("Guide", "Setext"))]


_MARKUP = st.text(st.sampled_from("ab. \n#|`-=1.)*。水\t\u2028é"), max_size=400)


@given(_MARKUP | st.text(max_size=200), st.integers(1, 60))
def test_chunks_cover_everything_in_order(text: str, most: int) -> None:
    covered = [False] * len(text)
    previous = 0
    for chunk in chunks(text, aim=most // 2, most=most):
        assert previous <= chunk.start < chunk.end <= len(text)
        assert chunk.end - chunk.start <= most
        piece = text[chunk.start : chunk.end]
        assert piece == piece.strip()
        covered[chunk.start : chunk.end] = [True] * (chunk.end - chunk.start)
        previous = chunk.end
    assert all(done or character.isspace() for done, character in zip(covered, text, strict=True))


@given(st.text(max_size=30), _MARKUP | st.text(max_size=3_500), st.sampled_from(["en", "zh", "de", "xx"]))
def test_passages_are_verbatim_disjoint_and_bounded(question: str, text: str, language_code: str) -> None:
    found = select_passages(question, text, language_code)
    assert bool(found) == bool(text.strip())
    assert len(found) <= 8
    scores = [passage.score for passage in found]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    end = 0
    for passage in sorted(found, key=lambda passage: passage.start):
        assert passage.text == text[passage.start : passage.end]
        assert passage.text.strip()
        assert passage.start >= end
        assert passage.end - passage.start <= 1_200
        end = passage.end


def page(sections: int) -> str:
    filler = "This paragraph speaks of gardens, of rain and of the long summer evenings by the sea, and of nothing else at all. " * 5
    parts = [f"## Section {i}\n\n{filler}" for i in range(sections)]
    parts[sections // 2] = (
        f"## Melting points\n\n{filler}\n\n| metal | melts at |\n|---|---|\n| tungsten | 3422 °C |\n| gallium | 29.8 °C |"
    )
    return "\n\n".join(parts)


@pytest.mark.parametrize("sections", [5, 50, 1_700])
def test_the_passage_that_answers_comes_first(sections: int) -> None:
    text = page(sections)
    started = time.perf_counter()
    found = select_passages("At which temperature does tungsten melt?", text, "en")
    assert time.perf_counter() - started < 2.0
    assert "| tungsten | 3422 °C |" in found[0].text
    assert found[0].score > 0


def test_a_short_page_gives_all_its_passages() -> None:
    assert select_passages("last", GUIDE, "en")[0].text == "Setext\n------\n\nLast."
    assert sum(len(passage.text) for passage in select_passages("unrelated", GUIDE, "en")) >= len(GUIDE.strip()) - 4


def test_a_page_without_a_relevant_passage_gives_its_beginning_with_score_0() -> None:
    found = select_passages("quantum chromodynamics", page(20), "en")
    assert [passage.score for passage in found] == [0.0, 0.0]
    assert found[0].start == 0


def test_accents_do_not_hide_a_word_of_a_large_page() -> None:
    text = page(200) + "\n\n## Häuser\n\nDie Häuser am Fluß sind rot."
    assert select_passages("Welche Farbe hat das Haus?", text, "de")[0].text.startswith("## Häuser")
