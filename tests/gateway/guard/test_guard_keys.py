"""Keys: who may ask, over every protocol."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from docarray import DocList
from jina import Client
from jina.proto.jina_pb2 import SingleDocumentRequestProto
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from gateway.guard.keys import Keys
from schemas.errors import ConfigurationError
from schemas.research import ResearchAnswer, ResearchRequest
from schemas.settings import Settings

KEY, HASHED, FILED = "sk-plain-one", "sk-hashed-two", "sk-filed-three"


def make(make_settings: Callable[..., Settings], **values: Any) -> Keys:
    return Keys(make_settings(**values))


def test_a_key_is_known_plain_and_hashed(make_settings: Callable[..., Settings]) -> None:
    keys = make(make_settings, deepsearch_api_keys=f" {KEY} ,sha256:{sha256(HASHED.encode()).hexdigest().upper()},")
    assert keys.owner(KEY) == f"key {sha256(KEY.encode()).hexdigest()[:16]}"
    assert keys.owner(HASHED) == f"key {sha256(HASHED.encode()).hexdigest()[:16]}"
    wrong = ["", "sk", f"{KEY} ", f"sha256:{sha256(HASHED.encode()).hexdigest()}", sha256(KEY.encode()).hexdigest(), "\udcff", "x" * 10_000]
    assert [keys.owner(key) for key in wrong] == [None] * 7


def test_only_hashes_are_kept(make_settings: Callable[..., Settings]) -> None:
    keys = make(make_settings, deepsearch_api_keys=KEY)
    assert KEY not in repr(vars(keys))


def test_the_file_is_read_again_when_it_changes(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# team\n{KEY}\n\n  {HASHED}\n")
    keys = make(make_settings, deepsearch_api_keys_file=file)
    assert keys.owner(KEY) and keys.owner(HASHED) and not keys.owner(FILED) and not keys.owner("# team")
    file.write_text(FILED)
    assert keys.owner(FILED) and not keys.owner(KEY)
    file.write_text("")
    assert not keys.owner(FILED) and keys.configured


def test_a_file_that_goes_bad_leaves_the_keys_as_they_were(
    make_settings: Callable[..., Settings], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "keys"
    file.write_text(KEY)
    keys = make(make_settings, deepsearch_api_keys_file=file)
    file.write_text(f"{FILED}\nsha256:{HASHED}")
    assert keys.owner(KEY) and not keys.owner(FILED)
    file.unlink()
    assert keys.owner(KEY)
    assert "key 2 must have 64 hexadecimal digits" in caplog.text
    assert not any(secret in caplog.text for secret in (KEY, FILED, HASHED))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"deepsearch_api_keys": "good,sha256:abc"}, "DEEPSEARCH_API_KEYS: after sha256: key 2 must have 64 hexadecimal digits."),
        (
            {"deepsearch_api_keys": "two words"},
            "DEEPSEARCH_API_KEYS: key 1 cannot be sent in a header; use at most 1024 printable ASCII characters, no spaces.",
        ),
        ({"deepsearch_api_keys_file": Path("/nowhere")}, "DEEPSEARCH_API_KEYS_FILE: /nowhere cannot be read: No such file or directory."),
    ],
)
def test_keys_that_cannot_be_used_are_said_at_the_start(
    make_settings: Callable[..., Settings], values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        make(make_settings, **values)
    assert str(raised.value) == message
    assert raised.value.field == message.partition(":")[0]


# -- the real gateway --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def flow(start: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    file = tmp_path_factory.mktemp("keys") / "keys"
    file.write_text(FILED)
    return start(
        DEEPSEARCH_API_KEYS=f"{KEY},sha256:{sha256(HASHED.encode()).hexdigest()}", DEEPSEARCH_API_KEYS_FILE=str(file), KEYS_FILE=str(file)
    )


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.flow
def test_b24_keys_given_through_settings_really_guard_every_route(flow: Any) -> None:
    paths = httpx.get(f"{flow.http}/openapi.json", headers=bearer(KEY)).json()["paths"]
    routes = [(method.upper(), path) for path, methods in paths.items() for method in methods]
    routes += [("GET", path) for path in ("/docs", "/redoc", "/openapi.json", "/status", "/dry_run", "/nothing", "/v1/models", "/mcp")]
    routes += [
        ("POST", "/"),
        ("DELETE", "/health/live"),
        ("GET", "//"),
        ("GET", "/health/live/"),
        ("GET", "/assets"),
        ("OPTIONS", "/research"),
    ]
    assert ("POST", "/v1/chat/completions") in routes and ("GET", "/research/stream") in routes and len(routes) > 20
    open_routes = {("GET", "/health/live"), ("GET", "/health/ready"), ("GET", "/metrics")}
    for method, path in routes:
        for headers in ({}, bearer("sk-wrong"), {"x-api-key": "sk-wrong"}, {"Authorization": KEY}, {"Authorization": f"Basic {KEY}"}):
            response = httpx.request(method, flow.http + path.replace("{run_id}", "r"), headers=headers)
            if (method, path) in open_routes:
                assert response.status_code == 200
                continue
            assert (method, path, response.status_code) == (method, path, 401)
            assert response.headers["www-authenticate"] == 'Bearer realm="deepsearch"'
            assert response.json()["error"]["code"] == "unauthorized"
            assert "sk-" not in response.text


@pytest.mark.flow
def test_the_page_and_the_probes_need_no_key(flow: Any) -> None:
    assert httpx.get(f"{flow.http}/health/live").json() == {"status": "live"}
    assert httpx.get(f"{flow.http}/health/ready").status_code == 200
    page = httpx.get(f"{flow.http}/")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert httpx.get(f"{flow.http}/assets/main.js").status_code == 200
    assert httpx.get(f"{flow.http}/assets/../metrics").status_code == 200  # the client has made it /metrics, which this machine may read
    forwarded = httpx.get(f"{flow.http}/metrics", headers={"X-Forwarded-For": "127.0.0.1"})
    assert forwarded.status_code == 401


@pytest.mark.flow
@pytest.mark.parametrize("headers", [bearer(KEY), bearer(HASHED), bearer(FILED), {"X-API-Key": KEY}, {"Authorization": f"bearer  {KEY}"}])
def test_a_right_key_may_ask(flow: Any, headers: dict[str, str]) -> None:
    response = httpx.post(f"{flow.http}/research", json={"data": {"question": "q"}}, headers=headers)
    assert (response.status_code, response.json()["data"][0]["text"]) == (200, "Yes.")


@pytest.mark.flow
def test_a_refusal_has_the_form_of_its_protocol(flow: Any) -> None:
    ours = httpx.post(f"{flow.http}/research", json={}).json()
    assert ours == {
        "error": {"code": "unauthorized", "message": "This server asks for a key; send it as `Authorization: Bearer KEY`.", "field": None}
    }
    openai = httpx.post(f"{flow.http}/v1/chat/completions", json={}, headers=bearer("sk-wrong")).json()
    assert openai["error"] == {
        "message": "The key is not one of this server's.",
        "type": "authentication_error",
        "param": None,
        "code": "unauthorized",
    }


@pytest.mark.flow
def test_a_key_taken_from_the_file_loses_its_right_at_once(flow: Any, start: Any, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("sk-leaving")
    other = start(DEEPSEARCH_API_KEYS_FILE=str(file))
    assert httpx.get(f"{other.http}/v1/models", headers=bearer("sk-leaving")).status_code == 200
    file.write_text("sk-coming")
    assert httpx.get(f"{other.http}/v1/models", headers=bearer("sk-leaving")).status_code == 401
    assert httpx.get(f"{other.http}/v1/models", headers=bearer("sk-coming")).status_code == 200


def client(flow: Any, protocol: str, **options: Any) -> Client:
    port = flow.grpc if protocol == "grpc" else flow.http_port
    return Client(host="127.0.0.1", port=port, protocol=protocol, log_config="quiet", **options)


@pytest.mark.flow
@pytest.mark.parametrize("stream", [True, False])
def test_jinas_grpc_client_posts_with_a_key_as_metadata(flow: Any, stream: bool) -> None:
    def post(**options: Any) -> Any:
        return client(flow, "grpc").post(
            "/research", ResearchRequest(question="q"), return_type=DocList[ResearchAnswer], stream=stream, **options
        )

    assert post(metadata=(("authorization", f"Bearer {KEY}"),))[0].text == "Yes."
    assert post(metadata=(("x-api-key", KEY),))[0].text == "Yes."
    for options in ({}, {"metadata": (("authorization", "Bearer sk-wrong"),)}):
        with pytest.raises(Exception, match=r"UNAUTHENTICATED") as raised:
            post(**options)
        assert "sk-" not in str(raised.value)


@pytest.mark.flow
async def test_jinas_http_and_websocket_clients_send_the_key_as_a_header(flow: Any) -> None:
    for protocol in ("http", "websocket"):
        found = [
            answer.text
            async for answers in client(flow, protocol, asyncio=True).post(
                "/research", ResearchRequest(question="q"), return_type=DocList[ResearchAnswer], headers=bearer(KEY)
            )
            for answer in answers
        ]
        assert found == ["Yes."]
    for headers in ({}, bearer("sk-wrong")):
        with pytest.raises(InvalidStatus, match="403"):
            await connect(f"ws://127.0.0.1:{flow.http_port}/", additional_headers=headers)


@pytest.mark.flow
async def test_a_grpc_stream_needs_a_key(flow: Any) -> None:
    request = SingleDocumentRequestProto()
    request.header.exec_endpoint = "/research/stream"
    request.document.CopyFrom(ResearchRequest(question="q", run_id="r").to_protobuf())
    async with grpc.aio.insecure_channel(f"127.0.0.1:{flow.grpc}") as channel:
        call = channel.unary_stream(
            "/jina.JinaSingleDocumentRequestRPC/stream_doc",
            SingleDocumentRequestProto.SerializeToString,
            SingleDocumentRequestProto.FromString,
        )
        events = [event async for event in call(request, metadata=(("authorization", f"Bearer {KEY}"),))]
        assert [event.document.data["type"].text for event in events] == ["run_started", "run_ended"]
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            [event async for event in call(request)]
    assert raised.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert raised.value.details() == "This server asks for a key; send it as `Authorization: Bearer KEY`."


@pytest.mark.flow
async def test_every_grpc_service_but_health_needs_a_key(flow: Any) -> None:
    from google.protobuf.empty_pb2 import Empty
    from grpc_health.v1 import health_pb2, health_pb2_grpc
    from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
    from jina.proto import jina_pb2_grpc

    async with grpc.aio.insecure_channel(f"127.0.0.1:{flow.grpc}") as channel:
        assert (await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())).status == 1
        for call in (
            jina_pb2_grpc.JinaGatewayDryRunRPCStub(channel).dry_run,
            jina_pb2_grpc.JinaInfoRPCStub(channel)._status,
            jina_pb2_grpc.JinaDiscoverEndpointsRPCStub(channel).endpoint_discovery,
        ):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await call(Empty())
            assert raised.value.code() == grpc.StatusCode.UNAUTHENTICATED
        await jina_pb2_grpc.JinaInfoRPCStub(channel)._status(Empty(), metadata=(("authorization", f"Bearer {KEY}"),))
        reflect = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo
        asked = reflection_pb2.ServerReflectionRequest(list_services="")
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            [answer async for answer in reflect(iter([asked]))]
        assert raised.value.code() == grpc.StatusCode.UNAUTHENTICATED
        assert [answer async for answer in reflect(iter([asked]), metadata=(("x-api-key", KEY),))]
