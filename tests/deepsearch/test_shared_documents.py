"""Questions asked in this process of a corpus that a cluster shares."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import deepsearch
from deepsearch.indexing import index_folder
from schemas.errors import CorpusError, DeepSearchError
from schemas.settings import Settings
from tests.servers import QUOTED_PASSWORD

ROOT = Path(__file__).parents[2]
QUESTION = "When was the lighthouse of Brenock built?"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    text = "# The lighthouse\n\nThe lighthouse of Brenock was built in 1887. It is 42 metres high and stands on a rock.\n"
    (folder / "lighthouse.md").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def settings(make_settings: Callable[..., Settings], postgres_url: str) -> Settings:
    return make_settings(deepsearch_corpus_url=postgres_url)


async def test_a_question_is_answered_from_it_and_writes_nothing_into_it(settings: Settings, folder: Path, tmp_path: Path) -> None:
    await index_folder(folder, settings)
    for corpus in ("", str(folder)):
        answer = await deepsearch.ask(QUESTION, settings=settings, corpus=corpus)
        assert "1887" in answer.text
        assert [(reference.url, reference.quote) for reference in answer.references] == [
            ((folder / "lighthouse.md").as_uri(), "The lighthouse of Brenock was built in 1887.")
        ]
    other = tmp_path / "private"
    other.mkdir()
    (other / "mine.md").write_text("# Mine\n\nThe lighthouse of Brenock was built in 1903, I say.", encoding="utf-8")
    with pytest.raises(DeepSearchError, match=rf"holds no documents of {other}; run `deepsearch index {other}`"):
        await deepsearch.ask(QUESTION, settings=settings, corpus=str(other))
    assert "1887" in (await deepsearch.ask(QUESTION, settings=settings)).text


async def test_an_empty_shared_corpus_is_told(settings: Settings) -> None:
    with pytest.raises(CorpusError, match="holds no documents; run `deepsearch index FOLDER` with this DEEPSEARCH_CORPUS_URL"):
        await deepsearch.ask(QUESTION, settings=settings)


def test_the_command_indexes_into_it(folder: Path, postgres_url: str, tmp_path: Path) -> None:
    def indexed(url: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "DEEPSEARCH_CORPUS_URL": url}
        command = [sys.executable, "-m", "deepsearch", "index", str(folder)]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    assert indexed(postgres_url).stdout.startswith("1 added, 0 updated, 0 removed, 0 unchanged in ")
    assert indexed(postgres_url).stdout.startswith("0 added, 0 updated, 0 removed, 1 unchanged in ")
    failed = indexed(postgres_url.replace(QUOTED_PASSWORD, "wr0ng"))
    assert (failed.returncode, failed.stdout, failed.stderr.count("\n")) == (2, "", 1)
    assert "correct the user and password in DEEPSEARCH_CORPUS_URL" in failed.stderr
    assert "wr0ng" not in failed.stderr
