"""Blocks, chunks and the passages selected for a question."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.embedding.base import Embedded, Task
from providers.lexical import relevance
from providers.reader.blocks import blocks
from providers.reader.chunks import Chunk, chunks
from providers.reader.passages import Scored, Selection, rank_hybrid, select_passages, worth_embedding
from schemas.errors import NotRecorded
from schemas.reading import Passage
from schemas.usage import Usage
from tests.embedding_stand_in import HashedEmbedding

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


def lexically(question: str, text: str, language_code: str) -> list[Passage]:
    selection = asyncio.run(select_passages(question, text, language_code))
    assert (selection.errors, selection.usage.total_tokens) == ([], 0)
    return selection.passages


@given(st.text(max_size=30), _MARKUP | st.text(max_size=3_500), st.sampled_from(["en", "zh", "de", "xx"]))
def test_passages_are_verbatim_disjoint_and_bounded(question: str, text: str, language_code: str) -> None:
    found = lexically(question, text, language_code)
    assert bool(found) == bool(text.strip())
    _verbatim_disjoint_and_bounded(text, found)


def _verbatim_disjoint_and_bounded(text: str, found: list[Passage]) -> None:
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
    started = time.process_time()
    found = lexically("At which temperature does tungsten melt?", text, "en")
    assert time.process_time() - started < 15
    assert "| tungsten | 3422 °C |" in found[0].text
    assert found[0].score > 0


def test_a_short_page_gives_all_its_passages() -> None:
    assert lexically("last", GUIDE, "en")[0].text == "Setext\n------\n\nLast."
    assert sum(len(passage.text) for passage in lexically("unrelated", GUIDE, "en")) >= len(GUIDE.strip()) - 4


def test_a_page_without_a_relevant_passage_gives_its_beginning_with_score_0() -> None:
    found = lexically("quantum chromodynamics", page(20), "en")
    assert [passage.score for passage in found] == [0.0, 0.0]
    assert found[0].start == 0


def test_accents_do_not_hide_a_word_of_a_large_page() -> None:
    text = page(200) + "\n\n## Häuser\n\nDie Häuser am Fluß sind rot."
    assert lexically("Welche Farbe hat das Haus?", text, "de")[0].text.startswith("## Häuser")


# -- with embeddings ---------------------------------------------------------------------------------------------------

CARS = {"automobile": "car", "vehicle": "car", "price": "cost"}
FILLER = "This paragraph speaks of gardens, of rain and of the long summer evenings by the sea, and of nothing else at all. " * 5
QUESTION = "What does an automobile cost?"
ANSWER = "A new car is sold at the cost of nine thousand crowns."


def long_page(sections: int, place: int, answer: str = ANSWER) -> str:
    parts = [f"## Section {i}\n\n{FILLER}" for i in range(sections)]
    parts[place] = f"## Garage\n\n{FILLER}\n\n{answer}"
    return "\n\n".join(parts)


async def with_embeddings(text: str, embedding: HashedEmbedding, question: str = QUESTION, **limits: object) -> Selection:
    selection = await select_passages(question, text, "en", embedding, **limits)
    _verbatim_disjoint_and_bounded(text, selection.passages)
    return selection


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("sections", [6, 30, 150, 300])
async def test_the_answer_in_other_words_comes_first(sections: int, late: bool) -> None:
    answer = "Every vehicle here is offered at a price of nine thousand crowns."
    text = long_page(sections, sections - 3, answer)
    embedding = HashedEmbedding(CARS, supports_late_chunking=late)
    selection = await with_embeddings(text, embedding, "Automobile cost?")
    assert answer in selection.passages[0].text
    assert 0 < selection.passages[0].score <= 1
    assert selection.errors == []
    assert [task for task, _, _ in embedding.calls] == ["query", "passage"], "a page is embedded once"
    assert selection.usage.provider_tokens == sum(
        len("".join(c if c.isalpha() else " " for c in t).split()) for _, ts, _ in embedding.calls for t in ts
    )
    windowed = late and 12_000 <= len(text) <= 100_000
    assert embedding.calls[1][2] == windowed
    assert windowed or len(embedding.calls[1][1]) <= 100


async def test_without_embeddings_the_same_page_has_nothing() -> None:
    text = long_page(30, 27, "Every vehicle here is offered at a price of nine thousand crowns.")
    assert {passage.score for passage in (await select_passages("Automobile cost?", text, "en")).passages} == {0.0}


async def test_late_chunking_sends_the_whole_page_in_consecutive_pieces() -> None:
    text = long_page(30, 20).replace("Section 4\n", "Section 4\n" + " " * 900)
    embedding = HashedEmbedding(CARS, supports_late_chunking=True)
    await with_embeddings(text, embedding)
    sent = embedding.calls[1][1]
    assert all(len(piece) == 300 for piece in sent[:-1])
    assert "".join("".join(sent).split()) == "".join(text.split())
    assert len(sent) < -(-len(text) // 300), "blank pieces cost nothing"


async def test_passages_of_a_windowed_page_lie_in_its_windows() -> None:
    text = "\n\n".join(f"## Part {i}\n\n" + ("Cars and what they cost. " if i in (3, 40) else "Rain. ") * 60 for i in range(60))
    selection = await with_embeddings(text, HashedEmbedding({**CARS, "cars": "car"}, supports_late_chunking=True))
    for passage in selection.passages[:2]:
        assert "Cars and what they cost." in passage.text
    wanted = [text.index(f"## Part {i}\n") for i in (3, 40)]
    assert all(min(abs(passage.start - place) for place in wanted) < 7_500 or "Rain" in passage.text for passage in selection.passages)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(("fails_at", "tokens"), [(1, 1), (2, 6)])
async def test_a_failure_leaves_the_lexical_passages(late: bool, fails_at: int, tokens: int) -> None:
    text = long_page(30, 20)
    selection = await with_embeddings(text, HashedEmbedding(supports_late_chunking=late, fails_at=fails_at))
    plain = await select_passages(QUESTION, text, "en")
    assert [p.model_dump(exclude={"id"}) for p in selection.passages] == [p.model_dump(exclude={"id"}) for p in plain.passages]
    assert selection.errors == ["passages were compared by their words alone: hashed embeddings refused: HTTP 402"]
    assert selection.usage.provider_tokens == tokens


async def test_what_the_allowance_does_not_hold_is_not_embedded() -> None:
    text = long_page(30, 20)
    embedding = HashedEmbedding()
    selection = await with_embeddings(text, embedding, max_tokens=50)
    assert "exceed the 45 left" in selection.errors[0]
    assert (selection.usage.provider_tokens, len(embedding.calls)) == (5, 1)
    assert ANSWER in selection.passages[0].text


async def test_a_provider_that_hangs_is_not_waited_for() -> None:
    selection = await with_embeddings(long_page(30, 20), HashedEmbedding(hangs=True), seconds=0.02)
    assert selection.errors == ["passages were compared by their words alone: hashed took longer than the 0.0 s that were left"]
    assert selection.usage.estimated
    assert ANSWER in selection.passages[0].text


async def test_a_replay_does_not_go_on_without_its_record() -> None:
    class Unrecorded(HashedEmbedding):
        async def embed(self, *arguments: object, **options: object) -> object:  # type: ignore[override]
            raise NotRecorded("no record of these embeddings")

    with pytest.raises(NotRecorded):
        await with_embeddings(long_page(30, 20), Unrecorded())


async def test_one_passage_is_not_embedded() -> None:
    embedding = HashedEmbedding()
    assert len((await with_embeddings("One line about a car.", embedding)).passages) == 1
    assert embedding.calls == []


async def test_scores_of_pages_can_be_compared() -> None:
    near = await with_embeddings(long_page(30, 20), HashedEmbedding(CARS))
    far = await with_embeddings(long_page(30, 20, "A bird sat in the tree, which cost it nothing."), HashedEmbedding(CARS))
    assert near.passages[0].score > far.passages[0].score


def parts_of(scores: list[float]) -> list[Scored]:
    return [Scored(Chunk(i * 10, i * 10 + 9, ()), score) for i, score in enumerate(scores)]


def test_hybrid_order_is_that_of_the_fused_scores() -> None:
    ranked = rank_hybrid(parts_of([0.8, 0.4, 0.0]), [0.1, 0.5, 0.3])
    # Fused: 0.5, 0.75 and 0.25; the level is (0.8 + 0.5) / 2.
    assert [(part.chunk.start, part.score) for part in ranked] == [
        (10, pytest.approx(0.65)), (0, pytest.approx(0.65 * 0.5 / 0.75)), (20, pytest.approx(0.65 * 0.25 / 0.75)),
    ]  # fmt: skip
    assert rank_hybrid([], []) == []
    assert [part.score for part in rank_hybrid(parts_of([0.0, 0.0]), [-0.5, -0.2])] == [0.0, 0.0]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(-1, 1)), max_size=150))
def test_hybrid_scores_stay_scores(pairs: list[tuple[float, float]]) -> None:
    parts = parts_of([own for own, _ in pairs])
    ranked = rank_hybrid(parts, [other for _, other in pairs])
    assert sorted(part.chunk.start for part in ranked) == [part.chunk.start for part in parts]
    assert all(0 <= part.score <= 1 for part in ranked)
    assert [part.score for part in ranked] == sorted((part.score for part in ranked), reverse=True)
    chosen = worth_embedding(parts)
    assert len(chosen) == min(100, len(parts))
    assert [part.chunk.start for part in chosen] == sorted({part.chunk.start for part in chosen})


def test_a_page_of_other_words_is_embedded_from_end_to_end() -> None:
    starts = [part.chunk.start // 10 for part in worth_embedding(parts_of([0.0] * 1_000))]
    assert starts == list(range(0, 1_000, 10))


@settings(max_examples=25, deadline=None)
@given(st.text("abc \n#.|", max_size=60), st.integers(1, 500), st.booleans(), st.sampled_from(["a", "abc cab", ""]))
def test_passages_with_embeddings_are_verbatim_disjoint_and_repeatable(piece: str, times: int, late: bool, question: str) -> None:
    text = piece * times
    first, again = (asyncio.run(select_passages(question, text, "en", HashedEmbedding(supports_late_chunking=late))) for _ in range(2))
    _verbatim_disjoint_and_bounded(text, first.passages)
    assert bool(first.passages) == bool(text.strip())
    assert [(p.start, p.end, p.score) for p in first.passages] == [(p.start, p.end, p.score) for p in again.passages]


async def test_without_a_provider_nothing_has_changed() -> None:
    text = page(50)
    found = chunks(text, aim=600, most=1_200)
    scores = relevance("tungsten melt", [" ".join([*c.heading, text[c.start : c.end]]) for c in found], "en")
    best = sorted(zip(scores, found, strict=True), key=lambda pair: (-pair[0], pair[1].start))
    expected = [(c.start, c.end, score) for score, c in best if score > 0 and score >= 0.2 * best[0][0]][:8]
    assert [(p.start, p.end, p.score) for p in (await select_passages("tungsten melt", text, "en")).passages] == expected


# -- long texts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["a\n", "a\n\n", "# a\nb\n", ". ", "tides moon abcdefgh. ", "潮汐。"])
async def test_the_work_on_a_long_text_is_bounded(line: str) -> None:
    text = line * (8_000_000 // len(line))
    started = time.process_time()
    selection = await select_passages("What moves the tides?", text, "en")
    assert time.process_time() - started < 15
    _verbatim_disjoint_and_bounded(text, selection.passages)
    assert selection.passages


def test_the_answer_is_found_at_the_end_of_a_very_long_text() -> None:
    text = page(100) + "\n\n" + page(60).replace("tungsten", "lead").replace("gallium", "tin") * 40
    assert len(text) > 1_200_000
    text += "\n\n## Zinc\n\nZinc boils at 907 °C.\n"
    found = lexically("At which temperature does zinc boil?", text, "en")
    assert "Zinc boils at 907 °C." in found[0].text


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(("question", "passages"), [((1, 4), 8), ((1, 0), 0), ((0, 4), 4), ((4,), 4)])
async def test_vectors_that_cannot_be_compared_leave_the_lexical_passages(late: bool, question: tuple[int, ...], passages: int) -> None:
    class Unequal(HashedEmbedding):
        async def embed(self, texts: Sequence[str], task: Task, **options: object) -> Embedded:  # type: ignore[override]
            shape = question if task == "query" else (len(texts), passages)
            return Embedded(np.ones(shape, dtype=np.float32), Usage(provider_tokens=3))

    selection = await with_embeddings(long_page(30, 20), Unequal(supports_late_chunking=late))
    assert ANSWER in selection.passages[0].text
    assert selection.errors[0].startswith("passages were compared by their words alone: hashed sent vectors of ")
    assert selection.usage.provider_tokens == 6
