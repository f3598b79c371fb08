"""Runs that are exported, imported and deleted on the command line."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Done, Place

from tests.servers import RedisServer

TIDES = "# Tides\n\nThe tides are caused by the gravity of the Moon and the Sun. A spring tide happens at full and new moon.\n"
QUESTION = "What causes the tides?"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "tides.md").write_text(TIDES, "utf-8")
    made = Place(tmp_path)
    asked = made.run("ask", QUESTION, "--corpus", "documents", "--run-id", "kept")
    assert asked.code == 0, asked.err
    return made


@pytest.fixture
def durable_redis() -> Iterator[RedisServer]:
    with RedisServer(durable=True) as server:
        yield server


def fails(done: Done, message: str) -> None:
    assert done.code == 2 and done.out == ""
    assert done.err.startswith("deepsearch: ") and done.err.count("\n") == 1 and message in done.err, done.err


def test_a_run_moves_to_another_journal_and_is_the_same_there(place: Place, postgres_url: str, durable_redis: RedisServer) -> None:
    done = place.run("export", "run", "kept", "run.jsonl.gz")
    assert done.code == 0 and done.out.startswith("written: run.jsonl.gz ("), done.err
    shown, replayed = place.run("show", "kept"), place.run("replay", "kept")
    for url in (postgres_url, durable_redis.url(), f"sqlite:///{place.folder}/other.db"):
        elsewhere = {"DEEPSEARCH_STATE_URL": url}
        assert place.run("runs", **elsewhere).out.count("\n") == 1  # the headings
        done = place.run("import", "run.jsonl.gz", **elsewhere)
        assert (done.code, done.out) == (0, "imported: kept\n"), done.err
        assert place.run("show", "kept", **elsewhere).out == shown.out
        assert place.run("replay", "kept", **elsewhere).out == replayed.out
        exported = place.run("export", "answer", "kept", "answer.md", **elsewhere)
        assert exported.code == 0 and "gravity of the Moon" in (place.folder / "answer.md").read_text("utf-8")
        resumed = place.run("resume", "kept", **elsewhere)
        assert resumed.code == 0 and "gravity of the Moon" in resumed.out
        fails(place.run("import", "run.jsonl.gz", **elsewhere), "there is a run 'kept' already: give the imported one another id with --as")
        assert place.run("import", "run.jsonl.gz", "--as", "copy", **elsewhere).out == "imported: copy\n"
        assert place.run("replay", "copy", **elsewhere).code == 0
        assert place.run("forget", "kept", **elsewhere).out == "deleted: kept\n"
        fails(place.run("forget", "kept", **elsewhere), "no run 'kept'")
        assert place.run("runs", **elsewhere).out.count("\n") == 2


def test_what_cannot_be_done_is_one_line(place: Place) -> None:
    (place.folder / "other.gz").write_bytes(gzip.compress(b'{"kind": "something"}\n'))
    fails(place.run("export", "run", "nobody", "run.gz"), "no run 'nobody'")
    fails(place.run("export", "run", "kept", "missing/run.gz"), "missing/run.gz: No such file or directory")
    fails(place.run("import", "missing.gz"), "missing.gz: No such file or directory")
    fails(place.run("import", "other.gz"), "other.gz is no run that was exported: line 1 is not as it should be")
    fails(place.run("forget", "nobody"), "no run 'nobody'")
    fails(place.run("forget", "kept", "--host", "nowhere"), "is no address of a Flow")
    assert not (place.folder / "run.gz").exists()
