"""Whose runs are whose, through every door of the real Flow: two keys, and callers without one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import grpc
import httpx
import pytest
from docarray import BaseDoc, DocList
from jina import Client
from jina.proto.jina_pb2 import DataRequestProto
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client

from deepsearch.flow_calls import FlowCalls
from gateway.guard.call import CURRENT, Call
from gateway.guard.owners import sign
from schemas.errors import DeepSearchError
from schemas.events import ResearchEvent
from schemas.reading import ReadRequest
from schemas.reporting import OutlineApproval
from schemas.research import PageQuery, ResearchAnswer, ResearchRequest, RunList, RunQuery, RunSummary
from tests.gateway.flow_process import flow_of, scripted_settings
from tests.scripted.five_steps import add_session
from tests.scripted.replies import Delay
from tests.scripted.server import ScriptedServer

flow = pytest.mark.flow

QUESTION = "How do I scale the page readers?"
ALICE, BOB, NOBODY = "alice-very-secret", "bob-very-secret", ""
CHANGES = {"/cancel": RunQuery, "/forget": RunQuery, "/approve": OutlineApproval, "/resume": RunQuery, "/continue": RunQuery}
"""What only the owner of a run may ask, with the document that names the run."""
STREAMS = ("/resume", "/continue")


def name_of(key: str) -> str:
    """The name under which the gateway knows a key: what somebody would write who pretends to have it."""
    return f"key {sha256(key.encode()).hexdigest()[:16]}"


def headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


@dataclass
class Served:
    """A Flow that is ready, and the upstreams it talks to."""

    settings: dict[str, str]
    upstream: ScriptedServer

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.settings['DEEPSEARCH_HTTP_PORT']}"

    @property
    def grpc(self) -> str:
        return f"grpc://127.0.0.1:{self.settings['DEEPSEARCH_GRPC_PORT']}"

    def client(self, key: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.http, headers=headers(key), timeout=60)

    async def listed(self, key: str) -> set[str]:
        async with self.client(key) as client:
            return {run["run_id"] for run in (await client.get("/v1/research", params={"limit": 1000})).json()["runs"]}

    async def begin(self, key: str, **fields: Any) -> str:
        """Begin a job; returns its id."""
        async with self.client(key) as client:
            begun = await client.post("/v1/research", json={"question": QUESTION, **fields})
            assert begun.status_code == 202, begun.text
            return str(begun.json()["run_id"])

    async def end_of(self, run_id: str) -> dict[str, Any]:
        """Follow a run to its end, or until it waits; anybody may."""
        async with self.client(NOBODY) as client:
            told = (await client.get(f"/v1/research/{run_id}/events")).text
            ended: dict[str, Any] = json.loads(told.rstrip().rpartition("data: ")[2])
            return ended["data"]

    @contextmanager
    def without_pages(self) -> Iterator[None]:
        """Within the block pages take for ever, and so do runs."""
        self.upstream.reader.script(lambda request: Delay(3600, self.upstream.reader.default(request)))
        try:
            yield
        finally:
            self.upstream.reader.script(self.upstream.reader.default)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("home")
    with ScriptedServer() as upstream:
        add_session(upstream)
        keys = {"DEEPSEARCH_API_KEYS": f"{ALICE},{BOB}", "DEEPSEARCH_ALLOW_ANONYMOUS": "true"}
        settings = scripted_settings(upstream, home, LLM_MODEL="", **keys)
        with flow_of(settings, home / "log"):
            yield Served(settings, upstream)


# -- doors: each gives what a caller gets to see of a change to a run, without the run's id ------------------------------


async def by_endpoint(address: str, key: str, endpoint: str, document: BaseDoc) -> Any:
    calls = FlowCalls(address, key or None)
    try:
        if endpoint in STREAMS:
            return [event.model_dump(exclude={"id", "time"}) async for event in calls.stream(endpoint, document, ResearchEvent)]
        return (await calls.call(endpoint, document, RunSummary)).model_dump(exclude={"id"})
    except DeepSearchError as error:
        return type(error).__name__, error.message, error.field
    finally:
        await calls.close()


async def by_jina(served: Served, protocol: str, key: str, endpoint: str, document: BaseDoc) -> Any:
    port = served.settings[f"DEEPSEARCH_{'GRPC' if protocol == 'grpc' else 'HTTP'}_PORT"]
    client = Client(host="127.0.0.1", port=int(port), protocol=protocol, asyncio=True)
    metadata = tuple((name.lower(), value) for name, value in headers(key).items())
    sent: dict[str, Any] = {"metadata": metadata} if protocol == "grpc" else {"headers": headers(key)}
    try:
        answers = client.post(endpoint, DocList[type(document)]([document]), return_type=DocList[RunSummary], **sent)  # type: ignore[misc]
        return [answer.model_dump(exclude={"id"}) async for found in answers for answer in found]
    except Exception as error:  # jina's client has its own for each protocol
        return type(error).__name__, str(error.details() if isinstance(error, grpc.RpcError) else error)


async def by_job(served: Served, key: str, endpoint: str, run_id: str, owner: str) -> Any:
    path, body = f"/v1/research/{run_id}", {"owner": owner} if owner else {}
    method, more = {"/cancel": ("DELETE", ""), "/forget": ("DELETE", "/record"), "/approve": ("POST", "/outline")}[endpoint]
    async with served.client(key) as client:
        answer = await client.request(method, path + more, params=body, json=body if method == "POST" else None)
        return answer.status_code, answer.text


async def by_tool(served: Served, key: str, endpoint: str, run_id: str) -> Any:
    tool = {"/cancel": "cancel_research", "/approve": "approve_outline"}[endpoint]
    async with (
        streamablehttp_client(f"{served.http}/mcp", headers=headers(key)) as (incoming, outgoing, _),
        ClientSession(incoming, outgoing) as session,
    ):
        await session.initialize()
        result = await session.call_tool(tool, {"run_id": run_id})
        return result.isError, [part.model_dump() for part in result.content]


async def changes(served: Served, key: str, run_id: str, owner: str = "") -> dict[str, str]:
    """What a caller is told of each change to a run, through each door; `owner` is what it writes into the documents."""
    told: dict[str, Any] = {}
    for endpoint, kind in CHANGES.items():
        document = kind(run_id=run_id, owner=owner)
        told[f"HTTP {endpoint}"] = await by_endpoint(served.http, key, endpoint, document)
        told[f"gRPC {endpoint}"] = await by_endpoint(served.grpc, key, endpoint, document)
        if endpoint in STREAMS:
            continue
        for protocol in ("grpc", "http", "websocket"):
            told[f"jina {protocol} {endpoint}"] = await by_jina(served, protocol, key, endpoint, document)
        told[f"job {endpoint}"] = await by_job(served, key, endpoint, run_id, owner)
        if endpoint != "/forget" and not owner:
            told[f"MCP {endpoint}"] = await by_tool(served, key, endpoint, run_id)
    return {door: str(answer).replace(run_id, "RUN") for door, answer in told.items()}


# -- what only the owner may do ------------------------------------------------------------------------------------------


@flow
async def test_who_has_another_key_or_none_changes_a_run_as_if_it_did_not_exist(served: Served) -> None:
    report = await served.begin(ALICE, mode="report", plan_first=True)
    assert (await served.end_of(report))["outcome"] == "waiting"
    for key in (BOB, NOBODY):
        unknown = await changes(served, key, "f" * len(report))
        assert all("no run" in answer or "no such endpoint" in answer for answer in unknown.values()), unknown  # as jina's client says it
        assert await changes(served, key, report) == unknown
        pretended = await changes(served, key, report, owner=name_of(ALICE))
        assert pretended.items() <= unknown.items() and len(pretended) == 22
    async with served.client(BOB) as bob, served.client(ALICE) as alice:
        found = (await bob.get(f"/v1/research/{report}")).json()
        assert found["run"]["state"] == "waiting" and found["outline"]["sections"]
        assert (await alice.post(f"/v1/research/{report}/outline")).status_code == 202
        assert (await served.end_of(report))["outcome"] == "finished"
        for endpoint in STREAMS:
            (*_, end) = await by_endpoint(served.grpc, ALICE, endpoint, RunQuery(run_id=report))
            assert end["data"]["outcome"] == "finished"
        assert (await bob.delete(f"/v1/research/{report}/record")).status_code == 404
        assert (await alice.delete(f"/v1/research/{report}/record")).status_code == 204
        assert (await bob.get(f"/v1/research/{report}")).status_code == 404


@flow
async def test_a_list_holds_the_runs_of_the_key_and_nobodys(served: Served) -> None:
    alices, bobs, free = await asyncio.gather(*(served.begin(key) for key in (ALICE, BOB, NOBODY)))
    ours = {alices, bobs, free}
    assert await served.listed(ALICE) & ours == {alices, free}
    assert await served.listed(BOB) & ours == {bobs, free}
    assert await served.listed(NOBODY) & ours == {free}
    for address in (served.http, served.grpc):
        calls = FlowCalls(address, BOB)
        pretended = await calls.call("/runs", RunQuery(limit=1000, owner=name_of(ALICE)), RunList)
        assert {run.run_id for run in pretended.runs} & ours == {bobs, free}
        with pytest.raises(DeepSearchError, match="no run"):
            await calls.call("/runs", RunQuery(run_id=alices, owner=name_of(ALICE)), RunList)
        assert (await calls.call("/runs", RunQuery(run_id=free), RunList)).runs[0].run_id == free
        await calls.close()
    for key, seen in ((ALICE, {alices, free}), (BOB, {bobs, free})):
        async with (
            streamablehttp_client(f"{served.http}/mcp", headers=headers(key)) as (incoming, outgoing, _),
            ClientSession(incoming, outgoing) as session,
        ):
            await session.initialize()
            told = str((await session.call_tool("list_research", {"limit": 100})).structuredContent)
            assert {run for run in ours if run in told} == seen
    async with served.client(BOB) as client:
        assert (await client.delete(f"/v1/research/{free}")).status_code == 200  # nobody's is everybody's


@flow
async def test_a_run_belongs_to_the_key_that_asked_whatever_the_request_says(served: Served) -> None:
    lie = {"question": QUESTION, "owner": name_of(ALICE)}

    def request(run_id: str) -> ResearchRequest:
        return ResearchRequest(**lie, run_id=run_id)

    async with served.client(BOB) as client:
        assert (await client.post("/v1/research", json={**lie, "run_id": "lie-job"})).status_code == 202
        assert (await client.post("/submit", json={"data": [{**lie, "run_id": "lie-http-submit"}]})).status_code == 200
        assert (await client.post("/research", json={"data": [{**lie, "run_id": "lie-http"}]})).status_code == 200
        assert (await client.get("/research/stream", params={**lie, "run_id": "lie-query"})).status_code == 200
        assert (await client.request("GET", "/research/stream", json={**lie, "run_id": "lie-body"})).status_code == 200
    calls = FlowCalls(served.grpc, BOB)
    await calls.call("/submit", request("lie-submit"), RunSummary)
    await calls.call("/research", request("lie-grpc"), ResearchAnswer)
    events = [event async for event in calls.stream("/research/stream", request("lie-stream"), ResearchEvent)]
    assert events[-1].data["outcome"] == "finished"
    await calls.close()
    for protocol in ("grpc", "http", "websocket"):
        answer = await by_jina(served, protocol, BOB, "/submit", request(f"lie-jina-{protocol}"))
        assert answer[0]["run_id"] == f"lie-jina-{protocol}"
    names = {"lie-job", "lie-http-submit", "lie-http", "lie-query", "lie-body", "lie-submit", "lie-grpc", "lie-stream"}
    names |= {"lie-jina-grpc", "lie-jina-http", "lie-jina-websocket"}
    assert names <= await served.listed(BOB)
    assert not any(run.startswith("lie-") for run in await served.listed(ALICE) | await served.listed(NOBODY))
    assert "key " not in json.dumps([event.data for event in events])
    async with served.client(ALICE) as client:
        assert (await client.delete("/v1/research/lie-job/record")).status_code == 404
        for path in ("/v1/research/lie-job", "/v1/research/lie-job/events"):
            assert name_of(BOB) not in (told := (await client.get(path)).text) and '"owner"' not in told


@flow
async def test_what_other_protocols_begin_belongs_to_the_key(served: Served) -> None:
    before = await served.listed(BOB)
    chat = {"messages": [{"role": "user", "content": QUESTION}], "model": "deepsearch"}
    lie = {"owner": name_of(ALICE)}
    async with served.client(BOB) as client:
        for body in (chat, {**chat, "stream": True}, {**chat, **lie}):
            answer = await client.post("/v1/chat/completions", json=body)
            assert answer.status_code == 200 and "replicas" in answer.text, answer.text
        answer = await client.post("/v1/responses", json={"model": "deepsearch", "input": QUESTION})
        assert answer.status_code == 200, answer.text
    async with (
        streamablehttp_client(f"{served.http}/mcp", headers=headers(BOB)) as (incoming, outgoing, _),
        ClientSession(incoming, outgoing) as session,
    ):
        await session.initialize()
        assert not (await session.call_tool("research", {"question": QUESTION})).isError
        assert (await session.call_tool("research", {"question": QUESTION, **lie})).isError
    begun = await served.listed(BOB) - before
    assert len(begun) == 5 and not begun & (await served.listed(ALICE) | await served.listed(NOBODY))


@flow
async def test_documents_that_the_gateway_cannot_sign_are_refused(served: Served) -> None:
    run_id = await served.begin(ALICE)
    document = RunQuery(run_id=run_id, owner=name_of(ALICE))
    request = DataRequestProto()
    request.header.exec_endpoint = "/cancel"
    request.data.docs_bytes = DocList[RunQuery]([document]).to_bytes(protocol="protobuf-array")
    metadata = (("authorization", f"Bearer {BOB}"),)
    async with grpc.aio.insecure_channel(served.grpc.removeprefix("grpc://")) as channel:
        call = channel.unary_unary(
            "/jina.JinaSingleDataRequestRPC/process_single_data", DataRequestProto.SerializeToString, DataRequestProto.FromString
        )
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(request, metadata=metadata)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT and "docs_bytes" in str(refused.value.details())


@flow
async def test_an_id_that_is_anothers_is_taken_and_nothing_more_is_told(served: Served) -> None:
    secret = "What does nobody else know about page readers?"
    await served.begin(ALICE, question=secret, run_id="chosen")
    async with served.client(BOB) as client:
        refused = await client.post("/v1/research", json={"question": secret, "run_id": "chosen"})
    assert refused.status_code == 400 and refused.json()["error"]["field"] == "run_id"
    assert "taken" in refused.text and "nobody else" not in refused.text
    (event,) = await by_endpoint(served.grpc, BOB, "/continue", RunQuery(run_id="chosen"))
    assert event["data"]["code"] == "run_not_found" and "nobody else" not in str(event)


@flow
async def test_a_run_is_shared_by_its_id(served: Served) -> None:
    run_id = await served.begin(ALICE)
    assert (await served.end_of(run_id))["outcome"] == "finished"
    for key in (BOB, NOBODY, ALICE):
        async with served.client(key) as client:
            found = (await client.get(f"/v1/research/{run_id}")).json()
            page = found["answer"]["references"][0]["page_id"]
            paths = ("events", f"pages/{page}", "answer.md")
            assert [(await client.get(f"/v1/research/{run_id}/{path}")).status_code for path in paths] == [200] * 3
            for endpoint, document in (("/run", RunQuery(run_id=run_id)), ("/page", PageQuery(run_id=run_id, page_id=page))):
                asked = {"data": [document.model_dump(exclude={"id"}, exclude_defaults=True)]}
                assert (await client.post(endpoint, json=asked)).status_code == 200


@flow
async def test_who_lost_a_stream_goes_on_with_it_and_nobody_else_does(served: Served) -> None:
    with served.without_pages():
        asked = len(served.upstream.sent("/reader/"))
        calls = FlowCalls(served.grpc, ALICE)
        stream = calls.stream("/research/stream", ResearchRequest(question=QUESTION, run_id="lost"), ResearchEvent)
        seen = [await anext(stream)]
        while len(served.upstream.sent("/reader/")) == asked:
            seen.append(await anext(stream))
        for key in (BOB, NOBODY):
            for endpoint in STREAMS:
                (event,) = await by_endpoint(served.grpc, key, endpoint, RunQuery(run_id="lost", after=seen[-1].sequence))
                assert event["data"]["code"] == "run_not_found"
        await stream.aclose()
        async with asyncio.timeout(30), served.client(NOBODY) as client:
            while (await client.get("/v1/research/lost")).json()["run"]["state"] != "interrupted":
                await asyncio.sleep(0.05)
    document = RunQuery(run_id="lost", after=seen[-1].sequence)
    rest = [event async for event in calls.stream("/continue", document, ResearchEvent)]
    await calls.close()
    assert rest[-1].data["outcome"] == "finished"
    sequences = [event.sequence for event in [*seen, *rest[:-1]] if event.type != "answer_delta"]
    assert sequences == list(range(1, len(sequences) + 1))


@flow
async def test_the_api_says_nothing_of_owners(served: Served) -> None:
    async with served.client(ALICE) as client:
        document = (await client.get("/openapi.json")).json()
    named = [name for name, schema in document["components"]["schemas"].items() if "owner" in schema.get("properties", {})]
    parameters = [one["name"] for path in document["paths"].values() for method in path.values() for one in method.get("parameters", ())]
    assert named == [] and "owner" not in parameters and "run_id" in parameters


# -- without a Flow ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("caller", "owner"),
    [("key 0123456789abcdef", "key 0123456789abcdef"), ("address 127.0.0.1", ""), ("address local", ""), ("gateway", ""), (None, "")],
)
def test_what_the_gateway_writes(caller: str | None, owner: str) -> None:
    token = CURRENT.set(Call(caller) if caller is not None else None)
    try:
        for written in ("", "key fedcba9876543210"):
            document = RunQuery(run_id="r", owner=written).to_protobuf()
            document.data["owner"].type = "ndarray"
            sign([document], RunQuery)
            assert RunQuery.from_protobuf(document).owner == owner and document.data["run_id"].text == "r"
        other = ReadRequest(url="https://a.org").to_protobuf()
        sign([other], ReadRequest)
        assert "owner" not in other.data
    finally:
        CURRENT.reset(token)
