"""Questions to a real Flow whose searchers and page readers share a corpus in PostgreSQL and have no folder of documents."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest
from docarray import DocList
from jina import Client

from deepsearch.indexing import index_folder
from executors.controller.remote_stages import RemoteStages
from schemas.research import ResearchAnswer, ResearchRequest
from schemas.search import SearchQuery, SearchRequest, SearchResponse
from schemas.settings import Settings
from tests.gateway.flow_process import ROOT, flow_of, free_port_settings, free_ports
from tests.servers import QUOTED_PASSWORD

pytestmark = pytest.mark.flow

_SEARCHER = "executors/jina_searcher/config.yml"

TIDES = (
    "# Tides\n\nThe tides are caused by the pull of the moon and the sun. High tide comes about every twelve hours and twenty-five minutes."
)
WALLS = (
    "# Die Stadtmauer\n\nDie Stadtmauer von Nördlingen ist vollständig erhalten und 2,7 Kilometer lang. Sie hat elf Türme und fünf Tore."
)


@contextmanager
def second_searcher(settings: dict[str, str], port: int, told: Path) -> Iterator[None]:
    """Another searcher, as it runs on another machine: it has its settings and no more."""
    with told.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jina", "executor", "--uses", _SEARCHER, "--host", "127.0.0.1", "--port", str(port)],
            env=settings, cwd=ROOT, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        process.wait(40)


async def found(port: int) -> list[str]:
    """Titles of what the searcher at `port` finds, once it is ready."""
    stages = RemoteStages({"jina_searcher": f"127.0.0.1:{port}"})
    request = SearchRequest(queries=DocList[SearchQuery]([SearchQuery(text="What causes the tides?")]))
    try:
        async with asyncio.timeout(60):
            while not await stages.ready():
                await asyncio.sleep(0.1)
        response = await stages.call("/search", request, SearchResponse, timeout=30)
        return [result.title for result in response.results]
    finally:
        await stages.close()


async def asked(settings: dict[str, str], **fields: str) -> ResearchAnswer:
    client = Client(host="127.0.0.1", port=int(settings["DEEPSEARCH_GRPC_PORT"]), protocol="grpc", asyncio=True)
    inputs = DocList[ResearchRequest]([ResearchRequest(no_direct_answer=True, **fields)])
    async for answers in client.post(on="/research", inputs=inputs, return_type=DocList[ResearchAnswer]):
        answer: ResearchAnswer = answers[0]
        return answer
    raise AssertionError("no answer came")


async def test_answers_from_a_shared_corpus_without_a_folder(postgres_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "tides.md").write_text(TIDES, encoding="utf-8")
    (folder / "mauer.md").write_text(WALLS, encoding="utf-8")
    made = Settings(_env_file=None, deepsearch_corpus_url=postgres_url, deepsearch_home=tmp_path / "elsewhere")
    assert (await index_folder(folder, made)).added == 2
    shutil.rmtree(folder)

    [port] = free_ports(1)
    settings = free_port_settings() | {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "DEEPSEARCH_HOME": str(tmp_path / "home"), "DRAIN_SECONDS": "5",
        "USE_DUCKDUCKGO": "false", "DEEPSEARCH_CORPUS_URL": postgres_url,
    }  # fmt: skip
    own = int(settings["DEEPSEARCH_JINA_SEARCHER_PORT"])
    settings["JINA_SEARCHER_ADDRESS"] = f"127.0.0.1:{own},127.0.0.1:{port}"
    with second_searcher(settings, port, tmp_path / "searcher.log"), flow_of(settings, tmp_path / "flow.log"):
        assert await found(own) == await found(port) == ["Tides"]
        answers = await asyncio.gather(
            asked(settings, question="What are the tides caused by?"),
            asked(settings, question="Wie lang ist die Stadtmauer von Nördlingen?"),
            asked(settings, question="What are the tides caused by?", corpus=str(folder)),
            asked(settings, question="Wie viele Türme hat die Stadtmauer von Nördlingen?"),
        )
        connection = await asyncpg.connect(postgres_url)
        connected = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'deepsearch' AND datname = current_database()"
        )
        await connection.close()
    assert connected >= 3  # two searchers and a page reader, or two
    for answer, name, text in zip(answers, ["tides.md", "mauer.md", "tides.md", "mauer.md"], [TIDES, WALLS, TIDES, WALLS], strict=True):
        assert answer.references
        for reference in answer.references:
            assert reference.url == (folder / name).as_uri()
            assert reference.quote in text
    assert "pull of the moon" in answers[0].text
    assert "2,7 Kilometer" in answers[1].text
    for log in ("flow.log", "searcher.log"):
        assert QUOTED_PASSWORD not in (tmp_path / log).read_text()
