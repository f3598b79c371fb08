"""The answer of a run as a file, from the real door and the real stage that writes it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import docx
import httpx
import pypdfium2
import pytest

from gateway.downloads import disposition
from tests.gateway import flow_process

HERE = Path(__file__).parent
MEDIA_TYPES = {
    "md": "text/markdown; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}
FORMATS = {"md": "markdown", "html": "html", "txt": "text", "pdf": "pdf", "docx": "docx"}


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    home = tmp_path_factory.mktemp("flow")
    settings = flow_process.free_port_settings()
    serve = f"import sys; sys.path[1:1] = [{str(HERE)!r}]\n{flow_process.SERVE}"
    process = flow_process.start(serve, str(HERE / "downloads_flow.yml"), home=home, DRAIN_SECONDS="5", **settings)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("DeepSearch is ready"), process.communicate()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{settings['DEEPSEARCH_HTTP_PORT']}", timeout=60) as client:
            yield client
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == 0
    finally:
        for number in flow_process.processes_of(process.pid):
            os.kill(number, signal.SIGKILL)
        process.wait()


@pytest.mark.flow
@pytest.mark.parametrize("ending", MEDIA_TYPES)
def test_every_format_by_ending_and_by_name(http: httpx.Client, ending: str) -> None:
    by_ending = http.get(f"/v1/research/done/answer.{ending}")
    by_name = http.get("/v1/research/done/answer", params={"format": FORMATS[ending]})
    for response in (by_ending, by_name):
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == MEDIA_TYPES[ending]
        name = f"What-is-snow.{ending}"
        assert response.headers["content-disposition"] == f"attachment; filename=\"{name}\"; filename*=UTF-8''{name}"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'; sandbox" in response.headers["content-security-policy"]
    if ending == "pdf":
        text = pypdfium2.PdfDocument(by_ending.content)[0].get_textpage().get_text_range()
    elif ending == "docx":
        text = "\n".join(paragraph.text for paragraph in docx.Document(BytesIO(by_ending.content)).paragraphs)
    else:
        text = by_ending.text
    assert "What is snow?" in text
    assert by_name.content == by_ending.content or ending == "docx"


@pytest.mark.flow
def test_markdown_is_what_comes_when_nothing_is_said(http: httpx.Client) -> None:
    response = http.get("/v1/research/done/answer")
    assert response.text.startswith("# What is snow?\n\nSnow is **frozen** water [^1].\n")
    assert response.text.endswith('[^1]: "Snow is frozen water." — [Snow](https://a.org/snow)\n')


@pytest.mark.flow
@pytest.mark.parametrize(
    ("path", "status", "code", "message"),
    [
        ("nobody/answer", 404, "run_not_found", "no run 'nobody'"),
        ("nobody/answer.pdf", 404, "run_not_found", "no run 'nobody'"),
        ("running/answer.pdf", 409, "no_answer", "run 'running' has no answer: it is running"),
        ("failed/answer", 409, "no_answer", "run 'failed' has no answer: it is failed (the model failed)"),
        ("done/answer?format=rtf", 422, "invalid_request", "format: "),
        ("done/answer.exe", 422, "invalid_request", "ending: "),
        ("a%2Fb/answer.pdf", 404, "not_found", "There is no GET "),
        ("a.b/answer.pdf", 422, "invalid_request", "run_id: "),
    ],
)
def test_what_there_is_no_file_for(http: httpx.Client, path: str, status: int, code: str, message: str) -> None:
    response = http.get(f"/v1/research/{path}")
    assert response.status_code == status
    assert response.json()["error"]["code"] == code
    assert response.json()["error"]["message"].startswith(message)


@pytest.mark.flow
def test_a_hostile_run_leaves_neither_script_nor_header(http: httpx.Client) -> None:
    for ending in MEDIA_TYPES:
        response = http.get(f"/v1/research/hostile/answer.{ending}")
        assert response.status_code == 200, response.text
        assert "set-cookie" not in response.headers
        assert response.headers["content-disposition"].startswith(f'attachment; filename="x-Set-Cookie-a-b.{ending}"; ')
        assert b"javascript:" not in response.content or ending in ("md", "txt")
    page = http.get("/v1/research/hostile/answer.html").text
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "](javascript:" not in http.get("/v1/research/hostile/answer.md").text


@pytest.mark.flow
def test_a_name_that_is_not_ascii(http: httpx.Client) -> None:
    header = http.get("/v1/research/chinese/answer.pdf").headers["content-disposition"]
    assert header == "attachment; filename=\"answer.pdf\"; filename*=UTF-8''%E9%9B%AA%E6%98%AF%E4%BB%80%E4%B9%88.pdf"


@pytest.mark.flow
def test_the_document_lists_both(http: httpx.Client) -> None:
    paths = http.get("/openapi.json").json()["paths"]
    for path in ("/v1/research/{run_id}/answer", "/v1/research/{run_id}/answer.{ending}"):
        responses = paths[path]["get"]["responses"]
        assert paths[path]["get"]["tags"] == ["Research jobs"]
        assert {"200", "404", "409", "422"} <= set(responses)
        assert "application/octet-stream" in responses["200"]["content"]


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("a.pdf", "a.pdf"),
        ('a"b\r\nX: y.pdf', "a-b-X-y.pdf"),
        ("../../etc/passwd.pdf", "etc-passwd.pdf"),
        ("雪.pdf", "answer.pdf"),
        ("", "answer"),
    ],
)
def test_a_name_in_a_header(name: str, plain: str) -> None:
    header = disposition(name)
    assert header.startswith(f"attachment; filename=\"{plain}\"; filename*=UTF-8''")
    assert header.isascii() and header.isprintable() and header.count('"') == 2
