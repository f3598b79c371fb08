"""The defaults of the variables in `flow.yml`, which is the only module that the file names at its top level.

jina has no syntax for a default: it leaves an unset `${{ ENV.X }}` as the text `$X`. But it expands in two passes, once when
it reads the file and once, entry by entry, when it builds the Flow, and between the two it imports the file's `py_modules`.
This module is imported there and sets what is unset, so that `jina flow --uses flow.yml` works with nothing in the
environment. The second pass reaches only entries that are a plain string, which is why `flow.yml` writes no list of variables.

The values are those of `Settings`, so a `.env` file counts as well. `jina_patches` is imported for what it does to the
process that starts the Flow.
"""

from __future__ import annotations

import os

from pydantic import ValidationError

import gateway.jina_patches  # noqa: F401
import telemetry.serving  # noqa: F401  (logs of the process that starts the Flow)
from schemas.errors import ConfigurationError
from schemas.settings import Settings, get_settings

STAGES = ("controller", "query_planner", "jina_searcher", "url_ranker", "evaluator", "answer_finalizer")
"""The stages with one port. The page reader has one for each replica."""


def flow_variables(settings: Settings) -> dict[str, str]:
    """Every variable of `flow.yml` with its value.

    Raises `ConfigurationError` when the page readers' ports are not numbers, not distinct, or not one for each replica.
    """
    ports = [port.strip() for port in settings.deepsearch_page_reader_ports.split(",")]
    if not all(port.isdecimal() for port in ports) or len(set(ports)) != len(ports):
        raise ConfigurationError(
            f"DEEPSEARCH_PAGE_READER_PORTS must be distinct port numbers, separated by commas, not {','.join(ports)}.",
            field="DEEPSEARCH_PAGE_READER_PORTS",
        )
    if len(ports) != settings.deepsearch_page_reader_replicas:
        raise ConfigurationError(
            f"DEEPSEARCH_PAGE_READER_REPLICAS is {settings.deepsearch_page_reader_replicas}, but DEEPSEARCH_PAGE_READER_PORTS "
            f"names {len(ports)}: give one port for each page reader.",
            field="DEEPSEARCH_PAGE_READER_PORTS",
        )
    single = ("host", "stage_host", "grpc_port", "http_port", "page_reader_replicas", *(f"{stage}_port" for stage in STAGES))
    variables = {f"DEEPSEARCH_{name.upper()}": str(getattr(settings, f"deepsearch_{name}")) for name in single}
    # A list for jina, which splits it; the setting itself is a string with commas.
    return variables | {"DEEPSEARCH_PAGE_READER_PORT": ports[0], "DEEPSEARCH_PAGE_READER_PORT_LIST": f"[{','.join(ports)}]"}


def set_defaults() -> None:
    """Put every variable of `flow.yml` that is unset into the environment, where jina and its processes look.

    Raises `ConfigurationError`, naming the setting, when one cannot be used.
    """
    try:
        settings = get_settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).upper()
        raise ConfigurationError(f"{name}: {first['msg']}.", field=name) from error
    for name, value in flow_variables(settings).items():
        if not os.environ.get(name):
            os.environ[name] = value


set_defaults()
