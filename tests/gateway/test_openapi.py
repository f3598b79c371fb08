"""The OpenAPI document of a real Flow: what it lists, that its examples work, and that nothing it allows, or that is no request
at all, brings the server to a failure of its own or to silence."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from gateway.api_examples import EXAMPLES
from gateway.openapi import STAGES
from schemas.errors import ERRORS
from tests.gateway.flow_process import free_port_settings, start_flow
from tests.gateway.page.page_flow import stop_flow
from tests.scripted.five_steps import add_session, reply
from tests.scripted.llm import schema_name
from tests.scripted.replies import Json
from tests.scripted.server import ScriptedServer

pytestmark = [pytest.mark.flow, pytest.mark.slow, pytest.mark.timeout(170)]

TIMEOUT_SECONDS = 60.0
"""A request that takes longer counts as a hang."""
CODES = {error.code for error in ERRORS.values()}
LEGITIMATE = {502, 503, 504}
"""What the fuzz may make fail is outside: a page that does not exist, a model that refuses a prompt, an allowance of no time."""
JSON = {"content-type": "application/json"}
OUTPUTS: dict[str, dict[str, Any]] = {
    "DecompositionOutput": {"think": "Two stages.", "questions": ["How are page readers scaled?", "How are rankers scaled?"]},
    "OutlineOutput": {
        "think": "Two parts.",
        "title": "Scaling",
        "sections": [{"heading": name, "brief": "What it says.", "evidence": ["e1"]} for name in ("Replicas", "Ports")],
    },
    "DigestOutput": {"think": "It says so.", "findings": ["Page readers scale by their number of replicas [e1]."]},
    "SynthesisOutput": {"think": "One source.", "agreements": [], "conflicts": [], "gaps": ["How many replicas are enough?"]},
    "EntailmentOutput": {"statements": [{"number": 1, "verdict": "supported", "evidence": ["e1"], "reason": ""}], "pairs": []},
}
"""What the model gives beside the outputs of the session."""
EVENT_STREAM = {**JSON, "accept": "application/json, text/event-stream"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a Flow with scripted upstreams."""
    home = tmp_path_factory.mktemp("home")
    with ScriptedServer(record=False) as upstream:
        add_session(upstream)
        upstream.llm.script(lambda request: Json(OUTPUTS[name]) if (name := schema_name(request)) in OUTPUTS else reply(request))
        environment = free_port_settings() | {
            "PATH": os.environ["PATH"], "HOME": str(home), "DEEPSEARCH_HOME": str(home), "DRAIN_SECONDS": "2",
            "OPENAI_BASE_URL": upstream.llm_url, "OPENAI_API_KEY": "sk", "LLM_MODEL": "scripted", "USE_DUCKDUCKGO": "false",
            "JINA_SEARCH_URL": upstream.search_url, "JINA_READER_URL": upstream.reader_url,
        }  # fmt: skip
        process = start_flow(environment, home / "log")
        try:
            yield f"http://127.0.0.1:{environment['DEEPSEARCH_HTTP_PORT']}"
        finally:
            stop_flow(process)
        told = (home / "log").read_text()
        assert "Traceback" not in told, told


@pytest.fixture(scope="module")
def http(served: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served, timeout=TIMEOUT_SECONDS) as client:
        yield client


@pytest.fixture(scope="module")
def document(http: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = http.get("/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(method, path, operation) for path, methods in document["paths"].items() for method, operation in methods.items()]


def code_of(response: httpx.Response) -> str:
    error = response.json()["error"]
    assert isinstance(error["message"], str) and error["message"] and "\n" not in error["message"]
    code: str = error["code"]
    return code


def check_answer(response: httpx.Response) -> None:
    """Never a failure of the server's own; what fails outside has our form and a code of the tree."""
    assert "Traceback" not in response.text
    if response.status_code >= 500:
        assert response.status_code in LEGITIMATE, (response.request.url, response.text)
        assert code_of(response) in CODES - {"internal", "stage_unavailable"}, response.text
    if response.headers.get("content-type", "").startswith("text/event-stream"):
        assert '"code":"internal"' not in response.text, response.text


# -- the document ------------------------------------------------------------------------------------------------------


def test_the_document_is_valid_openapi(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    schemathesis.openapi.from_dict(document).validate()
    schemas = document["components"]["schemas"]
    references = {part.partition('"')[0] for part in json.dumps(document).split('"$ref": "')[1:]}
    assert {reference.rpartition("/")[2] for reference in references} == set(schemas), "each leads somewhere, and none is left over"


def test_every_endpoint_is_described(document: dict[str, Any]) -> None:
    paths = document["paths"]
    assert set(STAGES) <= set(paths)
    assert {
        "/v1/research",
        "/v1/research/{run_id}/outline",
        "/v1/chat/completions",
        "/v1/responses",
        "/v1/models",
        "/health/ready",
        "/metrics",
    } <= set(paths)
    tags = {tag["name"] for tag in document["tags"]}
    for method, path, operation in operations(document):
        assert operation["summary"] and "Endpoint" not in operation["summary"], path
        assert set(operation["tags"]) <= tags and operation["tags"], path
        if path not in ("/health/live", "/health/ready"):
            assert {"400", "401", "413", "429"} <= set(operation["responses"]), (method, path)
    assert {"404", "422", "503"} <= set(paths["/research"]["post"]["responses"])
    assert {"404", "409", "422"} <= set(paths["/v1/research/{run_id}/outline"]["post"]["responses"])
    assert "noqa" not in json.dumps(document) and "BaseDoc" not in json.dumps(document)
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


def test_fields_say_what_they_mean_and_what_fits(document: dict[str, Any]) -> None:
    fields = document["components"]["schemas"]["ResearchRequest"]["properties"]
    assert fields["max_attempts"]["description"].startswith("How often an answer may fail one criterion")
    assert {"type": "integer", "format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1} in fields["budget_tokens"]["anyOf"]
    assert fields["team_size"]["description"].startswith("How many researchers share the question")
    assert {"mode", "words", "plan_first", "citations", "allow_guess", "polish"} <= fields.keys()
    chat = document["components"]["schemas"]["ChatRequest"]["properties"]
    assert {"mode", "words", "plan_first", "team_size", "citations", "allow_guess", "polish"} <= chat.keys()
    view = document["components"]["schemas"]["RunView"]["properties"]
    assert view["outline"]["description"].startswith("The outline that a run in state") and view["answer"]["description"]
    assert view.keys() == {"run", "answer", "code", "message", "outline"}
    query = {parameter["name"] for parameter in document["paths"]["/research/stream"]["get"]["parameters"]}
    assert {"question", "reasoning_effort", "budget_tokens"} <= query and "messages" not in query


@pytest.mark.parametrize(("method", "path"), list(EXAMPLES), ids=str)
def test_the_examples_work(http: httpx.Client, document: dict[str, Any], method: str, path: str) -> None:
    operation = document["paths"][path][method]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
    named = {one["name"]: one["example"] for one in operation.get("parameters", ()) if "example" in one}
    assert (body or named) == EXAMPLES[method, path]
    query = {name: value for name, value in named.items() if f"{{{name}}}" not in path}
    response = http.request(method, path.format(**named), json=body, params=query)
    assert response.status_code in (200, 202), response.text
    if response.headers["content-type"].startswith("text/event-stream"):
        assert response.text.endswith("event: end\r\n\r\n") and "event: error" not in response.text


def test_the_docs_need_nothing_from_outside(http: httpx.Client) -> None:
    page = http.get("/docs")
    assert page.status_code == 200 and "http:" not in page.text and "https:" not in page.text
    assert "script-src 'self';" in page.headers["content-security-policy"]
    for name in ("swagger-ui.css", "swagger-ui-bundle.js", "start.js"):
        assert f"/docs/{name}" in page.text and http.get(f"/docs/{name}").status_code == 200
    assert http.get("/docs/secrets").status_code == http.get("/redoc").status_code == 404


# -- what the document allows --------------------------------------------------------------------------------------------

NOT_FUZZED = {
    "GET /metrics": "takes nothing",
    "GET /health/live": "takes nothing",
    "GET /v1/models": "takes nothing",
    "GET /status": "takes nothing",
    "GET /dry_run": "takes nothing",
    "GET /health/ready": "takes nothing",
}
"""They are asked once each."""
NEVER_WRONG = {"GET /v1/models/{name}"}
"""Any text is a name as far as the document says, so there is nothing that is not as documented."""
EXAMPLES_EACH = {GenerationMode.POSITIVE: 25, GenerationMode.NEGATIVE: 10}
load_all_checks()
CONFORMANCE = CHECKS.get_by_names(["status_code_conformance", "content_type_conformance", "response_schema_conformance"])


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["as documented", "not as documented"])
def test_no_request_is_too_much(http: httpx.Client, served: str, document: dict[str, Any], mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_dict(document)
    fuzzed, unsatisfiable = set(), set()
    for found in schema.get_all_operations():
        operation = found.ok()
        fuzzed.add(operation.label)
        takes_nothing = operation.label in NOT_FUZZED
        if takes_nothing and mode is GenerationMode.NEGATIVE:
            continue

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=1 if takes_nothing else EXAMPLES_EACH[mode],
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def fuzz(case: Any) -> None:
            sent = case.as_transport_kwargs(base_url=served)
            known = ("method", "url", "headers", "params", "json", "data", "content")
            request = {("content" if name == "data" else name): value for name, value in sent.items() if name in known}
            try:
                response = http.request(**{**request, "headers": ascii_headers(request.get("headers"))})
            except (httpx.InvalidURL, httpx.LocalProtocolError, UnicodeEncodeError):
                return  # no client could send it; raw bytes are sent below
            except httpx.TimeoutException as error:
                raise AssertionError(f"no answer to {request}") from error
            check_answer(response)
            case.validate_response(response, checks=CONFORMANCE)

        try:
            fuzz()
        except Unsatisfiable:
            unsatisfiable.add(operation.label)
    assert set(NOT_FUZZED) <= fuzzed
    assert unsatisfiable <= NEVER_WRONG and (mode is GenerationMode.NEGATIVE or not unsatisfiable), unsatisfiable


def ascii_headers(headers: Any) -> dict[str, str]:
    return {name: value for name, value in (headers or {}).items() if str(value).isascii()}


# -- what is no request at all --------------------------------------------------------------------------------------------

BODIES = ("/search", "/v1/research", "/v1/chat/completions", "/v1/responses", "/mcp")


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00",
        b"{",
        b'{"data": {"question": "\xff\xfe"}, "question": "\xff"}',
        b'{"data":' + b"[" * 500 + b"]" * 500 + b"}",
        b'{"data":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}",
        b"[" * 500_000,
        b'{"question": ' + b"1" * 5_000 + b"}",
        b'{"data": NaN, "question": Infinity, "input": -Infinity, "messages": 1e999}',
        b'{"data": "\\ud800", "question": "\\udfff", "input": "\\ud800", "messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"\\ud800": {"\\ud800": 1}}',
        b'{"jsonrpc": "2.0", "id": "\\ud800", "method": "\\ud800"}',
        b"null",
        b'"text"',
    ],
    ids=["empty", "nul", "cut", "utf8", "deep", "deeper", "open", "digits", "nan", "surrogates", "names", "rpc", "null", "text"],
)
def test_garbage_is_refused(http: httpx.Client, path: str, body: bytes) -> None:
    response = http.post(path, content=body, headers=EVENT_STREAM)
    assert 400 <= response.status_code < 500, response.text
    check_answer(response)


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data", "multipart/form-data; boundary=x", "x", ""])
@pytest.mark.parametrize("path", BODIES)
def test_bodies_of_other_kinds_are_refused(http: httpx.Client, path: str, kind: str) -> None:
    response = http.post(path, content=b'{"data": {"queries": [{"text": "x"}]}}', headers={"content-type": kind})
    assert 400 <= response.status_code < 500, response.text


@pytest.mark.parametrize("number", ["2147483648", "-2147483649", "9007199254740993", "1e400", "1e30", "2147483648.0", "NaN"])
@pytest.mark.parametrize(
    ("route", "body", "field"),
    [
        ("POST /search", '{"data": {"queries": [{"text": "x"}], "max_results": %s}}', "max_results"),
        ("POST /search", '{"data": [{"queries": [{"text": "x"}], "allowance": {"tokens": %s}}]}', "allowance.tokens"),
        ("POST /v1/research", '{"question": "x", "max_pages": %s}', "max_pages"),
        ("GET /research/stream", '{"question": "x", "max_pages": %s}', "max_pages"),
    ],
)
def test_numbers_that_cannot_travel_name_their_field(http: httpx.Client, route: str, body: str, field: str, number: str) -> None:
    response = http.request(*route.split(), content=body % number, headers=JSON)
    assert response.status_code in (400, 422), response.text
    assert response.json()["error"]["field"] == field


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/search", r'{"data": {"queries": [{"text": "a\ud800"}]}}', "queries.0.text"),
        ("/search", r'{"data": {"id": "\ud800", "queries": [{"text": "x"}]}}', "id"),
        ("/rank", r'{"data": {"question": "x", "only_hostnames": ["\udc00"]}}', "only_hostnames.0"),
        ("/search", r'{"data": {"queries": [{"text": "x"}]}, "header": {"request_id": "\ud800"}}', "header.request_id"),
        ("/v1/research", r'{"question": "\ud800"}', "question"),
    ],
)
def test_text_that_cannot_travel_names_its_field(http: httpx.Client, path: str, body: str, field: str) -> None:
    response = http.post(path, content=body, headers=JSON)
    assert response.status_code == 400, response.text
    assert response.json()["error"]["field"] == field


@pytest.mark.parametrize(
    "parameters", [r'{"\ud800": 1}', '{"a": 99999999999999999999999}', '{"a": NaN}', '{"a":' + "[" * 200 + "]" * 200 + "}"]
)
def test_jinas_parameters_stay_at_the_door(http: httpx.Client, parameters: str) -> None:
    body = f'{{"data": {{"queries": [{{"text": "x"}}]}}, "parameters": {parameters}}}'
    response = http.post("/search", content=body, headers=JSON)
    assert response.status_code == 200, response.text


@pytest.mark.parametrize("pattern", ["(", "nobody", "url_ranker", "(.*)*(.*)*(.*)*(.*)*(.*)*(.*)*(.*)*Z"])
def test_a_request_cannot_choose_its_stage(http: httpx.Client, pattern: str) -> None:
    """jina would match it as a regular expression, in the loop that serves everybody."""
    header = {"request_id": "r", "target_executor": pattern}
    response = http.post("/search", json={"data": {"queries": [{"text": "x"}]}, "header": header})
    assert response.status_code == 400 and response.json()["error"]["field"] == "header.target_executor"


@pytest.mark.parametrize("run_id", ["..%2F..%2Fetc%2Fpasswd", "%2e%2e", "%00", "a%00b", "%ff", "a%0a", "%ED%A0%80", "a" * 65, "a" * 20_000])
@pytest.mark.parametrize("path", ["/v1/research/{}", "/v1/research/{}/events", "/v1/research/{}/pages/p", "/v1/research/r/pages/{}"])
def test_ids_that_are_none_are_refused(http: httpx.Client, path: str, run_id: str) -> None:
    for method in ("GET", "DELETE"):
        response = http.request(method, path.format(run_id))
        assert 400 <= response.status_code < 500
        assert not response.text.startswith("root:")


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "PATCH", "TRACE", "DELETE", "POST", "GET", "BREW"])
def test_every_method_on_every_route_is_answered(http: httpx.Client, document: dict[str, Any], method: str) -> None:
    for path, methods in document["paths"].items():
        if method.lower() in methods:
            continue  # fuzzed above
        response = http.request(method, path.format(run_id="r", page_id="p", name="n", ending="md"))
        assert response.status_code in (200, 404, 405), (method, path, response.text)
        check_answer(response)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * 2_000_000 + b"\r\n\r\n",
        b"GET /v1/research?limit=" + b"1" * 2_000_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /" + b"a" * 60_000 + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /v1/research/\x00 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /v1/research HTTP/1.1\r\nHost: localhost\r\nX-Nul: a\x00b\r\nConnection: close\r\n\r\n",
        b"GET /v1/research/x/events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: \xff\xb2\r\nConnection: close\r\n\r\n",
        b"POST /search HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\nConnection: close\r\n\r\n",
        b"POST /search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\nConnection: close\r\n\r\n",
        b"POST /search HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=["header", "query", "path", "nul", "header nul", "header bytes", "length", "huge", "chunks", "tls"],
)
def test_bytes_that_are_no_request_end_the_connection(served: str, http: httpx.Client, request_bytes: bytes) -> None:
    host, _, port = served.removeprefix("http://").partition(":")
    answer = b""
    with socket.create_connection((host, int(port)), timeout=TIMEOUT_SECONDS) as connection:
        try:
            connection.sendall(request_bytes)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65_536):
                answer += part
        except TimeoutError:
            raise
        except OSError:
            pass  # reset: it need not read to the end what it refuses
    status = answer.partition(b"\r\n")[0]
    assert b" 5" not in status, status
    assert http.get("/health/live").status_code == 200
