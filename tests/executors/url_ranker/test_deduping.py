"""Which texts say something new."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executors.url_ranker.deduping import new_texts, repeatable
from executors.url_ranker.executor import URLRanker
from providers.embedding.base import Embedded, Task
from providers.lexical import similarity
from schemas.errors import InvalidRequest
from schemas.ranking import DedupeRequest, DedupeResponse
from schemas.settings import Settings
from schemas.usage import Allowance
from tests.embedding_stand_in import HashedEmbedding
from tests.scripted import ScriptedServer


@pytest.mark.parametrize(
    ("texts", "existing", "kept"),
    [
        (["iPhone 15 price", "iphone 15 PRICE", "iPhone 15 prices"], [], ["iPhone 15 price"]),
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


DIFFERENT = [
    (
        "is aspirin safe for dogs of every age and size according to vets",
        "is aspirin unsafe for dogs of every age and size according to vets",
    ),
    ("side effects of vitamin A for adults with heart disease", "side effects of vitamin K for adults with heart disease"),
    ("side effects of vitamin a for adults with heart disease", "side effects of vitamin d for adults with heart disease"),
    ("difference between C and Java for large server programs", "difference between C++ and Java for large server programs"),
    ("is C# or Java faster for large server programs on linux", "is C or Java faster for large server programs on linux"),
    ("how to publish a .NET package for many platforms at once", "how to publish a net package for many platforms at once"),
    ("population of Paris in the nineteenth century and its growth", "population of Paris in the twentieth century and its growth"),
    ("list all rivers that flow from north to south in the west", "list all rivers that flow from south to north in the west"),
    ("cheap direct morning flights to Paris in December for students", "cheap direct morning flights from Paris in December for students"),
    ("world war i causes and effects on europe", "world war ii causes and effects on europe"),
    ("World War I causes and effects on Europe", "World War causes and effects on Europe"),
    ("iPhone XV price", "iPhone XVI price"),
    ("temperature of −5 degrees", "temperature of 5 degrees"),
    ("temperature of -5 degrees", "temperature of 5 degrees"),
    ("what happens to water at +4 degrees", "what happens to water at -4 degrees"),
    ("games of the season 2019-2020", "games of the season 2020-2019"),
    ("price of $5 per kilogram", "price of €5 per kilogram"),
    ("version 1.5 of the library", "version 5.1 of the library"),
    ("is it safe for dogs to eat grapes and raisins", "isn't it safe for dogs to eat grapes and raisins"),
    ("does coffee with milk cause any headache", "does coffee without milk cause any headache"),
    ("jaguar speed -car", "jaguar speed car"),
    ("proof that x < y for all pairs", "proof that x > y for all pairs"),
    ("why harmless bacteria live in milk", "why harmful bacteria live in milk"),
    ("what to eat before the long race", "what to eat after the long race"),
    ("这种药对狗安全", "这种药对狗不安全"),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_decides_keeps_texts_apart_even_when_all_vectors_are_one(one: str, other: str) -> None:
    for texts in ([one, other], [other, one]):
        assert new_texts(texts, []) == texts
        assert new_texts(texts[1:], texts[:1]) == texts[1:]
        assert new_texts(texts, [], lambda text, other: 1.0) == texts


SAME = [
    ("side effects of vitamin A", "Side Effects of VITAMIN A"),
    ("side effects of vitamin A?", "side effects of vitamin A"),
    ("the price of tea in China", "price of tea in China"),
    ("how to buy a used car in Germany", "how to buy used cars in Germany"),
    ("history of World War II in Europe", "History of the World War II in Europe!"),
    ("C++ or Java for large programs", "C++ or Java for large program"),
    ("it isn't safe for dogs to eat grapes", "It isn’t safe for dogs to eat grapes."),
    ("temperature of -5 degrees", "temperature of −5 degrees"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_does_not_decide(one: str, other: str) -> None:
    assert new_texts([one, other], []) == [one]
    assert new_texts([other], [one]) == []
    assert new_texts([one, other], [], lambda text, other: 1.0) == [one]


async def test_one_text_in_two_cases_with_vectors() -> None:
    """The case of a letter is a mark ("vitamin A"), but texts that differ in case only are one, whichever of them is a repeat."""
    response = await deduped(HashedEmbedding(), ["vitamin a food", "vitamin A food", "food vitamin a"], ["foods"])
    assert response.texts[0] == "vitamin a food"
    assert "vitamin A food" not in response.texts


@pytest.mark.parametrize("text", ["a" * 200_000, "1-" * 100_000, "a'" * 100_000, "i " * 100_000, "+−" * 100_000, "A" * 100_000 + "1"])
def test_hostile_texts_take_no_long(text: str) -> None:
    started = time.process_time()
    assert new_texts([text, f"{text} tea"], []) == [text, f"{text} tea"]
    assert time.process_time() - started < 10


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
    assert repeatable(["sea 1"], ["tide 1", "tide 2", "moon 2"]) == ["tide 1", "sea 1"]


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
    response = await deduped(embedding, ["automobile price", "automobile prices"], ["car price"], tokens)
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


# -- vectors of different dimensions -----------------------------------------------------------------------------------


async def test_texts_without_words_need_no_vectors(scripted: ScriptedServer) -> None:
    ranker = URLRanker(settings=Settings(embedding_base_url=scripted.llm_url, embedding_model="m"))
    assert (await ranker.dedupe(DedupeRequest(texts=["!!!", "???"]))).texts == ["!!!", "???"]
    assert scripted.requests == []
    response = await ranker.dedupe(DedupeRequest(texts=["!!!", "hello world"]))
    assert (response.texts, response.errors) == (["!!!", "hello world"], [])
    await ranker.close()


async def test_other_dimensions_than_before_leave_the_words_once() -> None:
    class Changing(HashedEmbedding):
        async def embed(self, texts: Sequence[str], task: Task, *, late_chunking: bool = False, max_tokens: int | None = None) -> Embedded:
            embedded = await super().embed(texts, task, late_chunking=late_chunking, max_tokens=max_tokens)
            return Embedded(embedded.vectors[:, : 512 if len(self.calls) > 1 else None], embedded.usage)

    embedding = Changing()
    ranker = URLRanker(settings=Settings(), embedding=embedding)

    async def dedupe(*texts: str) -> DedupeResponse:
        return await ranker.dedupe(DedupeRequest(texts=list(texts)))

    assert (await dedupe("moon", "sea")).errors == []
    changed = await dedupe("moon", "sea", "wind")
    assert changed.errors == ["texts were compared by their words alone: hashed gave vectors of 512 dimensions, and of 1024 before"]
    assert (changed.texts, changed.usage.provider_tokens) == (["moon", "sea", "wind"], 1)
    again = await dedupe("moon", "sea", "wind")
    assert (again.errors, again.usage.provider_tokens) == ([], 2), "what was remembered is forgotten"
