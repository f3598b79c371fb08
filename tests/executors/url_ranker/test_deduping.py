"""Which texts say something new."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executors.url_ranker.deduping import new_texts
from executors.url_ranker.executor import URLRanker
from providers.lexical import similarity
from schemas.errors import InvalidRequest
from schemas.ranking import DedupeRequest


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
    response = await URLRanker().dedupe(DedupeRequest(texts=["moon", "Moon", "sea"], existing=["SEA"]))
    assert response.texts == ["moon"]


async def test_too_many_texts() -> None:
    for field in ("texts", "existing"):
        with pytest.raises(InvalidRequest) as caught:
            await URLRanker().dedupe(DedupeRequest(**{field: ["x"] * 1_001}))
        assert caught.value.field == field
