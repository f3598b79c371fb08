"""Jina embeddings against a server that speaks their wire format."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from providers.embedding.base import Task
from providers.embedding.jina import JinaEmbedding
from schemas.errors import ConfigurationError, EmbeddingError
from schemas.settings import Settings
from tests.scripted import ScriptedServer, Status


@pytest.fixture
async def jina(scripted: ScriptedServer) -> AsyncIterator[JinaEmbedding]:
    jina = JinaEmbedding(Settings(jina_api_key=SecretStr("secret-key"), jina_api_url=scripted.llm_url))
    yield jina
    await jina.close()


@pytest.mark.parametrize(("task", "name"), [("query", "retrieval.query"), ("passage", "retrieval.passage"), ("match", "text-matching")])
async def test_the_request(jina: JinaEmbedding, scripted: ScriptedServer, task: Task, name: str) -> None:
    embedded = await jina.embed(["one", "two"], task)
    assert embedded.vectors.shape == (2, 1024)
    (request,) = scripted.sent("/v1/embeddings")
    assert request.body == {
        "model": "jina-embeddings-v3",
        "task": name,
        "dimensions": 1024,
        "truncate": True,
        "embedding_type": "base64",
        "input": ["one", "two"],
    }
    assert request.headers["authorization"] == "Bearer secret-key"


async def test_another_model_and_dimension(scripted: ScriptedServer) -> None:
    jina = JinaEmbedding(Settings(jina_api_url=f"{scripted.llm_url}/", embedding_model="jina-embeddings-v4", embedding_dimensions=256))
    assert (await jina.embed(["one"], "query")).vectors.shape == (1, 256)
    assert (scripted.requests[0].body["model"], scripted.requests[0].body["dimensions"]) == ("jina-embeddings-v4", 256)
    assert (jina.name, jina.model, jina.supports_late_chunking) == ("jina", "jina-embeddings-v4", True)
    await jina.close()


async def test_the_pieces_of_a_document_go_in_one_request_with_late_chunking(jina: JinaEmbedding, scripted: ScriptedServer) -> None:
    pieces = [f"piece {n} " + "word " * 40 for n in range(70)]  # more than one batch, and less than a window
    embedded = await jina.embed(pieces, "passage", late_chunking=True)
    assert embedded.vectors.shape == (70, 1024)
    (request,) = scripted.requests
    assert request.body["late_chunking"] is True
    assert request.body["input"] == pieces


async def test_a_document_longer_than_the_window_is_split_between_pieces(jina: JinaEmbedding, scripted: ScriptedServer) -> None:
    pieces = [f"piece {n} " + "word " * 200 for n in range(50)]  # 50 kB: the window of 8,192 tokens is taken for 20 kB
    await jina.embed(pieces, "passage", late_chunking=True)
    windows = sorted((request.body["input"] for request in scripted.requests), key=lambda window: int(window[0].split()[1]))
    assert [len(window) for window in windows] == [19, 19, 12]
    assert [piece for window in windows for piece in window] == pieces
    assert all(sum(len(piece) for piece in window) <= 20_000 for window in windows)


async def test_many_tiny_pieces_are_split_too(jina: JinaEmbedding, scripted: ScriptedServer) -> None:
    await jina.embed(["a"] * 200, "passage", late_chunking=True)
    assert sorted(len(request.body["input"]) for request in scripted.requests) == [72, 128]


async def test_a_piece_longer_than_the_window_is_cut(jina: JinaEmbedding, scripted: ScriptedServer) -> None:
    await jina.embed(["a" * 30_000, "b"], "passage", late_chunking=True)
    assert sorted(len(text) for request in scripted.requests for text in request.body["input"]) == [1, 20_000]


async def test_a_text_longer_than_the_model_reads_is_cut(jina: JinaEmbedding, scripted: ScriptedServer) -> None:
    await jina.embed(["word " * 10_000], "passage")
    assert [len(text) for text in scripted.requests[0].body["input"]] == [32_000]


async def test_models_without_late_chunking(scripted: ScriptedServer) -> None:
    jina = JinaEmbedding(Settings(jina_api_url=scripted.llm_url, embedding_model="jina-embeddings-v2-base-en", embedding_dimensions=768))
    assert not jina.supports_late_chunking
    await jina.embed(["one", "two"], "passage", late_chunking=True)
    assert "late_chunking" not in scripted.requests[0].body
    await jina.close()


async def test_a_server_of_jinas_wire_format_needs_no_key(scripted: ScriptedServer) -> None:
    jina = JinaEmbedding(Settings(jina_api_url=scripted.llm_url))
    await jina.embed(["one"], "query")
    assert "authorization" not in scripted.requests[0].headers
    scripted.embeddings.script(lambda request: Status(401))
    with pytest.raises(EmbeddingError, match=r"^Jina embeddings asks for a key: set JINA_API_KEY$"):
        await jina.embed(["one"], "query")
    await jina.close()


@pytest.mark.parametrize("url", ["api.jina.ai/v1", "ftp://x/v1", "http://", "http://[", ""])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^JINA_API_URL is no URL such as http://localhost:8000/v1$"):
        JinaEmbedding(Settings(jina_api_url=url))
