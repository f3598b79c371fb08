"""The reranker against a server that speaks its wire format."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from providers.llm.tokens import count_tokens
from providers.rerank import create_rerank
from providers.rerank.jina import JinaRerank
from schemas.errors import BudgetExceeded, ConfigurationError, RerankError
from schemas.settings import Settings
from schemas.usage import Usage
from tests.scripted import Delay, Drip, Drop, Json, Reply, ScriptedServer, Status, Text
from tests.scripted.vectors import scored

SECRET = "secret-key"


def make(server: ScriptedServer, **values: Any) -> JinaRerank:
    return JinaRerank(Settings(**{"jina_api_key": SecretStr(SECRET), "jina_api_url": server.llm_url, **values}))


@pytest.fixture
async def jina(scripted: ScriptedServer) -> AsyncIterator[JinaRerank]:
    jina = make(scripted, embedding_timeout_seconds=5.0)
    yield jina
    await jina.close()


def billed(usage: Usage) -> tuple[int, bool]:
    return usage.provider_tokens, usage.estimated


def documents(server: ScriptedServer) -> list[list[str]]:
    return [request.body["documents"] for request in server.sent("/v1/rerank")]


async def test_scores_in_the_order_of_the_documents(jina: JinaRerank, scripted: ScriptedServer) -> None:
    found = await jina.rerank("iPhone 15 price", ["the price", "iPhone 15 price", "bread", "iphone 15"])
    assert found.scores == pytest.approx([1 / 3, 1, 0, 2 / 3])
    assert billed(found.usage) == (2 + 3 + 1 + 2 + 4 * 3, False)
    (request,) = scripted.requests
    assert request.path == "/v1/rerank"
    assert request.body == {
        "model": "jina-reranker-v2-base-multilingual",
        "query": "iPhone 15 price",
        "documents": ["the price", "iPhone 15 price", "bread", "iphone 15"],
        "top_n": 4,
        "return_documents": False,
    }
    assert request.headers["authorization"] == f"Bearer {SECRET}"
    assert (jina.name, jina.model) == ("jina", "jina-reranker-v2-base-multilingual")


async def test_nothing_is_asked_for_nothing(jina: JinaRerank, scripted: ScriptedServer) -> None:
    for query, given_documents in (("query", []), ("query", ["", " ", "?"]), ("", ["document"]), ("?", ["document"])):
        found = await jina.rerank(query, given_documents)
        assert (found.scores, billed(found.usage)) == ([0.0] * len(given_documents), (0, False))
    assert scripted.requests == []


async def test_an_empty_document_gets_0_and_is_not_sent(jina: JinaRerank, scripted: ScriptedServer) -> None:
    assert (await jina.rerank("one", ["", "one", "\n"])).scores == [0, 1, 0]
    assert documents(scripted) == [["one"]]


async def test_batches_by_number_and_by_size(jina: JinaRerank, scripted: ScriptedServer) -> None:
    many = [f"document {n}" for n in range(300)]
    await jina.rerank("document 7", many)
    assert sorted(map(len, documents(scripted))) == [44, 128, 128]
    assert {request.body["top_n"] for request in scripted.requests} == {44, 128}
    scripted.requests.clear()
    long = [f"document {n} " + "word " * 4_000 for n in range(12)]
    scores = (await jina.rerank("document 7", long)).scores
    assert scores[7] == max(scores) == 1
    assert [len(batch) for batch in documents(scripted)] == [4, 4, 4]


async def test_long_texts_are_cut_and_what_cannot_be_sent_is_left_out(jina: JinaRerank, scripted: ScriptedServer) -> None:
    await jina.rerank("q\ud800" * 5_000, ["d\0" * 50_000])
    assert (len(scripted.requests[0].body["query"]), documents(scripted)) == (1_000, [["d" * 12_000]])


async def test_scores_are_kept_within_0_and_1(jina: JinaRerank, scripted: ScriptedServer) -> None:
    scripted.rerank.script(lambda request: Json(scored([1.5, -0.2, 1, 0, 10**400], tokens=1)))
    assert (await jina.rerank("q", list("abcde"))).scores == [1, 0, 1, 0, 1]


@pytest.mark.parametrize("unusable", [math.nan, math.inf, -math.inf, None, "0.5", True, [], {}])
async def test_a_score_that_cannot_be_used_is_asked_for_again_alone(jina: JinaRerank, scripted: ScriptedServer, unusable: Any) -> None:
    answers = [scored([0.5, unusable, 0.25], tokens=9), scored([0.75], tokens=3)]
    scripted.rerank.script(lambda request: Json(answers.pop(0)))
    found = await jina.rerank("q", ["a", "b", "c"])
    assert (found.scores, billed(found.usage)) == ([0.5, 0.75, 0.25], (12, False))
    assert documents(scripted) == [["a", "b", "c"], ["b"]]


@pytest.mark.parametrize("indices", [[0, 0, 2], [0, 3, 2], [0, -1, 2], [0, None, 2], [0, "1", 2], [0, True, 2], [0, 1.0, 2]])
async def test_an_index_that_cannot_be_right(jina: JinaRerank, scripted: ScriptedServer, indices: list[Any]) -> None:
    answers = [scored([0.5, 0.5, 0.5], indices=indices, tokens=9)]
    scripted.rerank.script(lambda request: Json(answers.pop() if answers else scored([0.25] * len(request["documents"]), tokens=1)))
    doubted = [place for place in range(3) if [i for i in indices if type(i) is int].count(place) != 1]
    assert (await jina.rerank("q", ["a", "b", "c"])).scores == [0.25 if place in doubted else 0.5 for place in range(3)]
    assert documents(scripted)[1:] == [["abc"[place] for place in doubted]]


async def test_scores_that_never_come_are_an_error(jina: JinaRerank, scripted: ScriptedServer) -> None:
    scripted.rerank.script(lambda request: Json({"results": [None, 7], "usage": {"total_tokens": 4}}))
    with pytest.raises(RerankError) as caught:
        await jina.rerank("q", ["a", "b"])
    assert str(caught.value) == "Jina reranker left 2 of 2 texts without a score, asked 3 times"
    assert billed(caught.value.usage) == (12, False)


async def test_tokens_that_are_not_reported_are_counted(jina: JinaRerank, scripted: ScriptedServer) -> None:
    scripted.rerank.script(lambda request: Json(scored([0.5, 0.5])))
    found = await jina.rerank("a query", ["one document", "another"])
    assert billed(found.usage) == (count_tokens("one document") + count_tokens("another") + 2 * count_tokens("a query"), True)


FAILURES: list[tuple[Reply, str]] = [
    (Status(401), "Jina reranker rejected the key: check JINA_API_KEY"),
    (Status(402), "Jina reranker is out of credit: top up the account of JINA_API_KEY"),
    (Status(429, {}, {"Retry-After": "30"}), "Jina reranker limits the rate: HTTP 429, it asks to wait 30 s"),
    (Status(500), "Jina reranker is failing: HTTP 500"),
    (Text("<html>"), "Jina reranker sent a malformed body: not a JSON object"),
    (Json({"results": {}}), "Jina reranker sent a malformed body: `results` is not a list"),
    (Text(" " * 10_000_001), "Jina reranker sent more than 10000000 bytes"),
]


@pytest.mark.parametrize(("reply", "message"), FAILURES, ids=lambda value: repr(value)[:30])
async def test_failures(jina: JinaRerank, scripted: ScriptedServer, reply: Reply, message: str) -> None:
    scripted.rerank.script(lambda request: reply)
    with pytest.raises(RerankError) as caught:
        await jina.rerank("q", ["two words"])
    assert str(caught.value) == message
    assert SECRET not in f"{caught.value} {caught.value.args}"
    assert billed(caught.value.usage) == ((3, True) if isinstance(reply, Json) else (0, False))
    assert len(scripted.requests) == 1


@pytest.mark.parametrize("reply", [Delay(60, Status(200)), Drip()], ids=repr)
async def test_the_time_of_one_call_is_limited(scripted: ScriptedServer, reply: Reply) -> None:
    jina = make(scripted, embedding_timeout_seconds=0.2)
    scripted.rerank.script(lambda request: reply)
    with pytest.raises(RerankError, match=r"^Jina reranker did not answer within 0\.2 s$") as caught:
        await jina.rerank("q", ["two words"])
    assert billed(caught.value.usage) == (3, True)
    await jina.close()


async def test_what_may_pass_is_tried_again(jina: JinaRerank, scripted: ScriptedServer) -> None:
    replies: list[Reply] = [Drop(), Status(429, {}, {"Retry-After": "0"}), Json(scored([0.5], tokens=1))]
    scripted.rerank.script(lambda request: replies.pop(0))
    assert (await jina.rerank("q", ["a"])).scores == [0.5]


async def test_what_does_not_fit_the_budget_is_not_sent(jina: JinaRerank, scripted: ScriptedServer) -> None:
    """The query is billed with each document."""
    texts = ["one two three four"] * 10
    with pytest.raises(BudgetExceeded) as caught:
        await jina.rerank("five six", texts, max_tokens=59)
    assert str(caught.value) == "10 texts of 60 tokens exceed the 59 tokens left"
    assert (billed(caught.value.usage), scripted.requests) == ((0, False), [])
    assert len((await jina.rerank("five six", texts, max_tokens=60)).scores) == 10


@given(numbers=st.lists(st.integers(0, 9), max_size=300), order=st.randoms(use_true_random=False))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_document_has_its_own_score(numbers: list[int], order: Any, scripted: ScriptedServer) -> None:
    def reply(request: Any) -> Reply:
        places = list(range(len(request["documents"])))
        order.shuffle(places)
        kept = places[: 1 + len(places) * 3 // 4]
        results = [{"index": place, "relevance_score": int(request["documents"][place]) / 10} for place in kept]
        return Json({"results": results, "usage": {"total_tokens": 1}})

    async def rerank() -> list[float]:
        jina = make(scripted)
        try:
            return (await jina.rerank("q", texts)).scores
        finally:
            await jina.close()

    scripted.rerank.script(reply)
    texts = [str(number) for number in numbers[:4]]  # with so few, three answers hold all
    assert asyncio.run(rerank()) == [number / 10 for number in numbers[:4]]
    scripted.rerank.script(scripted.rerank.default)
    texts = [f"q {number}" if number else "" for number in numbers]
    assert asyncio.run(rerank()) == [1.0 if number else 0.0 for number in numbers]


@pytest.mark.parametrize(
    ("values", "made"),
    [
        ({}, False),
        ({"jina_api_key": "k"}, True),
        ({"jina_api_url": "http://localhost:1/v1"}, True),
        ({"jina_api_key": "k", "rerank_provider": "none"}, False),
        ({"jina_api_key": "k", "rerank_provider": "jina", "rerank_model": "m"}, True),
    ],
)
async def test_the_choice(values: dict[str, Any], made: bool) -> None:
    provider = create_rerank(Settings(**values))
    assert (provider is not None) == made
    if provider is not None:
        assert (provider.name, provider.model) == ("jina", values.get("rerank_model", "jina-reranker-v2-base-multilingual"))
        await provider.close()


@pytest.mark.parametrize(
    ("values", "field"), [({"rerank_provider": "jina"}, "JINA_API_KEY"), ({"jina_api_url": "nowhere", "jina_api_key": "k"}, "JINA_API_URL")]
)
def test_settings_that_cannot_work(values: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        create_rerank(Settings(**values))
    assert caught.value.field == field
