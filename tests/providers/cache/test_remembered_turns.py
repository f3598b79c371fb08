"""Turns of a model through the cache, with the real model and the scripted server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

import providers.llm.chat
from providers.llm import create_model
from providers.llm.base import ChatModel, Prompt
from providers.llm.cached import turn
from providers.llm.forms import form_of
from providers.llm.tokens import count_tokens
from providers.policies import model_server
from schemas.errors import (
    BudgetExceeded,
    ConfigurationError,
    DeadlineExceeded,
    DeepSearchError,
    ModelOutputInvalid,
    ModelRejected,
    ModelUnavailable,
    NotRecorded,
)
from schemas.settings import Settings
from schemas.usage import Allowance, Usage
from tests.scripted import Delay, Json, ScriptedServer, Status, Text

MakeSettings = Callable[..., Settings]
MakeModel = Callable[..., ChatModel]
KEY = "sk-very-secret"
PROMPT = Prompt("You judge.", "Is it good?")


class Verdict(BaseModel):
    passed: bool


class Score(BaseModel):
    score: int


GOOD, BAD = Json({"passed": True}), Text("I had rather not say.")


def spent(usage: Usage) -> dict[str, Any]:
    return usage.model_dump(exclude={"id"}, exclude_defaults=True)


@pytest.fixture
async def model_of(make_settings: MakeSettings, scripted: ScriptedServer) -> AsyncIterator[MakeModel]:
    scripted.llm.count = count_tokens
    made: list[ChatModel] = []

    def make(mode: str, **values: Any) -> ChatModel:
        known = {"llm_model": "m", "openai_base_url": scripted.llm_url, "openai_api_key": KEY, "llm_max_retries": 0, "llm_price_input": 0.3}
        model = create_model(make_settings(**{**known, "deepsearch_cache": mode, **values}))
        assert model is not None
        made.append(model)
        return model

    yield make
    for model in made:
        await model.close()


async def judged(model: ChatModel, prompt: Prompt = PROMPT, output: type[BaseModel] = Verdict, **options: Any) -> tuple[Any, Usage]:
    generated = await model.generate("evaluator", prompt, output, options.pop("allowance", Allowance()), **options)
    return generated.value, generated.usage


async def said(model: ChatModel, prompt: Prompt = PROMPT) -> tuple[list[str], Usage]:
    chunks = [chunk async for chunk in model.stream("finalizer", prompt, Allowance())]
    assert chunks[-1].text == ""
    return [chunk.text for chunk in chunks[:-1]], chunks[-1].usage


async def error_of(call: Any) -> DeepSearchError:
    with pytest.raises(DeepSearchError) as raised:
        await call
    return raised.value


# -- read-write --------------------------------------------------------------------------------------------------------


async def test_a_turn_is_asked_for_once(model_of: MakeModel, scripted: ScriptedServer) -> None:
    scripted.llm.on("Verdict", GOOD)
    value, cost = await judged(model_of("read-write"))
    again, free = await judged(model_of("read-write", llm_max_output_tokens=500, llm_timeout_seconds=1.0), allowance=Allowance(tokens=500))
    assert value == again == Verdict(passed=True)
    assert (cost.llm_calls, spent(free)) == (1, {})
    assert len(scripted.sent()) == 1


async def test_turns_at_the_same_time_are_asked_for_once(model_of: MakeModel, scripted: ScriptedServer) -> None:
    scripted.llm.on("Verdict", GOOD)
    model = model_of("read-write")
    answers = await asyncio.gather(*(judged(model) for _ in range(4)))
    assert [usage.llm_calls for _, usage in answers] == [1, 0, 0, 0]
    assert len(scripted.sent()) == 1


async def test_an_invalid_answer_is_never_served_again(model_of: MakeModel, scripted: ScriptedServer) -> None:
    scripted.llm.on("Verdict", [BAD, GOOD, BAD, GOOD])
    model = model_of("read-write")
    # Both are asked for; then only the first, because its correction is known; then it is good, and known from then on.
    assert [(await judged(model))[1].llm_calls for _ in range(4)] == [2, 1, 1, 0]
    assert len(scripted.sent()) == 4


async def test_an_answer_that_fails_its_check_is_asked_for_anew(model_of: MakeModel, scripted: ScriptedServer) -> None:
    scripted.llm.on("Verdict", [GOOD, Json({"passed": False})])
    model = model_of("read-write")
    await judged(model)
    value, usage = await judged(model, check=lambda verdict: "too kind" if verdict.passed else None)
    assert (value.passed, usage.llm_calls) == (False, 1)


async def test_an_answer_that_was_cut_is_not_kept(model_of: MakeModel, scripted: ScriptedServer) -> None:
    scripted.llm.on("Verdict", [Text('{"passed": true}', finish_reason="length"), GOOD])
    scripted.llm.on("", [Text("half an ans", finish_reason="length"), Text("an answer")])
    model = model_of("read-write")
    assert [(await judged(model))[1].llm_calls for _ in range(3)] == [1, 1, 0]
    assert ["".join((await said(model))[0]) for _ in range(3)] == ["half an ans", "an answer", "an answer"]
    assert len(scripted.sent()) == 4


async def test_a_failure_is_not_kept(model_of: MakeModel, scripted: ScriptedServer) -> None:
    scripted.llm.on("Verdict", [Status(500, {"error": "busy"}), GOOD])
    scripted.llm.on("", [Text(pieces=["a", "b"], stop_after=1), Text("whole")])
    model = model_of("read-write")
    assert isinstance(await error_of(judged(model)), ModelUnavailable)
    assert (await judged(model))[1].llm_calls == 1
    assert isinstance(await error_of(said(model)), ModelUnavailable)
    assert (await said(model))[0] == ["whole"]


async def test_a_stream_is_asked_for_once(model_of: MakeModel, scripted: ScriptedServer) -> None:
    scripted.llm.on("", Text(pieces=["<think>secretly</think>", "One ", "two ", "three."]))
    model = model_of("read-write")
    pieces, cost = await said(model)
    again, free = await said(model_of("read-write"))
    assert pieces == again == ["One ", "two ", "three."]
    assert (cost.llm_calls, spent(free)) == (1, {})
    assert len(scripted.sent()) == 1


async def test_another_server_gives_another_answer(model_of: MakeModel, scripted: ScriptedServer) -> None:
    scripted.llm.on("Verdict", [GOOD, Json({"passed": False})])
    scripted.llm.on("", [Text("one"), Text("other")])
    here, there = model_of("read-write"), model_of("read-write", openai_base_url=f"http://localhost:{scripted.port}/v1")
    assert [(await judged(model))[0].passed for model in (here, there)] == [True, False]
    assert [(await said(model))[0] for model in (here, there)] == [["one"], ["other"]]
    with_password = model_of("read-write", openai_base_url=f"http://me:{KEY}@localhost:{scripted.port}/v1")
    assert spent((await judged(with_password))[1]) == {}


async def test_a_broken_cache_costs_no_answer(
    model_of: MakeModel, scripted: ScriptedServer, make_settings: MakeSettings, caplog: pytest.LogCaptureFixture
) -> None:
    home = make_settings().deepsearch_home
    home.mkdir()
    (home / "cache.db").write_bytes(b"nothing of the kind" * 1_000)
    scripted.llm.on("Verdict", GOOD)
    scripted.llm.on("", Text("words"))
    model = model_of("read-write")
    assert (await judged(model))[0] == Verdict(passed=True)
    assert (await said(model))[0] == ["words"]
    assert [record.levelno for record in caplog.records if record.name.startswith("providers.cache")] == [logging.WARNING]


# -- recording ---------------------------------------------------------------------------------------------------------


async def test_a_recorded_session_is_replayed_turn_by_turn(
    model_of: MakeModel, scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forms that are rejected, invalid answers, failures, retries and streams: everything happens again, at the same cost."""
    monkeypatch.setattr(providers.llm.chat, "model_server", lambda settings: replace(model_server(settings), backoff_seconds=0.0))
    scripted.llm.on("Score", [Status(400, {"error": {"message": "response_format is not supported"}}), BAD, BAD, BAD, Json({"score": 3})])
    scripted.llm.on("Verdict", [Status(500, {"error": "busy"}), Status(401, {}), GOOD, Json({"passed": False})])
    scripted.llm.on(
        "", [Text(pieces=["a ", "b "], stop_after=1), Text(pieces=["<think>x</think>", "c ", "\ud800 d"]), Text("", usage="missing")]
    )

    async def session(model: ChatModel) -> list[Any]:
        happened: list[Any] = []
        for output, times in ((Score, 2), (Verdict, 4)):
            for _ in range(times):
                try:
                    value, usage = await judged(model, output=output)
                    happened.append((value, spent(usage)))
                except DeepSearchError as error:
                    happened.append((type(error), error.message, error.field, spent(error.usage)))
        for _ in range(3):
            pieces: list[str] = []
            try:
                async for chunk in model.stream("finalizer", PROMPT, Allowance()):
                    pieces.append(chunk.text)
                happened.append((pieces, spent(chunk.usage)))
            except DeepSearchError as error:
                happened.append((pieces, type(error), error.message, spent(error.usage)))
        return happened

    recorded = await session(model_of("record"))
    assert [entry[0] for entry in recorded[:6]] == [
        ModelOutputInvalid, Score(score=3), ModelUnavailable, ModelRejected, Verdict(passed=True), Verdict(passed=False),
    ]  # fmt: skip
    assert [entry[0] for entry in recorded[6:]] == [["a "], ["c ", "\ud800 d", ""], []]
    sent = len(scripted.sent())
    replay = model_of("replay", openai_api_key=None)
    assert await session(replay) == recorded
    assert await session(replay) == recorded
    assert len(scripted.sent()) == sent


async def test_a_turn_that_took_too_long_is_recorded_as_that(model_of: MakeModel, scripted: ScriptedServer) -> None:
    scripted.llm.on("Verdict", Delay(60, GOOD))
    error = await error_of(judged(model_of("record"), allowance=Allowance(seconds=0.1)))
    again = await error_of(judged(model_of("replay")))
    assert (type(error), error.args) == (type(again), again.args)
    assert isinstance(error, DeadlineExceeded)


async def test_a_replay_needs_a_model_and_no_key(make_settings: MakeSettings, model_of: MakeModel, scripted: ScriptedServer) -> None:
    scripted.llm.on("Verdict", GOOD)
    await judged(model_of("record"))
    replay = model_of("replay", openai_api_key=None, openai_base_url=None)
    await judged(replay)
    with pytest.raises(NotRecorded, match=r"no answer is recorded for llm: Score of m: Is it good\?: record the run again"):
        await judged(replay, output=Score)
    with pytest.raises(NotRecorded, match=r"llm: text of m: Is it good\?"):
        await said(replay)
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        create_model(make_settings(llm_model="m", deepsearch_cache="record"))


async def test_a_replay_spends_no_more_than_it_is_allowed(model_of: MakeModel, scripted: ScriptedServer) -> None:
    scripted.llm.on("Verdict", GOOD)
    scripted.llm.on("", Text("words"))
    recording, replay = model_of("record"), model_of("replay")
    await judged(recording)
    await said(recording)
    for allowance in (Allowance(tokens=20), Allowance(llm_calls=0)):
        error = await error_of(judged(replay, allowance=allowance))
        assert isinstance(error, BudgetExceeded)
        with pytest.raises(BudgetExceeded):
            await anext(replay.stream("finalizer", PROMPT, allowance))
    assert (await judged(replay))[1].llm_calls == 1


# -- keys --------------------------------------------------------------------------------------------------------------


def test_what_a_turn_depends_on() -> None:
    def key(output: type[BaseModel] | None = Verdict, **changed: Any) -> str:
        asked = {"model": "m", "temperature": 0.5, "turns": [{"role": "user", "content": "s"}], **changed}
        return turn(**asked, form=form_of(output) if output else None).key()

    changed = [
        key(model="n"),
        key(temperature=0.6),
        key(turns=[{"role": "user", "content": "t"}]),
        key(turns=[{"role": "system", "content": "s"}]),
        key(Score),
        key(None),
    ]
    assert len({key(), *changed}) == 7


async def test_no_key_is_in_the_file(model_of: MakeModel, scripted: ScriptedServer, make_settings: MakeSettings) -> None:
    scripted.llm.on(
        "Verdict", [Status(401, {"error": {"message": f"no such key: {KEY}"}}), Status(400, {"error": {"message": f"key {KEY}"}})]
    )
    model = model_of("record", openai_base_url=scripted.llm_url.replace("http://", f"http://me:{KEY}@"))
    for _ in range(2):
        await error_of(judged(model))
    files = list(make_settings().deepsearch_home.iterdir())
    assert files
    assert not any(KEY.encode() in file.read_bytes() for file in files)
