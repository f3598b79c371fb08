"""The real `deepsearch mcp` process with stages of its own, and the package's own client."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import ClientSession, McpError
from pydantic import AnyUrl

from providers.journal import create_journal
from schemas.research import RunSummary
from schemas.settings import Settings
from tests.gateway.mcp.mcp_clients import ROOT, Progress, call, cancel, failure, fields, process_client, text
from tests.scripted.five_steps import add_session, reply
from tests.scripted.replies import Delay
from tests.scripted.server import ScriptedServer

QUESTION = "How do I scale the page readers?"
HELLO = [
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
    },
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
]
RESEARCH = {
    "jsonrpc": "2.0",
    "id": 2,
    "method": "tools/call",
    "params": {"name": "research", "arguments": {"question": QUESTION}, "_meta": {"progressToken": "p"}},
}


@pytest.fixture
def upstream() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        add_session(server)
        yield server


def settings(upstream: ScriptedServer) -> dict[str, str]:
    return {
        "OPENAI_BASE_URL": upstream.llm_url,
        "OPENAI_API_KEY": "sk-very-secret",
        "LLM_MODEL": "scripted",
        "JINA_API_KEY": "jina-very-secret",
        "JINA_SEARCH_URL": upstream.search_url,
        "JINA_READER_URL": upstream.reader_url,
    }


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "zebras.md").write_text("# Zebras\n\nZebras sleep standing, in the shade of acacia trees. They lie down only among others.\n")
    (tmp_path / "private.md").write_text("# Zebras\n\nThe password is hunter2.\n")
    return folder


async def test_documents(tmp_path: Path, papers: Path) -> None:
    """No model and no network: the tools over a folder of documents, beyond which nothing can be read."""
    home = tmp_path / "home"
    home.mkdir()
    with (tmp_path / "log").open("w") as log:
        async with process_client("--corpus", "../papers", home=home, log=log) as session:
            progress = Progress()
            run = fields(await call(session, "ask_corpus", progress, question="How do zebras sleep?", wait_seconds=50))
            assert (run["state"], run["mode"]) == ("finished", "extractive")
            assert run["references"][0]["url"] == (papers / "zebras.md").as_uri()
            assert "Zebras sleep standing, in the shade of acacia trees" in run["answer"] and progress.told
            page = (await session.read_resource(AnyUrl(run["references"][0]["page"]))).contents[0]
            assert run["references"][0]["quote"] in page.text

            found = fields(await call(session, "search", queries=["zebras sleep"]))
            assert [one["url"] for one in found["results"]] == [(papers / "zebras.md").as_uri()]
            read = fields(await call(session, "read_url", url=found["results"][0]["url"]))
            assert read["text"].startswith("# Zebras") and read["next_offset"] is None
            line = failure(await call(session, "read_url", url=(tmp_path / "private.md").as_uri()))
            assert "hunter2" not in line
            assert "Extra inputs" in failure(await call(session, "ask_corpus", question="q", corpus=str(tmp_path)))


async def test_a_long_run_is_handed_out_continued_and_cancelled(tmp_path: Path, upstream: ScriptedServer) -> None:
    with (tmp_path / "log").open("w") as log:
        async with process_client(home=tmp_path, log=log, **settings(upstream)) as session:
            assert "this server has no documents" in failure(await call(session, "ask_corpus", question="q"))
            many = [call(session, "research", question=f"{QUESTION} {number}") for number in range(4)]
            assert {fields(one)["stop_reason"] for one in await asyncio.gather(*many)} == {"answered"}

            upstream.llm.script(lambda request: Delay(3600, reply(request)))
            asked = len(upstream.requests)
            run = fields(await call(session, "research", question=QUESTION, wait_seconds=0))
            assert await asyncio.to_thread(upstream.wait_for_requests, asked + 1)
            again = await call(session, "get_research", run_id=run["run_id"], wait_seconds=0.05)
            assert fields(again)["state"] == "running" and "still running" in text(again)
            assert fields(await call(session, "cancel_research", run_id=run["run_id"]))["state"] == "cancelled"
            assert await asyncio.to_thread(upstream.wait_for_lost_streams, 1), "the model's call was not cut"

            progress, request_id = Progress(), session._request_id
            research = asyncio.create_task(call(session, "research", progress, question=QUESTION))
            run_id = (await progress.begun()).split()[1]
            assert await asyncio.to_thread(upstream.wait_for_requests, asked + 2)
            await cancel(session, request_id)
            with pytest.raises(McpError, match="Request cancelled"):
                await research
            assert await asyncio.to_thread(upstream.wait_for_lost_streams, 2), "the model's call was not cut"
            assert fields(await call(session, "get_research", run_id=run_id))["state"] == "cancelled"
            assert len(upstream.requests) == asked + 2
    told = (tmp_path / "log").read_text()
    assert "Traceback" not in told and "very-secret" not in told, told


class Started:
    """A `deepsearch mcp` process whose streams a test holds itself."""

    def __init__(self, home: Path, **more: str) -> None:
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "DEEPSEARCH_HOME": str(home), "PYTHONPATH": str(ROOT), **more}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "deepsearch", "mcp"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, cwd=home, text=True,
        )  # fmt: skip

    def say(self, *messages: Any) -> None:
        assert self.process.stdin is not None
        for message in messages:
            self.process.stdin.write(message if isinstance(message, str) else json.dumps(message) + "\n")
        self.process.stdin.flush()

    def heard(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def rest(self) -> tuple[list[Any], str]:
        """What else came, after stdin was closed, and the log."""
        out, log = self.process.communicate(timeout=60)
        return [json.loads(line) for line in out.splitlines()], log


async def last_run(home: Path) -> RunSummary:
    journal = create_journal(Settings(_env_file=None, deepsearch_home=home))
    try:
        return (await journal.runs(1))[0]
    finally:
        await journal.close()


def test_messages_from_a_pipe_are_all_answered(tmp_path: Path) -> None:
    """Lines that are none of the protocol change nothing, and only messages reach stdout."""
    started = Started(tmp_path)
    started.say(*HELLO, "no message\n", "\n", '{"jsonrpc": "2.0"}\n', {"jsonrpc": "2.0", "id": 2, "method": "tools/list"})
    started.say({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "search", "arguments": {}}})
    answers, log = started.rest()
    assert sorted(answer["id"] for answer in answers) == [1, 2, 3] and started.process.returncode == 0
    assert "Traceback" not in log, log


@pytest.mark.parametrize("how", ["stdin closed", "SIGTERM", "SIGINT"])
async def test_a_process_that_ends_interrupts_its_runs(tmp_path: Path, upstream: ScriptedServer, how: str) -> None:
    upstream.llm.script(lambda request: Delay(3600, reply(request)))
    started = Started(tmp_path, **settings(upstream))
    started.say(*HELLO, RESEARCH)
    assert started.heard()["id"] == 1
    run_id = started.heard()["params"]["message"].split()[1]
    assert await asyncio.to_thread(upstream.wait_for_requests, 1)
    if how == "stdin closed":
        _, log = started.rest()
    else:
        started.process.send_signal(getattr(signal, how))
        assert started.process.wait(30) == 0
        _, log = started.rest()
    assert started.process.returncode == 0 and "Traceback" not in log, log
    assert upstream.wait_for_lost_streams(1), "the model's call was not cut"
    run = await last_run(tmp_path)
    assert (run.run_id, run.state, run.background) == (run_id, "interrupted", False)


async def test_a_client_that_only_closes_its_end_ends_the_process(tmp_path: Path) -> None:
    started = Started(tmp_path)
    started.say(*HELLO)
    assert started.heard()["id"] == 1
    assert started.process.stdout is not None
    started.process.stdout.close()
    started.say({"jsonrpc": "2.0", "id": 2, "method": "tools/list"})
    code = started.process.wait(30)
    assert started.process.stdin is not None and started.process.stderr is not None
    log = started.process.stderr.read()
    for stream in (started.process.stdin, started.process.stderr):
        stream.close()
    assert code == 0 and "Traceback" not in log, log


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--host", "http://127.0.0.1:1", "--corpus", "."], "--corpus is for this process"),
        (["--host", "nowhere"], "'nowhere' is no address of a Flow"),
    ],
)
def test_bad_flags_are_one_line(tmp_path: Path, arguments: list[str], line: str) -> None:
    command = [sys.executable, "-m", "deepsearch", "mcp", *arguments]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.startswith(f"deepsearch: {line}")


async def test_a_flow_that_is_not_there_is_named(tmp_path: Path) -> None:
    for host in ("http://127.0.0.1:1", "grpc://127.0.0.1:1"):
        with (tmp_path / "log").open("w") as log:
            async with process_client("--host", host, home=tmp_path, log=log) as session:
                assert isinstance(session, ClientSession)
                line = failure(await call(session, "search", queries=["x"]))
                assert f"no Flow answers at {host}" in line and "deepsearch serve" in line
                assert "no Flow answers" in failure(await call(session, "get_research", run_id="x"))
