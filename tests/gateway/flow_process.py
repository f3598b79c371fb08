"""A Flow as a process of its own, as `deepsearch serve` or `jina flow` would start it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.scripted.server import ScriptedServer

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

SERVE = """
import sys
from pathlib import Path
from deepsearch.serve import serve
from schemas.errors import DeepSearchError
from schemas.settings import get_settings
try:
    sys.exit(serve(get_settings(), Path(sys.argv[1])))
except DeepSearchError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""

STAGE_PORTS = ("CONTROLLER", "QUERY_PLANNER", "JINA_SEARCHER", "URL_RANKER", "EVALUATOR", "ANSWER_FINALIZER")


def free_ports(number: int) -> list[int]:
    """Ports that nothing listens on, all different."""
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def free_port_settings() -> dict[str, str]:
    """Every port of the Flow as environment variables, all free; and tests may ask as often as they like."""
    ports = iter(free_ports(len(STAGE_PORTS) + 4))
    settings = {f"DEEPSEARCH_{name}_PORT": str(next(ports)) for name in ("GRPC", "HTTP", *STAGE_PORTS)}
    limit = {"DEEPSEARCH_KEY_REQUESTS_PER_MINUTE": "1000000"}
    return settings | {"DEEPSEARCH_PAGE_READER_PORTS": f"{next(ports)},{next(ports)}"} | limit


def scripted_settings(upstream: ScriptedServer, home: Path, **more: str) -> dict[str, str]:
    """The whole environment of a Flow with a scripted model, search and reader; `more` overrides it."""
    return free_port_settings() | {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "DEEPSEARCH_HOME": str(home),
        "DRAIN_SECONDS": "5",
        "OPENAI_BASE_URL": upstream.llm_url,
        "OPENAI_API_KEY": "sk-very-secret",
        "LLM_MODEL": "scripted",
        "JINA_API_KEY": "jina-very-secret",
        "JINA_API_URL": upstream.llm_url,
        "USE_DUCKDUCKGO": "false",
        "JINA_SEARCH_URL": upstream.search_url,
        "JINA_READER_URL": upstream.reader_url,
        **more,
    }


def start_flow(settings: dict[str, str], told: Path) -> subprocess.Popen[str]:
    """`deepsearch serve` in a session of its own, ready to answer; what it tells is appended to a file."""
    with told.open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "deepsearch", "serve", "--flow", str(ROOT / "flow.yml")],
            env=settings, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True,
        )  # fmt: skip
    assert process.stdout is not None
    if not process.stdout.readline().startswith("DeepSearch is ready"):
        kill(process)
        raise AssertionError(told.read_text())
    return process


def kill(process: subprocess.Popen[str]) -> None:
    """End every process of a Flow at once."""
    for number in processes_of(process.pid):
        with suppress(ProcessLookupError):  # it ended just now
            os.kill(number, signal.SIGKILL)
    process.communicate()


@contextmanager
def flow_of(settings: dict[str, str], told: Path) -> Iterator[subprocess.Popen[str]]:
    """A Flow that is ready; stopped by SIGTERM in the end, unless it has been already, with nothing left of it and nothing secret told."""
    process = start_flow(settings, told)
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert processes_of(process.pid) == []
    finally:
        kill(process)
    log = told.read_text()
    assert "very-secret" not in log and "Traceback" not in log, log


def start(code: str, *arguments: str, home: Path, **environment: str) -> subprocess.Popen[str]:
    """Run `code` with our packages and the echo stages importable, in a session of its own, with no other settings."""
    paths = [os.environ.get("PYTHONPATH", ""), str(ROOT), str(HERE)]
    base = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code, *arguments],
        cwd=home,
        env={**base, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def processes_of(session: int) -> list[int]:
    """The living processes of a session."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(status.parent.name))
    return found


def listener(port: int) -> int:
    """The process that listens on `port`."""
    line = subprocess.run(["ss", "-ltnpH", f"sport = :{port}"], capture_output=True, text=True, check=True).stdout
    return int(line.partition("pid=")[2].partition(",")[0])
