"""The command as a person runs it: a process with arguments, an environment, two streams and an exit code."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from command_line import Done, Place

from schemas.settings import Settings
from tests.scripted import Delay, ScriptedServer, Status, Text

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = {
    "tides.md": "# Tides\n\nThe tides are caused by the gravity of the Moon and the Sun. A spring tide happens at full and new moon.\n",
    "winds.html": "<html><title>Winds</title><body><p>Trade winds blow from the east towards the equator.</p></body></html>",
    "hostile.md": "# Hostile\n\nThe kraken \u009b31msleeps below [bold]the thunders[/bold] of the \u202eupper deep.\n",
    "broken.pdf": "%PDF-1.4 and then nothing that is a PDF",
}


@dataclass
class Command:
    """A command line to run, and what it must do."""

    arguments: list[str]
    code: int
    line: str
    environment: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("cli")
    (folder / "documents").mkdir()
    for name, text in DOCUMENTS.items():
        (folder / "documents" / name).write_text(text, "utf-8")
    (folder / "empty").mkdir()
    (folder / "empty.json").write_text('{"title": "Tides", "sections": []}')
    return Place(folder)


@pytest.fixture(scope="module")
def refusing() -> Iterator[ScriptedServer]:
    """A model's server that knows no key."""
    with ScriptedServer() as server:
        server.llm.script(lambda _: Status(401, {"error": {"message": "Incorrect API key provided"}}))
        yield server


SECRET = "sk-very-secret"
BAD_INPUT = {
    "empty question": Command(["ask", ""], 2, "QUESTION is empty: ask something"),
    "unknown flag": Command(["ask", "why", "--colour"], 2, "No such option: --colour"),
    "unknown command": Command(["answer"], 2, "No such command 'answer'; see deepsearch --help"),
    "no question": Command(["ask"], 2, "Missing argument 'QUESTION'; see deepsearch ask --help"),
    "not a number": Command(["ask", "why", "--budget-tokens", "many"], 2, "Invalid value for '--budget-tokens': "),
    "no budget": Command(["ask", "why", "--budget-tokens", "0"], 2, "--budget-tokens is 0; it must be at least 1,000"),
    "no time": Command(["ask", "why", "--budget-seconds", "0.5"], 2, "--budget-seconds is 0.5; it must be at least 1"),
    "odd run id": Command(["ask", "why", "--run-id", "../x"], 2, "--run-id may hold letters, digits, - and _, at most 64"),
    "words of no report": Command(["ask", "why", "--words", "500"], 2, "--words is for reports: add --report"),
    "plan of no report": Command(["ask", "why", "--plan-first"], 2, "--plan-first is for reports: add --report"),
    "team for a report": Command(
        ["ask", "why", "--report", "--team-size", "2"], 2, "--team-size is for answers: leave it at 1 in a report"
    ),
    "outline without sections": Command(
        ["approve", "nope", "--outline", "empty.json"], 2, "empty.json holds no sections: name at least one"
    ),
    "missing corpus": Command(["ask", "why", "--corpus", "nowhere"], 2, "corpus {folder}/nowhere: there is no such folder; "),
    "empty corpus": Command(["ask", "why", "--corpus", "empty"], 2, "corpus {folder}/empty: no readable document in it; "),
    "corpus is a file": Command(["index", "documents/tides.md"], 2, "corpus documents/tides.md: it is a file; "),
    "no such address": Command(["ask", "why", "--host", "localhost"], 2, "'localhost' is no address of a Flow; give grpc://host:port or "),
    "dead gRPC host": Command(["ask", "why", "--host", "grpc://127.0.0.1:1"], 1, "no Flow answers at grpc://127.0.0.1:1 ("),
    "dead HTTP host": Command(["ask", "why", "--host", "http://127.0.0.1:1"], 1, "no Flow answers at http://127.0.0.1:1 ("),
    "unknown run to show": Command(["show", "nope"], 2, "no run 'nope': `deepsearch runs` lists them"),
    "unknown run to resume": Command(["resume", "nope"], 2, "no run 'nope': `deepsearch runs` lists them"),
    "bad setting": Command(["runs"], 2, "DEEPSEARCH_HTTP_PORT: input should be a valid integer", {"DEEPSEARCH_HTTP_PORT": SECRET}),
    "bad journal": Command(["runs"], 2, "DEEPSEARCH_STATE_URL must look like sqlite:///", {"DEEPSEARCH_STATE_URL": "mysql://x"}),
    "unreachable model": Command(
        ["ask", "why", "--corpus", "documents"],
        1,
        "the model server 127.0.0.1:1 cannot be reached (",
        {"LLM_MODEL": "m", "OPENAI_BASE_URL": "http://127.0.0.1:1/v1", "LLM_MAX_RETRIES": "0"},
    ),
    "wrong key": Command(
        ["ask", "why", "--corpus", "documents"],
        1,
        "",
        {"LLM_MODEL": "m", "OPENAI_BASE_URL": "{refusing}", "OPENAI_API_KEY": SECRET},
    ),
}


@pytest.fixture(scope="module")
def refused(place: Place, refusing: ScriptedServer) -> dict[str, Done]:
    """What every bad input leads to; the processes run two at a time."""
    place.run("index", "documents")  # so that no command has to say what it indexed

    def run(command: Command) -> Done:
        environment = {name: value.format(refusing=refusing.llm_url) for name, value in command.environment.items()}
        return place.run(*command.arguments, **environment)

    with ThreadPoolExecutor(2) as threads:
        return dict(zip(BAD_INPUT, threads.map(run, BAD_INPUT.values()), strict=True))


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input_is_one_clear_line(name: str, refused: dict[str, Done], place: Place) -> None:
    wanted, done = BAD_INPUT[name], refused[name]
    # The first call to a model is made once more: that it failed before is told as it happens.
    failed = [line for line in done.err.splitlines() if line.startswith("failed: understanding the question: ")]
    assert len(failed) == (name == "unreachable model"), done.err
    lines = [line for line in done.err.splitlines() if line not in failed and not line.startswith("not readable: broken.pdf")]
    assert (done.code, done.out, len(lines)) == (wanted.code, "", 1), done.err
    assert lines[0].startswith("deepsearch: " + wanted.line.format(folder=place.folder))
    assert "Traceback" not in done.err
    assert SECRET not in done.err
    if name == "wrong key":
        assert "OPENAI_API_KEY" in done.err


def test_index_reports_a_bad_file_and_goes_on(place: Place, tmp_path: Path) -> None:
    first = place.run("index", "documents", DEEPSEARCH_HOME=str(tmp_path))
    assert first.code == 0
    assert first.out.startswith("3 added, 0 updated, 0 removed, 1 not readable, 0 unchanged in ")
    assert first.err.startswith("not readable: broken.pdf: ")
    assert len(first.err.splitlines()) == 1
    second = place.run("index", "documents", DEEPSEARCH_HOME=str(tmp_path))
    assert second.out.startswith("0 added, 0 updated, 0 removed, 1 not readable, 3 unchanged in ")


def test_a_question_from_documents_and_its_run_afterwards(place: Place) -> None:
    asked = place.run("ask", "What causes the tides?", "--corpus", "documents", "--run-id", "tides")
    assert asked.code == 0, asked.err
    answer, _, footnotes = asked.out.partition("\n\n[^1]: ")
    assert "The tides are caused by the gravity of the Moon and the Sun. [^1]" in answer
    assert f"[Tides]({(place.folder / 'documents' / 'tides.md').as_uri()})" in footnotes
    assert "> No language model was used" in asked.out
    assert "extractive: no language model used · answered · " in asked.err.splitlines()[-1]
    assert asked.err.splitlines()[-1].endswith(" · run tides")
    assert "\x1b" not in asked.err + asked.out

    again = place.run("ask", "Why?", "--corpus", "documents", "--run-id", "tides")
    assert (again.code, again.out) == (2, "")
    assert "tides" in again.err

    listed = json.loads(place.run("runs", "--json", "--limit", "1").out)
    assert [(run["run_id"], run["state"], run["question"]) for run in listed] == [("tides", "finished", "What causes the tides?")]

    shown = place.run("show", "tides")
    assert shown.out.splitlines()[0] == "question: What causes the tides?"
    assert any(line.startswith("search: ") for line in shown.out.splitlines())
    assert any(line.startswith("read: Tides (tides.md): ") for line in shown.out.splitlines())
    assert asked.out.strip() in shown.out

    journal = json.loads(place.run("show", "tides", "--json").out)
    assert journal["events"][0]["type"] == "run_started"
    assert [event["sequence"] for event in journal["events"]] == list(range(1, len(journal["events"]) + 1))

    replayed = place.run("replay", "tides")
    assert replayed.code == 0
    assert replayed.out.splitlines()[-1] == "the stored digest is the same"

    resumed = place.run("resume", "tides")
    assert (resumed.code, resumed.out) == (0, asked.out)


def test_json_is_the_only_thing_on_stdout(place: Place) -> None:
    done = place.run("ask", "Where do trade winds blow from?", "--corpus", "documents", "--json")
    answer = json.loads(done.out)
    assert done.out.count("\n") == 1
    assert answer["mode"] == "extractive"
    assert "Trade winds blow from the east towards the equator." in answer["text"]
    assert answer["references"][0]["quote"] in "Trade winds blow from the east towards the equator."
    assert "id" not in answer


def on_a_terminal(place: Place, *arguments: str, **environment: str) -> tuple[int, str]:
    """Run a command whose streams are a terminal; its exit code and everything it wrote there."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "deepsearch", *arguments],
        env=place.environment(TERM="xterm-256color", **environment),
        cwd=place.folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            piece = os.read(ours, 65_536)
        except OSError:  # how Linux says that the other end is closed
            break
        if not piece:
            break
        written += piece
    os.close(ours)
    return process.wait(30), written.decode()


def test_a_hostile_page_never_reaches_the_terminal_raw(place: Place) -> None:
    code, written = on_a_terminal(place, "ask", "What does the kraken do?", "--corpus", "documents", NO_COLOR="1")
    assert code == 0
    assert "The kraken sleeps below" in " ".join(written.split())
    assert "[bold]the thunders[/bold]" in " ".join(written.split())
    assert "\u009b" not in written
    assert "\u202e" not in written


def test_to_be_told_to_stop_is_what_ctrl_c_is(place: Place) -> None:
    with ScriptedServer() as server:
        server.llm.script(lambda _: Delay(60, Text("too late")))
        model = {"LLM_MODEL": "m", "OPENAI_BASE_URL": server.llm_url, "OPENAI_API_KEY": "k"}
        process = place.start("ask", "What causes the tides?", "--corpus", "documents", "--run-id", "told", **model)
        assert server.wait_for_requests(1, timeout=30)
        process.interrupt(signal.SIGTERM)
        done = process.wait()
    assert (done.code, done.out) == (130, "")
    assert done.err.splitlines()[-1] == "deepsearch: interrupted; the run is kept; go on with it: deepsearch resume told"
    assert "Traceback" not in done.err
    assert json.loads(place.run("runs", "--json").out)[0]["state"] == "interrupted"


def test_ctrl_c_keeps_the_run_and_resume_finishes_it(place: Place) -> None:
    with ScriptedServer() as server:
        server.llm.script(lambda _: Delay(60, Text("too late")))
        model = {"LLM_MODEL": "m", "OPENAI_BASE_URL": server.llm_url, "OPENAI_API_KEY": "k"}
        process = place.start("ask", "What causes the tides?", "--corpus", "documents", "--run-id", "stopped", **model)
        assert server.wait_for_requests(1, timeout=30)
        process.interrupt()
        done = process.wait()
    assert (done.code, done.out) == (130, "")
    assert done.err.splitlines()[-1] == "deepsearch: interrupted; the run is kept; go on with it: deepsearch resume stopped"
    assert "Traceback" not in done.err
    assert json.loads(place.run("runs", "--json").out)[0]["state"] == "interrupted"
    replayed = place.run("replay", "stopped")
    assert replayed.code == 0
    assert replayed.out.splitlines()[-1].startswith("there is no stored digest: the run is interrupted")
    resumed = place.run("resume", "stopped")
    assert resumed.code == 0
    assert "The tides are caused by the gravity of the Moon and the Sun. [^1]" in resumed.out
    assert place.run("replay", "stopped").out.splitlines()[-1] == "the stored digest is the same"


def test_settings_hide_secrets(place: Place) -> None:
    done = place.run("settings", OPENAI_API_KEY=SECRET, DEEPSEARCH_STATE_URL=f"sqlite://user:{SECRET}@host/x", LLM_MODEL="m")
    assert done.code == 0
    lines = dict(line.split("\t")[0].split("=", 1) for line in done.out.splitlines())
    assert lines.keys() == {name.upper() for name in Settings.model_fields}
    assert (lines["OPENAI_API_KEY"], lines["JINA_API_KEY"], lines["LLM_MODEL"]) == ("********", "", "m")
    assert SECRET not in done.out


@pytest.mark.parametrize("arguments", [["--help"], ["ask", "--help"], ["index", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(place: Place, arguments: list[str]) -> None:
    probe = """if True:
        import atexit, sys
        from deepsearch.cli import main
        heavy = {"jina", "docarray", "httpx", "tantivy", "openai"}
        atexit.register(lambda: print(sorted(heavy & sys.modules.keys()), file=sys.stderr))
        main()
    """
    command = [sys.executable, "-c", probe, *arguments]
    done = subprocess.run(command, env=place.environment(), capture_output=True, text=True, timeout=30, check=True)
    assert done.stderr.strip() == "[]"
    assert done.stdout


def test_a_reader_that_goes_away_is_no_error(place: Place) -> None:
    command = f"{sys.executable} -m deepsearch settings | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], env=place.environment(), capture_output=True, text=True, timeout=30, check=True)
    assert (done.stderr, done.stdout) == ("", "1\n")
