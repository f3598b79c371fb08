"""The chat model against a scripted server: forms, failures, usage, streams."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest
from pydantic import BaseModel, Field

from providers.llm import create_model
from providers.llm.base import ChatModel, Generated, Prompt
from providers.llm.tokens import count_tokens
from schemas.errors import BudgetExceeded, DeadlineExceeded, DeepSearchError, ModelOutputInvalid, ModelRejected, ModelUnavailable
from schemas.settings import Settings
from schemas.usage import Allowance, Usage
from tests.scripted import Delay, Drop, Json, Reply, ScriptedServer, Status, Text


class Verdict(BaseModel):
    """Whether an answer passes."""

    passed: bool
    think: str = Field(description="Why.")


GOOD = Json({"passed": True, "think": "fine"})
VERDICT = Verdict(passed=True, think="fine")
PROMPT = Prompt(system="You judge.", user="Is it good?")
KEY = "sk-very-secret"


@pytest.fixture
async def model(scripted: ScriptedServer, make_settings: Callable[..., Settings]) -> AsyncIterator[ChatModel]:
    scripted.llm.count = count_tokens
    made = create_model(make_settings(llm_model="m", openai_base_url=scripted.llm_url, openai_api_key=KEY))
    assert made is not None
    yield made
    await made.close()


async def judge(model: ChatModel, allowance: Allowance | None = None, **options: Any) -> Generated[Verdict]:
    return await model.generate("evaluator", PROMPT, Verdict, allowance or Allowance(), **options)


async def written(model: ChatModel, allowance: Allowance | None = None) -> tuple[str, Usage]:
    chunks = [chunk async for chunk in model.stream("finalizer", PROMPT, allowance or Allowance())]
    assert chunks[-1].text == ""
    assert all(chunk.text for chunk in chunks[:-1])
    return "".join(chunk.text for chunk in chunks), chunks[-1].usage


def forms(server: ScriptedServer) -> list[str]:
    """The form of structured output that each request asked for."""
    return [
        request.body.get("response_format", {}).get("type") or ("tool" if "tools" in request.body else "text") for request in server.sent()
    ]


def rejecting(*words: str) -> Callable[[Any], Reply]:
    """A server that answers 400 to every request that holds one of these parameters or form types."""

    def handler(request: Any) -> Reply:
        present = [*request, (request.get("response_format") or {}).get("type")]
        for word in words:
            if word in present:
                return Status(400, {"error": {"message": f"Unsupported parameter: {word!r}. Use something else instead.", "param": word}})
        return GOOD

    return handler


# -- asking ------------------------------------------------------------------------------------------------------------


async def test_a_good_model_costs_one_request(model: ChatModel, scripted: ScriptedServer) -> None:
    scripted.llm.on("Verdict", GOOD)
    generated = await judge(model)
    assert generated.value == VERDICT
    [request] = scripted.sent()
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.body["model"] == "m"
    assert request.body["temperature"] == 0.6
    assert request.body["max_tokens"] == 8_000
    assert [turn["content"] for turn in request.body["messages"]] == [PROMPT.system, PROMPT.user]
    assert request.body["response_format"]["json_schema"] == {
        "name": "Verdict",
        "strict": True,
        "schema": {
            "title": "Verdict",
            "description": "Whether an answer passes.",
            "type": "object",
            "properties": {"passed": {"type": "boolean"}, "think": {"type": "string", "description": "Why."}},
            "required": ["passed", "think"],
            "additionalProperties": False,
        },
    }
    usage = generated.usage
    assert (usage.llm_calls, usage.estimated, usage.cost_usd) == (1, False, 0.0)
    assert usage.prompt_tokens == scripted.llm.prompt_tokens(request.body)
    assert usage.completion_tokens == count_tokens('{"passed": true, "think": "fine"}')


@pytest.mark.parametrize(
    ("rejected", "asked"),
    [
        (("json_schema",), ["json_schema", "json_object"]),
        (("response_format",), ["json_schema", "json_object", "tool"]),
        (("response_format", "tools"), ["json_schema", "json_object", "tool", "text"]),
    ],
)
async def test_a_rejected_form_costs_nothing_and_is_not_tried_again(
    model: ChatModel, scripted: ScriptedServer, rejected: tuple[str, ...], asked: list[str]
) -> None:
    scripted.llm.script(rejecting(*rejected))
    first = await judge(model)
    assert first.value == VERDICT
    assert forms(scripted) == asked
    assert first.usage.llm_calls == 1
    second = await judge(model)
    assert second.value == VERDICT
    assert forms(scripted) == [*asked, asked[-1]]
    last = scripted.sent()[-1].body
    if asked[-1] == "tool":
        assert last["tools"][0]["function"]["name"] == last["tool_choice"]["function"]["name"] == "Verdict"
    else:
        assert '"title":"Verdict"' in last["messages"][-1]["content"]
        assert last["messages"][-1]["content"].startswith(PROMPT.user)


@pytest.mark.parametrize("status", [400, 404, 415, 422, 501])
async def test_forms_are_given_up_for_every_such_status(model: ChatModel, scripted: ScriptedServer, status: int) -> None:
    body = {"error": {"message": "this endpoint supports no tool use and no response_format"}}
    scripted.llm.script(lambda request: GOOD if "response_format" not in request and "tools" not in request else Status(status, body))
    assert (await judge(model)).value == VERDICT
    assert forms(scripted)[-1] == "text"


async def test_max_tokens_and_temperature_are_adapted_once(model: ChatModel, scripted: ScriptedServer) -> None:
    scripted.llm.script(rejecting("max_tokens", "temperature"))
    assert (await judge(model)).usage.llm_calls == 1
    await judge(model)
    first, second, third, fourth = (request.body for request in scripted.sent())
    assert "max_tokens" in first
    assert "temperature" in first
    assert (third.keys() | second.keys()) - first.keys() == {"max_completion_tokens"}
    assert third["max_completion_tokens"] == 8_000
    assert third.keys() == fourth.keys()
    assert "temperature" not in third


async def test_roles_have_their_own_model_and_temperature(scripted: ScriptedServer, make_settings: Callable[..., Settings]) -> None:
    scripted.llm.on("Verdict", GOOD)
    settings = make_settings(llm_model="m", llm_model_coder="c", llm_temperature_coder=0.1, openai_base_url=scripted.llm_url)
    model = create_model(settings)
    assert model is not None
    assert (model.name("planner"), model.name("coder")) == ("m", "c")
    await model.generate("coder", PROMPT, Verdict, Allowance())
    await model.close()
    [request] = scripted.sent()
    assert (request.body["model"], request.body["temperature"]) == ("c", 0.1)


async def test_half_characters_in_a_prompt_are_sent_as_question_marks(model: ChatModel, scripted: ScriptedServer) -> None:
    scripted.llm.on("Verdict", GOOD)
    await model.generate("planner", Prompt("s", "broken \ud83d text"), Verdict, Allowance())
    assert scripted.sent()[0].body["messages"][1]["content"] == "broken ? text"


# -- bad answers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        'Of course!\n{"passed": true, "think": "fine"}\nAnything else?',
        '<think>hm {"passed": false}</think>```json\n{"passed": true, "think": "fine",}\n```',
        '<think>never closed\n{"passed": true, "think": "fine"}',
        '{"passed": true, "think": "fine"',
        '{"passed": true, "think": "fine',
    ],
)
async def test_what_can_be_read_is_not_asked_twice(model: ChatModel, scripted: ScriptedServer, text: str) -> None:
    scripted.llm.on("Verdict", Text(text))
    generated = await judge(model)
    assert generated.value == VERDICT
    assert len(scripted.sent()) == 1


@pytest.mark.parametrize(
    ("bad", "shown", "next_form"),
    [
        (Json({"ok": True, "reason": "x"}), "it has 'ok', 'reason' where 'passed', 'think' belongs", "json_object"),
        (Text("I would say that it passes."), "it holds no JSON object", "json_object"),
        (Text(""), "it is empty", "json_schema"),
        (Json({"passed": "perhaps", "think": "x"}), "passed: Input should be a valid boolean", "json_schema"),
        (Text('{"passed":', finish_reason="length"), "it holds no JSON object, and it was cut at the limit", "json_schema"),
    ],
)
async def test_an_invalid_answer_is_shown_once(
    model: ChatModel, scripted: ScriptedServer, bad: Json | Text, shown: str, next_form: str
) -> None:
    scripted.llm.on("Verdict", [bad, GOOD])
    generated = await judge(model)
    assert generated.value == VERDICT
    assert generated.usage.llm_calls == 2
    assert forms(scripted) == ["json_schema", next_form]
    first, second = (request.body for request in scripted.sent())
    assert generated.usage.prompt_tokens == scripted.llm.prompt_tokens(first) + scripted.llm.prompt_tokens(second)
    assert shown in second["messages"][-1]["content"]
    assert second["messages"][1]["content"].startswith(first["messages"][1]["content"])


async def test_a_form_that_is_ignored_is_given_up_once_a_lower_one_works(model: ChatModel, scripted: ScriptedServer) -> None:
    scripted.llm.script(lambda request: Text("blah") if (request.get("response_format") or {}).get("type") == "json_schema" else GOOD)
    assert (await judge(model)).usage.llm_calls == 2
    assert (await judge(model)).usage.llm_calls == 1
    assert forms(scripted) == ["json_schema", "json_object", "json_object"]


@pytest.mark.parametrize("text", ["", "I cannot.", '{"wrong": 1}', "<think>endless"])
async def test_a_hopeless_model_is_asked_twice_and_charged(model: ChatModel, scripted: ScriptedServer, text: str) -> None:
    scripted.llm.script(lambda _: Text(text))
    with pytest.raises(ModelOutputInvalid, match="gave no valid Verdict in two attempts") as caught:
        await judge(model)
    assert len(scripted.sent()) == 2
    assert caught.value.usage.llm_calls == 2
    assert caught.value.usage.prompt_tokens == sum(scripted.llm.prompt_tokens(request.body) for request in scripted.sent())


async def test_the_caller_may_reject_a_valid_object(model: ChatModel, scripted: ScriptedServer) -> None:
    scripted.llm.on("Verdict", [Json({"passed": False, "think": "no"}), GOOD])
    generated = await judge(model, check=lambda verdict: None if verdict.passed else "it must pass")
    assert generated.value == VERDICT
    assert forms(scripted) == ["json_schema", "json_schema"]
    assert "it must pass" in scripted.sent()[1].body["messages"][-1]["content"]
    with pytest.raises(ModelOutputInvalid, match="never good"):
        await judge(model, check=lambda _: "never good")


# -- failures ----------------------------------------------------------------------------------------------------------


async def test_retry_after_is_honoured(model: ChatModel, scripted: ScriptedServer) -> None:
    scripted.llm.on("Verdict", [Status(429, {"error": {"message": "slow down"}}, {"retry-after": "0.15"}), GOOD])
    generated = await judge(model)
    assert generated.usage.llm_calls == 1
    first, second = scripted.sent()
    assert second.time - first.time >= 0.15


@pytest.mark.parametrize(
    "headers", [{"retry-after": "30"}, {"retry-after": format_datetime(datetime.now(timezone.utc) + timedelta(days=1))}]
)
async def test_no_retry_that_would_come_too_late(model: ChatModel, scripted: ScriptedServer, headers: dict[str, str]) -> None:
    scripted.llm.script(lambda _: Status(429, "", headers))
    began = time.monotonic()
    with pytest.raises(ModelUnavailable, match=r"failed \(429\).*would come too late"):
        await judge(model, Allowance(seconds=20))
    assert time.monotonic() - began < 10
    assert len(scripted.sent()) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 529])
async def test_a_failing_server_is_tried_three_times_for_nothing(model: ChatModel, scripted: ScriptedServer, status: int) -> None:
    scripted.llm.script(lambda _: Status(status, {"error": {"message": f"broken, {KEY}"}}, {"retry-after-ms": "1"}))
    with pytest.raises(ModelUnavailable) as caught:
        await judge(model)
    host = scripted.llm_url.split("/")[2]
    assert str(caught.value) == f'the model server {host} failed ({status}); it said "broken, ***" after 3 tries'
    assert len(scripted.sent()) == 3
    assert caught.value.usage.total_tokens == caught.value.usage.llm_calls == 0


async def test_a_broken_connection_is_retried_and_charged(scripted: ScriptedServer, model: ChatModel) -> None:
    scripted.llm.on("Verdict", [Drop(), GOOD])
    generated = await judge(model)
    assert generated.value == VERDICT
    prompt = scripted.llm.prompt_tokens(scripted.sent()[0].body)
    assert (generated.usage.llm_calls, generated.usage.prompt_tokens, generated.usage.estimated) == (1, 2 * prompt, True)


async def test_nobody_listens(scripted: ScriptedServer, make_settings: Callable[..., Settings]) -> None:
    with ScriptedServer() as gone:
        url = gone.llm_url
    model = create_model(make_settings(llm_model="m", openai_base_url=url, openai_api_key=KEY, llm_max_retries=0))
    assert model is not None
    with pytest.raises(ModelUnavailable, match=r"cannot be reached \(.*\): check OPENAI_BASE_URL") as caught:
        await judge(model)
    assert caught.value.usage.total_tokens == 0
    await model.close()


async def test_a_request_that_times_out_counts_its_prompt(scripted: ScriptedServer, make_settings: Callable[..., Settings]) -> None:
    scripted.llm.script(lambda _: Delay(60, GOOD))
    model = create_model(make_settings(llm_model="m", openai_base_url=scripted.llm_url, llm_timeout_seconds=0.5))
    assert model is not None
    with pytest.raises(ModelUnavailable, match=r"did not finish within 0.5 s: raise LLM_TIMEOUT_SECONDS") as caught:
        await judge(model)
    [request] = scripted.sent()
    scripted.llm.count = count_tokens
    assert caught.value.usage.prompt_tokens == scripted.llm.prompt_tokens(request.body)
    assert (caught.value.usage.llm_calls, caught.value.usage.estimated) == (0, True)
    await model.close()


async def test_the_deadline_spans_all_attempts(model: ChatModel, scripted: ScriptedServer) -> None:
    scripted.llm.on("Verdict", [Text("rubbish"), Delay(60, GOOD)])
    with pytest.raises(DeadlineExceeded) as caught:
        await judge(model, Allowance(seconds=1))
    assert len(scripted.sent()) == 2
    assert caught.value.usage.llm_calls == 1
    assert caught.value.usage.prompt_tokens == sum(scripted.llm.prompt_tokens(request.body) for request in scripted.sent())
    with pytest.raises(DeadlineExceeded):
        await judge(model, Allowance(seconds=0))
    assert len(scripted.sent()) == 2


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Status(401, {"error": {"message": f"Incorrect API key provided: {KEY}"}}), "rejected the key (401): check OPENAI_API_KEY"),
        (Status(403, {"error": {"message": "no"}}), "refused access to 'm' (403): check OPENAI_API_KEY and what it may use"),
        (Status(402, {"error": {"message": "pay"}}), "has no credit left (402): add credit or change OPENAI_API_KEY"),
        (Status(429, {"error": {"message": "quota", "code": "insufficient_quota"}}), "has no credit left (429)"),
        (
            Status(404, {"error": {"message": "The model `m` does not exist", "code": "model_not_found"}}),
            "no model 'm' (404): check LLM_MODEL",
        ),
        (Status(404, "404 page not found"), "no model 'm' (404): check LLM_MODEL and OPENAI_BASE_URL"),
        (Status(400, {"error": {"message": 'model "m" not found, try pulling it first'}}), "no model 'm' (400): check LLM_MODEL"),
        (Status(400, {"error": {"message": "This model's maximum context length is 512 tokens"}}), "lower LLM_CONTEXT_TOKENS"),
        (Status(400, {"error": {"message": "max_tokens is too large: 8000"}}), "lower LLM_MAX_OUTPUT_TOKENS"),
    ],
)
async def test_what_no_retry_cures_is_said_at_once(model: ChatModel, scripted: ScriptedServer, reply: Status, message: str) -> None:
    scripted.llm.script(lambda _: reply)
    with pytest.raises(ModelRejected) as caught:
        await judge(model)
    assert message in str(caught.value)
    assert KEY not in str(caught.value)
    assert len(scripted.sent()) == 1
    assert caught.value.usage.total_tokens == 0


async def test_a_request_that_is_rejected_in_every_form_changes_nothing(model: ChatModel, scripted: ScriptedServer) -> None:
    scripted.llm.script(lambda _: Status(400, {"error": {"message": "content policy"}}))
    with pytest.raises(ModelRejected, match='it said "content policy"'):
        await judge(model)
    scripted.llm.script(lambda _: GOOD)
    await judge(model)
    assert forms(scripted) == ["json_schema", "json_object", "tool", "text", "json_schema"]


@pytest.mark.parametrize("body", ["<html>Welcome</html>", {"ok": True}, {"error": {"message": "upstream"}}, [], {"choices": []}])
async def test_an_answer_that_is_no_completion(model: ChatModel, scripted: ScriptedServer, body: Any) -> None:
    scripted.llm.script(lambda _: Status(200, body))
    with pytest.raises(ModelUnavailable, match="check OPENAI_BASE_URL") as caught:
        await judge(model)
    assert caught.value.usage.llm_calls == 1


# -- usage -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "usage",
    [
        "missing",
        {},
        {"prompt_tokens": None, "completion_tokens": None},
        {"prompt_tokens": -5, "completion_tokens": 3},
        {"prompt_tokens": 0, "completion_tokens": 0},
        {"prompt_tokens": "many", "completion_tokens": 2},
        {"prompt_tokens": 10**12, "completion_tokens": 2},
        {"prompt_tokens": True, "completion_tokens": 2},
    ],
)
async def test_usage_that_is_missing_or_nonsense_is_estimated(model: ChatModel, scripted: ScriptedServer, usage: Any) -> None:
    scripted.llm.on("Verdict", Json(GOOD.value, usage=usage))
    spent = (await judge(model)).usage
    [request] = scripted.sent()
    assert spent.prompt_tokens == scripted.llm.prompt_tokens(request.body)
    assert spent.completion_tokens == count_tokens('{"passed": true, "think": "fine"}')
    assert spent.estimated


async def test_cached_tokens_and_money(scripted: ScriptedServer, make_settings: Callable[..., Settings]) -> None:
    usage = {"prompt_tokens": 1_000, "completion_tokens": 500, "prompt_tokens_details": {"cached_tokens": 800}}
    scripted.llm.on("Verdict", Json(GOOD.value, usage=usage))
    model = create_model(make_settings(llm_model="m", openai_base_url=scripted.llm_url, llm_price_input=1.0, llm_price_output=4.0))
    assert model is not None
    spent = (await judge(model)).usage
    assert (spent.prompt_tokens, spent.completion_tokens, spent.cached_tokens, spent.estimated) == (1_000, 500, 800, False)
    assert spent.cost_usd == pytest.approx(0.003)
    await judge(model, Allowance(cost_usd=0.001))
    assert scripted.sent()[-1].body["max_tokens"] < 250
    with pytest.raises(BudgetExceeded, match="money"):
        await judge(model, Allowance(cost_usd=0.0001))
    assert len(scripted.sent()) == 2
    await model.close()


@pytest.mark.parametrize("allowance", [Allowance(tokens=80), Allowance(tokens=0), Allowance(llm_calls=0), Allowance(tokens=-1)])
async def test_nothing_is_sent_that_the_budget_may_not_bear(model: ChatModel, scripted: ScriptedServer, allowance: Allowance) -> None:
    with pytest.raises(BudgetExceeded) as caught:
        await judge(model, allowance)
    with pytest.raises(BudgetExceeded):
        await written(model, allowance)
    assert scripted.requests == []
    assert caught.value.usage.total_tokens == 0


async def test_a_prompt_beyond_the_context_window_is_not_sent(model: ChatModel, scripted: ScriptedServer) -> None:
    with pytest.raises(ModelRejected, match="does not fit the context window of 128000 tokens"):
        await model.generate("planner", Prompt("s", "word " * 130_000), Verdict, Allowance(tokens=1_000_000))
    assert scripted.requests == []


async def test_a_repair_that_does_not_fit_is_not_sent(model: ChatModel, scripted: ScriptedServer) -> None:
    scripted.llm.script(lambda _: Text("no"))
    with pytest.raises(BudgetExceeded, match="the first answer cannot be used: it holds no JSON object") as caught:
        await judge(model, Allowance(llm_calls=1))
    assert len(scripted.sent()) == caught.value.usage.llm_calls == 1


async def test_the_answer_shrinks_to_what_is_left(model: ChatModel, scripted: ScriptedServer) -> None:
    scripted.llm.on("Verdict", GOOD)
    await judge(model, Allowance(tokens=1_000))
    [request] = scripted.sent()
    prompt = scripted.llm.prompt_tokens(request.body)
    assert 1_000 - 1.1 * prompt - 1 <= request.body["max_tokens"] <= 1_000 - 1.1 * prompt


async def test_a_server_that_counts_more_is_believed_from_then_on(model: ChatModel, scripted: ScriptedServer) -> None:
    scripted.llm.count = lambda text: 2 * count_tokens(text)
    scripted.llm.on("Verdict", GOOD)
    prompt = Prompt("s", "word " * 500)
    await model.generate("planner", prompt, Verdict, Allowance(tokens=2_000))
    await model.generate("planner", prompt, Verdict, Allowance(tokens=2_000))
    first, second = scripted.sent()
    assert first.body["max_tokens"] > 1_200
    assert second.body["max_tokens"] + scripted.llm.prompt_tokens(second.body) <= 2_000


# -- streams -----------------------------------------------------------------------------------------------------------


async def test_a_stream_without_its_thoughts(model: ChatModel, scripted: ScriptedServer) -> None:
    scripted.llm.on("", Text(pieces=["<th", "ink>why", " not</thi", "nk>\n\n", "The ans", "wer is 1 ", "< 2."]))
    text, usage = await written(model)
    assert text == "The answer is 1 < 2."
    [request] = scripted.sent()
    assert request.body["stream_options"] == {"include_usage": True}
    assert usage.llm_calls == 1
    assert usage.completion_tokens == count_tokens("<think>why not</think>\n\nThe answer is 1 < 2.")
    assert not usage.estimated


async def test_a_stream_whose_usage_is_rejected_or_missing(model: ChatModel, scripted: ScriptedServer) -> None:
    scripted.llm.script(
        lambda request: (
            Status(400, {"error": {"message": "unknown field stream_options"}}) if "stream_options" in request else Text("It is so.")
        )
    )
    text, usage = await written(model)
    assert text == "It is so."
    assert (usage.completion_tokens, usage.estimated, usage.llm_calls) == (count_tokens("It is so."), True, 1)
    await written(model)
    assert len(scripted.sent()) == 3


async def test_closing_early_closes_the_connection(model: ChatModel, scripted: ScriptedServer) -> None:
    scripted.llm.on("", Text(pieces=["First", " second"], stop_after=1, then="stall"))
    async with aclosing(model.stream("finalizer", PROMPT, Allowance())) as chunks:  # type: ignore[type-var]
        assert (await anext(chunks)).text == "First"
    assert await asyncio.to_thread(scripted.wait_for_lost_streams)


async def test_a_stream_that_stalls_ends_at_the_deadline(model: ChatModel, scripted: ScriptedServer) -> None:
    scripted.llm.on("", Text(pieces=["First", " second"], stop_after=1, then="stall"))
    with pytest.raises(DeadlineExceeded) as caught:
        await written(model, Allowance(seconds=1))
    assert caught.value.usage.completion_tokens == count_tokens("First")
    assert caught.value.usage.llm_calls == 1
    assert await asyncio.to_thread(scripted.wait_for_lost_streams)


async def test_a_stream_that_breaks_off_is_charged(model: ChatModel, scripted: ScriptedServer) -> None:
    scripted.llm.on("", Text(pieces=["First", " second"], stop_after=1))
    with pytest.raises(ModelUnavailable, match="broke off") as caught:
        await written(model)
    assert caught.value.usage.prompt_tokens == scripted.llm.prompt_tokens(scripted.sent()[0].body)
    assert caught.value.usage.completion_tokens == count_tokens("First")
    assert len(scripted.sent()) == 1


@pytest.mark.parametrize("text", ["", "<think>nothing but thoughts", "<think>closed</think>\n"])
async def test_a_stream_that_says_nothing_is_invalid(model: ChatModel, scripted: ScriptedServer, text: str) -> None:
    scripted.llm.on("", Text(text))
    with pytest.raises(ModelOutputInvalid, match="wrote no text"):
        await written(model)


async def test_a_stream_that_never_ends_is_left(model: ChatModel, scripted: ScriptedServer) -> None:
    scripted.llm.on("", Text(pieces=["word " * 400] * 100))
    text, usage = await written(model, Allowance(tokens=500))
    assert len(text) < 16 * 500 + 2_000
    assert usage.estimated


async def test_a_stream_waits_and_fails_like_any_request(model: ChatModel, scripted: ScriptedServer) -> None:
    scripted.llm.on("", [Status(503, "", {"retry-after-ms": "1"}), Text("Done.")])
    assert (await written(model))[0] == "Done."
    scripted.llm.on("", Status(401, ""))
    with pytest.raises(ModelRejected):
        await written(model)


# -- life --------------------------------------------------------------------------------------------------------------


def test_a_model_outlives_its_event_loop(scripted: ScriptedServer, make_settings: Callable[..., Settings]) -> None:
    scripted.llm.on("Verdict", GOOD)
    model = create_model(make_settings(llm_model="m", openai_base_url=scripted.llm_url))
    assert model is not None

    async def once() -> None:
        assert (await judge(model)).value == VERDICT
        await model.close()

    asyncio.run(once())
    asyncio.run(once())


async def test_many_calls_at_once(model: ChatModel, scripted: ScriptedServer) -> None:
    scripted.llm.on("Verdict", GOOD)
    results = await asyncio.gather(*(judge(model) for _ in range(20)))
    assert all(generated.usage.llm_calls == 1 for generated in results)


async def test_an_error_survives_the_wire_with_its_usage(model: ChatModel, scripted: ScriptedServer) -> None:
    scripted.llm.script(lambda _: Text("no"))
    with pytest.raises(DeepSearchError) as caught:
        await judge(model)
    assert Usage.model_validate_json(caught.value.args[2]).llm_calls == 2
