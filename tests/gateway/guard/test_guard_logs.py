"""Neither a key nor a word of a question ever reaches a log or a metric."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from jina.proto.jina_pb2 import DataRequestProto, SingleDocumentRequestProto
from starlette.testclient import TestClient

from gateway.guard.failures import Failures
from schemas.research import ResearchRequest
from tests.gateway.guard.guarded_flow import serving

KEY, WRONG, QUESTION = "sk-canary-key", "sk-canary-wrong", "canary question"
HEADERS = {"Authorization": f"Bearer {KEY}"}


def test_a_failure_of_ours_is_logged_without_its_message(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError(QUESTION)

    with caplog.at_level(logging.DEBUG):
        answer = TestClient(Failures(broken)).get(f"/v1/chat/completions?{QUESTION}")
    assert (answer.status_code, answer.json()["error"]["type"]) == (500, "server_error")
    assert "ValueError at" in caplog.text and "test_guard_logs.py" in caplog.text
    assert QUESTION not in "".join(record.getMessage() for record in caplog.records if record.name.startswith("gateway"))


def test_what_is_cut_off_when_the_gateway_stops_has_a_status(caplog: pytest.LogCaptureFixture) -> None:
    async def cut_off(scope: Any, receive: Any, send: Any) -> None:
        raise asyncio.CancelledError("the server's time to stop is over")

    answer = TestClient(Failures(cut_off)).get("/v1/chat/completions")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "stage_unavailable")
    assert "Traceback" not in caplog.text


@pytest.mark.flow
@pytest.mark.parametrize("level", ["WARNING", "DEBUG"])
def test_no_key_and_no_question_is_logged(tmp_path: Path, level: str) -> None:
    with serving(tmp_path, DEEPSEARCH_API_KEYS=KEY, JINA_LOG_LEVEL=level, DEEPSEARCH_MAX_BODY_BYTES="5000") as flow:
        body = {"data": {"question": QUESTION}}
        for question in (QUESTION, f"fail {QUESTION}"):
            httpx.post(f"{flow.http}/research", json={"data": {"question": question}}, headers=HEADERS)
            httpx.get(f"{flow.http}/research/stream", params={"question": question}, headers=HEADERS)
            chat = {"messages": [{"role": "user", "content": question}]}
            httpx.post(f"{flow.http}/v1/chat/completions", json=chat, headers=HEADERS)
            httpx.post(f"{flow.http}/v1/chat/completions", json={**chat, "stream": True}, headers=HEADERS)
            httpx.post(f"{flow.http}/v1/responses", json={"input": question}, headers=HEADERS)
            httpx.post(f"{flow.http}/v1/research", json={"question": question, "run_id": "r"}, headers=HEADERS)
        assert httpx.post(f"{flow.http}/research", json=body, headers={"Authorization": f"Bearer {WRONG}"}).status_code == 401
        assert httpx.post(f"{flow.http}/research", json=body, headers={"x-api-key": WRONG}).status_code == 401
        assert httpx.post(f"{flow.http}/research", json={"data": {"question": [QUESTION]}}, headers=HEADERS).status_code == 422
        assert httpx.post(f"{flow.http}/research", content=f"{QUESTION} {{".encode(), headers=HEADERS).status_code == 422
        assert httpx.post(f"{flow.http}/research", json={"data": {"question": QUESTION * 1000}}, headers=HEADERS).status_code == 413
        assert httpx.get(f"{flow.http}/{QUESTION}", headers=HEADERS).status_code == 404
        with httpx.stream("GET", f"{flow.http}/research/stream?question=hold x {QUESTION}", headers=HEADERS) as stream:
            next(stream.iter_lines())
        with grpc.insecure_channel(f"127.0.0.1:{flow.grpc}") as channel:
            for question in (QUESTION, f"fail {QUESTION}"):
                for key in (KEY, WRONG):
                    document = ResearchRequest(question=question, run_id="g").to_protobuf()
                    unary, single = DataRequestProto(), SingleDocumentRequestProto()
                    unary.header.exec_endpoint, single.header.exec_endpoint = "/research", "/research/stream"
                    unary.data.docs.docs.append(document)
                    single.document.CopyFrom(document)
                    metadata = (("authorization", f"Bearer {key}"),)
                    for call in (
                        lambda u=unary, m=metadata: channel.unary_unary(
                            "/jina.JinaSingleDataRequestRPC/process_single_data", DataRequestProto.SerializeToString
                        )(u, metadata=m),
                        lambda s=single, m=metadata: list(
                            channel.unary_stream(
                                "/jina.JinaSingleDocumentRequestRPC/stream_doc", SingleDocumentRequestProto.SerializeToString
                            )(s, metadata=m)
                        ),
                    ):
                        try:
                            call()
                        except grpc.RpcError as error:
                            assert key == WRONG or "fails" in str(error.details())
        metrics = httpx.get(f"{flow.http}/metrics", headers=HEADERS).text
        out, err = flow.stop()
        written = "".join(file.read_text("utf-8", "replace") for file in tmp_path.rglob("*") if file.is_file())
        for told in (out, err, metrics, written):
            assert "canary" not in told, told


@pytest.mark.flow
def test_the_labels_of_metrics_are_few_and_none_is_the_clients_choice(start: Any) -> None:
    flow = start(CASE="metrics")
    for number in range(30):
        httpx.request(f"M{number}", f"{flow.http}/none/{number}")
        httpx.get(f"{flow.http}/v1/research/run-{number}", headers={"x-api-key": f"k{number}"})
        httpx.post(f"{flow.http}/research", json={"data": {"question": "q"}})
    response = httpx.get(f"{flow.http}/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    requests = [line for line in response.text.splitlines() if line.startswith("deepsearch_requests_total{")]
    assert len(requests) < 10
    assert 'deepsearch_requests_total{method="POST",protocol="http",route="/research",status="200"} 30.0' in requests
    assert 'deepsearch_requests_total{method="GET",protocol="http",route="/v1/research/{run_id}",status="200"} 30.0' in requests
    assert 'deepsearch_requests_total{method="other",protocol="http",route="none",status="404"} 30.0' in requests
    assert flow.measured("deepsearch_run_seconds_count") == 30
    assert flow.measured("deepsearch_tokens_total") == 3_000
