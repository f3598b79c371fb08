"""README.md shows what is there: its commands exist, the cheap ones run, its programs work, and what is generated is fresh."""

from __future__ import annotations

import ast
import importlib
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from command_line import ROOT, Place

from deepsearch.cli import app

TEXT = (ROOT / "README.md").read_text("utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
SHELL = [line for language, body in BLOCKS if language == "sh" for line in body.splitlines() if line.strip()]
INLINE = re.findall(r"`(deepsearch [^`]+)`", TEXT)
MAKE = sorted(set(re.findall(r"make (\w+)", "\n".join([*SHELL, *re.findall(r"`(make [^`]+)`", TEXT)]))))
PYTHON = [body for language, body in BLOCKS if language == "python"]


def flags_of(command: str) -> set[str]:
    """The flags that a command of `deepsearch` has."""
    found = typer.main.get_command(app).commands[command]  # type: ignore[attr-defined]
    return {"--help", "-h", *(flag for parameter in found.params for flag in parameter.opts)}


@pytest.mark.parametrize("line", [line for line in [*SHELL, *INLINE] if line.startswith("deepsearch ")])
def test_commands_and_flags_exist(line: str) -> None:
    words = shlex.split(line.split(">", maxsplit=1)[0])
    used = {word.split("=")[0] for word in words if word.startswith("-") and word != "--"}
    assert used <= flags_of(words[1])


def test_every_command_is_mentioned() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert {shlex.split(line)[1] for line in INLINE} >= commands.keys()


@pytest.mark.parametrize("target", MAKE)
def test_make_targets_exist(target: str) -> None:
    done = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


def test_cheap_commands_run_and_the_example_is_real(tmp_path: Path) -> None:
    place = Place(tmp_path)
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    for line in SHELL:
        if line.startswith("deepsearch "):
            words = shlex.split(line.split(">")[0])
            done = place.run(*words[1:])
            assert done.code == 0, f"{line}: {done.err}"
    [asked] = [match for line in SHELL if (match := re.fullmatch(r'make ask Q="(.*)"', line))]
    done = place.run("ask", "--corpus", "docs", "--", asked[1])
    shown = next(body for language, body in BLOCKS if language == "text")
    answer = done.out.split("\n[^1]: ")[0].strip()
    assert answer.startswith(shown.partition("\n\n")[2].split("\n\n")[0])
    assert "file:///home/you/deepsearch/docs/" in shown


@pytest.mark.parametrize("program", PYTHON)
def test_programs_import_what_exists(program: str) -> None:
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(str(node.module))
            assert all(hasattr(module, name.name) for name in node.names)
    assert compile(program, "README.md", "exec")


def test_the_program_without_a_flow_runs(tmp_path: Path) -> None:
    [program] = [program for program in PYTHON if "deepsearch.ask" in program]
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    environment = Place(tmp_path).environment()
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#:]+)\)", TEXT))))
def test_links_lead_somewhere(link: str) -> None:
    assert (ROOT / link).exists()


def test_generated_documentation_is_fresh(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["generate.py", "--check"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "docs" / "generate.py"), run_name="__main__")
    assert (ended.value.code, capsys.readouterr().err) == (0, "")
