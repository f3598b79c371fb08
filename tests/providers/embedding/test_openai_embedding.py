"""Embeddings of an OpenAI-compatible server."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr

from providers.embedding.openai import OpenAIEmbedding
from schemas.errors import BudgetExceeded, ConfigurationError, EmbeddingError
from schemas.settings import Settings
from tests.scripted import Json, ScriptedServer, Status
from tests.scripted.vectors import embeddings


async def sent(scripted: ScriptedServer, texts: list[str], task: Any, **values: Any) -> list[Any]:
    """The requests for `texts` with these settings."""
    provider = OpenAIEmbedding(Settings(**{"embedding_base_url": scripted.llm_url, **values}))
    try:
        await provider.embed(texts, task, late_chunking=True)
    finally:
        await provider.close()
    return scripted.sent("/v1/embeddings")


async def test_the_request(scripted: ScriptedServer) -> None:
    (request,) = await sent(scripted, ["one", "two"], "query", embedding_model="text-embedding-3-small")
    assert request.body == {"model": "text-embedding-3-small", "encoding_format": "base64", "input": ["one", "two"]}
    assert "authorization" not in request.headers


async def test_dimensions_are_sent_only_when_they_are_set(scripted: ScriptedServer) -> None:
    (request,) = await sent(scripted, ["one"], "query", embedding_model="m", embedding_dimensions=16)
    assert request.body["dimensions"] == 16


@pytest.mark.parametrize(
    ("own", "shared", "expected"), [("own", "shared", "Bearer own"), (None, "shared", "Bearer shared"), ("own", None, "Bearer own")]
)
async def test_keys(scripted: ScriptedServer, own: str | None, shared: str | None, expected: str) -> None:
    keys = {name: SecretStr(key) for name, key in (("embedding_api_key", own), ("openai_api_key", shared)) if key}
    (request,) = await sent(scripted, ["one"], "query", embedding_model="m", **keys)
    assert request.headers["authorization"] == expected


async def test_the_key_that_is_wrong_is_named(scripted: ScriptedServer) -> None:
    scripted.embeddings.script(lambda request: Status(401))
    for keys, setting in (({"openai_api_key": "k"}, "OPENAI_API_KEY"), ({"embedding_api_key": "k"}, "EMBEDDING_API_KEY")):
        with pytest.raises(EmbeddingError, match=f"^the embeddings server rejected the key: check {setting}$"):
            await sent(scripted, ["one"], "query", embedding_model="m", **keys)
    with pytest.raises(EmbeddingError, match=r"^the embeddings server asks for a key: set EMBEDDING_API_KEY$"):
        await sent(scripted, ["one"], "query", embedding_model="m")


async def test_the_server_of_the_language_model_serves_too(scripted: ScriptedServer) -> None:
    (request,) = await sent(
        scripted, ["one"], "query", embedding_model="m", embedding_base_url=None, openai_base_url=f"{scripted.llm_url}/"
    )
    assert request.path == "/v1/embeddings"


PREFIXES = [
    ("text-embedding-3-large", "", "", ""),
    ("intfloat/multilingual-e5-base", "query: ", "passage: ", "query: "),
    ("e5-small-v2", "query: ", "passage: ", "query: "),
    (
        "intfloat/multilingual-e5-large-instruct",
        "Instruct: Given a question, retrieve passages that answer it\nQuery: ",
        "",
        "",
    ),
    ("nomic-embed-text:v1.5", "search_query: ", "search_document: ", "clustering: "),
    ("BAAI/bge-base-en-v1.5", "Represent this sentence for searching relevant passages: ", "", ""),
    ("BAAI/bge-m3", "", "", ""),
    ("mxbai-embed-large", "Represent this sentence for searching relevant passages: ", "", ""),
    ("Qwen/Qwen3-Embedding-0.6B", "Instruct: Given a question, retrieve passages that answer it\nQuery:", "", ""),
    ("embeddinggemma", "task: search result | query: ", "title: none | text: ", "task: sentence similarity | query: "),
    ("all-minilm", "", "", ""),
    ("some5-model", "", "", ""),
]


@pytest.mark.parametrize(("model", "query", "passage", "match"), PREFIXES)
async def test_prefixes_by_the_family_of_the_model(scripted: ScriptedServer, model: str, query: str, passage: str, match: str) -> None:
    for task in ("query", "passage", "match"):
        await sent(scripted, ["iPhone 15"], task, embedding_model=model)
    assert [request.body["input"] for request in scripted.requests] == [[f"{prefix}iPhone 15"] for prefix in (query, passage, match)]


@pytest.mark.parametrize(("model", "most"), [("text-embedding-3-small", 24_000), ("nomic-embed-text", 6_000), ("bge-small-zh-v1.5", 1_500)])
async def test_a_text_longer_than_the_model_reads_is_cut(scripted: ScriptedServer, model: str, most: int) -> None:
    (request,) = await sent(scripted, ["a" * 30_000], "match", embedding_model=model)
    assert request.body["input"][0].count("a") - ("clustering: ".count("a")) == most


async def test_the_dimension_is_the_models_own(scripted: ScriptedServer) -> None:
    provider = OpenAIEmbedding(Settings(embedding_base_url=scripted.llm_url, embedding_model="m"))
    assert (await provider.embed([], "match")).vectors.shape == (0, 0)
    assert (await provider.embed(["one", "?"], "match")).vectors.shape == (2, 64)
    assert (await provider.embed(["?"], "match")).vectors.tolist() == np.zeros((1, 64)).tolist()
    assert len(scripted.requests) == 1
    await provider.close()


async def test_zeros_have_the_models_dimension_from_the_first_call(scripted: ScriptedServer) -> None:
    provider = OpenAIEmbedding(Settings(embedding_base_url=scripted.llm_url, embedding_model="m"))
    first = await provider.embed(["???", "!"], "query")
    assert first.vectors.tolist() == np.zeros((2, 64)).tolist()
    assert [request.body["input"] for request in scripted.requests] == [["word"]]
    assert first.usage.provider_tokens == 1
    assert (await provider.embed(["one"], "passage")).vectors.shape == (1, 64)
    await provider.close()
    bound = OpenAIEmbedding(Settings(embedding_base_url=scripted.llm_url, embedding_model="m"))
    with pytest.raises(BudgetExceeded):
        await bound.embed(["?"], "query", max_tokens=0)
    await bound.close()


async def test_a_changed_dimension_is_an_error_once(scripted: ScriptedServer) -> None:
    provider = OpenAIEmbedding(Settings(embedding_base_url=scripted.llm_url, embedding_model="m"))
    scripted.embeddings.script(lambda request: Json(embeddings([[1.0] * (4 if len(scripted.requests) == 1 else 8)], tokens=3)))
    assert (await provider.embed(["one"], "match")).vectors.shape == (1, 4)
    with pytest.raises(EmbeddingError, match=r"^the embeddings server sent vectors of 8 dimensions, and of 4 before$") as caught:
        await provider.embed(["one"], "match")
    assert caught.value.usage.provider_tokens == 3
    assert (await provider.embed(["one"], "match")).vectors.shape == (1, 8)
    assert (await provider.embed(["?"], "match")).vectors.shape == (1, 8)
    await provider.close()


async def test_different_dimensions_in_one_call_are_an_error(scripted: ScriptedServer) -> None:
    provider = OpenAIEmbedding(Settings(embedding_base_url=scripted.llm_url, embedding_model="m"))
    scripted.embeddings.script(lambda request: Json(embeddings([[1.0] * 3, [1.0] * 4], tokens=6)))
    with pytest.raises(EmbeddingError) as caught:
        await provider.embed(["one", "two"], "match")
    assert str(caught.value) == "the embeddings server sent vectors of 3 and 4 dimensions for one call"
    assert caught.value.usage.provider_tokens == 6
    await provider.close()


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({}, "EMBEDDING_MODEL"),
        ({"embedding_model": "m"}, "EMBEDDING_API_KEY"),
        ({"embedding_model": "m", "embedding_base_url": "localhost:8000"}, "EMBEDDING_BASE_URL"),
        ({"embedding_model": "m", "openai_base_url": "nowhere"}, "OPENAI_BASE_URL"),
        ({"embedding_model": "m", "embedding_api_key": "two words"}, "EMBEDDING_API_KEY"),
    ],
)
def test_settings_that_cannot_work(values: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        OpenAIEmbedding(Settings(**values))
    assert caught.value.field == field
    assert field in str(caught.value)
    assert "two words" not in str(caught.value)
