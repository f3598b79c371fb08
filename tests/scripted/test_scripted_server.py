"""The scripted server and the guards that every test relies on."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas.settings import Settings, get_settings
from tests.scripted import Delay, Json, ScriptedServer, Text


def post(url: str, body: Any) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def test_search_and_reader_serve_the_same_pages(scripted: ScriptedServer) -> None:
    scripted.add_page(
        "https://a.example/", "Tea", "Tea is brewed from leaves.", links=[("more", "https://b.example/")], published="2024-01-01"
    )
    scripted.add_page("https://b.example/", "Coffee", "Coffee is brewed from beans.")
    found = post(scripted.search_url, {"q": "tea leaves", "num": 1})
    assert [result["url"] for result in found["data"]] == ["https://a.example/"]
    assert post(scripted.search_url, {"q": "zebra"})["data"] == []
    page = post(scripted.reader_url, {"url": "https://a.example/"})["data"]
    assert page == {
        "title": "Tea",
        "url": "https://a.example/",
        "content": "Tea is brewed from leaves.",
        "links": [["more", "https://b.example/"]],
        "images": {},
        "publishedTime": "2024-01-01",
        "usage": {"tokens": 6},
    }
    with pytest.raises(urllib.error.HTTPError) as caught:
        post(scripted.reader_url, {"url": "https://c.example/"})
    assert caught.value.code == 422
    caught.value.close()
    assert [request.path for request in scripted.requests] == ["/search/", "/search/", "/reader/", "/reader/"]


def test_replies_are_used_up_in_order_and_the_last_again(scripted: ScriptedServer) -> None:
    scripted.llm.on("", [Text("one"), Text("two")])
    said = [post(f"{scripted.llm_url}/chat/completions", {"messages": []})["choices"][0]["message"]["content"] for _ in range(3)]
    assert said == ["one", "two", "two"]


def test_closing_does_not_wait_for_delays() -> None:
    with ScriptedServer() as server:
        server.llm.script(lambda _: Delay(60, Json({})))
        client = socket.create_connection(("127.0.0.1", server.port))
        client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}")
        assert server.wait_for_requests()
    client.settimeout(30)
    with client, pytest.raises(ConnectionError):
        client.recv(1)
        raise ConnectionError("closed in order")


def test_it_runs_as_a_process(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(
        json.dumps({"llm": {"Verdict": [{"passed": True}]}, "pages": [{"url": "https://a.example/", "title": "A", "text": "b"}]})
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "tests.scripted", "--port", "0", "--script", str(script)]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = f"http://127.0.0.1:{int(process.stdout.readline())}"
        asked = {"messages": [], "response_format": {"type": "json_schema", "json_schema": {"name": "Verdict"}}}
        assert json.loads(post(f"{url}/v1/chat/completions", asked)["choices"][0]["message"]["content"]) == {"passed": True}
        assert post(f"{url}/reader/", {"url": "https://a.example/"})["data"]["content"] == "b"
        process.terminate()
        assert process.wait(10) == 0


@pytest.mark.parametrize("address", [("93.184.215.14", 80), ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", 443), ("10.0.0.1", 1)])
def test_no_connection_leaves_the_machine(address: tuple[str, int]) -> None:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as outside, pytest.raises(RuntimeError, match="connection to"):
        outside.connect(address)
    with pytest.raises(RuntimeError, match="name resolution"):
        socket.create_connection(("example.org", 80))


def test_no_setting_of_the_machine_reaches_a_test(
    make_settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("LLM_MODEL=from-the-machine\n")
    assert get_settings().llm_model is None
    assert get_settings().deepsearch_home == tmp_path / "deepsearch"
    assert os.environ["HOME"] == str(tmp_path)
    assert make_settings(llm_model="m").llm_model == "m"
