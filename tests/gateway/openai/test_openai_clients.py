"""Unmodified clients against the real Flow, with a scripted model, search and reader."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from tests.gateway.flow_process import flow_of, scripted_settings
from tests.scripted.five_steps import add_session, reply
from tests.scripted.llm import schema_name
from tests.scripted.replies import Delay, Json, Reply, Status, Text
from tests.scripted.server import ScriptedServer

pytestmark = pytest.mark.flow

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
QUESTION = "How do I scale the page readers?"
ANSWER = "Page readers scale by their number of replicas [^1]."
NOTE = '[^1]: "Page readers scale by their number of replicas." — [Scaling page readers, part '


@dataclass
class Served:
    """A Flow that is ready, and the upstreams it talks to."""

    url: str
    upstream: ScriptedServer


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("home")
    with ScriptedServer() as upstream:
        add_session(upstream)
        settings = scripted_settings(upstream, home)
        with flow_of(settings, home / "log"):
            yield Served(f"http://127.0.0.1:{settings['DEEPSEARCH_HTTP_PORT']}", upstream)


@pytest.fixture
def client(served: Served) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{served.url}/v1", api_key="any", max_retries=0) as client:
        yield client


def check_content(content: str | None) -> None:
    assert content is not None
    text, _, notes = content.partition("\n\n")
    assert text == ANSWER and notes.startswith(NOTE) and notes.endswith(".org/readers)")


def check_stream(content: str, queries: list[str]) -> None:
    thinking, _, answer = content.partition("</think>\n\n")
    assert thinking.startswith("<think>Step 1.\n\nStep 2.\n\n") and thinking.count("Step 3.") == 1
    assert queries == ["scale page readers", "readers guide for operators", "reader replicas and ports"]
    check_content(answer)


asked: dict[str, Any] = {"model": "deepsearch", "messages": [{"role": "user", "content": QUESTION}]}
research: dict[str, Any] = {"no_direct_answer": True}


def test_chat_of_the_python_client(client: OpenAI) -> None:
    completion = client.chat.completions.create(**asked, extra_body=research)
    message = completion.choices[0].message
    check_content(message.content)
    assert message.annotations is not None and completion.usage is not None
    place = message.annotations[0].url_citation
    assert message.content is not None and message.content[place.start_index : place.end_index] == "[^1]"
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens > 10_000
    assert completion.model_extra is not None and len(completion.model_extra["readURLs"]) == 2
    assert completion.model_extra["visitedURLs"] == completion.model_extra["readURLs"]


def test_streamed_chat_of_the_python_client(client: OpenAI) -> None:
    content, queries, urls, finished = "", [], [], []
    for chunk in client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}, extra_body=research):
        usage = chunk.usage
        for choice in chunk.choices:
            content += choice.delta.content or ""
            extra = choice.delta.model_extra or {}
            queries += [extra["query"]] if "query" in extra else []
            urls += [extra["url"]] if "url" in extra else []
            finished += [choice.finish_reason] if choice.finish_reason else []
    check_stream(content, queries)
    assert finished == ["stop"] and usage is not None and usage.total_tokens > 10_000
    assert len(urls) == len(set(urls)) == 2 and all(url.startswith("https://host") for url in urls)


def test_the_answer_is_streamed_as_the_model_writes_it(client: OpenAI, served: Served) -> None:
    pieces = ("Page readers scale ", "by their number ", "of replicas [e", "1]. So it ", "is said.")

    rejections = 0

    def scripted(request: Any) -> Reply:
        """The session's answer is rejected until no criterion is left, so that the model composes one at the end."""
        nonlocal rejections
        name = schema_name(request)
        if name == "DecisionOutput" and rejections:
            return Json({"think": "Again.", "action": "answer", "answer": "It is so [e1]."})
        told = reply(request)
        if isinstance(told, Json) and "passed" in told.value:
            rejections += 1
            return Json({**told.value, "passed": False})
        return Text(pieces=pieces) if name == "" else told

    served.upstream.llm.script(scripted)
    try:
        chunks = list(client.chat.completions.create(**asked, stream=True, extra_body={**research, "max_attempts": 1}))
    finally:
        served.upstream.llm.script(reply)
    written = [choice.delta for chunk in chunks for choice in chunk.choices if (choice.delta.model_extra or {}).get("type") == "text"]
    assert len(written) >= 4 and "".join(delta.content or "" for delta in written).startswith(ANSWER[:-1])
    assert chunks[-1].model_extra is not None and chunks[-1].model_extra["stop_reason"] == "attempts"


def test_the_python_clients_stream_helper(client: OpenAI) -> None:
    with client.chat.completions.stream(**asked, extra_body=research) as events:
        for _ in events:
            pass
        final = events.get_final_completion()
    check_stream(final.choices[0].message.content or "", ["scale page readers", "readers guide for operators", "reader replicas and ports"])


async def test_eight_at_once(served: Served) -> None:
    async with AsyncOpenAI(base_url=f"{served.url}/v1", api_key="any", max_retries=0) as client:
        completions = await asyncio.gather(*(client.chat.completions.create(**asked, extra_body=research) for _ in range(8)))
    for completion in completions:
        check_content(completion.choices[0].message.content)
    assert len({completion.id for completion in completions}) == 8


@pytest.mark.parametrize(
    ("wish", "field"),
    [({"team_size": 9}, "team_size"), ({"words": 500}, "words"), ({"plan_first": True}, "plan_first"), ({"mode": "poem"}, "mode")],
)
def test_wrong_wishes_are_refused_by_every_door(served: Served, wish: dict[str, Any], field: str) -> None:
    with httpx.Client(base_url=served.url, timeout=30) as http:
        for path, body, statuses in (
            ("/v1/chat/completions", {"messages": asked["messages"], **wish}, {400}),
            ("/v1/responses", {"input": QUESTION, **wish}, {400}),
            ("/v1/research", {"question": QUESTION, **wish}, {400, 422}),
            ("/research", {"data": [{"question": QUESTION, **wish}]}, {400}),
        ):
            response = http.post(path, json=body)
            assert response.status_code in statuses, (path, response.text)
            error = response.json()["error"]
            assert error.get("param", error.get("field")) == field, (path, response.text)


def test_responses_of_the_python_client(client: OpenAI) -> None:
    response = client.responses.create(model="deepsearch", input=QUESTION, instructions="Be brief.", extra_body=research)
    check_content(response.output_text)
    assert [item.type for item in response.output if item.type != "reasoning"] == ["web_search_call"] * 5 + ["message"]
    with client.responses.stream(model="deepsearch", input=QUESTION, extra_body=research) as events:
        kinds = [event.type for event in events]
        check_content(events.get_final_response().output_text)
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed"
    follow_up: Any = [{"role": "user", "content": QUESTION}, *response.output, {"role": "user", "content": QUESTION}]
    check_content(client.responses.create(model="deepsearch", input=follow_up, extra_body=research).output_text)


def test_b11_json_of_the_real_stages(client: OpenAI, served: Served) -> None:
    class Way(BaseModel):
        by: str

    def scripted(request: Any) -> Reply:
        told = reply(request)
        return Json({"by": "replicas"}) if isinstance(told, Status) else told  # the session does not know this schema

    served.upstream.llm.script(scripted)
    try:
        completion = client.chat.completions.parse(**asked, response_format=Way, extra_body=research)
        response = client.responses.parse(model="deepsearch", input=QUESTION, text_format=Way, extra_body=research)
    finally:
        served.upstream.llm.script(reply)
    assert completion.choices[0].message.parsed == Way(by="replicas") == response.output_parsed


def test_a_file_is_read_and_cited(client: OpenAI) -> None:
    text = base64.b64encode(b"Page readers scale by their number of replicas, says the note.").decode()
    file = {"type": "file", "file": {"filename": "note.txt", "file_data": f"data:text/plain;base64,{text}"}}
    turn: Any = {"role": "user", "content": [{"type": "text", "text": QUESTION}, file]}
    completion = client.chat.completions.create(model="deepsearch", messages=[turn], extra_body=research)
    annotations = completion.choices[0].message.annotations
    assert annotations is not None and annotations[0].url_citation.url == "attachment:1/note.txt"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("path", "question"), [("/v1/chat/completions", {"messages": asked["messages"]}), ("/v1/responses", {"input": QUESTION})]
)
async def test_a_client_that_leaves_stops_the_run(served: Served, path: str, question: dict[str, Any], stream: bool) -> None:
    upstream = served.upstream
    upstream.llm.script(lambda request: Delay(3600, reply(request)))
    try:
        lost, before = upstream.streams_lost, len(upstream.requests)
        async with httpx.AsyncClient(base_url=served.url, timeout=30) as client:
            waiting = asyncio.create_task(client.post(path, json={**question, **research, "stream": stream}))
            assert await asyncio.to_thread(upstream.wait_for_requests, before + 1)
            assert upstream.streams_lost == lost
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            assert await asyncio.to_thread(upstream.wait_for_lost_streams, lost + 1, 30.0), "the model's call was not cut"
            async with asyncio.timeout(30):
                while (await client.get("/v1/research", params={"limit": 1})).json()["runs"][0]["state"] == "running":
                    pass  # each turn is a call to the controller, which has just been told that the client has gone
        assert len(upstream.requests) == before + 1
    finally:
        upstream.llm.script(reply)


def told_by(command: list[str], served: Served, folder: Path) -> Any:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "BASE_URL": f"{served.url}/v1", "QUESTION": QUESTION}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def install(command: list[str], folder: Path) -> None:
    """Run an installer, or skip the test with its last word when it cannot reach its index."""
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=False)
    if result.returncode != 0:
        pytest.skip(f"{command[0]} cannot install: {(result.stderr.strip().splitlines() or ['no reason given'])[-1]}")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_node_client(served: Served, tmp_path: Path) -> None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are not installed")
    shutil.copy(HERE / "node_client.mjs", tmp_path)
    install([npm, "install", "--no-audit", "--no-fund", "--prefix", str(tmp_path), "openai"], tmp_path)
    told = told_by([node, "node_client.mjs"], served, tmp_path)
    assert "deepsearch" in told["models"]
    check_content(told["content"])
    assert told["cited"] == ["[^1]"]
    check_stream(told["streamed"], told["queries"])
    assert told["usage"]["total_tokens"] > 10_000 and told["streamedUsage"]["total_tokens"] > 10_000 and told["chunks"] > 10
    check_content(told["helper"].partition("</think>\n\n")[2])
    check_content(told["output"])
    check_content(told["final"])
    assert told["events"][0] == "response.created" and told["events"][-1] == "response.completed"
    assert told["error"] == {"name": "NotFoundError", "status": 404, "code": "model_not_found", "param": "model"}


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_langchain(served: Served, tmp_path: Path) -> None:
    install([sys.executable, "-m", "venv", str(tmp_path / "venv")], tmp_path)
    python = str(tmp_path / "venv" / "bin" / "python")
    install([python, "-m", "pip", "install", "--quiet", "langchain-openai"], tmp_path)
    told = told_by([python, str(HERE / "langchain_client.py")], served, tmp_path)
    check_content(told["content"])
    check_content(told["streamed"].partition("</think>\n\n")[2])
    for usage in (told["usage"], told["streamed_usage"]):
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 10_000
    assert told["streamed_usage"]["total_tokens"] < 2 * told["usage"]["total_tokens"]
    assert told["finish_reason"] == "stop" and told["chunks"] > 10 and "NotFound" in told["error"]
    check_content(told["output"])
    check_content(told["output_streamed"])
    assert len(told["cited"]) == 1
