"""Search results condensed into what they say together."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, Field

from executors.query_planner.keywords import one_line
from providers.llm.base import ChatModel
from providers.llm.prompts import PromptFile
from schemas.errors import ModelOutputInvalid
from schemas.planning import Cluster, Clustering, ClusterRequest

MAX_CLUSTERS = 5
_INSIGHT_CHARACTERS = 200
_QUESTION_CHARACTERS = 100
_RESULTS = 50
_SNIPPET_CHARACTERS = 300


class ClusterOutput(BaseModel):
    """One cluster, as the model names it."""

    insight: str = Field(description="What these results say together, with its figures, at most 200 characters")
    question: str = Field(description="The question that they answer, at most 100 characters")
    results: list[int] = Field(description="Numbers of the results it rests on")


class ClusteringOutput(BaseModel):
    """The model's clusters."""

    think: str = Field(description="How the results divide, at most 500 characters")
    clusters: list[ClusterOutput] = Field(description="At most 5, none overlapping")


async def cluster(request: ClusterRequest, model: ChatModel | None, prompts: Mapping[str, PromptFile]) -> Clustering:
    """Condense `request.results` into at most 5 clusters.

    No clusters without a model, without results, or when the model's output is invalid (its usage is kept): a run can do
    without them. Results that do not exist are left out, and so is a cluster that rests on none. Raises whatever else the
    model raises.
    """
    if model is None or not request.results:
        return Clustering()
    results = [
        (result.url, one_line(result.title, _QUESTION_CHARACTERS), one_line(result.snippet, _SNIPPET_CHARACTERS))
        for result in request.results[:_RESULTS]
    ]
    prompt = prompts["cluster"].render(question=request.question, results=results)
    try:
        generated = await model.generate("planner", prompt, ClusteringOutput, request.allowance)
    except ModelOutputInvalid as error:
        return Clustering(usage=error.usage)
    clustering = Clustering(usage=generated.usage)
    for found in generated.value.clusters:
        urls = list(dict.fromkeys(results[number - 1][0] for number in found.results if 1 <= number <= len(results)))
        insight = one_line(found.insight, _INSIGHT_CHARACTERS)
        if insight and urls and len(clustering.clusters) < MAX_CLUSTERS:
            clustering.clusters.append(Cluster(insight=insight, question=one_line(found.question, _QUESTION_CHARACTERS), urls=urls))
    return clustering
