"""Starting and stopping a Flow: the defaults of flow.yml, the reasons not to start, and a stop that leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

import flow_process
import httpx
import pytest

from gateway.flow_defaults import flow_variables
from schemas.errors import ConfigurationError
from schemas.settings import Settings

pytestmark = pytest.mark.flow

LOAD = """
import sys
from jina import Flow
flow = Flow.load_config(sys.argv[1])
print([(name, node.args.uses, node.args.port, node.args.host, node.args.replicas) for name, node in flow.build()])
"""


@contextmanager
def serving(flow_file: Path, home: Path, **environment: str) -> Iterator[Popen[str]]:
    process = flow_process.start(flow_process.SERVE, str(flow_file), home=home, **environment)
    try:
        yield process
    finally:
        for number in flow_process.processes_of(process.pid):
            os.kill(number, signal.SIGKILL)
        process.communicate()


def echo_flow(home: Path, **replacements: str) -> Path:
    """The echo Flow with some of its words replaced."""
    text = (flow_process.HERE / "echo_flow.yml").read_text()
    for word, other in replacements.items():
        assert word in text
        text = text.replace(word, other)
    (home / "changed.yml").write_text(text)
    return home / "changed.yml"


def failure(flow_file: Path, home: Path, **environment: str) -> tuple[int, str, str]:
    with serving(flow_file, home, **environment) as process:
        out, err = process.communicate(timeout=60)
        assert flow_process.processes_of(process.pid) == []
        return process.returncode, out, err


@pytest.mark.parametrize("name", ["flow.yml", "./flow.yml"])
def test_the_flow_loads_with_nothing_in_the_environment(name: str, tmp_path: Path) -> None:
    (tmp_path / "flow.yml").symlink_to(flow_process.ROOT / "flow.yml")
    for package in ("executors", "gateway"):
        (tmp_path / package).symlink_to(flow_process.ROOT / package)
    process = flow_process.start(LOAD, name, home=tmp_path)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    nodes = {name: rest for name, *rest in eval(out)}
    assert nodes["gateway"] == ["gateway/config.yml", [8081, 8080], "127.0.0.1", 1]
    assert nodes["controller"] == ["executors/controller/config.yml", [8090], ["127.0.0.1"], 1]
    assert nodes["page_reader"][3] == 2
    assert nodes["answer_finalizer"][1] == [8097]


def test_the_defaults_of_the_flow_are_those_of_the_settings(make_settings: Callable[..., Settings]) -> None:
    variables = flow_variables(make_settings())
    assert variables["DEEPSEARCH_HTTP_PORT"] == "8080"
    assert variables["DEEPSEARCH_PAGE_READER_PORT_LIST"] == "[8094,8095]"
    text = (flow_process.ROOT / "flow.yml").read_text()
    assert {name for name in variables if f"ENV.{name} " not in text} == set()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"deepsearch_page_reader_replicas": 3},
            "DEEPSEARCH_PAGE_READER_REPLICAS is 3, but DEEPSEARCH_PAGE_READER_PORTS names 2: give one port for each page reader.",
        ),
        (
            {"deepsearch_page_reader_ports": "8094,8094"},
            "DEEPSEARCH_PAGE_READER_PORTS must be distinct port numbers, separated by commas, not 8094,8094.",
        ),
        (
            {"deepsearch_page_reader_ports": "8094,"},
            "DEEPSEARCH_PAGE_READER_PORTS must be distinct port numbers, separated by commas, not 8094,.",
        ),
    ],
)
def test_replicas_and_ports_must_agree(make_settings: Callable[..., Settings], values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        flow_variables(make_settings(**values))
    assert str(raised.value) == message


def test_a_port_in_use_is_named_with_its_setting_before_anything_starts(tmp_path: Path) -> None:
    ports = flow_process.free_port_settings()
    port = int(ports["DEEPSEARCH_EVALUATOR_PORT"])
    with socket.create_server(("127.0.0.1", port)):
        code, out, err = failure(flow_process.HERE / "echo_flow.yml", tmp_path, **ports)
    reason = "address already in use; choose another."
    assert (code, out, err) == (2, "", f"DEEPSEARCH_EVALUATOR_PORT: cannot listen on 127.0.0.1:{port}, {reason}\n")


def test_a_port_for_two_is_named_with_both_settings(tmp_path: Path) -> None:
    ports = flow_process.free_port_settings()
    ports["DEEPSEARCH_HTTP_PORT"] = ports["DEEPSEARCH_GRPC_PORT"]
    code, _, err = failure(flow_process.HERE / "echo_flow.yml", tmp_path, **ports)
    taken = ports["DEEPSEARCH_GRPC_PORT"]
    assert (code, err) == (2, f"DEEPSEARCH_GRPC_PORT and DEEPSEARCH_HTTP_PORT are both {taken}; give each its own port.\n")


def test_a_stage_that_does_not_start_says_why_in_one_line(tmp_path: Path) -> None:
    flow_file = echo_flow(tmp_path, EchoFinalizer="BrokenStage")
    code, out, err = failure(flow_file, tmp_path, **flow_process.free_port_settings())
    assert (code, out) == (1, "")
    assert err == "answer_finalizer/rep-0 did not start: DEEPSEARCH_CORPUS is missing.\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_stream_in_flight_finish_and_leaves_no_process(number: signal.Signals, tmp_path: Path) -> None:
    ports = flow_process.free_port_settings()
    with serving(flow_process.HERE / "echo_flow.yml", tmp_path, DRAIN_SECONDS="10", **ports) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("DeepSearch is ready")
        assert len(flow_process.processes_of(process.pid)) >= 6
        url = f"http://127.0.0.1:{ports['DEEPSEARCH_HTTP_PORT']}/finalize"
        with httpx.stream("GET", url, params={"draft": "a b c", "max_references": "300"}) as response:
            lines = response.iter_lines()
            assert next(lines) == "event: update"
            process.send_signal(number)
            rest = list(lines)
        assert rest.count("event: update") == 3
        assert rest.count("event: end") == 1
        process.communicate(timeout=60)
        assert process.returncode == 0
        assert flow_process.processes_of(process.pid) == []


@pytest.mark.parametrize("replicas", [1, 3])
def test_every_page_reader_listens_where_the_controller_looks_for_it(replicas: int, tmp_path: Path) -> None:
    ports = flow_process.free_ports(replicas)
    named = flow_process.free_port_settings() | {
        "DEEPSEARCH_PAGE_READER_REPLICAS": str(replicas),
        "DEEPSEARCH_PAGE_READER_PORTS": ",".join(map(str, ports)),
    }
    with serving(flow_process.HERE / "echo_flow.yml", tmp_path, **named) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("DeepSearch is ready")
        assert len({flow_process.listener(port) for port in ports}) == replicas
