"""What every remote embedding provider does alike, each against a server that speaks its wire format."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from providers.embedding import PROVIDERS, EmbeddingProvider
from providers.llm.tokens import count_tokens
from schemas.errors import BudgetExceeded, EmbeddingError
from schemas.settings import Settings
from schemas.usage import Usage
from tests.scripted import Delay, Drip, Drop, Json, Reply, ScriptedServer, Status, Text
from tests.scripted.vectors import embeddings, in_base64, vector

SECRET = "secret-key"
PATH = "/v1/embeddings"


@dataclass(frozen=True)
class Case:
    """A provider and its name in messages."""

    name: str
    service: str
    setting: str

    def settings(self, server: ScriptedServer, **values: Any) -> Settings:
        key = SecretStr(SECRET)
        own = (
            {"jina_api_key": key, "jina_api_url": server.llm_url}
            if self.name == "jina"
            else {"embedding_model": "m", "embedding_api_key": key, "embedding_base_url": server.llm_url}
        )
        return Settings(**{"embedding_dimensions": 8, "embedding_timeout_seconds": 5.0, **own, **values})


CASES = [Case("openai", "the embeddings server", "EMBEDDING_API_KEY"), Case("jina", "Jina embeddings", "JINA_API_KEY")]


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    assert isinstance(request.param, Case)
    return request.param


@pytest.fixture
async def provider(case: Case, scripted: ScriptedServer) -> AsyncIterator[EmbeddingProvider]:
    made = PROVIDERS[case.name](case.settings(scripted))
    yield made
    await made.close()


def unit(text: str, dimensions: int = 8) -> list[float]:
    """The scripted server's vector of `text`, of length 1."""
    numbers = np.array(vector(text, dimensions))
    return [float(number) for number in (numbers / np.linalg.norm(numbers)).astype(np.float32)]


def billed(usage: Usage) -> tuple[int, bool]:
    return usage.provider_tokens, usage.estimated


def inputs(server: ScriptedServer) -> list[list[str]]:
    return [request.body["input"] for request in server.sent(PATH)]


def test_every_remote_provider_is_here() -> None:
    assert [case.name for case in CASES] == [name for name in PROVIDERS if name != "local"]


async def test_vectors_in_the_order_of_the_texts(provider: EmbeddingProvider, scripted: ScriptedServer) -> None:
    texts = ["first text", "zweiter Text", "第三", "text 4", "first text"]
    embedded = await provider.embed(texts, "match")
    assert embedded.vectors.dtype == np.float32
    assert embedded.vectors.tolist() == [unit(text) for text in texts]
    assert billed(embedded.usage) == (sum(max(1, len(text) // 4) for text in texts), False)
    assert len(scripted.requests) == 1


async def test_nothing_is_asked_for_nothing(provider: EmbeddingProvider, scripted: ScriptedServer) -> None:
    embedded = await provider.embed([], "query")
    assert embedded.vectors.shape == (0, 8)
    assert billed(embedded.usage) == (0, False)
    assert scripted.requests == []


async def test_a_text_without_words_gets_zeros_and_is_not_sent(provider: EmbeddingProvider, scripted: ScriptedServer) -> None:
    embedded = await provider.embed(["", "one", " \n\t", "?!… — \U0001f600", "二"], "passage")
    assert embedded.vectors.tolist() == [[0.0] * 8, unit("one"), [0.0] * 8, [0.0] * 8, unit("二")]
    assert inputs(scripted) == [["one", "二"]]
    blank = await provider.embed(["", "-"], "passage")
    assert blank.vectors.tolist() == [[0.0] * 8] * 2
    assert len(scripted.requests) == 1


async def test_digits_reach_the_service(provider: EmbeddingProvider, scripted: ScriptedServer) -> None:
    """B5: without their digits "iPhone 15" and "iPhone 16" would be one text."""
    embedded = await provider.embed(["iPhone 15", "iPhone 16", "#1 * $799 in 2024!"], "match")
    assert inputs(scripted) == [["iPhone 15", "iPhone 16", "#1 * $799 in 2024!"]]
    assert embedded.vectors[0] @ embedded.vectors[1] < 0.99


async def test_only_what_cannot_be_sent_is_left_out(provider: EmbeddingProvider, scripted: ScriptedServer) -> None:
    await provider.embed(['a\ud800b\0c "q" \\ \n\r\t\x07 é \U0001f600'], "match")
    assert inputs(scripted) == [['abc "q" \\ \n\r\t\x07 é \U0001f600']]


async def test_batches_of_32_keep_the_order(provider: EmbeddingProvider, scripted: ScriptedServer) -> None:
    texts = [f"text number {n}" for n in range(70)]
    embedded = await provider.embed(texts, "passage")
    assert embedded.vectors.tolist() == [unit(text) for text in texts]
    assert sorted(len(asked) for asked in inputs(scripted)) == [6, 32, 32]
    assert embedded.usage.provider_tokens == sum(len(text) // 4 for text in texts)


async def test_no_more_than_four_requests_at_the_same_time(provider: EmbeddingProvider, scripted: ScriptedServer) -> None:
    scripted.embeddings.script(lambda request: Delay(60, Status(200)))
    embedding = asyncio.create_task(provider.embed([f"text {n}" for n in range(320)], "passage"))
    assert await asyncio.to_thread(scripted.wait_for_requests, 4)
    assert not await asyncio.to_thread(scripted.wait_for_requests, 5, 0.2)
    embedding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await embedding
    assert await asyncio.to_thread(scripted.wait_for_lost_streams, 4)


@pytest.mark.parametrize("order", [[2, 0, 1], [1, 2, 0]])
async def test_items_in_any_order(provider: EmbeddingProvider, scripted: ScriptedServer, order: list[int]) -> None:
    texts = ["one", "two", "three"]
    scripted.embeddings.script(lambda request: Json(embeddings([vector(texts[n], 8) for n in order], indices=order, tokens=3)))
    assert (await provider.embed(texts, "match")).vectors.tolist() == [unit(text) for text in texts]


@pytest.mark.parametrize("encode", [list, in_base64])
async def test_lists_and_base64_are_understood(provider: EmbeddingProvider, scripted: ScriptedServer, encode: Any) -> None:
    scripted.embeddings.script(lambda request: Json(embeddings([encode([3, 0, 0, 0, 0, 0, 0, 4])], tokens=1)))
    embedded = await provider.embed(["x"], "match")
    assert embedded.vectors[0].tolist() == pytest.approx([0.6, 0, 0, 0, 0, 0, 0, 0.8])


GOOD = [1.0, 0, 0, 0, 0, 0, 0, 0]
UNUSABLE: list[Any] = [
    [math.nan, *GOOD[1:]], [math.inf, *GOOD[1:]], in_base64([math.nan, *GOOD[1:]]), [0.0] * 8, [], "", "no base64!", "AAAA", "AAAAAA==",
    None, 7, {}, [[1.0] * 8], [[]] * 8, ["x"] * 8, [None] * 8, [10**400] * 8, [{}] * 8,
]  # fmt: skip


@pytest.mark.parametrize("unusable", UNUSABLE, ids=lambda value: repr(value)[:20])
async def test_a_vector_that_cannot_be_used_is_asked_for_again_alone(
    provider: EmbeddingProvider, scripted: ScriptedServer, unusable: Any
) -> None:
    answers = [embeddings([GOOD, unusable, GOOD], tokens=9), embeddings([GOOD], tokens=3)]
    scripted.embeddings.script(lambda request: Json(answers.pop(0)))
    embedded = await provider.embed(["a", "b", "c"], "match")
    assert embedded.vectors.tolist() == [GOOD] * 3
    assert inputs(scripted) == [["a", "b", "c"], ["b"]]
    assert billed(embedded.usage) == (12, False)


@pytest.mark.parametrize("indices", [[0, 0, 2], [0, 3, 2], [0, -1, 2], [0, None, 2], [0, "1", 2], [0, True, 2], [0, 1.0, 2], [0, 2, 2]])
async def test_an_index_that_cannot_be_right(provider: EmbeddingProvider, scripted: ScriptedServer, indices: list[Any]) -> None:
    def reply(request: Any) -> Reply:
        if len(scripted.requests) == 1:
            return Json(embeddings([GOOD] * 3, indices=indices, tokens=9))
        return Json(embeddings([vector(text, 8) for text in request["input"]], tokens=1))

    scripted.embeddings.script(reply)
    embedded = await provider.embed(["a", "b", "c"], "match")
    doubted = [text for place, text in enumerate("abc") if [i for i in indices if type(i) is int].count(place) != 1]
    assert inputs(scripted)[1:] == [doubted]
    assert embedded.vectors.tolist() == [unit(text) if text in doubted else GOOD for text in "abc"]


async def test_items_without_index_count_by_their_position(provider: EmbeddingProvider, scripted: ScriptedServer) -> None:
    items = [{"embedding": vector(text, 8)} for text in ("one", "two")]
    scripted.embeddings.script(lambda request: Json({"data": items}))
    assert (await provider.embed(["one", "two"], "match")).vectors.tolist() == [unit("one"), unit("two")]


async def test_items_that_never_come_are_an_error_and_no_zeros(case: Case, provider: EmbeddingProvider, scripted: ScriptedServer) -> None:
    scripted.embeddings.script(lambda request: Json(embeddings([GOOD], tokens=len(request["input"]))))
    with pytest.raises(EmbeddingError) as caught:
        await provider.embed(["a", "b", "c", "d", "e"], "match")
    assert str(caught.value) == f"{case.service} left 2 of 5 texts without a vector, asked 3 times"
    assert inputs(scripted) == [["a", "b", "c", "d", "e"], ["b", "c", "d", "e"], ["c", "d", "e"]]
    assert billed(caught.value.usage) == (12, False)


async def test_more_items_than_texts_do_no_harm(provider: EmbeddingProvider, scripted: ScriptedServer) -> None:
    scripted.embeddings.script(lambda request: Json(embeddings([GOOD] * 5_000, tokens=1)))
    assert (await provider.embed(["a"], "match")).vectors.tolist() == [GOOD]


async def test_another_dimension_is_an_error_at_once(case: Case, provider: EmbeddingProvider, scripted: ScriptedServer) -> None:
    scripted.embeddings.script(lambda request: Json(embeddings([[1.0] * 6], tokens=7)))
    with pytest.raises(EmbeddingError) as caught:
        await provider.embed(["a"], "match")
    assert str(caught.value) == f"{case.service} sent a vector of 6 dimensions instead of 8: check EMBEDDING_DIMENSIONS"
    assert billed(caught.value.usage) == (7, False)
    assert len(scripted.requests) == 1


async def test_large_and_small_numbers_keep_their_direction(provider: EmbeddingProvider, scripted: ScriptedServer) -> None:
    found = [[1e300, -1e300, *GOOD[2:]], [3e-320, *GOOD[1:-1], 3e-320]]
    scripted.embeddings.script(lambda request: Json(embeddings(found, tokens=1)))
    vectors = (await provider.embed(["a", "b"], "match")).vectors
    half = 0.5**0.5
    assert vectors.tolist() == [pytest.approx([half, -half] + [0.0] * 6), pytest.approx([half, *[0.0] * 6, half])]


@pytest.mark.parametrize("usage", [None, {}, {"usage": None}, {"usage": {"total_tokens": 0}}, {"usage": {"total_tokens": "many"}}])
async def test_tokens_that_are_not_reported_are_counted(provider: EmbeddingProvider, scripted: ScriptedServer, usage: Any) -> None:
    scripted.embeddings.script(lambda request: Json(embeddings([GOOD, GOOD]) | (usage or {})))
    embedded = await provider.embed(["one text of words", "another"], "match")
    assert billed(embedded.usage) == (count_tokens("one text of words") + count_tokens("another"), True)


FAILURES: list[tuple[Reply, str]] = [
    (Status(401), "{service} rejected the key: check {setting}"),
    (Status(402), "{service} is out of credit: top up the account of {setting}"),
    (Status(403, {"detail": "Insufficient balance"}), "{service} rejected the key: check {setting} (Insufficient balance)"),
    (Status(404), "{service} refused the request: HTTP 404"),
    (Status(429, {}, {"Retry-After": "30"}), "{service} limits the rate: HTTP 429, it asks to wait 30 s"),
    (Status(500), "{service} is failing: HTTP 500"),
    (Text("<html>"), "{service} sent a malformed body: not a JSON object"),
    (Text("[" * 100_000), "{service} sent a malformed body: not a JSON object"),
    (Json({"data": {"0": GOOD}}), "{service} sent a malformed body: `data` is not a list"),
    (Json({"results": []}), "{service} sent a malformed body: `data` is not a list"),
    (Text(" " * 10_000_001), "{service} sent more than 10000000 bytes"),
]


@pytest.mark.parametrize(("reply", "message"), FAILURES, ids=lambda value: repr(value)[:30])
async def test_failures(case: Case, provider: EmbeddingProvider, scripted: ScriptedServer, reply: Reply, message: str) -> None:
    scripted.embeddings.script(lambda request: reply)
    with pytest.raises(EmbeddingError) as caught:
        await provider.embed(["two words"], "match")
    assert str(caught.value) == message.format(service=case.service, setting=case.setting)
    assert SECRET not in f"{caught.value} {caught.value.args} {caught.value.__cause__!r}"
    answered = isinstance(reply, Json)
    assert billed(caught.value.usage) == ((2, True) if answered else (0, False))
    assert len(scripted.requests) == 1


@pytest.mark.parametrize("reply", [Delay(60, Status(200)), Drip()], ids=repr)
async def test_the_time_of_one_call_is_limited(case: Case, scripted: ScriptedServer, reply: Reply) -> None:
    provider = PROVIDERS[case.name](case.settings(scripted, embedding_timeout_seconds=0.2))
    scripted.embeddings.script(lambda request: reply)
    with pytest.raises(EmbeddingError) as caught:
        await provider.embed(["two words"], "match")
    assert str(caught.value) == f"{case.service} did not answer within 0.2 s"
    assert billed(caught.value.usage) == (2, True)  # it may have been answered too late, and billed
    await provider.close()


async def test_what_may_pass_is_tried_again(provider: EmbeddingProvider, scripted: ScriptedServer) -> None:
    replies: list[Reply] = [Drop(), Status(429, {}, {"Retry-After": "0"}), Json(embeddings([GOOD], tokens=5))]
    scripted.embeddings.script(lambda request: replies.pop(0))
    embedded = await provider.embed(["a"], "match")
    assert (embedded.vectors.tolist(), billed(embedded.usage)) == ([GOOD], (5, False))


async def test_a_service_that_rejects_the_key_is_left_alone_for_a_while(provider: EmbeddingProvider, scripted: ScriptedServer) -> None:
    scripted.embeddings.script(lambda request: Status(401))
    for message in ("rejected the key", "is not asked for 60 s"):
        with pytest.raises(EmbeddingError, match=message) as caught:
            await provider.embed(["a"], "match")
        assert billed(caught.value.usage) == (0, False)
    assert len(scripted.requests) == 1


async def test_one_batch_that_fails_ends_the_call_with_what_was_billed(provider: EmbeddingProvider, scripted: ScriptedServer) -> None:
    def reply(request: Any) -> Reply:
        first = request["input"][0]
        if first == "text 0":
            return Json(embeddings([vector(text, 8) for text in request["input"]], tokens=100))
        return Delay(0.3, Status(402)) if first == "text 32" else Delay(60, Status(200))

    scripted.embeddings.script(reply)
    texts = [f"text {n}" for n in range(96)]
    with pytest.raises(EmbeddingError, match="is out of credit") as caught:
        await provider.embed(texts, "match")
    in_flight = sum(map(count_tokens, texts[64:]))
    assert billed(caught.value.usage) == (100 + in_flight, True)
    assert await asyncio.to_thread(scripted.wait_for_lost_streams, 1)


async def test_what_does_not_fit_the_budget_is_not_sent(case: Case, provider: EmbeddingProvider, scripted: ScriptedServer) -> None:
    texts = ["one two three four five six"] * 40
    with pytest.raises(BudgetExceeded) as caught:
        await provider.embed(texts, "passage", max_tokens=239)
    assert str(caught.value) == "40 texts of 240 tokens exceed the 239 tokens left"
    assert billed(caught.value.usage) == (0, False)
    assert scripted.requests == []
    assert (await provider.embed(texts, "passage", max_tokens=240)).vectors.shape == (40, 8)


async def test_asking_again_is_held_to_the_budget_too(provider: EmbeddingProvider, scripted: ScriptedServer) -> None:
    scripted.embeddings.script(lambda request: Json(embeddings([GOOD], tokens=10)))
    with pytest.raises(BudgetExceeded) as caught:
        await provider.embed(["one two", "three four"], "match", max_tokens=11)
    assert str(caught.value) == "1 texts of 2 tokens exceed the 1 tokens left"
    assert billed(caught.value.usage) == (10, False)
    assert inputs(scripted) == [["one two", "three four"]]


async def test_the_key_is_in_a_header_only(provider: EmbeddingProvider, scripted: ScriptedServer) -> None:
    await provider.embed(["a"], "match")
    (request,) = scripted.requests
    assert request.headers["authorization"] == f"Bearer {SECRET}"
    assert SECRET not in f"{request.path} {request.body}"


@given(
    texts=st.lists(st.text(max_size=8) | st.sampled_from(["", "iPhone 15", "iPhone 16", "a\ud800", "\0"]), max_size=80),
    lost=st.sets(st.integers(0, 79), max_size=10),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_lost_every_text_has_its_own_vector(texts: Sequence[str], lost: set[int], scripted: ScriptedServer) -> None:
    once: set[str] = set()

    def reply(request: Any) -> Reply:
        asked = request["input"]
        kept = [place for place, text in enumerate(asked) if place not in lost or text in once]
        once.update(asked)
        return Json(embeddings([vector(asked[place], 8) for place in reversed(kept)], indices=kept[::-1], tokens=1))

    async def embed() -> Any:
        provider = PROVIDERS["jina"](CASES[1].settings(scripted))
        try:
            return (await provider.embed(texts, "match")).vectors
        finally:
            await provider.close()

    scripted.embeddings.script(reply)
    vectors = asyncio.run(embed())
    cleaned = [text.encode("utf-8", "ignore").decode().replace("\0", "") for text in texts]
    assert vectors.tolist() == [unit(text) if any(map(str.isalnum, text)) else [0.0] * 8 for text in cleaned]
