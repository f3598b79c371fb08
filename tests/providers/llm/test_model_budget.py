"""Whatever a server does, a call stays within its allowance."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

import providers.llm.chat
from providers.llm import create_model
from providers.llm.base import Prompt
from providers.llm.tokens import count_tokens, truncate
from providers.policies import model_server
from schemas.errors import BudgetExceeded, DeepSearchError
from schemas.settings import Settings
from schemas.usage import Allowance, Usage
from tests.scripted import Drop, Reply, ScriptedServer, Status, Text

BEHAVIOURS = (
    '{"passed": true, "think": "fine"}',
    'Well:\n{"passed": true, "think": "fine"} and that is all',
    '{"verdict": "yes"}',
    "I would rather not say. " * 40,
    '{"passed": true, "think": "' + "on and on " * 400,
    "<think>" + "hm " * 300,
    "",
    400,
    429,
    500,
    "drop",
)


class Judgement(BaseModel):
    passed: bool
    think: str


@dataclass
class Bill:
    """What a server that counts with the same tokenizer charges for the requests of one call."""

    server: ScriptedServer
    behaviours: list[Any]
    usage: bool
    tokens: int = 0
    answers: int = 0
    seen: list[Any] = field(default_factory=list)

    def __call__(self, request: Any) -> Reply:
        behaviour = self.behaviours[min(len(self.seen), len(self.behaviours) - 1)]
        self.seen.append(request)
        if isinstance(behaviour, int):
            body = {"error": {"message": "response_format and tools are not supported"}}
            return Status(behaviour, body, {"retry-after-ms": "0"})
        self.tokens += self.server.llm.prompt_tokens(request)
        if behaviour == "drop":
            return Drop()
        text = truncate(behaviour, request["max_tokens"])
        self.answers += 1
        self.tokens += count_tokens(text)
        return Text(text, usage="counted" if self.usage else "missing")


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        running.llm.count = count_tokens
        yield running


@given(
    tokens=st.integers(0, 3_000),
    calls=st.integers(0, 4),
    words=st.integers(1, 600),
    behaviours=st.lists(st.sampled_from(BEHAVIOURS), min_size=1, max_size=8),
    usage=st.booleans(),
    stream=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_never_more_than_allowed(
    server: ScriptedServer, *, tokens: int, calls: int, words: int, behaviours: list[Any], usage: bool, stream: bool
) -> None:
    bill = Bill(server, behaviours, usage)
    server.llm.script(bill)
    prompt = Prompt("You judge.", "word " * words)
    allowance = Allowance(tokens=tokens, llm_calls=calls)

    async def call() -> tuple[Usage, DeepSearchError | None]:
        model = create_model(Settings(_env_file=None, llm_model="m", openai_base_url=server.llm_url))
        assert model is not None
        try:
            if stream:
                return [chunk async for chunk in model.stream("finalizer", prompt, allowance)][-1].usage, None
            return (await model.generate("planner", prompt, Judgement, allowance)).usage, None
        except DeepSearchError as error:
            return error.usage, error
        finally:
            await model.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(providers.llm.chat, "model_server", lambda settings: replace(model_server(settings), backoff_seconds=0.0))
        spent, error = asyncio.run(call())

    assert bill.tokens <= max(tokens, 0)
    assert bill.answers <= calls
    assert (spent.total_tokens, spent.llm_calls) == (bill.tokens, bill.answers)
    if not bill.seen:
        assert isinstance(error, BudgetExceeded)
