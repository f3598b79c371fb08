"""The real Flow with page readers that hang: what does not read goes on, what is too much is refused, and nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateway.flow_process import kill, processes_of, scripted_settings, start_flow
from tests.scripted.five_steps import add_session, reply
from tests.scripted.llm import schema_name
from tests.scripted.replies import Delay, Json, Reply
from tests.scripted.server import ScriptedServer

pytestmark = pytest.mark.flow

PATIENCE = 90.0
"""Seconds until something must have happened that takes a moment; the machine may be busy."""
KNOWN = "What is two and two?"
READS = 200
AT_ONCE, WAITING, REPLICAS = 4, 6, 2


def answer(request: Any) -> Reply:
    """The session of five steps; one question is answered at once."""
    if schema_name(request) == "DecisionOutput" and KNOWN in str(request):
        return Json({"think": "Known.", "action": "answer", "answer": "Four."})
    return reply(request)


@contextmanager
def served(home: Path, upstream: ScriptedServer) -> Iterator[tuple[subprocess.Popen[str], str]]:
    more = {"READER_CONCURRENCY": str(AT_ONCE), "DEEPSEARCH_STAGE_WAITING": str(WAITING), "READER_TIMEOUT_SECONDS": "600"}
    settings = scripted_settings(upstream, home, DRAIN_SECONDS="3", **more)
    process = start_flow(settings, home / "log")
    try:
        yield process, f"http://127.0.0.1:{settings['DEEPSEARCH_HTTP_PORT']}"
    finally:
        kill(process)


async def test_reads_that_hang_disturb_nobody_who_does_not_read(tmp_path: Path) -> None:
    with ScriptedServer() as upstream:
        add_session(upstream)
        upstream.llm.script(answer)
        upstream.reader.script(lambda request: Delay(3600, upstream.reader.default(request)))
        with served(tmp_path, upstream) as (process, url):
            unlimited = httpx.Limits(max_connections=None)
            async with httpx.AsyncClient(base_url=url, timeout=PATIENCE, limits=unlimited) as client:
                document = {"url": "https://host1.org/readers", "question": "How?", "timeout_seconds": 600.0}
                reads = [asyncio.ensure_future(client.post("/read", json={"data": [document]})) for _ in range(READS)]
                most = REPLICAS * (AT_ONCE + WAITING)
                until = time.monotonic() + PATIENCE
                while sum(read.done() for read in reads) < READS - most and time.monotonic() < until:
                    await asyncio.sleep(0.05)
                refused = [read.result() for read in reads if read.done()]
                assert Counter((one.status_code, one.json()["error"]["code"]) for one in refused) == {(503, "overloaded"): READS - most}
                assert all(1 <= int(one.headers["retry-after"]) <= 30 for one in refused)
                assert len(upstream.sent("/reader/")) <= REPLICAS * AT_ONCE

                search = {"queries": [{"text": "scale page readers"}], "timeout_seconds": 60.0}
                finish = {"question": "How?", "draft": "They scale.", "mode": "model"}
                searching = [client.post("/search", json={"data": [search]}) for _ in range(20)]
                finishing = [client.get("/finalize", params=finish) for _ in range(20)]
                running = [client.post("/research", json={"data": [{"question": KNOWN}]}) for _ in range(5)]
                probing = [client.get("/health/ready"), client.get("/metrics")]
                ended = await asyncio.gather(*searching, *finishing, *running, *probing)
                assert [one.status_code for one in ended] == [200] * 47
                assert all(one.json()["data"][0]["results"] for one in ended[:20])
                assert all("event: end" in one.text for one in ended[20:40])
                assert {one.json()["data"][0]["text"] for one in ended[40:45]} == {"Four."}
                assert not any(read.done() and read.result().status_code == 200 for read in reads)

                upstream.reader.script(upstream.reader.default)
                for read in reads:
                    read.cancel()
                await asyncio.gather(*reads, return_exceptions=True)
                question = {"question": "How do I scale the page readers?", "no_direct_answer": True}
                recovered = await client.post("/research", json={"data": [question]})
                assert recovered.json()["data"][0]["stop_reason"] == "answered", recovered.text

                assert "Traceback" not in (tmp_path / "log").read_text(), (tmp_path / "log").read_text()

                upstream.reader.script(lambda request: Delay(3600, upstream.reader.default(request)))
                reads = [asyncio.ensure_future(client.post("/read", json={"data": [document]})) for _ in range(20)]
                assert await asyncio.to_thread(upstream.wait_for_requests, len(upstream.requests) + 1, PATIENCE)
                os.kill(process.pid, signal.SIGKILL)
                until = time.monotonic() + PATIENCE
                while (left := processes_of(process.pid)) and time.monotonic() < until:
                    await asyncio.sleep(0.05)
                assert left == []
                await asyncio.gather(*reads, return_exceptions=True)
