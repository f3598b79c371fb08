"""Which embedding provider the settings choose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from providers.embedding import create_embedding
from schemas.errors import ConfigurationError
from schemas.settings import Settings
from tests.providers.embedding.bert_folder import write_folder

JINA = {"jina_api_key": "k"}
OPENAI = {"openai_api_key": "k"}
SERVER = {"embedding_base_url": "http://localhost:1/v1"}


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({}, None),
        (OPENAI, None),  # a key for the language model alone says nothing about embeddings
        ({"openai_base_url": "http://localhost:1/v1"}, None),
        (JINA, "jina"),
        ({"jina_api_url": "http://localhost:1/v1"}, "jina"),
        ({**JINA, **OPENAI}, "jina"),
        ({**JINA, "embedding_model": "jina-embeddings-v4"}, "jina"),
        ({**JINA, **OPENAI, "embedding_model": "jina-embeddings-v4"}, "jina"),
        ({**JINA, **OPENAI, "embedding_model": "text-embedding-3-small"}, "openai"),
        ({**OPENAI, "embedding_model": "text-embedding-3-small"}, "openai"),
        ({"embedding_api_key": "k", "embedding_model": "m"}, "openai"),
        ({"openai_base_url": "http://localhost:1/v1", "embedding_model": "m"}, "openai"),
        ({**JINA, **SERVER, "embedding_model": "jina-embeddings-v3"}, "openai"),
        ({**JINA, "embedding_provider": "none"}, None),
        ({**JINA, **OPENAI, "embedding_provider": "openai", "embedding_model": "m"}, "openai"),
        ({**JINA, **OPENAI, "embedding_provider": "jina", "embedding_model": "m"}, "jina"),
    ],
)
async def test_the_choice(values: dict[str, Any], name: str | None) -> None:
    provider = create_embedding(Settings(**values))
    assert (provider and provider.name) == name
    if provider is not None:
        await provider.close()


@pytest.mark.parametrize("chosen", ["auto", "local"])
async def test_a_folder_is_a_local_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chosen: Any) -> None:
    write_folder(tmp_path / "m")
    monkeypatch.chdir(tmp_path)
    for model in (str(tmp_path / "m"), "m", "~/m"):
        provider = create_embedding(Settings(embedding_provider=chosen, embedding_model=model, jina_api_key="k", **SERVER))  # type: ignore[arg-type]
        assert provider is not None
        assert (provider.name, provider.model) == ("local", str(tmp_path / "m"))
        await provider.close()


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"embedding_provider": "jina"}, "JINA_API_KEY"),
        ({"embedding_provider": "openai", **OPENAI}, "EMBEDDING_MODEL"),
        ({"embedding_provider": "openai", "embedding_model": "m"}, "EMBEDDING_API_KEY"),
        ({"embedding_provider": "local"}, "EMBEDDING_MODEL"),
        ({"embedding_provider": "local", "embedding_model": "text-embedding-3-small"}, "EMBEDDING_MODEL"),
        ({"embedding_model": "m"}, "EMBEDDING_MODEL"),
        ({"embedding_model": "./models/nowhere", **OPENAI}, "EMBEDDING_MODEL"),
        (SERVER, "EMBEDDING_MODEL"),
    ],
)
def test_settings_that_cannot_work(values: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        create_embedding(Settings(**values))
    assert caught.value.field == field
    assert field in str(caught.value)
