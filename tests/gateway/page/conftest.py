"""A Flow with scripted upstreams, and a headless browser in front of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.gateway.flow_process import free_port_settings, scripted_settings, start_flow
from tests.gateway.page.page_flow import KEY, Served, stop_flow
from tests.gateway.page.sessions import add_sessions
from tests.scripted.server import ScriptedServer

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("home")
    with ScriptedServer(record=False) as upstream:
        sessions = add_sessions(upstream)
        settings = scripted_settings(upstream, home, DRAIN_SECONDS="2", LLM_MODEL="scripted-model")
        served = Served(start_flow(settings, home / "log"), settings, upstream, sessions, home / "log")
        try:
            yield served
        finally:
            stop_flow(served.process)
        told = (home / "log").read_text()
        assert "Traceback" not in told, told


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a Flow that wants `KEY`, has no language model and searches a folder."""
    home, corpus = tmp_path_factory.mktemp("guarded"), tmp_path_factory.mktemp("corpus")
    (corpus / "kettles.md").write_text("# Kettles 🫖\n\nAn electric kettle boils one litre of water in three minutes.\n")
    (corpus / "toasters.md").write_text("# Toasters\n\nA toaster browns bread by radiant heat.\n")
    settings = free_port_settings() | {"PATH": os.environ["PATH"], "HOME": str(home), "DEEPSEARCH_HOME": str(home)}
    more = {"DEEPSEARCH_CORPUS": str(corpus), "DEEPSEARCH_API_KEYS": KEY, "DRAIN_SECONDS": "2"}
    process = start_flow(settings | more, home / "log")
    try:
        yield f"http://127.0.0.1:{settings['DEEPSEARCH_HTTP_PORT']}"
    finally:
        stop_flow(process)


@pytest.fixture(scope="module")  # while it runs, no test with an event loop of its own can
def chromium() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()
