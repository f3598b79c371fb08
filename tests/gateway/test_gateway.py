"""The gateway in front of a real Flow of three stages, one of them with two replicas."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import flow_process
import grpc
import httpx
import pytest
from docarray import BaseDoc, DocList
from jina import Client
from jina.excepts import BadServerFlow
from jina.proto.jina_pb2 import DataRequestProto, SingleDocumentRequestProto

from schemas.answering import FinalizeChunk, FinalizeRequest
from schemas.reading import ReadRequest, ReadResponse
from schemas.research import ResearchAnswer, ResearchRequest

pytestmark = pytest.mark.flow


class Running(NamedTuple):
    """The Flow under test."""

    grpc: int
    http: str
    readers: list[int]
    log: Path
    session: int


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("flow")
    log = home / "echo.log"
    ports = flow_process.free_port_settings()
    process = flow_process.start(
        flow_process.SERVE, str(flow_process.HERE / "echo_flow.yml"), home=home, ECHO_LOG=str(log), DRAIN_SECONDS="5", **ports
    )
    try:
        assert process.stdout is not None
        ready = process.stdout.readline()
        assert ready, process.communicate()[1]
        grpc_port, http_port = ports["DEEPSEARCH_GRPC_PORT"], ports["DEEPSEARCH_HTTP_PORT"]
        assert ready == f"DeepSearch is ready: gRPC on 127.0.0.1:{grpc_port}, HTTP on http://127.0.0.1:{http_port}\n"
        readers = [int(port) for port in ports["DEEPSEARCH_PAGE_READER_PORTS"].split(",")]
        yield Running(int(grpc_port), f"http://127.0.0.1:{http_port}", readers, log, process.pid)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == 0
        assert flow_process.processes_of(process.pid) == []
    finally:
        for number in flow_process.processes_of(process.pid):
            os.kill(number, signal.SIGKILL)
        process.wait()


def client(flow: Running, protocol: str, **options: Any) -> Client:
    port = flow.grpc if protocol == "grpc" else int(flow.http.rpartition(":")[2])
    return Client(host="127.0.0.1", port=port, protocol=protocol, log_config="quiet", **options)


def post(flow: Running, protocol: str, endpoint: str, document: BaseDoc, returns: type[BaseDoc], **options: Any) -> Any:
    return client(flow, protocol).post(endpoint, document, return_type=DocList[returns], **options)[0]  # type: ignore[valid-type]


async def streamed(flow: Running, protocol: str, endpoint: str, document: BaseDoc, returns: type[BaseDoc]) -> list[Any]:
    pieces = client(flow, protocol, asyncio=True).stream_doc(endpoint, document, return_type=returns)
    return [piece async for piece in pieces]


def error(response: httpx.Response) -> tuple[int, dict[str, Any]]:
    return response.status_code, response.json()["error"]


async def noted(log: Path, line: str) -> None:
    """Wait until a stage has noted `line`."""
    for _ in range(3_000):
        if log.exists() and line in log.read_text().splitlines():
            return
        await asyncio.sleep(0.01)  # another process writes the file
    raise AssertionError(f"{line!r} was not noted")


def test_the_stock_gateway_cannot_serve_stages_with_different_endpoints(tmp_path: Path) -> None:
    """Why `EndpointStreamer` exists. When this fails, jina can do it by itself."""
    code = f"from jina import Flow\nwith Flow.load_config({str(flow_process.HERE / 'stock_flow.yml')!r}): print('READY')"
    process = flow_process.start(code, home=tmp_path, JINA_OPTOUT_TELEMETRY="1")
    try:
        out, err = process.communicate(timeout=60)
    finally:
        for number in flow_process.processes_of(process.pid):
            os.kill(number, signal.SIGKILL)
    assert process.returncode != 0
    assert "READY" not in out
    assert err.strip().endswith("RuntimeFailToStart")
    assert "answer_finalizer does not expose" in " ".join(out.split())


@pytest.mark.parametrize("protocol", ["grpc", "http", "websocket"])
def test_a_unary_call_reaches_the_first_stage(flow: Running, protocol: str) -> None:
    answer = post(flow, protocol, "/research", ResearchRequest(question="why"), ResearchAnswer)
    assert (answer.question, answer.text) == ("why", "WHY")


@pytest.mark.parametrize("protocol", ["grpc", "http", "websocket"])
def test_unary_calls_are_shared_by_the_replicas(flow: Running, protocol: str) -> None:
    titles = [post(flow, protocol, "/read", ReadRequest(url="u"), ReadResponse).page.title for _ in range(6)]
    assert sorted(titles.count(title) for title in set(titles)) == [3, 3]


def test_a_call_without_jinas_stream_is_the_same(flow: Running) -> None:
    assert post(flow, "grpc", "/read", ReadRequest(url="u"), ReadResponse, stream=False).page.text == "x" * 2000


def test_many_requests_on_one_call_keep_their_order(flow: Running) -> None:
    questions = DocList[ResearchRequest]([ResearchRequest(question=f"q{n}") for n in range(20)])
    answers = client(flow, "grpc").post(
        "/research", questions, return_type=DocList[ResearchAnswer], request_size=3, results_in_order=True, prefetch=2
    )
    assert [answer.text for answer in answers] == [f"Q{n}" for n in range(20)]


def test_many_requests_over_one_websocket(flow: Running) -> None:
    questions = DocList[ResearchRequest]([ResearchRequest(question=f"q{n}") for n in range(20)])
    answers = client(flow, "websocket").post(
        "/research", questions, return_type=DocList[ResearchAnswer], request_size=3, results_in_order=True
    )
    assert [answer.text for answer in answers] == [f"Q{n}" for n in range(20)]


@pytest.mark.parametrize(
    ("endpoint", "message"), [("/research", "The question is empty; send one."), ("/nowhere", "No stage has the endpoint /nowhere")]
)
def test_a_failure_over_websocket_is_one_line(flow: Running, endpoint: str, message: str) -> None:
    with pytest.raises(ConnectionError, match=message):
        post(flow, "websocket", endpoint, ResearchRequest(), ResearchAnswer)


@pytest.mark.parametrize("protocol", ["grpc", "http"])
async def test_a_stream_comes_from_the_first_stage(flow: Running, protocol: str) -> None:
    answers = await streamed(flow, protocol, "/research/stream", ResearchRequest(question="why"), ResearchAnswer)
    assert [answer.steps for answer in answers] == [0, 1, 2]


@pytest.mark.parametrize("protocol", ["grpc", "http"])
async def test_a_stream_comes_from_the_last_stage(flow: Running, protocol: str) -> None:
    chunks = await streamed(flow, protocol, "/finalize", FinalizeRequest(draft="one two"), FinalizeChunk)
    assert [(chunk.delta, chunk.done) for chunk in chunks] == [("one", False), ("two", False), ("", True)]


def test_a_stream_over_http_takes_its_question_from_the_address_too(flow: Running) -> None:
    response = httpx.get(f"{flow.http}/finalize", params={"draft": "event: x"})
    assert response.headers["content-type"].startswith("text/event-stream")
    events = [event.split("\r\n") for event in response.text.split("\r\n\r\n") if event]
    assert [event[0] for event in events] == ["event: update", "event: update", "event: update", "event: end"]
    assert json.loads(events[2][1].removeprefix("data: "))["text"] == "event: x"


def test_the_stock_routes_are_there(flow: Running) -> None:
    paths = httpx.get(f"{flow.http}/openapi.json").json()["paths"]
    assert {"/research", "/research/stream", "/read", "/dedupe", "/finalize", "/health/live", "/health/ready"} <= paths.keys()
    assert list(paths["/finalize"]) == ["get"]
    assert httpx.get(f"{flow.http}/docs").status_code == 200
    assert httpx.get(f"{flow.http}/status").status_code == 200


@pytest.mark.parametrize(
    ("question", "status", "cause"),
    [
        ("", 400, {"code": "invalid_request", "message": "The question is empty; send one.", "field": "question"}),
        ("gone", 404, {"code": "run_not_found", "message": "no run 'r1': GET /v1/research lists them", "field": "run_id"}),
        ("broke", 429, {"code": "budget_exceeded", "message": "100 tokens are left, the call needs 200.", "field": None}),
        ("defect", 500, {"code": "internal", "message": "KeyError('defect')", "field": None}),
    ],
)
def test_an_error_of_a_stage_has_its_http_status(flow: Running, question: str, status: int, cause: dict[str, Any]) -> None:
    response = httpx.post(f"{flow.http}/research", json={"data": {"question": question}})
    assert error(response) == (status, cause)


@pytest.mark.parametrize(
    ("question", "raised", "message"),
    [
        ("", BadServerFlow, "gRPC error: StatusCode.INVALID_ARGUMENT The question is empty; send one.\n"),
        ("gone", ConnectionError, "gRPC error: StatusCode.NOT_FOUND no run 'r1': /runs lists them\n"),
        ("broke", BadServerFlow, "gRPC error: StatusCode.RESOURCE_EXHAUSTED 100 tokens are left, the call needs 200.\n"),
        ("defect", grpc.aio.AioRpcError, "status = StatusCode.INTERNAL\n\tdetails = \"KeyError('defect')\""),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_an_error_of_a_stage_has_its_grpc_status_and_no_stack_trace(
    flow: Running, question: str, raised: type[Exception], message: str, stream: bool
) -> None:
    with pytest.raises(raised) as caught:
        post(flow, "grpc", "/research", ResearchRequest(question=question), ResearchAnswer, stream=stream)
    assert message in str(caught.value)
    assert "Traceback" not in str(caught.value)


async def test_a_plain_grpc_client_sees_the_status_and_the_line(flow: Running) -> None:
    request = DataRequestProto()
    request.header.exec_endpoint = "/research"
    request.data.docs.docs.append(ResearchRequest().to_protobuf())
    async with grpc.aio.insecure_channel(f"127.0.0.1:{flow.grpc}") as channel:
        call = channel.unary_unary("/jina.JinaSingleDataRequestRPC/process_single_data", DataRequestProto.SerializeToString)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(request)
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.INVALID_ARGUMENT, "The question is empty; send one.")


def test_an_unknown_endpoint_is_named(flow: Running) -> None:
    assert error(httpx.post(f"{flow.http}/nope", json={})) == (
        404,
        {"code": "not_found", "message": "There is no POST /nope; /docs lists what there is.", "field": None},
    )
    assert error(httpx.post(f"{flow.http}/finalize", json={}))[0] == 405
    with pytest.raises(BadServerFlow, match="INVALID_ARGUMENT No stage has the endpoint /nope; there are /dedupe, /finalize, /read"):
        post(flow, "grpc", "/nope", ResearchRequest(), ResearchAnswer)


def test_a_stream_that_is_posted_to_says_so(flow: Running) -> None:
    with pytest.raises(BadServerFlow, match="/finalize answers with a stream: call it with stream_doc, not with post"):
        post(flow, "grpc", "/finalize", FinalizeRequest(), FinalizeChunk)


async def test_what_does_not_stream_says_so(flow: Running) -> None:
    with pytest.raises(BadServerFlow, match="/read answers once: call it with post, not with stream_doc"):
        await streamed(flow, "grpc", "/read", ReadRequest(), ReadResponse)
    with pytest.raises(BadServerFlow, match="No stage has the endpoint /nope"):
        await streamed(flow, "grpc", "/nope", ReadRequest(), ReadResponse)


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"question": "q", "max_references": "many"}, "max_references"),
        ([{"question": "q", "messages": [{"role": "user", "content": 5}]}], "messages.0.content"),
        (None, "data"),
    ],
)
def test_a_request_that_does_not_validate_names_the_field(flow: Running, data: Any, field: str) -> None:
    response = httpx.post(f"{flow.http}/research", json={"data": data} if data else {})
    status, cause = error(response)
    assert (status, cause["code"], cause["field"]) == (422, "invalid_request", field)
    assert cause["message"].startswith(f"{field}: ")
    assert response.json()["detail"]


def test_a_choice_that_does_not_exist_is_found_by_the_stage(flow: Running) -> None:
    """jina's gateway rebuilds the documents from their JSON schema and loses the choices."""
    response = httpx.post(f"{flow.http}/research", json={"data": {"messages": [{"role": "nobody"}]}})
    message = "messages.0.role: Input should be 'system', 'user' or 'assistant'"
    assert error(response) == (400, {"code": "invalid_request", "message": message, "field": "messages.0.role"})


def test_a_stream_request_that_does_not_validate_names_the_field(flow: Running) -> None:
    assert error(httpx.get(f"{flow.http}/finalize", params={"max_references": "many"}))[1]["field"] == "max_references"
    response = httpx.request("GET", f"{flow.http}/finalize", json={"max_references": "many"})
    assert (error(response)[0], error(response)[1]["field"]) == (422, "max_references")


def test_a_grpc_request_that_does_not_validate_names_the_field(flow: Running) -> None:
    class Careless(BaseDoc):
        max_references: str = "many"

    with pytest.raises(BadServerFlow, match="INVALID_ARGUMENT max_references: Input should be a valid integer"):
        post(flow, "grpc", "/research", Careless(), ResearchAnswer)


async def test_a_grpc_client_that_leaves_cancels_the_stream(flow: Running) -> None:
    request = SingleDocumentRequestProto()
    request.header.exec_endpoint = "/finalize"
    request.document.CopyFrom(FinalizeRequest(question="grpc leaves", draft="a b c", max_references=30_000).to_protobuf())
    async with grpc.aio.insecure_channel(f"127.0.0.1:{flow.grpc}") as channel:
        call = channel.unary_stream("/jina.JinaSingleDocumentRequestRPC/stream_doc", SingleDocumentRequestProto.SerializeToString)(request)
        await call.read()
        call.cancel()
        await noted(flow.log, "cancelled grpc leaves")


async def test_an_http_client_that_leaves_cancels_the_stream(flow: Running) -> None:
    request = {"question": "http leaves", "draft": "a b c", "max_references": 30_000}
    async with httpx.AsyncClient() as http, http.stream("GET", f"{flow.http}/finalize", json=request) as response:
        await anext(response.aiter_lines())
    await noted(flow.log, "cancelled http leaves")


def test_health(flow: Running) -> None:
    assert httpx.get(f"{flow.http}/health/live").json() == {"status": "live"}
    ready = httpx.get(f"{flow.http}/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert ready.json()["stages"]["page_reader"] == {f"127.0.0.1:{port}": True for port in flow.readers}
    assert client(flow, "grpc").is_flow_ready()


@pytest.fixture(scope="module")
def lame(flow: Running) -> Running:
    """The Flow without its readers. The tests that use it come last."""
    for port in flow.readers:
        number = flow_process.listener(port)
        assert number in flow_process.processes_of(flow.session)
        os.kill(number, signal.SIGKILL)
    return flow


def test_a_dead_stage_is_unavailable_and_named(lame: Running) -> None:
    status, cause = error(httpx.post(f"{lame.http}/read", json={"data": {"url": "u"}}))
    assert (status, cause["code"]) == (503, "stage_unavailable")
    assert cause["message"] in {f"The stage page_reader cannot be reached at 127.0.0.1:{port}; is it running?" for port in lame.readers}
    with pytest.raises(ConnectionError, match=r"StatusCode\.UNAVAILABLE The stage page_reader cannot be reached"):
        post(lame, "grpc", "/read", ReadRequest(url="u"), ReadResponse)


def test_a_dead_stage_makes_the_flow_unready_but_leaves_it_alive(lame: Running) -> None:
    status, cause = error(httpx.get(f"{lame.http}/health/ready"))
    addresses = ", ".join(f"127.0.0.1:{port}" for port in lame.readers)
    assert (status, cause["message"]) == (503, f"Not answering: page_reader at {addresses}.")
    assert httpx.get(f"{lame.http}/health/live").status_code == 200
    assert not client(lame, "grpc").is_flow_ready()
    assert post(lame, "grpc", "/research", ResearchRequest(question="why"), ResearchAnswer).text == "WHY"


def test_the_flow_files_name_the_stages_in_the_order_of_the_chain() -> None:
    """A client's call passes the chain in this order, and jina's own streams begin at its first stage."""
    text = (flow_process.ROOT / "flow.yml").read_text()
    names = [line.split(":")[1].strip() for line in text.splitlines() if line.startswith("  - name:")]
    assert names == ["controller", "query_planner", "jina_searcher", "url_ranker", "page_reader", "evaluator", "answer_finalizer"]
    assert "retries: 0" in text
