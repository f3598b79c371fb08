"""The API in front of a controller that follows a script: shapes, order, errors."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai import OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response
from pydantic import BaseModel

from gateway.openai.answer import RESTART
from gateway.openai.requests import ChatRequest, ResponseRequest
from tests.gateway import flow_process

pytestmark = pytest.mark.flow

HERE = Path(__file__).parent
TEXT = "First it is so [^1]. 雪 And more [^2], again [^1]."
NOTES = '[^1]: "It is so." — [A \\[title\\]](https://a.org/x)\n[^2]: "And so." — [https://b.org/y z](https://b.org/y%20z)'
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    home = tmp_path_factory.mktemp("flow")
    ports = flow_process.free_port_settings()
    paths = os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(HERE)])
    serve = f"import sys; sys.path[1:1] = {paths.split(os.pathsep)!r}\n{flow_process.SERVE}"
    process = flow_process.start(serve, str(HERE / "scripted_flow.yml"), home=home, DRAIN_SECONDS="5", **ports)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("DeepSearch is ready"), process.communicate()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{ports['DEEPSEARCH_HTTP_PORT']}", timeout=60) as client:
            yield client
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == 0
    finally:
        for number in flow_process.processes_of(process.pid):
            os.kill(number, signal.SIGKILL)
        process.wait()


@pytest.fixture
def client(http: httpx.Client) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{http.base_url}/v1", api_key="any", max_retries=0) as client:
        yield client


def body(script: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": script}], **more}


def ask(http: httpx.Client, script: str, **more: Any) -> httpx.Response:
    return http.post("/v1/chat/completions", json=body(script, **more))


def stream(http: httpx.Client, path: str, document: dict[str, Any]) -> list[Any]:
    """The documents of a stream; what is no JSON as it is."""
    response = http.post(path, json={**document, "stream": True})
    assert response.status_code == 200 and response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["x-accel-buffering"] == "no"
    lines = [line[6:] for line in response.text.split("\n") if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def chunks(http: httpx.Client, script: str, **more: Any) -> list[Any]:
    return stream(http, "/v1/chat/completions", body(script, **more))


def deltas(documents: list[Any]) -> list[dict[str, Any]]:
    return [document["choices"][0]["delta"] for document in documents if document != "[DONE]" and document.get("choices")]


def content(documents: list[Any]) -> str:
    return "".join(delta.get("content", "") for delta in deltas(documents))


# -- models ------------------------------------------------------------------------------------------------------------


def test_models(http: httpx.Client, client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["deepsearch", "jina-deepsearch-v1", "jina-deepsearch-v2"]
    assert client.models.retrieve("jina-deepsearch-v1").created == 1686935002
    response = http.get("/v1/models/gpt-4")
    assert response.status_code == 404
    assert response.json()["error"] == {
        "message": "The model 'gpt-4' does not exist; there are: deepsearch, jina-deepsearch-v1, jina-deepsearch-v2.",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }
    assert ask(http, "tokens", model="gpt-4").json() == response.json()


# -- whole -------------------------------------------------------------------------------------------------------------


def test_a_whole_completion(http: httpx.Client) -> None:
    document = ask(http, "tokens", model="jina-deepsearch-v1", with_images=True).json()
    ChatCompletion.model_validate(document)
    assert document["model"] == "jina-deepsearch-v1" and document["object"] == "chat.completion"
    message = document["choices"][0]["message"]
    assert message["content"] == f"{TEXT}\n\n{NOTES}" and message["type"] == "text"
    assert message["reasoning_content"] == "I search.\n\nIt fails.\n\nRecap.\n\nBlame.\n\nImprove."
    assert document["choices"][0]["finish_reason"] == "stop" and document["stop_reason"] == "token_budget"
    cited = [annotation["url_citation"] for annotation in message["annotations"]]
    assert [message["content"][one["start_index"] : one["end_index"]] for one in cited] == ["[^1]", "[^2]", "[^1]"]
    assert cited[0] == cited[2] | {"start_index": 15, "end_index": 19}
    assert cited[0]["exactQuote"] == "It is\n so." and cited[0]["dateTime"] == "2026-01-02" and cited[1]["dateTime"] is None
    assert document["relatedImages"] == [f"https://a.org/{number}.png" for number in range(10)]
    assert document["notice"] == "Note."
    assert "relatedImages" not in ask(http, "tokens").json()
    assert ask(http, "guess", with_images=True).json()["relatedImages"] == []


def test_usage_adds_up(http: httpx.Client) -> None:
    usage = ask(http, "tokens").json()["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] == 120
    assert usage["prompt_tokens_details"]["cached_tokens"] == 60 and usage["provider_tokens"] == 7 and usage["llm_calls"] == 3


def test_b10_visited_urls_are_those_that_were_visited(http: httpx.Client) -> None:
    document = ask(http, "tokens").json()
    assert document["visitedURLs"] == ["https://a.org/x", "https://b.org/y"]
    assert document["readURLs"] == ["https://a.org/x"] and document["numURLs"] == 3
    assert ask(http, "tokens", max_returned_urls=1).json()["visitedURLs"] == ["https://a.org/x"]


def test_the_conversation_reaches_the_controller(http: httpx.Client) -> None:
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "assistant", "content": "<think>no</think>Yes."},
        {"role": "user", "content": [{"type": "text", "text": "So?"}]},
    ]
    document = http.post("/v1/chat/completions", json={"messages": turns, "budget_tokens": 5_000, "max_annotations": 0}).json()
    asked = json.loads(document["choices"][0]["message"]["content"])
    assert [(turn["role"], turn["content"]) for turn in asked["messages"]] == [
        ("system", "Be brief."),
        ("assistant", "Yes."),
        ("user", "So?"),
    ]
    assert asked["budget_tokens"] == 5_000 and asked["max_references"] == 0
    assert document["id"] == f"chatcmpl-{asked['run_id']}" and document["model"] == "deepsearch"


# -- whether the evidence supports it ------------------------------------------------------------------------------------

TOTALS = {"statements": 3, "supported": 1, "partly": 1, "unsupported": 0, "removed": 1}


def check_support(support: dict[str, Any], content: str) -> None:
    assert support["totals"] == TOTALS and support["judged_by"] == "model"
    first, removed, last = support["statements"]
    assert content[first["start"] : first["end"]] == "First it is so [^1]." and "text" not in first
    assert (first["verdict"], first["score"], first["references"], first["evidence"]) == ("supported", 0.988, [1], ["e7"])
    assert content[last["start"] : last["end"]] == "雪 And more [^2], again [^1]."
    assert last["references"] == [2, 1] and last["verdict"] == "partly"
    assert removed == {
        "start": first["end"], "end": first["end"], "verdict": "unsupported", "score": 0.0, "references": [], "evidence": [],
        "missing": ["5"], "reason": "No 5.", "removed": True, "text": "It costs 5.",
    }  # fmt: skip
    (contradiction,) = support["contradictions"]
    assert contradiction == {"statement": 2, "supporting": "e9", "opposing": "e7", "quote": "It is not.", "reason": "It says no."}


def test_the_support_of_every_statement_is_told_by_every_shape(http: httpx.Client) -> None:
    whole = ask(http, "tokens").json()
    check_support(whole["support"], whole["choices"][0]["message"]["content"])
    documents = chunks(http, "tokens")
    check_support(documents[-2]["support"], content(documents).partition("</think>\n\n")[2])
    response = http.post("/v1/responses", json={"input": "tokens"}).json()
    check_support(response["support"], Response.model_validate(response).output_text)
    last = stream(http, "/v1/responses", {"input": "tokens"})[-1]["response"]
    assert last["support"] == response["support"] == whole["support"]
    assert response["usage"]["support"] == whole["usage"]["support"] == TOTALS and response["metadata"] == {}
    assert whole["guessed"] is response["guessed"] is False
    apart = chunks(http, "tokens", stream_options={"include_usage": True})
    assert apart[-2]["usage"]["support"] == TOTALS and "support" in apart[-3]


def test_the_support_of_an_answer_begun_anew_is_for_the_last_of_it(http: httpx.Client) -> None:
    documents = chunks(http, "restarted support")
    final = content(documents).partition("</think>\n\n")[2]
    assert final.startswith(f"Old half{RESTART}")
    check_support(documents[-2]["support"], final)


def test_the_support_of_json_is_for_the_whole_of_it(http: httpx.Client) -> None:
    document = ask(http, "json", response_format=SCHEMA).json()
    size = len(document["choices"][0]["message"]["content"])
    statements = document["support"]["statements"]
    assert [(one["start"], one["end"]) for one in statements] == [(0, size)] * 3
    assert [one["text"] for one in statements] == ["First it is so", "It costs 5.", "雪 And more"]


def test_what_was_not_checked_has_no_verdicts_and_a_guess_says_so(http: httpx.Client) -> None:
    document = ask(http, "guess").json()
    assert document["support"] is None and "support" not in document["usage"] and document["guessed"] is True
    assert http.post("/v1/responses", json={"input": "guess"}).json()["guessed"] is True


def test_the_support_reaches_the_python_client(client: OpenAI) -> None:
    completion = client.chat.completions.create(model="deepsearch", messages=[{"role": "user", "content": "tokens"}])
    assert completion.model_extra is not None and completion.usage is not None and completion.usage.model_extra is not None
    check_support(completion.model_extra["support"], completion.choices[0].message.content or "")
    assert completion.usage.model_extra["support"] == TOTALS
    response = client.responses.create(model="deepsearch", input="tokens")
    assert response.model_extra is not None
    check_support(response.model_extra["support"], response.output_text)


# -- reports and teams ---------------------------------------------------------------------------------------------------

LONG = [
    "Sub-problems:\n- What is snow?\n- What is ice?",
    "A researcher has ended (answered): What is snow?",
    "2 findings in On snow",
    "no findings in https://b.org/",
    "The sources agree:\n- It is cold.",
    "Still open:\n- How cold?",
    "Outline of Snow:\n- Ice\n- Rain",
    "Checked: 5 statements supported, 1 in part, 2 not.",
    "The draft was revised.",
    "Checked: 7 statements supported, 0 not.",
]


def test_a_long_run_is_told_in_short_lines(http: httpx.Client) -> None:
    assert ask(http, "long").json()["choices"][0]["message"]["reasoning_content"] == "\n\n".join(LONG)
    documents = chunks(http, "long")
    thinking, _, answer = content(documents).partition("</think>\n\n")
    assert thinking == "<think>" + "".join(f"{line}\n\n" for line in LONG) and answer.startswith(TEXT)
    response = http.post("/v1/responses", json={"input": "long"}).json()
    assert [item["summary"][0]["text"] for item in response["output"] if item["type"] == "reasoning"] == LONG


def test_an_outline_that_waits_is_the_content(http: httpx.Client, client: OpenAI) -> None:
    document = ask(http, "waiting", mode="report", plan_first=True).json()
    ChatCompletion.model_validate(document)
    said, run_id = document["choices"][0]["message"]["content"], document["id"].removeprefix("chatcmpl-")
    assert said.startswith("# Snow\n\n1. **Ice** (about 1,200 words): What it is.\n2. **Rain**\n\nThe report is written when")
    assert f"`POST /v1/research/{run_id}/outline`" in said
    assert (document["stop_reason"], document["usage"]) == ("waiting", None)
    assert document["approve"] == f"/v1/research/{run_id}/outline"
    assert document["outline"]["title"] == "Snow" and document["outline"]["sections"][1] == {
        "heading": "Rain", "brief": "", "evidence": [], "words": 0,
    }  # fmt: skip
    documents = chunks(http, "waiting")
    assert content(documents).partition("</think>\n\n")[2].startswith("# Snow")
    assert documents[-2]["stop_reason"] == "waiting" and documents[-2]["choices"][0]["finish_reason"] == "stop"
    response = client.responses.create(model="deepsearch", input="waiting")
    assert response.status == "completed" and response.output_text.startswith("# Snow") and response.usage is None
    assert response.model_extra is not None and response.model_extra["outline"] == document["outline"]


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"team_size": 9}, "team_size"),
        ({"words": 50, "mode": "report"}, "words"),
        ({"words": 500}, "words"),
        ({"plan_first": True}, "plan_first"),
        ({"plan_first": True, "mode": "report", **{"response_format": SCHEMA}}, "plan_first"),
        ({"citations": "lax"}, "citations"),
        ({"mode": "poem"}, "mode"),
        ({"allow_guess": "yes"}, "allow_guess"),
        ({"polish": 1}, "polish"),
    ],
)
def test_wrong_wishes_are_refused_in_openais_form(client: OpenAI, more: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model="deepsearch", messages=[{"role": "user", "content": "tokens"}], extra_body=more)
    assert raised.value.param == param
    if "response_format" not in more:
        with pytest.raises(openai.BadRequestError) as raised:
            client.responses.create(model="deepsearch", input="tokens", extra_body=more)
        assert raised.value.param == param


def test_every_wish_reaches_the_controller_by_every_shape(client: OpenAI) -> None:
    wishes: dict[str, Any] = {
        "mode": "report", "words": 3_000, "plan_first": True, "team_size": 3, "citations": "flag", "allow_guess": True, "polish": True,
    }  # fmt: skip
    chat = client.chat.completions.create(model="deepsearch", messages=[{"role": "user", "content": "q"}], extra_body=wishes)
    asked = [chat.choices[0].message.content or "", client.responses.create(model="deepsearch", input="q", extra_body=wishes).output_text]
    for text in asked:
        document = json.loads(text)
        assert {name: document[name] for name in wishes} == wishes and document["max_references"] is None


# -- streamed ----------------------------------------------------------------------------------------------------------


def test_b10_a_stream_tells_everything_once_and_in_order(http: httpx.Client) -> None:
    documents = chunks(http, "tokens")
    assert documents[-1] == "[DONE]" and documents.count("[DONE]") == 1
    for document in documents[:-1]:
        ChatCompletionChunk.model_validate(document)
    assert len({document["id"] for document in documents[:-1]}) == 1
    told = deltas(documents)
    assert told[0] == {"role": "assistant", "content": "<think>", "type": "think"}
    end = told.index({"content": "</think>\n\n", "type": "think"})
    assert [delta["content"] for delta in told[1:end] if "content" in delta] == [
        "I search.\n\n", "It fails.\n\n", "Recap.\n\n", "Blame.\n\n", "Improve.\n\n",
    ]  # fmt: skip
    assert all(delta.get("reasoning_content") == delta.get("content") for delta in told[1:end])
    assert [delta["query"] for delta in told if "query" in delta] == ["snow", "ice", "rain"]
    assert [delta["url"] for delta in told if "url" in delta] == ["https://a.org/x"]
    pieces = told[end + 1 : -1]
    assert [piece["content"] for piece in pieces] == [*TEXT, f"\n\n{NOTES}"]
    assert {piece["type"] for piece in pieces} == {"text"}
    last = documents[-2]
    assert last["choices"][0]["finish_reason"] == "stop" and last["usage"]["total_tokens"] == 120
    assert [document["choices"][0]["finish_reason"] for document in documents[:-2]] == [None] * (len(documents) - 2)
    assert last["visitedURLs"] == ["https://a.org/x", "https://b.org/y"] and last["numURLs"] == 3


def test_a_stream_and_a_whole_completion_say_the_same(http: httpx.Client) -> None:
    whole = ask(http, "tokens").json()
    documents = chunks(http, "tokens")
    assert content(documents).partition("</think>\n\n")[2] == whole["choices"][0]["message"]["content"]
    assert deltas(documents)[-1]["annotations"] == whole["choices"][0]["message"]["annotations"]
    for name in ("usage", "visitedURLs", "readURLs", "numURLs", "stop_reason", "notice", "support", "guessed"):
        assert documents[-2][name] == whole[name]


def test_usage_comes_apart_when_it_is_asked_for(http: httpx.Client) -> None:
    documents = chunks(http, "tokens", stream_options={"include_usage": True})
    assert documents[-2]["choices"] == [] and documents[-2]["usage"]["total_tokens"] == 120
    assert [document["usage"] for document in documents[:-2]] == [None] * (len(documents) - 2)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("restart", f"Old half{RESTART}New answer [^1].\n\n{NOTES.splitlines()[0]}"),
        ("repeat", "Half an answer."),
        ("silent", "Never streamed."),
    ],
)
def test_a_restarted_answer(http: httpx.Client, script: str, said: str) -> None:
    documents = chunks(http, script)
    final = content(documents).partition("</think>\n\n")[2]
    assert final == said
    for annotation in deltas(documents)[-1]["annotations"]:
        place = annotation["url_citation"]
        assert final[place["start_index"] : place["end_index"]] == "[^1]" and place["start_index"] > final.find(RESTART)


# -- structured output -------------------------------------------------------------------------------------------------


def test_b11_json_is_json(http: httpx.Client) -> None:
    message = ask(http, "json", response_format=SCHEMA).json()["choices"][0]["message"]
    assert (message["content"], message["type"]) == ('{"so": true}', "json")
    assert message["annotations"][0]["url_citation"]["url"] == "https://a.org/x"
    documents = chunks(http, "json", response_format=SCHEMA)
    assert content(documents).partition("</think>\n\n")[2] == '{"so": true}'
    assert [delta["type"] for delta in deltas(documents)[-2:]] == ["json", "json"]


@pytest.mark.parametrize("script", ["json failed", "json empty", "json broken"])
def test_b11_text_is_never_passed_off_as_json(http: httpx.Client, script: str) -> None:
    response = ask(http, script, response_format=SCHEMA)
    assert response.status_code == 502 and response.headers["x-should-retry"] == "false"
    error = response.json()["error"]
    assert (error["code"], error["param"], error["type"]) == ("structured_output_failed", "response_format", "server_error")
    documents = chunks(http, script, response_format=SCHEMA)
    assert documents[-2] == response.json() and documents[-1] == "[DONE]"
    assert all(delta["type"] == "think" for delta in deltas(documents))
    assert response.json()["usage"]["total_tokens"] == 120


def test_parse_of_the_python_client(client: OpenAI) -> None:
    class So(BaseModel):
        so: bool

    parsed = client.chat.completions.parse(model="deepsearch", messages=[{"role": "user", "content": "json"}], response_format=So)
    assert parsed.choices[0].message.parsed == So(so=True)
    assert client.responses.parse(model="deepsearch", input="json", text_format=So).output_parsed == So(so=True)


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "status", "code"),
    [
        ("refused", 400, "invalid_request"),
        ("fails", 502, "model_rejected"),
        ("cancelled", 409, "run_cancelled"),
        ("interrupted", 503, "stage_unavailable"),
        ("cut off", 503, "stage_unavailable"),
        ("nothing", 503, "stage_unavailable"),
    ],
)
def test_b13_no_failure_is_a_200(http: httpx.Client, script: str, status: int, code: str) -> None:
    for path, document in (("/v1/chat/completions", body(script)), ("/v1/responses", {"input": script})):
        response = http.post(path, json=document)
        assert response.status_code == status
        assert response.json()["error"].keys() == {"message", "type", "param", "code"}
        assert response.json()["error"]["code"] == code
        assert response.headers["x-should-retry"] == ("true" if status == 503 else "false")


@pytest.mark.parametrize("script", ["refused", "nothing"])
def test_b13_an_error_before_the_first_byte_has_its_status_also_for_a_stream(http: httpx.Client, script: str) -> None:
    for path, document in (("/v1/chat/completions", body(script)), ("/v1/responses", {"input": script})):
        assert http.post(path, json={**document, "stream": True}).status_code == {"refused": 400, "nothing": 503}[script]


@pytest.mark.parametrize("script", ["fails", "cancelled", "cut off", "damaged"])
def test_an_error_in_a_stream_is_a_chunk_and_the_stream_still_ends(http: httpx.Client, client: OpenAI, script: str) -> None:
    documents = chunks(http, script)
    assert documents[-1] == "[DONE]" and documents[-2]["error"]["message"]
    assert content(documents).endswith("</think>\n\n") and "Traceback" not in str(documents)
    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(model="deepsearch", messages=[{"role": "user", "content": script}], stream=True))


@pytest.mark.parametrize(
    ("raw", "status", "param"),
    [
        (b'{"messages": [', 400, None),
        (b"[1]", 400, None),
        (b"", 400, None),
        (b'{"messages": [{"role": "user", "content": 3}]}', 400, "messages[0].content"),
        (b'{"messages": [{"role": "user", "content": ["x"]}]}', 400, "messages[0].content"),
        (b'{"messages": [{"role": "user", "content": "x"}], "language_code": "cs"}', 400, "language_code"),
        (b'{"messages": [{"role": "user", "content": "x"}], "budget_seconds": NaN}', 400, "budget_seconds"),
        (b'{"messages": [{"role": "user", "content": "x"}], "boost_hostnames": "x"}', 400, "boost_hostnames"),
        (b'{"messages": [{"role": "user", "content": "x"}], "max_completion_tokens": 0}', 400, "max_completion_tokens"),
        (b'{"messages": [{"role": "user", "content": "\\ud800"}]}', 400, "messages[0].content"),
        (b"[" * 100_000, 400, None),
    ],
)  # fmt: skip
def test_b13_bad_requests_are_refused_in_openais_form(http: httpx.Client, raw: bytes, status: int, param: str | None) -> None:
    response = http.post("/v1/chat/completions", content=raw, headers={"content-type": "application/json"})
    assert response.status_code == status, response.text[:300]
    assert response.headers["content-type"] == "application/json"
    error = response.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert (error["param"] or "").startswith(param or "") and bool(error["param"]) is bool(param)
    assert error["type"] == "invalid_request_error" and error["message"] and "Traceback" not in response.text


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "text", "role", "content", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
fields = st.sampled_from([*ChatRequest.model_fields, *ResponseRequest.model_fields])


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(fields, values, max_size=4), st.booleans(), st.sampled_from(["/v1/chat/completions", "/v1/responses"]))
def test_b13_whatever_is_sent_is_answered_or_refused(http: httpx.Client, document: dict[str, Any], asks: bool, path: str) -> None:
    question = {**body("tokens"), "input": "tokens"} if asks else {}
    response = http.post(path, json={**question, **document})
    assert response.status_code in (200, 400, 404), response.text
    if response.status_code != 200:
        assert response.json()["error"].keys() == {"message", "type", "param", "code"}


def test_b18_an_unknown_language_is_a_400_that_names_it(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(
            model="deepsearch", messages=[{"role": "user", "content": "tokens"}], extra_body={"language_code": "cs"}
        )
    assert "'cs' is not one of" in raised.value.message and raised.value.param == "language_code"


# -- the Responses API -------------------------------------------------------------------------------------------------


def test_a_whole_response(http: httpx.Client) -> None:
    document = http.post("/v1/responses", json={"input": "tokens"}).json()
    response = Response.model_validate(document)
    assert response.status == "completed" and response.output_text == f"{TEXT}\n\n{NOTES}"
    assert [item.type for item in response.output] == ["reasoning"] + ["web_search_call"] * 4 + ["reasoning"] * 4 + ["message"]
    assert [item["action"] for item in document["output"][3:5]] == [
        {"type": "search", "query": "rain", "queries": ["rain"]},
        {"type": "open_page", "url": "https://a.org/x"},
    ]
    assert response.usage is not None and response.usage.total_tokens == 120 and response.usage.input_tokens_details.cached_tokens == 60
    cited = document["output"][-1]["content"][0]["annotations"]
    assert [response.output_text[one["start_index"] : one["end_index"]] for one in cited] == ["[^1]", "[^2]", "[^1]"]
    assert {one["type"] for one in cited} == {"url_citation"} and document["visitedURLs"]


def test_a_streamed_response_is_the_whole_one(http: httpx.Client) -> None:
    events = stream(http, "/v1/responses", {"input": "tokens"})
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    kinds = [event["type"] for event in events]
    assert kinds[:3] == ["response.created", "response.in_progress", "response.output_item.added"]
    assert kinds[-4:] == [
        "response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed",
    ]  # fmt: skip
    assert kinds.count("response.output_text.delta") == len(TEXT) + 1
    assert kinds.count("response.output_item.added") == kinds.count("response.output_item.done") == 10
    whole = http.post("/v1/responses", json={"input": "tokens"}).json()

    def comparable(response: dict[str, Any]) -> dict[str, Any]:
        times = {"id", "created_at", "completed_at"}
        items = [{name: value for name, value in item.items() if name != "id"} for item in response["output"]]
        return {name: value for name, value in response.items() if name not in times} | {"output": items}

    assert comparable(events[-1]["response"]) == comparable(whole)


def test_streamed_responses_of_the_python_client(client: OpenAI) -> None:
    with client.responses.stream(model="deepsearch", input="tokens") as events:
        text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        final = events.get_final_response()
    assert final.output_text == text == f"{TEXT}\n\n{NOTES}"


@pytest.mark.parametrize("script", ["fails", "cut off", "damaged"])
def test_a_failed_response(http: httpx.Client, client: OpenAI, script: str) -> None:
    last = stream(http, "/v1/responses", {"input": script})[-1]
    assert last["type"] == "response.failed" and last["response"]["status"] == "failed" and last["response"]["error"]["message"]
    events = list(client.responses.create(model="deepsearch", input=script, stream=True))
    assert events[-1].type == "response.failed"


def test_b13_bad_responses_requests(http: httpx.Client) -> None:
    for document, param in (({}, "input"), ({"input": 3}, "input"), ({"input": "x", "reasoning": {"effort": "huge"}}, "reasoning.effort")):
        response = http.post("/v1/responses", json=document)
        assert response.status_code == 400 and response.json()["error"]["param"] == param


def test_the_routes_are_described(http: httpx.Client) -> None:
    paths = http.get("/openapi.json").json()["paths"]
    assert {"/v1/chat/completions", "/v1/responses", "/v1/models", "/v1/models/{name}"} <= paths.keys()
    assert paths["/v1/chat/completions"]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/ChatRequest")
