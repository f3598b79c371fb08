"""Which texts say something new."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executors.url_ranker.deduping import new_texts, repeatable
from executors.url_ranker.executor import URLRanker
from providers.lexical import similarity
from schemas.errors import InvalidRequest
from schemas.ranking import DedupeRequest, DedupeResponse
from schemas.settings import Settings
from schemas.usage import Allowance
from tests.embedding_stand_in import HashedEmbedding


@pytest.mark.parametrize(
    ("texts", "existing", "kept"),
    [
        (["iPhone 15 price", "iphone 15 PRICE", "price iPhone 15"], [], ["iPhone 15 price"]),
        (["iPhone 15", "iPhone 16"], [], ["iPhone 15", "iPhone 16"]),
        (
            ["Apple iPhone 16 Pro Max price in Germany"],
            ["Apple iPhone 15 Pro Max price in Germany"],
            ["Apple iPhone 16 Pro Max price in Germany"],
        ),
        (["tides of the sea"], ["Tides of the Sea"], []),
        (["the tides"], ["coffee"], ["the tides"]),
        (["", "  ", "a"], [], ["a"]),
        (["東京の天気", "東京の天気", "大阪の天気"], [], ["東京の天気", "大阪の天気"]),
        (["!!!", "???", "!!!"], [], ["!!!", "???"]),
        ([], ["a"], []),
    ],
)
def test_new_texts(texts: list[str], existing: list[str], kept: list[str]) -> None:
    assert new_texts(texts, existing) == kept


WORDS = st.lists(st.sampled_from(["moon", "tide", "sea", "sand", "2024", "2025"]), max_size=6).map(" ".join)


@settings(max_examples=100, deadline=None)
@given(st.lists(WORDS, max_size=8), st.lists(WORDS, max_size=8))
def test_invariants(texts: list[str], existing: list[str]) -> None:
    kept = new_texts(texts, existing)
    assert kept == new_texts(texts, existing)
    remaining = iter(texts)
    assert all(text in remaining for text in kept), "a subsequence of the texts"
    assert new_texts(kept, existing) == kept, "nothing more to drop"
    assert new_texts(texts, [*existing, *kept]) == []
    for text in texts:
        years = {"2024", "2025"} & set(text.split())
        alike = [other for other in [*existing, *kept] if similarity(text, other) >= 0.86]
        if text and not alike and text not in existing:
            assert text in kept
        if text and all({"2024", "2025"} & set(other.split()) != years for other in alike):
            assert text in kept


async def test_the_endpoint() -> None:
    response = await URLRanker(settings=Settings()).dedupe(DedupeRequest(texts=["moon", "Moon", "sea"], existing=["SEA"]))
    assert response.texts == ["moon"]


async def test_too_many_texts() -> None:
    for field in ("texts", "existing"):
        with pytest.raises(InvalidRequest) as caught:
            await URLRanker(settings=Settings()).dedupe(DedupeRequest(**{field: ["x"] * 1_001}))
        assert caught.value.field == field


# -- with embeddings ---------------------------------------------------------------------------------------------------

CARS = {"automobile": "car", "automobiles": "car", "cars": "car"}


async def deduped(embedding: HashedEmbedding, texts: list[str], existing: list[str] | None = None, tokens: int = 1_000) -> DedupeResponse:
    ranker = URLRanker(settings=Settings(), embedding=embedding)
    return await ranker.dedupe(DedupeRequest(texts=texts, existing=existing or [], allowance=Allowance(tokens=tokens)))


async def test_vectors_see_what_words_do_not() -> None:
    embedding = HashedEmbedding(CARS)
    response = await deduped(embedding, ["price of automobiles", "history of tea", "car price of"], ["price of cars"])
    assert response.texts == ["history of tea"]
    assert (response.errors, response.usage.provider_tokens) == ([], 12)
    assert embedding.calls == [("match", ["price of cars", "price of automobiles", "history of tea", "car price of"], False)]
    assert new_texts(["price of automobiles"], ["price of cars"]) == ["price of automobiles"]


async def test_b5_numbers_keep_texts_apart_whatever_their_vectors_say() -> None:
    embedding = HashedEmbedding()  # blind to digits, so that both models are one vector
    response = await deduped(embedding, ["iPhone 16 price", "price iPhone 15", "price: iPhone 16"], ["iPhone 15 price"])
    assert response.texts == ["iPhone 16 price"]


async def test_what_cannot_be_a_repeat_is_not_embedded() -> None:
    embedding = HashedEmbedding()
    response = await deduped(embedding, ["iPhone 16", "IPHONE 16", "", "iPhone 15"], ["iphone 14", "!"])
    assert (response.texts, embedding.calls) == (["iPhone 16", "iPhone 15"], [])
    assert (await deduped(embedding, ["alone"])).texts == ["alone"]
    assert (await deduped(embedding, ["known"], ["known", "other"])).texts == []
    assert embedding.calls == []
    assert repeatable(["b 1"], ["a 1", "a 2", "c 2"]) == ["a 1", "b 1"]


async def test_a_text_is_paid_for_once() -> None:
    ranker = URLRanker(settings=Settings(), embedding=HashedEmbedding())
    first = await ranker.dedupe(DedupeRequest(texts=["moon tide", "sea"], existing=["sand"]))
    second = await ranker.dedupe(DedupeRequest(texts=["rain"], existing=["sand", "moon tide", "sea"]))
    assert (first.usage.provider_tokens, second.usage.provider_tokens) == (4, 1)
    assert second.texts == ["rain"]


@pytest.mark.parametrize(
    ("embedding", "tokens", "cause", "spent"),
    [
        (HashedEmbedding(CARS, fails_at=1), 1_000, "hashed embeddings refused: HTTP 402", 1),
        (HashedEmbedding(CARS), 5, "6 tokens exceed the 5 left", 0),
    ],
)
async def test_a_failure_leaves_the_words(embedding: HashedEmbedding, tokens: int, cause: str, spent: int) -> None:
    response = await deduped(embedding, ["automobile price", "price automobile"], ["car price"], tokens)
    assert response.texts == ["automobile price"]
    assert response.errors == [f"texts were compared by their words alone: {cause}"]
    assert response.usage.provider_tokens == spent


@settings(max_examples=50, deadline=None)
@given(st.lists(WORDS, max_size=8), st.lists(WORDS, max_size=8))
async def test_invariants_with_vectors(texts: list[str], existing: list[str]) -> None:
    kept = (await deduped(HashedEmbedding(), texts, existing)).texts
    remaining = iter(texts)
    assert all(text in remaining for text in kept), "a subsequence of the texts"
    assert (await deduped(HashedEmbedding(), kept, existing)).texts == kept, "nothing more to drop"
    assert (await deduped(HashedEmbedding(), texts, [*existing, *kept])).texts == []
    if texts and texts[0] and not existing:
        assert kept[0] == texts[0], "the first one stays"
