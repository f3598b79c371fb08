"""A real model client on the scripted server, and the stage's prompts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest

import executors.evaluator
from providers.llm import create_model
from providers.llm.base import ChatModel
from providers.llm.prompts import PromptFile, load_prompts
from schemas.settings import Settings
from tests.scripted import ScriptedServer


@pytest.fixture(scope="module")
def prompts() -> Mapping[str, PromptFile]:
    return load_prompts(Path(executors.evaluator.__file__).parent / "prompts")


@pytest.fixture
def settings(scripted: ScriptedServer, make_settings: Callable[..., Settings]) -> Settings:
    return make_settings(llm_model="stage-model", openai_base_url=scripted.llm_url, llm_max_retries=0)


@pytest.fixture
async def model(settings: Settings) -> AsyncIterator[ChatModel]:
    created = create_model(settings)
    assert created is not None
    yield created
    await created.close()
