"""Indexing a folder: incremental, interruptible, safe for several processes, hostile files."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from providers.corpus import Corpus, FolderCorpus, IndexProgress, open_corpus
from schemas.errors import CorpusError
from tests.providers.reader_files.pdf_writer import make_pdf

MakeCorpus = Callable[..., Corpus]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    (folder / "sub").mkdir(parents=True)
    (folder / "water.md").write_text("# Water\n\nWater boils at 100 degrees Celsius.\n", encoding="utf-8")
    (folder / "sub" / "tower.txt").write_text("The Eiffel Tower is 330 metres tall.", encoding="utf-8")
    return folder


@pytest.fixture
def corpus(make_corpus: MakeCorpus, folder: Path, tmp_path: Path) -> Corpus:
    return make_corpus(folder, tmp_path / "home")


@pytest.fixture
async def folder_corpus(folder: Path, tmp_path: Path) -> AsyncIterator[FolderCorpus]:
    corpus = open_corpus(folder, tmp_path / "home")
    yield corpus
    await corpus.close()


async def titles(corpus: Corpus, query: str) -> list[str]:
    return [hit.title for hit in (await corpus.search(query, 10)).hits]


async def test_only_what_changed_is_indexed_again(corpus: Corpus, folder: Path) -> None:
    report = await corpus.index()
    assert (report.added, report.updated, report.removed, report.unchanged, report.failed) == (2, 0, 0, 0, [])
    report = await corpus.index()
    assert (report.added, report.updated, report.removed, report.unchanged) == (0, 0, 0, 2)

    os.utime(folder / "water.md", ns=(1, 1))  # written again with the same content
    report = await corpus.index()
    assert (report.added, report.updated, report.removed, report.unchanged) == (0, 0, 0, 2)

    (folder / "water.md").write_text("# Water\n\nWater freezes at 0 degrees.\n", encoding="utf-8")
    (folder / "sub" / "tower.txt").unlink()
    (folder / "new.md").write_text("# Lakes\n\nLake Baikal is the deepest lake.\n", encoding="utf-8")
    report = await corpus.index()
    assert (report.added, report.updated, report.removed, report.unchanged) == (1, 1, 1, 0)
    report = await corpus.index()
    assert (report.rebuilt, report.unchanged) == ("", 2)  # both halves of the index agree
    assert await titles(corpus, "boils") == []
    assert await titles(corpus, "freezes") == ["Water"]
    assert await titles(corpus, "Eiffel") == []
    assert await titles(corpus, "deepest lake") == ["Lakes"]


async def test_every_type_is_read_and_one_bad_file_stops_nothing(corpus: Corpus, folder: Path) -> None:
    (folder / "report.pdf").write_bytes(make_pdf([["Tungsten melts at 3422 degrees."]], title="Metals"))
    (folder / "page.HTM").write_text(
        "<html><title>Mountains</title><body><p>Everest is 8849 metres high.</p></body></html>", encoding="utf-8"
    )
    (folder / "note.rst").write_text("Rivers\n======\n\nThe Nile flows north.\n", encoding="utf-8")
    (folder / "binary.md").write_bytes(bytes(range(256)) * 10)
    (folder / "latin.txt").write_bytes("Zürich liegt an der Limmat, und dort wohnen viele Menschen.".encode("latin-1"))
    (folder / "utf16.txt").write_bytes("Der Rhein fließt durch Köln und mündet in die Nordsee.".encode("utf-16"))
    (folder / "long.txt").write_bytes(b"longline " * 600_000)
    (folder / "deep.html").write_text("<html><body>" + "<div>" * 5_000 + "<p>Bottom of the well.</p>", encoding="utf-8")
    (folder / "empty.md").touch()
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 broken")
    (folder / "secret.pdf").write_bytes(make_pdf([["x"]], encrypted=True))
    (folder / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    os.mkfifo(folder / "pipe.md")
    report = await corpus.index()
    assert report.added == 9
    assert sorted(report.failed) == [
        ("binary.md", "it cannot be read as TEXT: it holds binary data, not text"),
        ("broken.pdf", "it cannot be read as PDF: the file is damaged (Failed to load document (PDFium: Data format error).)"),
        ("empty.md", "it is empty"),
        ("pipe.md", "not a regular file"),
        ("secret.pdf", "it cannot be read as PDF: it is encrypted; save a copy without a password"),
    ]
    assert await titles(corpus, "melting tungsten") == ["Metals"]
    assert await titles(corpus, "How high is Everest?") == ["Mountains"]
    assert await titles(corpus, "Nile") == ["Rivers"]
    assert (await corpus.search("Limmat", 1)).hits[0].url.endswith("/latin.txt")
    assert (await corpus.search("Rhein Köln", 1)).hits[0].url.endswith("/utf16.txt")
    assert (await corpus.search("well bottom", 1)).hits[0].url.endswith("/deep.html")
    assert (await corpus.search("longline", 1)).hits[0].end <= 1_000


async def test_links_hidden_and_large_files(make_corpus: MakeCorpus, tmp_path: Path, folder: Path) -> None:
    outside = tmp_path / "outside.md"
    outside.write_text("outside secret", encoding="utf-8")
    (folder / "escape.md").symlink_to(outside)
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    (folder / ".git").mkdir()
    (folder / ".git" / "x.md").write_text("hidden secret", encoding="utf-8")
    (folder / "large.md").write_text("large " * 1_000, encoding="utf-8")
    corpus = make_corpus(folder, folder / "home", max_file_bytes=5_000)
    (folder / "home").mkdir()
    (folder / "home" / "inside.md").write_text("home secret", encoding="utf-8")
    report = await corpus.index()
    assert report.added == 2
    assert report.failed == [("large.md", "larger than 5,000 bytes (MAX_PAGE_BYTES)")]
    assert report.skipped == [
        (".git", "hidden folder"),
        ("escape.md", "symbolic link, not followed"),
        ("loop", "symbolic link, not followed"),
    ]
    assert await titles(corpus, "secret") == []


async def test_a_file_that_turns_bad_leaves_the_index(corpus: Corpus, folder: Path) -> None:
    await corpus.index()
    (folder / "water.md").write_bytes(b"\x89PNG....")
    report = await corpus.index()
    assert report.failed == [("water.md", "it is a PNG picture, which is not read")]
    assert await titles(corpus, "water") == []


@pytest.mark.skipif(os.getuid() == 0, reason="permissions do not bind root")
async def test_unreadable_file(corpus: Corpus, folder: Path) -> None:
    (folder / "water.md").chmod(0)
    assert (await corpus.index()).failed == [("water.md", "it cannot be read (Permission denied)")]


def test_folder_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"nowhere: there is no such folder; create it or correct DEEPSEARCH_CORPUS$"):
        open_corpus(tmp_path / "nowhere", tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(CorpusError, match=r"file: it is a file; name the folder that holds the documents$"):
        open_corpus(tmp_path / "file", tmp_path)


async def test_empty_folder_says_what_is_looked_for(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    corpus = make_corpus(tmp_path / "docs", tmp_path / "home")
    with pytest.raises(CorpusError, match=r"no readable document in it; put files of type \.md, \.txt, \.rst, \.html, \.htm, \.pdf there$"):
        await corpus.index()
    (tmp_path / "docs" / "a.md").touch()
    with pytest.raises(CorpusError, match=r"the first of 1 that failed is a\.md: it is empty$"):
        await corpus.index()


def everything(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


async def test_nothing_is_written_into_the_folder(corpus: Corpus, folder: Path) -> None:
    before = everything(folder)
    await corpus.index()
    await corpus.search("water", 1)
    assert everything(folder) == before


async def test_two_at_once_do_the_work_once(corpus: Corpus, make_corpus: MakeCorpus, folder: Path, tmp_path: Path) -> None:
    for i in range(30):
        (folder / f"{i}.md").write_text(f"# Number {i}\n\nText of number {i}.", encoding="utf-8")
    reports = await asyncio.gather(corpus.index(), make_corpus(folder, tmp_path / "home").index())
    assert sorted((report.added, report.unchanged) for report in reports) == [(0, 32), (32, 0)]


async def test_the_second_says_that_it_waits(folder_corpus: FolderCorpus) -> None:
    await folder_corpus.index()
    waiting: asyncio.Event = asyncio.Event()
    loop = asyncio.get_running_loop()

    def progress(state: IndexProgress) -> None:
        assert state.stage == "waiting"
        loop.call_soon_threadsafe(waiting.set)

    with (folder_corpus.index_folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        task = asyncio.create_task(folder_corpus.index(progress))
        await waiting.wait()
        assert await titles(folder_corpus, "Eiffel") == ["The Eiffel Tower is 330 metres tall."]  # readers are not kept out
    assert (await task).unchanged == 2


async def test_readers_see_new_commits(corpus: Corpus, make_corpus: MakeCorpus, folder: Path, tmp_path: Path) -> None:
    await corpus.index()
    assert await titles(corpus, "Baikal") == []
    (folder / "lake.md").write_text("# Baikal\n\nA deep lake.", encoding="utf-8")
    await make_corpus(folder, tmp_path / "home").index()
    assert await titles(corpus, "Baikal") == ["Baikal"]


_INDEX_AND_REPORT = """
import asyncio, sys
from pathlib import Path
from deepsearch.indexing import index_folder
from schemas.settings import Settings
settings = Settings(_env_file=None, deepsearch_home=sys.argv[2], deepsearch_corpus_url=sys.argv[3] or None, use_duckduckgo=False)
asyncio.run(index_folder(Path(sys.argv[1]), settings, lambda state: print(state.done, flush=True)))
"""


def index_until_killed(folder: Path, home: Path, corpus_url: str, documents: int) -> None:
    command = [sys.executable, "-c", _INDEX_AND_REPORT, str(folder), str(home), corpus_url]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= documents:
                process.kill()
                break


async def test_a_killed_indexing_loses_nothing_that_was_finished(
    make_corpus: MakeCorpus, corpus_url: str, folder: Path, tmp_path: Path
) -> None:
    for i in range(300):
        (folder / f"{i:03}.md").write_text(f"# Number {i}\n\nThe text of document number {i}.", encoding="utf-8")
    index_until_killed(folder, tmp_path / "home", corpus_url, documents=140)
    corpus = make_corpus(folder, tmp_path / "home")
    if not corpus_url:
        assert not await corpus.is_indexed()
    report = await corpus.index()
    assert report.rebuilt == ""
    assert report.unchanged >= 128  # two batches of 64 were committed
    assert report.added + report.unchanged == 302
    assert await corpus.is_indexed()
    for i in (0, 70, 150, 299):
        assert (await corpus.search(f"document number {i}", 1)).hits[0].title == f"Number {i}"


async def test_what_was_stored_but_not_yet_searchable_is_made_good(folder_corpus: FolderCorpus) -> None:
    await folder_corpus.index()
    # As after a kill between the two commits: passages are in the store, the inverted index has others.
    with sqlite3.connect(folder_corpus.index_folder / "documents.db") as database:
        database.execute("INSERT INTO pending SELECT id FROM documents")
        database.execute("UPDATE passages SET id = id + 1000")
    database.close()
    assert await titles(folder_corpus, "Eiffel") == []
    report = await folder_corpus.index()
    assert (report.rebuilt, report.unchanged) == ("", 2)
    assert await titles(folder_corpus, "Eiffel") == ["The Eiffel Tower is 330 metres tall."]


@pytest.mark.parametrize("damage", ["database", "tables", "meta", "segments", "terms", "version"])
async def test_a_damaged_index_is_made_anew(folder_corpus: FolderCorpus, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    await folder_corpus.index()
    database, terms = folder_corpus.index_folder / "documents.db", folder_corpus.index_folder / "terms"
    if damage == "database":
        database.write_bytes(b"garbage " * 2_000)
    elif damage in ("tables", "version"):
        with sqlite3.connect(database) as connection:
            connection.execute("DROP TABLE passages" if damage == "tables" else "PRAGMA user_version = 77")
        connection.close()
    elif damage == "meta":
        (terms / "meta.json").write_text("{", encoding="utf-8")
    elif damage == "segments":
        for path in terms.glob("*.idx"):
            path.write_bytes(b"")
    else:
        shutil.rmtree(terms)
    if damage == "version":
        assert (await folder_corpus.index()).rebuilt == "it was written by another version: format 77, not 1"
    assert await titles(folder_corpus, "Eiffel") == ["The Eiffel Tower is 330 metres tall."]
    assert "making it anew" in caplog.text
    assert (await folder_corpus.index()).unchanged == 2
