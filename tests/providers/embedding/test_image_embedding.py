"""Jina's embeddings of images and texts, over HTTP."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr

from providers.embedding import create_embedding
from providers.embedding.images import IMAGE_TOKENS, JinaImageEmbedding, image_embedding
from schemas.errors import BudgetExceeded, EmbeddingError
from schemas.settings import Settings
from tests.embedding_stand_in import HashedEmbedding
from tests.scripted import ScriptedServer
from tests.scripted.replies import Delay, Json, Status
from tests.scripted.vectors import embeddings, in_base64, vector

IMAGES = [f"image {n}".encode() for n in range(10)]
TEXTS = ["The bridge of Harrow.", "The reed of Lake Varn."]


@pytest.fixture
def settings(scripted: ScriptedServer) -> Settings:
    return Settings(jina_api_url=scripted.llm_url, jina_api_key=SecretStr("secret-key"))


@pytest.fixture
async def jina(settings: Settings) -> AsyncIterator[JinaImageEmbedding]:
    jina = JinaImageEmbedding(settings)
    yield jina
    await jina.close()


def answered(request: Any) -> Json:
    named = [one.get("text") or base64.b64decode(one["image"]).decode() for one in request["input"]]
    tokens = sum(IMAGE_TOKENS if "image" in one else 5 for one in request["input"])
    return Json(embeddings([in_base64(vector(name, 512)) for name in named], tokens=tokens))


async def test_images_and_texts_in_one_space(jina: JinaImageEmbedding, scripted: ScriptedServer) -> None:
    scripted.embeddings.script(answered)
    embedded = await jina.embed(IMAGES, TEXTS, max_tokens=50_000, seconds=20)
    assert embedded.vectors.shape == (12, 512)
    expected = np.array([vector(name, 512) for name in [*(image.decode() for image in IMAGES), *TEXTS]])
    assert np.allclose(embedded.vectors, expected / np.linalg.norm(expected, axis=1, keepdims=True))
    assert (embedded.usage.provider_tokens, embedded.usage.estimated) == (40_010, False)
    requests = scripted.sent("/v1/embeddings")
    assert sorted(len(request.body["input"]) for request in requests) == [4, 8]
    first = max((request.body for request in requests), key=lambda body: len(body["input"]))
    assert {name: value for name, value in first.items() if name != "input"} == {
        "model": "jina-clip-v2",
        "dimensions": 512,
        "embedding_type": "base64",
    }
    assert first["input"][0] == {"image": base64.b64encode(b"image 0").decode()}
    assert [one for request in requests for one in request.body["input"] if "text" in one] == [{"text": text} for text in TEXTS]
    assert {request.headers["authorization"] for request in requests} == {"Bearer secret-key"}


async def test_what_would_cost_too_much_is_not_sent(jina: JinaImageEmbedding, scripted: ScriptedServer) -> None:
    cost = 2 * IMAGE_TOKENS + jina.cost_of(TEXTS)
    with pytest.raises(BudgetExceeded, match=rf"2 images and 2 texts of {cost} tokens exceed the {cost - 1} tokens left"):
        await jina.embed(IMAGES[:2], TEXTS, max_tokens=cost - 1, seconds=20)
    assert scripted.requests == []
    scripted.embeddings.script(answered)
    await jina.embed(IMAGES[:2], TEXTS, max_tokens=cost, seconds=20)


async def test_a_failure_names_its_cause_and_carries_what_was_billed(jina: JinaImageEmbedding, scripted: ScriptedServer) -> None:
    scripted.embeddings.script(lambda request: Status(402, {"detail": "no balance"}))
    with pytest.raises(EmbeddingError, match=r"^Jina image embeddings .*credit") as raised:
        await jina.embed(IMAGES[:1], TEXTS, max_tokens=50_000, seconds=20)
    assert raised.value.usage.provider_tokens == 0
    assert "secret-key" not in str(raised.value)


async def test_what_is_too_slow_counts_as_billed(jina: JinaImageEmbedding, scripted: ScriptedServer) -> None:
    scripted.embeddings.script(lambda request: Delay(60, answered(request)))
    with pytest.raises(EmbeddingError) as raised:
        await asyncio.wait_for(jina.embed(IMAGES[:2], TEXTS, max_tokens=50_000, seconds=0.5), 30)
    assert raised.value.usage.provider_tokens == 2 * IMAGE_TOKENS + jina.cost_of(TEXTS)
    assert raised.value.usage.estimated


async def test_only_beside_jinas_embeddings_of_texts(settings: Settings) -> None:
    texts = create_embedding(settings)
    images = image_embedding(settings, texts)
    assert isinstance(images, JinaImageEmbedding)
    assert images.model == "jina-clip-v2"
    named = settings.model_copy(update={"embedding_model": "jina-clip-v1"})
    assert JinaImageEmbedding(named).model == "jina-clip-v1"
    assert image_embedding(settings, None) is None
    assert image_embedding(settings, HashedEmbedding()) is None
    assert texts is not None
    await texts.close()
    await images.close()
