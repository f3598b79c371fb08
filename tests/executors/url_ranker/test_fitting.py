"""Relevance by a reranker or by embeddings, freshness and kinds of sources."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from docarray import DocList
from pydantic import SecretStr

from executors.url_ranker.executor import URLRanker
from executors.url_ranker.fitting import merged
from executors.url_ranker.remembered import Remembered
from executors.url_ranker.scoring import freshness
from executors.url_ranker.source_kinds import prior
from schemas.errors import NotRecorded
from schemas.ranking import Candidate, DedupeRequest, Ranking, RankRequest
from schemas.settings import Settings
from schemas.usage import Allowance
from tests.embedding_stand_in import CountingRerank, HashedEmbedding
from tests.scripted import Json, ScriptedServer
from tests.scripted.replies import Status
from tests.scripted.vectors import embeddings

TEA = Candidate(url="https://a.org/tea", title="history of tea")
COFFEE = Candidate(url="https://b.org/coffee", title="history of coffee")


async def ranked(ranker: URLRanker, question: str, *candidates: Candidate, **fields: Any) -> Ranking:
    return await ranker.rank(RankRequest(question=question, candidates=DocList[Candidate](candidates), **fields))


def with_rerank(rerank: CountingRerank) -> URLRanker:
    return URLRanker(settings=Settings(), rerank=rerank)


def with_embedding(embedding: HashedEmbedding) -> URLRanker:
    return URLRanker(settings=Settings(), embedding=embedding)


def order(ranking: Ranking) -> list[str]:
    return [entry.url for entry in ranking.urls]


async def test_b6_the_first_order_is_already_the_rerankers_and_for_the_question_at_hand() -> None:
    rerank = CountingRerank({"what wakes people": "coffee", "what calms people": "tea"})
    ranker = with_rerank(rerank)
    assert order(await ranked(ranker, "what wakes people", TEA, COFFEE)) == [COFFEE.url, TEA.url]
    assert order(await ranked(ranker, "what calms people", COFFEE, TEA)) == [TEA.url, COFFEE.url]
    assert [query for query, _ in rerank.calls] == ["what wakes people", "what calms people"]


async def test_the_rerankers_score_is_the_relevance() -> None:
    response = await ranked(with_rerank(CountingRerank({"q": "history of tea leaves"})), "q", TEA, COFFEE)
    rest = 0.5 / 2 + 0.5 / 2 + 0.4 / 2
    assert [entry.score for entry in response.urls] == pytest.approx([rest + 0.8 * 3 / 4, rest + 0.8 * 2 / 4])
    assert (response.usage.provider_tokens, response.errors) == (2, [])


async def test_a_pair_of_question_and_text_is_paid_for_once() -> None:
    rerank = CountingRerank()
    ranker = with_rerank(rerank)
    first = await ranked(ranker, "tea", TEA, TEA.model_copy(update={"url": "https://c.org/other"}))
    assert rerank.calls == [("tea", ["history of tea "])], "two pages of the same few words are one text"
    again = await ranked(ranker, "tea", TEA, COFFEE)
    assert rerank.calls[1:] == [("tea", ["history of coffee "])]
    assert (first.usage.provider_tokens, again.usage.provider_tokens) == (1, 1)
    assert (await ranked(ranker, "tea", TEA, COFFEE)).usage.provider_tokens == 0
    await ranked(ranker, "coffee", TEA)
    assert len(rerank.calls) == 3


async def test_only_the_best_hundred_are_reranked() -> None:
    rerank = CountingRerank()
    candidates = [
        Candidate(url=f"https://h{n}.org/", title=f"word{n} " + ("tea" if n >= 200 else ""), weight=1 + n / 1_000) for n in range(260)
    ]
    response = await ranked(with_rerank(rerank), "tea", *candidates, limit=260)
    judged = [int(text.split()[0].removeprefix("word")) for text in rerank.calls[0][1]]
    assert sorted(judged) == [*range(160, 260)]
    assert response.usage.provider_tokens == 100
    assert len(response.urls) == 260


def test_the_others_keep_their_relevance_on_the_judges_scale() -> None:
    assert merged([0.8, 0.4, 0.2], {0: 0.3, 1: 0.3}) == pytest.approx([0.3, 0.3, 0.1])
    assert merged([0.2, 0.2, 0.1], {0: 1.0, 1: 0.6}) == pytest.approx([1.0, 0.6, 0.1])
    assert merged([0.0, 0.5], {0: 0.4}) == [0.4, 0.5]


async def test_embeddings_and_words_are_fused() -> None:
    embedding = HashedEmbedding({"automobile": "car"})
    about = [Candidate(url=f"https://{n}.org/x", title=title) for n, title in enumerate(("tea at sea", "car cost", "cost of tea"))]
    ranker = with_embedding(embedding)
    response = await ranked(ranker, "automobile cost", *about)
    assert order(response)[0] == "https://1.org/x"
    rest = 0.5 / 3 + 0.5 / 3 + 0.4 / 3
    # Nearest by vectors, and the shortest with a word of the question: 1 on both scales.
    assert response.urls[0].score == pytest.approx(rest + 0.8)
    assert [task for task, _, _ in embedding.calls] == ["query", "passage"]
    assert response.usage.provider_tokens == 10
    assert (await ranked(ranker, "automobile cost", *about)).usage.provider_tokens == 0
    assert (await ranked(ranker, "tea", *about)).usage.provider_tokens == 1


async def test_a_reranker_goes_before_embeddings() -> None:
    embedding = HashedEmbedding()
    ranker = URLRanker(settings=Settings(), embedding=embedding, rerank=CountingRerank())
    await ranked(ranker, "tea", TEA, COFFEE)
    assert embedding.calls == []


@pytest.mark.parametrize(
    ("providers", "cause", "spent"),
    [
        ({"rerank": CountingRerank(fails=True)}, "counting reranker refused: HTTP 402", 2),
        ({"rerank": CountingRerank()}, "2 tokens exceed the 1 left", 0),
        ({"embedding": HashedEmbedding(fails_at=1)}, "hashed embeddings refused: HTTP 402", 1),
        ({"embedding": HashedEmbedding()}, "6 tokens exceed the 0 left", 1),
    ],
)
async def test_a_failure_leaves_lexical_relevance(providers: dict[str, Any], cause: str, spent: int) -> None:
    plain = await ranked(URLRanker(settings=Settings()), "tea", TEA, COFFEE)
    response = await ranked(
        URLRanker(settings=Settings(), **providers), "tea", TEA, COFFEE, allowance=Allowance(tokens=1 if "exceed" in cause else 99)
    )
    assert [(entry.url, entry.score) for entry in response.urls] == [(entry.url, entry.score) for entry in plain.urls]
    assert response.errors == [f"candidates were compared by their words alone: {cause}"]
    assert response.usage.provider_tokens == spent
    assert (plain.errors, plain.usage.total_tokens) == ([], 0)


async def test_a_provider_that_hangs_is_not_waited_for() -> None:
    response = await ranked(with_embedding(HashedEmbedding(hangs=True)), "tea", TEA, COFFEE, allowance=Allowance(seconds=0.02))
    assert response.errors == ["candidates were compared by their words alone: hashed took longer than the 0.0 s that were left"]
    assert response.usage.estimated
    assert order(response)[0] == TEA.url


async def test_a_replay_does_not_go_on_without_its_record() -> None:
    class Unrecorded(CountingRerank):
        async def rerank(self, *arguments: object, **options: object) -> Any:
            raise NotRecorded("no record of this reranking")

    with pytest.raises(NotRecorded):
        await ranked(with_rerank(Unrecorded()), "tea", TEA)


async def test_over_http(scripted: ScriptedServer) -> None:
    settings = Settings(jina_api_url=scripted.llm_url, jina_api_key=SecretStr("k"))
    ranker = URLRanker(settings=settings)
    response = await ranked(ranker, "coffee history", TEA, COFFEE)
    assert order(response) == [COFFEE.url, TEA.url]
    assert (response.errors, response.usage.provider_tokens > 0) == ([], True)
    assert [request.body["query"] for request in scripted.sent("/v1/rerank")] == ["coffee history"]
    deduped = await ranker.dedupe(DedupeRequest(texts=["price of the tea", "the price of tea", "tea of 1823"], existing=["coffee"]))
    assert deduped.texts == ["price of the tea", "tea of 1823"]
    assert [request.body["task"] for request in scripted.sent("/v1/embeddings")] == ["text-matching"]
    assert (deduped.errors, deduped.usage.provider_tokens > 0) == ([], True)
    scripted.rerank.script(lambda request: Status(402, {"detail": "no balance"}))
    response = await ranked(ranker, "tea", TEA, COFFEE)
    assert order(response) == [TEA.url, COFFEE.url]
    assert "JINA_API_KEY" in response.errors[0] or "402" in response.errors[0]
    await ranker.close()
    embedder = URLRanker(settings=settings.model_copy(update={"rerank_provider": "none"}))
    response = await ranked(embedder, "coffee history", TEA, COFFEE)
    assert order(response) == [COFFEE.url, TEA.url]
    assert [request.body["task"] for request in scripted.sent("/v1/embeddings")[1:]] == ["retrieval.query", "retrieval.passage"]
    await embedder.close()


async def test_a_question_without_words_is_near_nothing(scripted: ScriptedServer) -> None:
    ranker = URLRanker(settings=Settings(embedding_base_url=scripted.llm_url, embedding_model="m"))
    response = await ranked(ranker, "???", TEA, COFFEE)
    assert (order(response), response.errors, scripted.requests) == ([TEA.url, COFFEE.url], [], [])
    wordless = Candidate(url="https://c.org/x", title="!!!")
    assert (await ranked(ranker, "tea", wordless)).errors == []
    assert (await ranked(ranker, "tea", wordless, TEA)).errors == []
    await ranker.close()


async def test_a_server_that_changes_its_dimensions_leaves_lexical_relevance(scripted: ScriptedServer) -> None:
    scripted.embeddings.script(
        lambda request: Json(embeddings([[1.0] * (4 if len(scripted.requests) == 1 else 8) for _ in request["input"]], tokens=3))
    )
    ranker = URLRanker(settings=Settings(embedding_base_url=scripted.llm_url, embedding_model="m"))
    response = await ranked(ranker, "coffee", TEA, COFFEE)
    cause = "the embeddings server sent vectors of 8 dimensions, and of 4 before"
    assert response.errors == [f"candidates were compared by their words alone: {cause}"]
    assert (order(response), response.usage.provider_tokens) == ([COFFEE.url, TEA.url], 6)
    # The question is remembered with 4 numbers, so the call after that fails too, and forgets it.
    errors = [(await ranked(ranker, "coffee", TEA, COFFEE)).errors for _ in range(2)]
    cause = "the question has a vector of 4 dimensions, and the passages of 8"
    assert errors == [[f"candidates were compared by their words alone: {cause}"], []]
    await ranker.close()


async def test_nothing_to_judge_asks_nobody() -> None:
    rerank = CountingRerank()
    assert (await ranked(with_rerank(rerank), "tea")).urls == DocList[Any]()
    await ranked(with_rerank(rerank), "tea", Candidate(url="https://a.org/"))
    assert rerank.calls == []


async def test_closing_closes_the_providers() -> None:
    embedding, rerank = HashedEmbedding(), CountingRerank()
    await URLRanker(settings=Settings(), embedding=embedding, rerank=rerank).close()
    assert embedding.closed
    assert rerank.closed


def test_what_was_not_used_for_longest_is_forgotten() -> None:
    remembered: Remembered[str, int] = Remembered(2)
    remembered.put("a", 1)
    remembered.put("b", 2)
    assert remembered.get("a") == 1
    remembered.put("c", 3)
    assert [remembered.get(key) for key in "abc"] == [1, None, 3]


# -- freshness and kinds of sources ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("published", "expected"),
    [
        ("2026-11-21", 1.0),
        ("2026-11-22", 1.0),
        ("2026-11-23", 0.0),
        ("2026-08-23", 0.5),
        ("2026-08-23T10:00:00Z", 0.5),
        ("2026-05-25", 0.25),
        ("soon", 0.0),
        ("", 0.0),
        (None, 0.0),
    ],
)
def test_freshness(published: str | None, expected: float) -> None:
    assert freshness(published, date(2026, 11, 21)) == pytest.approx(expected)


NEW = Candidate(url="https://new.org/x", title="tea", published="2026-11-21")
OLD = Candidate(url="https://old.org/x", title="tea", published="2016-11-21")


async def test_freshness_counts_when_the_question_or_the_settings_say_so() -> None:
    ranker = URLRanker(settings=Settings())
    today = {"date": "2026-11-21"}
    plain = await ranked(ranker, "tea", OLD, NEW, **today)
    assert order(plain) == [OLD.url, NEW.url], "equal, so in their order"
    fresh = await ranked(ranker, "tea", OLD, NEW, fresh=True, **today)
    assert order(fresh) == [NEW.url, OLD.url]
    assert fresh.urls[0].score == pytest.approx(plain.urls[0].score + 0.5)
    weighted = URLRanker(settings=Settings(rank_freshness_weight=0.8))
    assert (await ranked(weighted, "tea", OLD, NEW, fresh=True, **today)).urls[0].score == pytest.approx(plain.urls[0].score + 0.8)
    assert order(await ranked(weighted, "tea", OLD, NEW)) == [OLD.url, NEW.url], "today is not known"
    for strange in ("9999-12-31", "0001-01-01", "tomorrow"):
        assert len((await ranked(weighted, "tea", OLD, NEW, date=strange)).urls) == 2


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("nasa.gov", 1.0),
        ("service.gov.uk", 1.0),
        ("gov.uk", 1.0),
        ("who.int", 1.0),
        ("culture.gouv.fr", 1.0),
        ("ec.europa.eu", 1.0),
        ("datatracker.ietf.org", 1.0),
        ("mit.edu", 0.8),
        ("cs.ox.ac.uk", 0.8),
        ("edu.au", 0.8),
        ("gov.com", 0.0),
        ("notietf.org", 0.0),
        ("go.com", 0.0),
        ("my-gov.uk", 0.0),
        ("127.0.0.1", 0.0),
        ("localhost", 0.0),
        ("", 0.0),
    ],
)
def test_kinds_of_sources(host: str, expected: float) -> None:
    assert prior(host) == expected


async def test_kinds_of_sources_count_by_their_weight() -> None:
    pages = [Candidate(url=f"https://{host}/x", title="tea") for host in ("a.org", "b.edu", "c.gov")]
    assert order(await ranked(URLRanker(settings=Settings()), "tea", *pages)) == [candidate.url for candidate in pages]
    response = await ranked(URLRanker(settings=Settings(rank_source_weight=1)), "tea", *pages)
    assert order(response) == ["https://c.gov/x", "https://b.edu/x", "https://a.org/x"]
    assert response.urls[0].score - response.urls[2].score == pytest.approx(1.0)


async def test_scores_stay_within_their_bounds() -> None:
    settings = Settings(rank_source_weight=5, rank_freshness_weight=5)
    page = Candidate(url="https://c.gov/x", title="tea", published="2026-11-21")
    assert (await ranked(URLRanker(settings=settings), "tea", page, date="2026-11-21")).urls[0].score == 5.0
