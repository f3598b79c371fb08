"""What `import deepsearch` offers, and that it works without a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import deepsearch
from deepsearch.configuration import load_settings, setting_rows
from schemas.errors import ConfigurationError, CorpusError, InvalidRequest
from schemas.settings import Settings, get_settings


def test_exports_are_sorted_complete_and_documented() -> None:
    assert deepsearch.__all__ == sorted(deepsearch.__all__)
    assert set(deepsearch.__all__) == deepsearch._HOMES.keys() <= set(dir(deepsearch))
    for name in deepsearch.__all__:
        exported = getattr(deepsearch, name)
        assert exported.__name__ == name
        assert exported.__doc__
    with pytest.raises(AttributeError, match="no attribute 'research'"):
        deepsearch.research  # noqa: B018


def test_importing_costs_nothing() -> None:
    probe = "import sys, deepsearch; print(sorted({'jina', 'docarray', 'pydantic', 'httpx'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == "[]"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "tides.md").write_text("# Tides\n\nThe tides are caused by the gravity of the Moon and the Sun.\n", "utf-8")
    return folder


async def test_ask_and_stream(corpus: Path) -> None:
    answer = await deepsearch.ask("What causes the tides?", corpus=str(corpus), run_id="first")
    assert answer.text.startswith("The tides are caused by the gravity of the Moon and the Sun.")
    assert answer.references[0].url == (corpus / "tides.md").as_uri()
    assert (answer.run_id, answer.mode, answer.stop_reason) == ("first", "extractive", "answered")
    types = [event.type async for event in deepsearch.stream("What causes the tides?", corpus=str(corpus))]
    assert (types[0], types[-1]) == ("run_started", "run_ended")
    assert "answer_delta" in types


async def test_bad_options_are_told(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="a request has no colour; it has allow_guess, bad_hostnames, "):
        await deepsearch.ask("Why?", colour="blue")
    with pytest.raises(InvalidRequest, match="question is empty"):
        await deepsearch.ask(" ", corpus=str(corpus))
    with pytest.raises(CorpusError, match="there is no such folder"):
        await deepsearch.ask("Why?", corpus=str(tmp_path / "nowhere"))


def test_wrong_settings_are_one_line_each_without_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_TEMPERATURE_PLANNER", "sk-secret")
    monkeypatch.setenv("DEEPSEARCH_GRPC_PORT", "0")
    get_settings.cache_clear()
    with pytest.raises(ConfigurationError) as raised:
        load_settings()
    first, second = sorted(str(raised.value).splitlines())
    assert first.startswith("DEEPSEARCH_GRPC_PORT: input should be greater than or equal to 1; correct it in ")
    assert second.startswith("LLM_TEMPERATURE_PLANNER: input should be a valid number")
    assert "sk-secret" not in str(raised.value)


def test_every_setting_has_a_row_and_a_meaning() -> None:
    settings = Settings(_env_file=None, openai_api_key="sk-secret", openai_base_url="http://me:sk-secret@host/v1", use_jina_search=False)
    rows = {row.name: row for row in setting_rows(settings)}
    assert rows.keys() == {name.upper() for name in Settings.model_fields}
    assert all(row.description.endswith(".") for row in rows.values())
    assert rows["OPENAI_API_KEY"].value == "********"
    assert rows["OPENAI_BASE_URL"].value == "http://********@host/v1"
    assert (rows["USE_JINA_SEARCH"].value, rows["USE_JINA_SEARCH"].default) == ("false", "true")
    assert rows["DEEPSEARCH_HOME"].default == "the platform's data folder"
    assert rows["LLM_MODEL"].value == ""
