"""What a request means: bodies that are accepted, refused, and what becomes of them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from executors.controller import checking
from executors.query_planner.languages import LANGUAGES as ANSWER_LANGUAGES
from gateway.openai.messages import MOST_ATTACHMENT_BYTES, MOST_ATTACHMENTS, Turn, conversation, without_thinking
from gateway.openai.requests import (
    LANGUAGES,
    MOST_RESEARCHERS,
    MOST_WORDS,
    SEARCH_PROVIDERS,
    ChatRequest,
    ResponseRequest,
    chat_research,
    response_research,
)
from gateway.openai.structured import MOST_SCHEMA_CHARACTERS, schema_text
from providers.search import PROVIDERS
from schemas.errors import DeepSearchError, InvalidRequest
from schemas.research import ResearchRequest

PNG = "data:image/png;base64," + base64.b64encode(b"png").decode()
SCHEMA = {"type": "object", "properties": {"so": {"type": "boolean"}}, "required": ["so"]}


def research(**body: Any) -> ResearchRequest:
    body = {"messages": [{"role": "user", "content": "Why?"}], **body}
    return chat_research(ChatRequest.model_validate(body))


def refused(**body: Any) -> InvalidRequest:
    with pytest.raises(DeepSearchError) as raised:
        research(**body)
    assert isinstance(raised.value, InvalidRequest) and raised.value.field
    return raised.value


def roles(*turns: dict[str, Any]) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in conversation([Turn.model_validate(turn) for turn in turns], "messages")]


def test_the_lists_kept_at_this_door_are_those_of_the_stages() -> None:
    assert tuple(ANSWER_LANGUAGES) == LANGUAGES and tuple(PROVIDERS) == SEARCH_PROVIDERS
    assert (checking.MOST_RESEARCHERS, checking.MOST_WORDS) == (MOST_RESEARCHERS, MOST_WORDS)


def test_every_parameter_reaches_the_research() -> None:
    asked = research(
        reasoning_effort="high",
        budget_tokens=5_000,
        budget_seconds=30,
        budget_usd=0.5,
        max_attempts=3,
        no_direct_answer=True,
        boost_hostnames=["a.org"],
        bad_hostnames=["b.org"],
        only_hostnames=["c.org"],
        max_annotations=4,
        language_code="ZH-cn",
        search_language_code="de",
        search_provider="duck",
        with_images=True,
        team_size=8,
        mode="report",
        words=20_000,
        plan_first=True,
        citations="off",
        allow_guess=True,
        polish=True,
        n=1,
        min_annotation_relevance=0.8,
        max_returned_urls=3,
    )
    assert asked.model_dump(exclude={"id", "messages", "run_id", "question"}) == {
        **ResearchRequest().model_dump(exclude={"id", "messages", "run_id", "question"}),
        "reasoning_effort": "high",
        "budget_tokens": 5_000,
        "budget_seconds": 30.0,
        "budget_usd": 0.5,
        "max_attempts": 3,
        "no_direct_answer": True,
        "boost_hostnames": ["a.org"],
        "bad_hostnames": ["b.org"],
        "only_hostnames": ["c.org"],
        "max_references": 4,
        "language_code": "zh-CN",
        "search_language_code": "de",
        "search_provider": "duckduckgo",
        "with_images": True,
        "team_size": 8,
        "mode": "report",
        "words": 20_000,
        "plan_first": True,
        "citations": "off",
        "allow_guess": True,
        "polish": True,
    }


def test_what_is_not_asked_for_is_left_to_the_run() -> None:
    asked = research(mode=None, words=None, team_size=None, citations=None, max_annotations=None)
    assert (asked.mode, asked.words, asked.plan_first, asked.team_size, asked.citations) == ("answer", None, False, 1, None)
    assert asked.max_references is None and research(max_annotations=0).max_references == 0
    assert research(mode="report").max_references is None


@pytest.mark.parametrize("body", [{"words": 500}, {"plan_first": True}, {"words": 500, "mode": "answer"}])
def test_what_is_for_reports_is_refused_for_answers(body: dict[str, Any]) -> None:
    assert refused(**body).field == next(iter(body))


def test_what_openai_has_and_we_do_not_is_ignored() -> None:
    ignored = {"temperature": 2, "top_p": 0.1, "tools": [{}], "tool_choice": "auto", "seed": 1, "user": "u", "max_tokens": 5, "stop": "x"}
    plain = research()
    asked = research(**ignored, reasoning_effort=None, budget_tokens=None, max_completion_tokens=None)
    assert asked.model_dump(exclude={"id", "run_id", "messages"}) == plain.model_dump(exclude={"id", "run_id", "messages"})


def test_the_completion_tokens_are_a_budget_with_one_attempt_unless_told_otherwise() -> None:
    asked = research(max_completion_tokens=2_000, reasoning_effort="high")
    assert (asked.budget_tokens, asked.max_attempts) == (2_000, 1)
    asked = research(max_completion_tokens=2_000, budget_tokens=9_000, max_attempts=3)
    assert (asked.budget_tokens, asked.max_attempts) == (9_000, 3)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("messages", []),
        ("messages", "Why?"),
        ("max_completion_tokens", 0),
        ("max_completion_tokens", 2**31),
        ("budget_tokens", "5000"),
        ("budget_seconds", 0),
        ("budget_seconds", 1e308),
        ("budget_seconds", float("nan")),
        ("budget_usd", float("inf")),
        ("reasoning_effort", "extreme"),
        ("boost_hostnames", "x"),
        ("only_hostnames", [1]),
        ("max_annotations", -1),
        ("min_annotation_relevance", 1.1),
        ("language_code", "cs"),
        ("search_language_code", "german please"),
        ("search_provider", "altavista"),
        ("stream", "yes"),
        ("with_images", 1),
        ("n", 2),
        ("team_size", 0),
        ("team_size", 9),
        ("team_size", True),
        ("words", 99),
        ("words", 20_001),
        ("words", "many"),
        ("plan_first", "yes"),
        ("citations", "lax"),
        ("allow_guess", 1),
        ("polish", "no"),
        ("mode", "poem"),
        ("response_format", "json"),
    ],
)
def test_b13_a_wrong_value_is_refused_and_named(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as raised:
        research(**{field: value})
    assert {error["loc"][0] for error in raised.value.errors()} == {field}


def test_b18_an_unknown_language_is_named_and_never_guessed_at() -> None:
    with pytest.raises(ValidationError, match="'cs' is not one of: en, zh, zh-CN"):
        research(language_code="cs")


def test_an_unknown_model_is_not_found() -> None:
    error = refused(model="gpt-4o")
    assert (error.http_status, error.code, error.field) == (404, "model_not_found", "model")


# -- the conversation --------------------------------------------------------------------------------------------------


def test_thinking_of_earlier_turns_is_removed_also_from_parts() -> None:
    assert roles(
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": " One? "},
        {"role": "assistant", "content": "<think>a\nb</think>\n\nYes.<think>c</think>"},
        {"role": "assistant", "content": [{"type": "text", "text": "<think>x</think>No."}, {"type": "text", "text": "<think>y</think>"}]},
        {"role": "assistant", "content": "<think>cut off"},
        {"role": "assistant", "content": None},
        {"role": "user", "content": [{"type": "text", "text": "Two"}, {"type": "text", "text": "and?"}]},
    ) == [("system", "Be brief."), ("user", "One?"), ("assistant", "Yes."), ("assistant", "No."), ("user", "Two\nand?")]


@given(st.lists(st.sampled_from(["<think>", "</think>", "a", " ", "\n"]), max_size=12))
def test_no_closed_thought_survives(parts: list[str]) -> None:
    rest = without_thinking("".join(parts))
    _, opened, after = rest.partition("<think>")
    assert not opened or "</think>" not in after


def test_removing_thoughts_takes_linear_time() -> None:
    assert without_thinking("x" + "<think>" * 100_000).startswith("x<think>")


def test_images_and_files_become_attachments_and_urls_stay_text() -> None:
    pdf = {"filename": "a.pdf", "file_data": "data:application/pdf;name=a.pdf;base64,JVBERg=="}
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": PNG}},
        {"type": "file", "file": pdf},
        {"type": "image_url", "image_url": {"url": "https://a.org/b.png"}},
    ]
    (message,) = research(messages=[{"role": "user", "content": content}]).messages
    assert message.content == "What is this?\nhttps://a.org/b.png"
    assert [(file.name, file.media_type, file.content) for file in message.attachments] == [
        ("", "image/png", PNG.partition(",")[2]),
        ("a.pdf", "application/pdf", "JVBERg=="),
    ]


BIG = "AAAA" * (MOST_ATTACHMENT_BYTES // 6 + 2)


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        ([{"type": "image_url", "image_url": {"url": "ftp://a"}}], 400, "messages[0].content[0].image_url"),
        ([{"type": "image_url", "image_url": {"url": "data:image/png,raw"}}], 400, "data URI"),
        ([{"type": "image_url", "image_url": {"url": "data:image/svg+xml;base64,AAAA"}}], 400, "image/svg+xml cannot be read"),
        ([{"type": "image_url", "image_url": {"url": "data:image/png;base64,A?AA"}}], 400, "damaged"),
        ([{"type": "file", "file": {"file_id": "f1"}}], 400, "file_data is missing"),
        ([{"type": "input_audio", "input_audio": {}}], 400, "'input_audio' cannot be used"),
        ([{"type": "text"}], 400, "a text is missing"),
        ([{"type": "image_url", "image_url": {"url": PNG}}], 400, "no text"),
        ([{"type": "image_url", "image_url": {"url": PNG}}] * (MOST_ATTACHMENTS + 1), 413, "more than 10 files"),
        ([{"type": "file", "file": {"file_data": f"data:text/plain;base64,{BIG}"}}] * 2, 413, "more than 10,000,000 bytes"),
        ("\ud800", 400, "lone surrogates"),
        (" ", 400, "is empty"),
    ],
)
def test_b13_unusable_content_is_refused_and_named(content: Any, status: int, said: str) -> None:
    error = refused(messages=[{"role": "user", "content": content}])
    assert error.http_status == status and said in str(error) and str(error.field).startswith("messages")


@pytest.mark.parametrize(
    ("turns", "field"),
    [
        ([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "messages"),
        ([{"role": "user", "content": "a"}, {"role": "user", "content": ""}, {"role": "assistant", "content": "x"}], "messages"),
        ([{"role": "tool", "content": "a"}], "messages[0].role"),
        ([{"content": "a"}], "messages[0].role"),
        ([{"role": "assistant", "content": [{"type": "image_url", "image_url": PNG}]}], "messages[0].content[0].type"),
    ],
)
def test_a_conversation_that_is_none_is_refused(turns: Any, field: str) -> None:
    assert refused(messages=turns).field == field


def test_responses_take_items_instructions_and_their_own_names() -> None:
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "One?"}]},
        {"type": "reasoning", "summary": []},
        {"type": "web_search_call", "id": "w"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Yes."}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Two?"}, {"type": "input_image", "image_url": PNG}]},
    ]
    body = {
        "input": items,
        "instructions": "Be brief.",
        "reasoning": {"effort": "low"},
        "max_output_tokens": 3_000,
        "text": {"format": {"type": "json_schema", "name": "x", "schema": SCHEMA, "strict": True}},
        "tools": [],
    }
    asked = response_research(ResponseRequest.model_validate(body))
    assert [(m.role, m.content) for m in asked.messages] == [
        ("system", "Be brief."),
        ("user", "One?"),
        ("assistant", "Yes."),
        ("user", "Two?"),
    ]
    assert len(asked.messages[-1].attachments) == 1
    assert (asked.reasoning_effort, asked.budget_tokens, asked.max_attempts) == ("low", 3_000, 1)
    assert json.loads(asked.json_schema) == SCHEMA


@pytest.mark.parametrize("more", [{"background": True}, {"previous_response_id": "r"}, {"input": [{"type": "function_call"}]}])
def test_what_responses_cannot_do_here_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as raised:
        response_research(ResponseRequest.model_validate({"input": "Why?", **more}))
    assert str(raised.value.field).startswith(next(iter(more)))


# -- structured output -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form",
    [
        {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}},
        {"type": "json_schema", "json_schema": {"schema": SCHEMA}},
        {"type": "json_schema", "json_schema": SCHEMA},
    ],
)
def test_b11_the_schema_is_taken_out_of_its_wrapper(form: dict[str, Any]) -> None:
    assert json.loads(research(response_format=form).json_schema) == SCHEMA


def test_no_format_and_text_want_no_schema() -> None:
    assert research().json_schema == research(response_format={"type": "text"}).json_schema == ""


deep: dict[str, Any] = {}
for _ in range(5_000):
    deep = {"not": deep}


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"type": "json_object"}, "send json_schema"),
        ({"type": "grammar"}, "'grammar' is not one of"),
        ({"type": "json_schema"}, "a JSON Schema is an object"),
        ({"type": "json_schema", "json_schema": {"name": "x", "strict": True}}, "schema is missing"),
        ({"type": "json_schema", "json_schema": {"schema": [1]}}, "a JSON Schema is an object"),
        ({"type": "json_schema", "json_schema": {"schema": {"type": "objekt"}}}, "is no JSON Schema: at $.type"),
        ({"type": "json_schema", "json_schema": {"schema": {"$ref": "http://127.0.0.1/x"}}}, "must point into the schema itself"),
        ({"type": "json_schema", "json_schema": {"schema": {"title": "x" * MOST_SCHEMA_CHARACTERS}}}, "the most is 64,000"),
        ({"type": "json_schema", "json_schema": {"schema": deep}}, "nested too deeply"),
        ({"type": "json_schema", "json_schema": {"schema": {"minimum": float("nan")}}}, "is no JSON"),
        ({"type": "json_schema", "json_schema": {"schema": {"title": "\ud800"}}}, "is no JSON"),
        ({"type": "json_schema", "json_schema": {"schema": {"pattern": "("}}}, "is no JSON Schema: at $.pattern"),
    ],
)
def test_a_schema_that_is_none_is_refused(form: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        schema_text(form, "response_format")
    assert said in str(raised.value) and str(raised.value.field).startswith("response_format")
