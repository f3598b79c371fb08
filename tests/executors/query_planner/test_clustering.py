"""Search results condensed."""

from __future__ import annotations

import pytest
from docarray import DocList

from executors.query_planner.clustering import cluster
from schemas.errors import ModelRejected
from schemas.planning import ClusterRequest
from schemas.search import SearchResult
from tests.scripted import Json, Status, Text


def ask(results: int = 3) -> ClusterRequest:
    found = [SearchResult(url=f"https://r{n}.test/", title=f"Title {n}", snippet="words " * 200) for n in range(1, results + 1)]
    return ClusterRequest(question="Q?", results=DocList[SearchResult](found))


def clusters(*found: tuple[str, list[int]]) -> Json:
    return Json({"think": "t", "clusters": [{"insight": i, "question": f"{i}?", "results": numbers} for i, numbers in found]})


async def test_results_become_clusters_with_the_urls_they_rest_on(scripted, model, prompts):
    scripted.llm.on("ClusteringOutput", clusters(("A", [1, 3, 1]), ("B", [2])))
    clustering = await cluster(ask(), model, prompts)
    assert [(c.insight, c.question, c.urls) for c in clustering.clusters] == [
        ("A", "A?", ["https://r1.test/", "https://r3.test/"]),
        ("B", "B?", ["https://r2.test/"]),
    ]
    assert clustering.usage.llm_calls == 1


async def test_results_that_do_not_exist_and_more_than_five_clusters_are_left_out(scripted, model, prompts):
    scripted.llm.on("ClusteringOutput", clusters(("none", [0, 4, -1]), (" ", [1]), *((f"c{n} " * 100, [1, 99]) for n in range(10_000))))
    clustering = await cluster(ask(), model, prompts)
    assert len(clustering.clusters) == 5
    assert {tuple(c.urls) for c in clustering.clusters} == {("https://r1.test/",)}
    assert max(len(c.insight) for c in clustering.clusters) <= 200
    assert max(len(c.question) for c in clustering.clusters) <= 100


@pytest.mark.parametrize("bad", [Json({}), Text(""), Text("they are alike")])
async def test_b15_invalid_output_is_no_clusters_and_keeps_its_usage(scripted, model, prompts, bad):
    scripted.llm.on("ClusteringOutput", bad)
    clustering = await cluster(ask(), model, prompts)
    assert (clustering.clusters, clustering.usage.llm_calls) == ([], 2)


async def test_nothing_is_asked_without_results_or_without_a_model(scripted, model, prompts):
    assert (await cluster(ask(0), model, prompts)).clusters == []
    assert (await cluster(ask(), None, prompts)).clusters == []
    assert scripted.sent() == []


async def test_a_model_that_fails_is_an_error(scripted, model, prompts):
    scripted.llm.on("ClusteringOutput", Status(401))
    with pytest.raises(ModelRejected):
        await cluster(ask(), model, prompts)


async def test_a_flood_of_results_makes_no_endless_prompt(scripted, model, prompts):
    scripted.llm.on("ClusteringOutput", clusters())
    await cluster(ask(2_000), model, prompts)
    user = scripted.sent()[0].body["messages"][1]["content"]
    assert user.count("<untrusted") == 50
    assert len(user) < 50 * 500
