"""Answers as files, from the command line: of a question that is asked, and of a run that is kept, here and by a Flow."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import docx
import pypdfium2
import pytest
from command_line import Place

from tests.gateway.flow_process import free_port_settings, start_flow
from tests.gateway.page.page_flow import stop_flow

TIDES = "# Tides\n\nThe tides are caused by the gravity of the Moon and the Sun. A spring tide happens at full and new moon.\n"
QUESTION = "What causes the tides?"
SENTENCE = "The tides are caused by the gravity of the Moon and the Sun."


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("export")
    (folder / "documents").mkdir()
    (folder / "documents" / "tides.md").write_text(TIDES, "utf-8")
    place = Place(folder)
    asked = place.run("ask", QUESTION, "--corpus", "documents", "--run-id", "kept", "--output", "asked.md")
    assert asked.code == 0, asked.err
    return place


def shown(file: Path) -> str:
    """The words in a file."""
    if file.suffix == ".pdf":
        return "\n".join(page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(file.read_bytes()))
    if file.suffix == ".docx":
        return "\n".join(paragraph.text for paragraph in docx.Document(str(file)).paragraphs)
    return file.read_text("utf-8")


def test_ask_writes_the_file_and_nothing_to_stdout(place: Place) -> None:
    text = (place.folder / "asked.md").read_text("utf-8")
    assert text.startswith(f"# {QUESTION}\n\n")
    assert f"{SENTENCE} [^1]" in text
    assert "> No language model was used" in text
    assert "*Run kept · " in text
    again = place.run("ask", QUESTION, "--corpus", "documents", "--output", "again.txt")
    assert (again.code, again.out) == (0, "")
    assert "written: again.txt" in again.err.splitlines()
    assert SENTENCE in shown(place.folder / "again.txt")


def test_json_is_still_printed(place: Place) -> None:
    done = place.run("ask", QUESTION, "--corpus", "documents", "--output", "with.html", "--json")
    assert json.loads(done.out)["question"] == QUESTION
    assert "<h1" in shown(place.folder / "with.html")


@pytest.mark.parametrize("ending", ["md", "html", "txt", "pdf", "docx", "PDF"])
def test_a_kept_run_in_every_format(place: Place, ending: str) -> None:
    file = place.folder / f"kept.{ending}"
    done = place.run("export", "answer", "kept", file.name)
    assert (done.code, done.out, done.err) == (0, f"written: {file.name}\n", "")
    assert QUESTION in shown(file.rename(file.with_suffix(f".{ending.lower()}")))


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["ask", "why", "--output", "a.rtf"], "a.rtf: no format has the ending '.rtf'; give one of .md, .html, .txt, .pdf, .docx"),
        (["ask", "why", "--output", "answer"], "answer: no format has the ending ''; give one of "),
        (["ask", "why", "--output", "nowhere/a.pdf"], "nowhere/a.pdf: there is no folder nowhere; make it first"),
        (["export", "answer", "kept", "a.exe"], "a.exe: no format has the ending '.exe'; "),
        (["export", "answer", "kept", "folder.pdf"], "folder.pdf: it is a folder; name a file"),
        (["export", "answer", "kept", f"{'x' * 300}.pdf"], f"{'x' * 300}.pdf: File name too long"),
        (["export", "answer", "nope", "a.pdf"], "no run 'nope': `deepsearch runs` lists them"),
        (["export", "answer", "kept"], "Missing argument 'FILE'; see deepsearch export answer --help"),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_runs(place: Place, arguments: list[str], line: str) -> None:
    (place.folder / "folder.pdf").mkdir(exist_ok=True)
    before = place.run("runs", "--json").out
    done = place.run(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"deepsearch: {line}")
    assert done.err.count("\n") == 1
    assert place.run("runs", "--json").out == before


def test_a_file_that_cannot_be_written_names_the_way_to_the_answer(place: Place) -> None:
    (place.folder / "full.txt").symlink_to("/dev/full")
    done = place.run("ask", QUESTION, "--corpus", "documents", "--run-id", "full", "--output", "full.txt")
    assert (done.code, done.out) == (2, "")
    kept = "full.txt: No space left on device; the answer is kept: deepsearch export answer full FILE"
    assert done.err.splitlines()[-1] == f"deepsearch: {kept}"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, place: Place) -> Iterator[dict[str, str]]:
    home = tmp_path_factory.mktemp("home")
    environment = free_port_settings() | {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "DEEPSEARCH_HOME": str(home),
        "DRAIN_SECONDS": "2",
        "DEEPSEARCH_CORPUS": str(place.folder / "documents"),
        "USE_DUCKDUCKGO": "false",
    }
    process = start_flow(environment, home / "log")
    try:
        yield {scheme: f"{scheme}://127.0.0.1:{environment[f'DEEPSEARCH_{scheme.upper()}_PORT']}" for scheme in ("grpc", "http")}
    finally:
        stop_flow(process)


@pytest.mark.flow
@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_a_flow_makes_the_file(place: Place, served: dict[str, str], scheme: str) -> None:
    asked = place.run("ask", QUESTION, "--host", served[scheme], "--run-id", scheme, "--output", f"{scheme}.pdf")
    assert asked.code == 0, asked.err
    assert SENTENCE in shown(place.folder / f"{scheme}.pdf")
    exported = place.run("export", "answer", scheme, f"{scheme}.docx", "--host", served[scheme])
    assert (exported.code, exported.out, exported.err) == (0, f"written: {scheme}.docx\n", "")
    assert SENTENCE in shown(place.folder / f"{scheme}.docx")


@pytest.mark.flow
@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_a_run_that_a_flow_does_not_know(place: Place, served: dict[str, str], scheme: str) -> None:
    done = place.run("export", "answer", "nope", "nope.pdf", "--host", served[scheme])
    assert (done.code, done.out) == (2, "")
    lists = {"grpc": "/runs", "http": "GET /v1/research"}[scheme]
    assert done.err == f"deepsearch: no run 'nope': {lists} lists them\n"
    assert not (place.folder / "nope.pdf").exists()
